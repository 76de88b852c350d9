# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
KITTI recordings: raw drives and odometry sequences.

Raw: `DATE/DATE_drive_NNNN_sync/image_0X/{data/*.png,timestamps.txt}` with
`DATE/calib_cam_to_cam.txt`. Odometry: `image_X/*.png` with `calib.txt` and `times.txt` beside the
image folder. Without the calibration file there is no calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
import logging
from pathlib import Path
import re

from gsc_ros.sources.folder import list_images
from gsc_ros.sources.frame import Calibration, SourceError
from gsc_ros.sources.sequence import ImageSequence, read_image
from gsc_ros.sources.timestamp import read_timestamps

_log = logging.getLogger(__name__)

#: The left colour camera is what most people mean by a KITTI drive.
RAW_CAMERAS = ('image_02', 'image_03', 'image_00', 'image_01')
ODOMETRY_CAMERAS = ('image_2', 'image_3', 'image_0', 'image_1')
CALIBRATION_RAW = 'calib_cam_to_cam.txt'
CALIBRATION_ODOMETRY = 'calib.txt'

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def is_kitti(path: Path) -> bool:
    """Return whether the folder is, or directly holds, a KITTI camera."""
    return bool(_raw_drives(path)) or _raw_camera(path) is not None or (
        _odometry_camera(path) is not None)


def open_kitti(path: Path, fps: float | None = None) -> ImageSequence:
    """
    Open a drive, its date folder if there is no other drive in it, a sequence, or one camera.

    :param path: the folder.
    :param fps: frames per second; None takes the recorded times, or 10 without them.
    :raises SourceError: there are several drives, no readable image, or a damaged calibration or
        time file.
    """
    drives = _raw_drives(path)
    if len(drives) > 1:
        names = ', '.join(drive.name for drive in drives)
        raise SourceError(f'{path}: several drives there, name one of them: {names}')
    camera = _raw_camera(drives[0] if drives else path)
    if camera is not None:
        return _open_raw(camera, fps)
    camera = _odometry_camera(path)
    if camera is not None:
        return _open_odometry(camera, fps)
    raise SourceError(f'{path}: is not a KITTI drive')


def _raw_drives(path: Path) -> list[Path]:
    return sorted(folder for folder in path.glob('*_drive_*') if _raw_camera(folder) is not None)


def _raw_camera(path: Path) -> Path | None:
    path = path.resolve()
    if path.name == 'data' and path.parent.name in RAW_CAMERAS:
        return path.parent
    if path.name in RAW_CAMERAS and (path / 'data').is_dir():
        return path
    for name in RAW_CAMERAS:
        if (path / name / 'data').is_dir():
            return path / name
    return None


def _odometry_camera(path: Path) -> Path | None:
    path = path.resolve()
    if path.name in ODOMETRY_CAMERAS and (path.parent / CALIBRATION_ODOMETRY).is_file():
        return path
    for name in ODOMETRY_CAMERAS:
        if (path / name).is_dir():
            return path / name
    return None


def _open_raw(camera: Path, fps: float | None) -> ImageSequence:
    files = list_images(camera / 'data')
    stamps = _stamps_of(camera / 'timestamps.txt', files)
    number = camera.name[-2:]
    calibration = None
    calibration_file = camera.parent.parent / CALIBRATION_RAW
    if calibration_file.is_file() and files:
        calibration = read_raw_calibration(calibration_file, number, _size(files))
    return ImageSequence(str(camera), files, stamps, fps, f'kitti_camera_{number}', calibration)


def _open_odometry(camera: Path, fps: float | None) -> ImageSequence:
    files = list_images(camera)
    stamps = _stamps_of(camera.parent / 'times.txt', files)
    number = camera.name[-1]
    calibration = None
    calibration_file = camera.parent / CALIBRATION_ODOMETRY
    if calibration_file.is_file() and files:
        calibration = read_odometry_calibration(calibration_file, int(number), _size(files))
    return ImageSequence(str(camera), files, stamps, fps, f'kitti_camera_0{number}', calibration)


