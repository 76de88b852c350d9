# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc encode` by what it does."""

from pathlib import Path
import zlib

from command_line import call, HEIGHT, WIDTH, write_picture
import cv2
from gsc_ros.cli.picture import read_image
from gsc_ros.codec.packet import parse, SECTIONS
import numpy as np
import pytest


@pytest.fixture(name='picture')
def fixture_picture(tmp_path):
    """Return the path of a picture."""
    return write_picture(tmp_path / 'picture.png')


def test_an_image_becomes_a_packet(capsys, tmp_path, picture):
    packet = tmp_path / 'picture.gsc'
    done = call(capsys, 'encode', picture, '-o', packet)
    assert done.status == 0
    parsed = parse(packet.read_bytes())
    assert (parsed.width, parsed.height) == (WIDTH, HEIGHT)
    assert f'{packet}: {packet.stat().st_size} bytes' in done.out


def test_json_is_one_object_with_the_promised_fields(capsys, tmp_path, picture):
    packet = tmp_path / 'picture.gsc'
    shown = call(capsys, 'encode', picture, '-o', packet, '--caption', 'a wall', '--json').json
    size = packet.stat().st_size
    assert shown['bytes'] == size == sum(shown['sections'].values())
    assert shown['bpp'] == pytest.approx(8 * size / (WIDTH * HEIGHT))
    assert set(shown['sections']) == set(SECTIONS)
    assert shown['channels'] == list(parse(packet.read_bytes()).channels)
    assert shown['caption'] == 'a wall'
    assert shown['encode_ms'] > 0
    assert shown['profile'] == 'tiny'


def test_as_many_channels_are_sent_as_asked_for(capsys, tmp_path, picture):
    shown = call(capsys, 'encode', picture, '-o', tmp_path / 'a.gsc', '--channels', 5,
                 '--json').json
    assert shown['channels'] == list(range(len(shown['channels'])))
    assert 1 <= len(shown['channels']) <= 5


def test_a_byte_limit_is_never_passed(capsys, tmp_path, picture):
    sizes = [call(capsys, 'encode', picture, '-o', tmp_path / 'a.gsc', '--max-bytes', limit,
                  '--json').json['bytes'] for limit in (60, 120, 400)]
    assert all(size <= limit for size, limit in zip(sizes, (60, 120, 400)))
    assert sizes[2] > sizes[0]


def test_a_byte_limit_that_nothing_fits_into_is_told_with_the_file(capsys, tmp_path, picture):
    done = call(capsys, 'encode', picture, '-o', tmp_path / 'a.gsc', '--max-bytes', 12)
    assert done.status == 1
    assert str(picture) in done.err
    assert not (tmp_path / 'a.gsc').exists()


def test_channels_may_be_chosen_by_likeness(capsys, tmp_path, picture):
    shown = call(capsys, 'encode', picture, '-o', tmp_path / 'a.gsc', '--channels', 4,
                 '--selection', 'ssim', '--json').json
    assert 1 <= len(shown['channels']) <= 4
    assert shown['sections']['channel_set'] > 0 or (
        shown['channels'] == list(range(len(shown['channels']))))


def test_caption_none_sends_no_text(capsys, tmp_path, picture):
    shown = call(capsys, 'encode', picture, '-o', tmp_path / 'a.gsc', '--caption', 'none',
                 '--json').json
    assert shown['caption'] == ''
    assert shown['sections']['text'] == 0


def test_gray_and_alpha_become_rgb(capsys, tmp_path):
    gray = np.full((40, 50), 90, np.uint8)
    cv2.imwrite(str(tmp_path / 'gray.png'), gray)
    cv2.imwrite(str(tmp_path / 'alpha.png'), np.dstack([gray] * 4))
    for name in ('gray', 'alpha'):
        done = call(capsys, 'encode', tmp_path / f'{name}.png', '-o', tmp_path / f'{name}.gsc')
        assert done.status == 0, done.err
    assert (tmp_path / 'gray.gsc').read_bytes() == (tmp_path / 'alpha.gsc').read_bytes()


def test_depth_is_taken_for_a_picture_but_not_silently(capsys, tmp_path):
    cv2.imwrite(str(tmp_path / 'depth.png'), np.full((40, 50), 9000, np.uint16))
    done = call(capsys, 'encode', tmp_path / 'depth.png', '-o', tmp_path / 'a.gsc')
    assert done.status == 0
    assert 'is it depth?' in done.err


def test_numbers_without_a_range_are_refused(capsys, tmp_path):
    cv2.imwrite(str(tmp_path / 'float.tiff'), np.full((40, 50), 0.5, np.float32))
    done = call(capsys, 'encode', tmp_path / 'float.tiff', '-o', tmp_path / 'a.gsc')
    assert done.status == 1
    assert 'no known range' in done.err


