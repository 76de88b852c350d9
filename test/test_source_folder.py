# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of images and their times."""

from __future__ import annotations

import os
import struct
import zlib

import cv2
from gsc_ros.sources import open_source, SourceError
from gsc_ros.sources.timestamp import read_timestamps
import numpy as np
import pytest
from shared_data import shared_data
from source_picture import HEIGHT, numbers, picture, WIDTH, write_pictures


def test_images_come_in_natural_order(tmp_path):
    write_pictures(tmp_path, ['1.png', '2.png', '10.png', 'a9.png', 'a10.png'])
    source = open_source(tmp_path)
    assert numbers(source) == [0, 1, 2, 3, 4] and len(source) == 5


def test_without_times_frames_are_ten_a_second_or_as_told(tmp_path):
    write_pictures(tmp_path, ['1.png', '2.png'])
    assert [frame.stamp_ns for frame in open_source(tmp_path)] == [0, 100_000_000]
    assert [frame.stamp_ns for frame in open_source(tmp_path, fps=4)] == [0, 250_000_000]


@pytest.mark.parametrize('lines', [
    ['2011-09-26 13:02:25.964389445', '2011-09-26 13:02:26.064389445'],
    ['1317042145.964389445', '1317042146.064389445'],
    ['1317042145964389445', '1317042146064389445']])
def test_all_kinds_of_times_are_exact_to_the_nanosecond(tmp_path, lines):
    write_pictures(tmp_path, ['1.png', '2.png'])
    (tmp_path / 'timestamps.txt').write_text('\n'.join(lines) + '\n')
    source = open_source(tmp_path)
    assert [frame.stamp_ns for frame in source] == [1317042145964389445, 1317042146064389445]
    assert source.fps == pytest.approx(10)


def test_small_integers_are_seconds(tmp_path):
    (tmp_path / 'times.txt').write_text('0\n1\n2.5\n')
    assert read_timestamps(tmp_path / 'times.txt') == [0, 10 ** 9, 2_500_000_000]


def test_a_chosen_rate_goes_before_the_recorded_times(tmp_path):
    write_pictures(tmp_path, ['1.png', '2.png'])
    (tmp_path / 'timestamps.txt').write_text('5.0\n8.0\n')
    source = open_source(tmp_path, fps=2)
    assert [frame.stamp_ns for frame in source] == [5 * 10 ** 9, 5_500_000_000]


def test_frames_come_in_the_order_of_their_times(tmp_path):
    write_pictures(tmp_path, ['1.png', '2.png', '3.png'])
    (tmp_path / 'timestamps.txt').write_text('3.0\n1.0\n2.0\n')
    assert numbers(open_source(tmp_path)) == [1, 2, 0]


@pytest.mark.parametrize('line', ['yesterday', 'nan', '-1', '', '2011-13-26 13:02:25', '1e30'])
def test_a_line_that_is_no_time_is_named(tmp_path, line):
    write_pictures(tmp_path, ['1.png', '2.png'])
    (tmp_path / 'timestamps.txt').write_text(f'{line}\n1.0\n')
    with pytest.raises(SourceError, match=r'timestamps\.txt:1: .* is no time'):
        open_source(tmp_path)


def test_times_that_do_not_match_the_images_are_refused(tmp_path):
    write_pictures(tmp_path, ['1.png', '2.png'])
    (tmp_path / 'timestamps.txt').write_text('1.0\n')
    with pytest.raises(SourceError, match='2 images, but 1 times'):
        open_source(tmp_path)


def test_a_bad_file_is_skipped_counted_and_named_in_the_log(tmp_path, caplog):
    write_pictures(tmp_path, ['1.png', '2.png', '3.png'])
    (tmp_path / '2.png').write_bytes(b'no image')
    source = open_source(tmp_path)
    assert [frame.stamp_ns for frame in source] == [0, 200_000_000]
    assert source.skipped == 1 and '2.png' in caplog.text
    assert len(list(source)) == 2 and source.skipped == 1


def test_a_name_that_is_not_unicode_is_read_as_any(tmp_path):
    write_pictures(tmp_path, ['1.png'])
    name = os.path.join(os.fsencode(tmp_path), b'\xff.png')
    os.rename(tmp_path / '1.png', name)
    assert len(list(open_source(tmp_path))) == 1


def huge_png() -> bytes:
    """Return a picture of which there is only a header, and that says 50,000 x 50,000 pixels."""
    header = b'IHDR' + struct.pack('>IIBBBBB', 50_000, 50_000, 8, 2, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + header
            + struct.pack('>I', zlib.crc32(header)) + bytes(64))


@pytest.mark.parametrize('content', (b'', huge_png()), ids=['empty', 'huge'])
def test_an_empty_or_absurd_file_is_skipped(tmp_path, content):
    write_pictures(tmp_path, ['1.png'])
    (tmp_path / '2.png').write_bytes(content)
    source = open_source(tmp_path)
    assert len(list(source)) == 1 and source.skipped == 1


def test_a_folder_of_bad_files_is_refused(tmp_path):
    (tmp_path / '1.png').write_bytes(b'no image')
    with pytest.raises(SourceError, match=r'none of 1 images can be read; .*1\.png'):
        open_source(tmp_path)


def test_16_bit_images_are_not_taken_for_pictures(tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), np.full((HEIGHT, WIDTH), 5000, np.uint16))
    with pytest.raises(SourceError, match='may be depth'):
        open_source(tmp_path)


def test_gray_and_transparent_files_are_gray_and_opaque_pictures(tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), np.full((HEIGHT, WIDTH), 7, np.uint8))
    cv2.imwrite(str(tmp_path / '2.png'), np.full((HEIGHT, WIDTH, 4), (200, 100, 9, 0), np.uint8))
    gray, colour = open_source(tmp_path)
    assert gray.image.shape == (HEIGHT, WIDTH) and gray.image[0, 0] == 7
    assert np.array_equal(colour.image, picture(9))


def test_an_empty_folder_and_a_missing_one_are_named(tmp_path):
    with pytest.raises(SourceError, match='no images there'):
        open_source(tmp_path)
    with pytest.raises(SourceError, match='nowhere: no such file or folder'):
        open_source(tmp_path / 'nowhere')


@pytest.mark.parametrize('fps', [0.0, -1.0, float('nan'), float('inf')])
def test_a_rate_that_is_none_is_refused(tmp_path, fps):
    write_pictures(tmp_path, ['1.png'])
    with pytest.raises(SourceError, match='frames per second'):
        open_source(tmp_path, fps=fps)


def test_a_robot_s_own_recording_opens_in_order_of_time():
    folder = shared_data('sequences', 'indoor_robot')
    if folder is None:
        pytest.skip('the shared recordings are not here')
    source = open_source(folder)
    stamps = [frame.stamp_ns for frame in source]
    assert len(stamps) == len(source) == 110 and stamps == sorted(stamps)
    assert 0.5 < source.fps < 1.5