def _size(files: Sequence[Path]) -> tuple[int, int]:
    """Return width and height of the first image that can be read; (0, 0) when none can."""
    for path in files:
        try:
            height, width = read_image(path).shape[:2]
        except SourceError:
            continue
        return width, height
    return 0, 0


def _stamps_of(path: Path, files: Sequence[Path]) -> list[int] | None:
    """Return the stamps of the files, whose names are the line numbers of the time file."""
    if not path.is_file():
        return None
    stamps = read_timestamps(path)
    if len(stamps) == len(files):
        return stamps
    # Some drives lack images that the time file knows.
    numbers = [int(file.stem) if file.stem.isdecimal() else -1 for file in files]
    if any(not 0 <= number < len(stamps) for number in numbers):
        raise SourceError(f'{path}: {len(stamps)} times for {len(files)} images, whose names do '
                          'not say which belong together')
    return [stamps[number] for number in numbers]


def read_raw_calibration(path: Path, number: str, size: tuple[int, int]) -> Calibration | None:
    """
    Read a camera of `calib_cam_to_cam.txt`.

    Images of the size `S_rect` are rectified (drives `_sync`): K is the left part of `P_rect`, and
    there is no distortion. Images of the size `S` are as the sensor saw them (`_extract`): K, D
    and the rectification are those of the file.

    :param path: the file.
    :param number: of the camera, '00' to '03'.
    :param size: width and height of the images, pixels.
    :return: None, with a warning, when the images have neither size.
    :raises SourceError: an entry is missing or damaged; names the file and the entry.
    """
    entries = _read_entries(path)

    def numbers(key: str, count: int) -> tuple[float, ...]:
        return _numbers(path, f'{key}_{number}', entries.get(f'{key}_{number}', ''), count)

    projection = numbers('P_rect', 12)
    if size == tuple(int(side) for side in numbers('S_rect', 2)):
        return _rectified(size, projection)
    if size == tuple(int(side) for side in numbers('S', 2)):
        return Calibration(*size, 'plumb_bob', numbers('D', 5), numbers('K', 9),
                           numbers('R_rect', 9), projection)
    _log.warning('%s: is not of images of %d x %d pixels: no calibration', path, *size)
    return None


def read_odometry_calibration(path: Path, number: int, size: tuple[int, int]) -> Calibration | None:
    """
    Read a camera of `calib.txt`, with lines `P0: ...` or bare lines in the order of cameras.

    :param path: the file.
    :param number: of the camera, 0 to 3.
    :param size: width and height of the images, pixels.
    :return: None when the file does not know the camera.
    :raises SourceError: the entry is damaged; names the file and the entry.
    """
    entries = _read_entries(path)
    text = entries.get(f'P{number}')
    return None if text is None else _rectified(size, _numbers(path, f'P{number}', text, 12))


def _rectified(size: tuple[int, int], projection: tuple[float, ...]) -> Calibration:
    """Return the calibration of an image that P alone describes."""
    intrinsic = projection[0:3] + projection[4:7] + projection[8:11]
    return Calibration(*size, 'plumb_bob', (0.0,) * 5, intrinsic, _IDENTITY, projection)


def _read_entries(path: Path) -> dict[str, str]:
    """Return `key: text` of each line; a line without a key is that of a camera, in order."""
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f'{path}: cannot be read: {error}') from None
    entries = {}
    for number, line in enumerate(line for line in lines if line.strip()):
        key = re.match(r'\s*([A-Za-z]\w*):(.*)', line)
        if key:
            entries[key[1]] = key[2]
        else:
            entries[f'P{number}'] = line
    return entries


def _numbers(path: Path, key: str, text: str, count: int) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in text.split())
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise SourceError(f'{path}: entry {key} is missing or is not {count} numbers')
    return numbers