def palette_picture() -> bytes:
    """Return a PNG of 20x30 pixels with a palette of one colour: RGB 10, 200, 30."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (len(data).to_bytes(4, 'big') + kind + data
                + zlib.crc32(kind + data).to_bytes(4, 'big'))
    header = (30).to_bytes(4, 'big') + (20).to_bytes(4, 'big') + bytes([8, 3, 0, 0, 0])
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'PLTE', bytes([10, 200, 30]))
            + chunk(b'IDAT', zlib.compress(bytes(20 * 31))) + chunk(b'IEND', b''))


def test_any_format_and_depth_of_a_picture_gives_its_colours(tmp_path):
    colour = np.empty((40, 60, 3), np.uint8)
    colour[:] = (30, 200, 10)  # OpenCV writes BGR
    gray, deep = colour[:, :, 1], colour.astype(np.uint16) << 8
    alpha = np.dstack([colour, np.zeros((40, 60), np.uint8)])
    pictures = {
        'a.png': colour, 'a.bmp': colour, 'a.tiff': colour, 'a.ppm': colour, 'a.jp2': colour,
        'deep.png': deep, 'deep.tiff': deep, 'alpha.png': alpha, 'alpha.tiff': alpha}
    for name, pixels in pictures.items():
        assert cv2.imwrite(str(tmp_path / name), pixels)
        assert read_image(tmp_path / name)[5, 5] == pytest.approx([10, 200, 30], abs=2), name
    (tmp_path / 'palette.png').write_bytes(palette_picture())
    assert (read_image(tmp_path / 'palette.png') == [10, 200, 30]).all()
    for name in ('gray.png', 'gray.pgm', 'gray.tiff', 'gray.jpg', 'gray.webp'):
        assert cv2.imwrite(str(tmp_path / name), gray)
        found = read_image(tmp_path / name)
        assert found.shape == (40, 60, 3)
        assert found == pytest.approx(np.full((40, 60, 3), 200), abs=3), name


@pytest.mark.parametrize('selection', ('ordered', 'ssim', 'rate-distortion'))
def test_a_target_in_bits_per_pixel_is_never_passed(capsys, tmp_path, picture, selection):
    for target in (0.03, 0.1):
        shown = call(capsys, 'encode', picture, '-o', tmp_path / 'a.gsc', '--target-bpp', target,
                     '--selection', selection, '--json').json
        assert shown['bpp'] <= target


def test_a_target_that_nothing_fits_into_is_told(capsys, tmp_path, picture):
    done = call(capsys, 'encode', picture, '-o', tmp_path / 'a.gsc', '--target-bpp', 0.001)
    assert (done.status, 'not even one channel fits 1 bytes' in done.err) == (1, True)


@pytest.mark.parametrize('size', ((15, 40), (40, 8193)))
def test_a_picture_of_a_size_out_of_range_is_bad_data(capsys, tmp_path, size):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros(size, np.uint8))
    done = call(capsys, 'encode', tmp_path / 'a.png', '-o', tmp_path / 'a.gsc')
    assert (done.status, 'is not within 16..8192' in done.err) == (1, True)


def test_a_folder_becomes_a_folder_of_packets(capsys, tmp_path):
    (tmp_path / 'in').mkdir()
    for seed, name in enumerate(('b.png', 'a.jpg', 'c.WEBP')):
        write_picture(tmp_path / 'in' / name.lower(), seed).rename(tmp_path / 'in' / name)
    (tmp_path / 'in' / 'notes.txt').write_text('no picture')
    done = call(capsys, 'encode', tmp_path / 'in', '-o', tmp_path / 'out', '--json')
    assert done.status == 0, done.err
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'a.gsc', 'b.gsc', 'c.gsc']
    assert done.json['images'] == 3
    assert done.json['bytes'] == sum(path.stat().st_size for path in (tmp_path / 'out').iterdir())


def test_a_bad_picture_of_a_folder_does_not_keep_the_others_from_being_coded(capsys, tmp_path):
    (tmp_path / 'in').mkdir()
    for name in ('a.png', 'c.png'):
        write_picture(tmp_path / 'in' / name)
    (tmp_path / 'in' / 'b.png').write_bytes(b'no picture')
    done = call(capsys, 'encode', tmp_path / 'in', '-o', tmp_path / 'out', '--json')
    assert done.status == 1
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['a.gsc', 'c.gsc']
    assert done.json['images'] == 2
    assert [Path(entry['input']).name for entry in done.json['failed']] == ['b.png']
    assert 'b.png' in done.err


def test_two_pictures_never_become_one_packet(capsys, tmp_path):
    (tmp_path / 'in').mkdir()
    for name in ('a.jpg', 'a.b.png', 'a.png'):
        write_picture(tmp_path / 'in' / name)
    done = call(capsys, 'encode', tmp_path / 'in', '-o', tmp_path / 'out')
    assert done.status == 2
    assert 'a.jpg and ' in done.err and 'a.png would both' in done.err
    assert not any((tmp_path / 'out').iterdir())


def test_a_folder_may_be_coded_as_a_stream(capsys, tmp_path):
    (tmp_path / 'in').mkdir()
    for name in ('a.png', 'b.png', 'c.png'):
        write_picture(tmp_path / 'in' / name)
    encoded = call(capsys, 'encode', tmp_path / 'in', '-o', tmp_path / 'out', '--stream',
                   '--json').json['results']
    assert [result['stream_reference'] is None for result in encoded] == [True, False, False]
    assert encoded[1]['bytes'] < encoded[0]['bytes']
    assert call(capsys, 'decode', tmp_path / 'out', '-o', tmp_path / 'back').status == 0
    done = call(capsys, 'decode', tmp_path / 'out' / 'b.gsc', '-o', tmp_path / 'b.png')
    assert (done.status, 'which is not here' in done.err) == (1, True)


def test_a_stream_is_decoded_in_the_order_of_its_pictures(capsys, tmp_path):
    (tmp_path / 'in').mkdir()
    for name in ('10.png', '2.png', '2.h.png'):
        write_picture(tmp_path / 'in' / name)
    done = call(capsys, 'encode', tmp_path / 'in', '-o', tmp_path / 'out', '--stream', '--json')
    assert [Path(result['output']).stem for result in done.json['results']] == ['2', '2.h', '10']
    done = call(capsys, 'decode', tmp_path / 'out', '-o', tmp_path / 'back')
    assert done.status == 0, done.err


@pytest.mark.parametrize('content', (b'', b'not a picture', b'\x89PNG\r\n\x1a\n' + bytes(40)))
def test_what_is_no_picture_is_bad_data(capsys, tmp_path, content):
    (tmp_path / 'bad.png').write_bytes(content)
    done = call(capsys, 'encode', tmp_path / 'bad.png', '-o', tmp_path / 'a.gsc')
    assert done.status == 1
    assert 'bad.png: not a picture' in done.err
    assert done.out == ''


def test_missing_and_empty_inputs_are_bad_data(capsys, tmp_path):
    done = call(capsys, 'encode', tmp_path / 'gone.png', '-o', tmp_path / 'a.gsc')
    assert (done.status, 'gone.png: no such file' in done.err) == (1, True)
    (tmp_path / 'empty').mkdir()
    done = call(capsys, 'encode', tmp_path / 'empty', '-o', tmp_path / 'out')
    assert (done.status, 'empty: holds no' in done.err) == (1, True)


def test_an_output_that_cannot_be_written_is_named(capsys, tmp_path, picture):
    done = call(capsys, 'encode', picture, '-o', tmp_path / 'gone' / 'a.gsc')
    assert done.status == 1
    assert 'gone/a.gsc: No such file or directory' in done.err


@pytest.mark.parametrize('words', (
    ('--channels', '0'), ('--channels', '321'), ('--channels', 'many'), ('--max-bytes', '0'),
    ('--quantizer', '-1'), ('--selection', 'best'), ('--channels', '4', '--max-bytes', '90'),
    ('--target-bpp', '0'), ('--target-bpp', 'nan'), ('--target-bpp', '1', '--max-bytes', '90')))
def test_arguments_out_of_range_are_usage_errors(capsys, tmp_path, picture, words):
    done = call(capsys, 'encode', picture, '-o', tmp_path / 'a.gsc', *words)
    assert done.status == 2
    assert 'usage: gsc encode' in done.err


def test_an_unknown_profile_is_told(capsys, tmp_path, picture):
    done = call(capsys, 'encode', picture, '-o', tmp_path / 'a.gsc', '--profile', 'huge')
    assert done.status == 1
    assert 'huge' in done.err


def test_a_picture_is_never_overwritten_by_its_packet(capsys, tmp_path, picture):
    before = picture.read_bytes()
    (tmp_path / 'link.gsc').symlink_to(picture)
    for target in (picture, tmp_path / 'link.gsc', tmp_path / 'gone' / '..' / picture.name):
        (tmp_path / 'gone').mkdir(exist_ok=True)
        done = call(capsys, 'encode', picture, '-o', target)
        assert done.status == 2
        assert done.err == (
            f'gsc encode: error: {target}: would overwrite an input; name another output\n')
    assert picture.read_bytes() == before


def test_a_caption_that_is_no_text_is_bad_data(capsys, tmp_path, picture):
    done = call(capsys, 'encode', picture, '-o', tmp_path / 'a.gsc', '--caption', 'a\udcff')
    assert (done.status, 'the caption is not Unicode text' in done.err) == (1, True)
    assert not (tmp_path / 'a.gsc').exists()
