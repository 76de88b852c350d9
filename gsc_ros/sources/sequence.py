# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image files in order of time: what KITTI recordings and plain folders share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import logging
from pathlib import Path

import cv2
from gsc_ros.sources.frame import Calibration, SourceError, SourceFrame
from gsc_ros.sources.timestamp import check_fps, even_timestamps, typical_fps
import numpy as np

_log = logging.getLogger(__name__)


def read_image(path: Path) -> np.ndarray:
    """
    Read an image file: uint8 [H, W, 3] RGB, or [H, W] when the file is gray.

    :raises SourceError: not an image, or one of 16 bits, which may be depth; names the file.
    """
    try:
        # Not imread, which crashes on a name that is not UTF-8. Orientation tags are ignored:
        # calibration belongs to the sensor's own rows.
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):  # no file, an empty one, or a header that promises too much
        image = None
    if image is None:
        raise SourceError(f'{path}: cannot be read as an image')
    if image.dtype != np.uint8:
        raise SourceError(f'{path}: has {image.dtype} samples, which may be depth, not 8 bits')
    if image.ndim == 2:
        return image
    code = cv2.COLOR_BGRA2RGB if image.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(image, code)


class ImageSequence:
    """
    A source of image files. A file that cannot be read is skipped, logged and counted.

    :param name: what to call the input.
    :param files: the images, in order where no stamps are recorded.
    :param stamps_ns: one stamp for each file, which bring them in order; None when none are
        recorded.
    :param fps: frames per second, to space the stamps evenly; None takes the recorded ones.
    :param frame_id: name of the camera's frame.
    :param calibration: of all the images, or None.
    :raises SourceError: there are no files, none of them can be read, or the stamps do not match.
    """

    def __init__(self, name: str, files: Sequence[Path], stamps_ns: Sequence[int] | None,
                 fps: float | None, frame_id: str,
                 calibration: Calibration | None = None) -> None:
        check_fps(fps)
        if not files:
            raise SourceError(f'{name}: no images there')
        if stamps_ns is not None and len(stamps_ns) != len(files):
            raise SourceError(
                f'{name}: {len(files)} images, but {len(stamps_ns)} times beside them')
        if stamps_ns is not None:
            # Some recorders wrote files from two threads: names and times disagree.
            order = sorted(range(len(files)), key=stamps_ns.__getitem__)
            files = [files[index] for index in order]
            stamps_ns = [stamps_ns[index] for index in order]
        self.name = name
        self.skipped = 0
        self._files = list(files)
        self._frame_id = frame_id
        self._calibration = calibration
        self.fps = fps or typical_fps(stamps_ns or ())
        if stamps_ns is None or fps is not None:
            start = stamps_ns[0] if stamps_ns else 0
            stamps_ns = even_timestamps(len(files), self.fps, start)
        self._stamps_ns = list(stamps_ns)
        self._require_one()

    def _require_one(self) -> None:
        first_error = None
        for path in self._files:
            try:
                read_image(path)
                return
            except SourceError as error:
                first_error = first_error or error
        raise SourceError(f'{self.name}: none of {len(self._files)} images can be read; '
                          f'the first: {first_error}')

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._files)

    def __iter__(self) -> Iterator[SourceFrame]:
        """Read the images in order."""
        self.skipped = 0
        for path, stamp in zip(self._files, self._stamps_ns):
            try:
                image = read_image(path)
            except SourceError as error:
                self.skipped += 1
                _log.warning('skipped: %s', error)
                continue
            yield SourceFrame(image, stamp, self._frame_id, self._fitting(image))

    def _fitting(self, image: np.ndarray) -> Calibration | None:
        """Return the calibration if it is of images of this size."""
        calibration = self._calibration
        if calibration and (calibration.height, calibration.width) == image.shape[:2]:
            return calibration
        return None
