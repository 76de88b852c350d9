# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KITTI drives and sequences."""

from __future__ import annotations

from pathlib import Path

import cv2
from gsc_ros.sources import open_source, SourceError
import numpy as np
import pytest
from shared_data import kitti_drive, shared_data
from source_picture import HEIGHT, numbers, WIDTH, write_pictures

RAW_WIDTH, RAW_HEIGHT = 60, 40
K = '900.5 0 30.25 0 901.5 20.5 0 0 1'
D = '-0.37 0.2 1.5e-3 -7e-5 -0.07'
R_RECT = '1 0.001 0 -0.001 1 0 0 0 1'
P_RECT = '700.5 0 24.25 44.9 0 700.5 16.5 0.2 0 0 1 0.003'
CALIBRATION = '\n'.join([
    'calib_time: 09-Jan-2012 13:57:47', 'corner_dist: 9.950000e-02',
    f'S_02: {RAW_WIDTH} {RAW_HEIGHT}', f'K_02: {K}', f'D_02: {D}',
    f'S_rect_02: {WIDTH} {HEIGHT}', f'R_rect_02: {R_RECT}', f'P_rect_02: {P_RECT}']) + '\n'
NAMES = [f'{number:010d}.png' for number in range(3)]


def reals(text: str) -> tuple[float, ...]:
    return tuple(float(word) for word in text.split())


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Make a small drive, calibrated, in a date folder."""
    folder = tmp_path / '2011_09_26' / '2011_09_26_drive_0001_sync'
    write_pictures(folder / 'image_02' / 'data', NAMES)
    (folder / 'image_02' / 'timestamps.txt').write_text(''.join(
        f'2011-09-26 13:02:25.{number}00000000\n' for number in range(3)))
    (folder.parent / 'calib_cam_to_cam.txt').write_text(CALIBRATION)
    return folder


@pytest.mark.parametrize('part', ['.', 'image_02', 'image_02/data', '..'])
def test_a_drive_opens_by_its_folder_its_camera_or_its_date(drive, part):
    source = open_source(drive / part)
    frames = list(source)
    assert numbers(frames) == [0, 1, 2] and source.fps == pytest.approx(10)
    assert frames[1].stamp_ns == 1317042145_100_000_000
    assert frames[0].frame_id == 'kitti_camera_02'


def test_rectified_images_have_the_rectified_projection_and_no_distortion(drive):
    calibration = next(iter(open_source(drive))).calibration
    p = reals(P_RECT)
    assert calibration.p == p
    assert calibration.k == (p[0], 0, p[2], 0, p[5], p[6], 0, 0, 1)
    assert calibration.d == (0.0,) * 5
    assert calibration.r == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert (calibration.width, calibration.height) == (WIDTH, HEIGHT)


def test_images_as_the_sensor_saw_them_have_lens_and_rectification(drive):
    write_pictures(drive / 'image_02' / 'data', NAMES, RAW_WIDTH, RAW_HEIGHT)
    calibration = next(iter(open_source(drive))).calibration
    assert calibration.k == reals(K) and calibration.d == reals(D)
    assert calibration.r == reals(R_RECT) and calibration.p == reals(P_RECT)


def test_images_of_another_size_have_no_calibration(drive, caplog):
    write_pictures(drive / 'image_02' / 'data', NAMES, 20, 16)
    assert next(iter(open_source(drive))).calibration is None
    assert 'no calibration' in caplog.text


def test_without_the_calibration_file_there_is_no_calibration(drive):
    (drive.parent / 'calib_cam_to_cam.txt').unlink()
    assert next(iter(open_source(drive))).calibration is None


def test_a_damaged_calibration_names_the_file_and_the_entry(drive):
    (drive.parent / 'calib_cam_to_cam.txt').write_text(CALIBRATION.replace('44.9', 'x'))
    with pytest.raises(SourceError, match=r'calib_cam_to_cam\.txt: entry P_rect_02'):
        open_source(drive)


def test_a_lost_image_does_not_shift_the_times(drive):
    (drive / 'image_02' / 'data' / NAMES[1]).unlink()
    assert [frame.stamp_ns % 10 ** 9 for frame in open_source(drive)] == [0, 200_000_000]


def test_a_date_with_several_drives_asks_which(drive):
    write_pictures(drive.parent / '2011_09_26_drive_0002_sync' / 'image_02' / 'data', NAMES)
    with pytest.raises(SourceError, match='drive_0001_sync, .*drive_0002_sync'):
        open_source(drive.parent)


@pytest.mark.parametrize('labels', [('P0: ', 'P1: '), ('', '')])
@pytest.mark.parametrize('part', ['.', 'image_0'])
def test_an_odometry_sequence_opens_with_its_calibration_and_times(tmp_path, labels, part):
    gray = np.full((HEIGHT, WIDTH), 50, np.uint8)
    (tmp_path / 'image_0').mkdir()
    for number in range(2):
        cv2.imwrite(str(tmp_path / 'image_0' / f'{number:06d}.png'), gray + number)
    (tmp_path / 'calib.txt').write_text(f'{labels[0]}{P_RECT}\n{labels[1]}{P_RECT}\n')
    (tmp_path / 'times.txt').write_text('0.000000e+00\n1.038620e-01\n')
    frames = list(open_source(tmp_path / part))
    assert [frame.stamp_ns for frame in frames] == [0, 103_862_000]
    assert frames[1].image.shape == (HEIGHT, WIDTH) and frames[1].image[0, 0] == 51
    assert frames[0].calibration.p == reals(P_RECT)


def test_the_shared_drive_opens_without_an_invented_calibration():
    drive = kitti_drive()
    if drive is None:
        pytest.skip('the shared recordings are not here')
    source = open_source(drive)
    frame = next(iter(source))
    assert len(source) == 78 and frame.image.shape == (375, 1242, 3)
    assert frame.calibration is None


def test_the_shared_gray_sequence_opens_with_its_calibration():
    folder = shared_data('kitti_gray')
    if folder is None:
        pytest.skip('the shared recordings are not here')
    frame = next(iter(open_source(folder)))
    assert frame.image.ndim == 2 and frame.calibration.k[0] == pytest.approx(707.0912)
