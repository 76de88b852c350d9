# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of images in natural order, with an optional `timestamps.txt`."""

from __future__ import annotations

from pathlib import Path
import re

from gsc_ros.sources.frame import SourceError
from gsc_ros.sources.sequence import ImageSequence
from gsc_ros.sources.timestamp import read_timestamps

SUFFIXES = frozenset({'.png', '.jpg', '.jpeg', '.webp', '.bmp', '.tif', '.tiff', '.pgm', '.ppm'})
TIMESTAMP_NAMES = ('timestamps.txt', 'times.txt')
FRAME_ID = 'camera_optical'


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Return a sort key under which `2.png` comes before `10.png`."""
    return tuple((int(part), '') if part.isdecimal() else (-1, part.lower())
                 for part in re.split(r'([0-9]+)', name))


def list_images(folder: Path) -> list[Path]:
    """
    Return the image files of a folder, not of those below it, in natural order.

    :raises SourceError: the folder cannot be listed.
    """
    try:
        files = [path for path in folder.iterdir()
                 if path.suffix.lower() in SUFFIXES and not path.name.startswith('.')
                 and path.is_file()]
    except OSError as error:
        raise SourceError(f'{folder}: cannot be listed: {error}') from None
    return sorted(files, key=lambda path: (natural_key(path.name), path.name))


class FolderSource(ImageSequence):
    """
    The images of one folder.

    :param folder: with images, and perhaps `timestamps.txt` or `times.txt`, one line an image.
    :param fps: frames per second; None takes the recorded times, or 10 without them.
    :raises SourceError: no readable image is there, or the times do not match the images.
    """

    def __init__(self, folder: Path, fps: float | None = None) -> None:
        stamps = None
        for name in TIMESTAMP_NAMES:
            if (folder / name).is_file():
                stamps = read_timestamps(folder / name)
                break
        super().__init__(str(folder), list_images(folder), stamps, fps, FRAME_ID)
