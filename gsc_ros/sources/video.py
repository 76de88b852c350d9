# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A video file, decoded by what OpenCV was built with."""

from __future__ import annotations

from collections.abc import Iterator
import math
from pathlib import Path

import cv2
from gsc_ros.sources.frame import NS_PER_S, SourceError, SourceFrame
from gsc_ros.sources.timestamp import check_fps, DEFAULT_FPS

FRAME_ID = 'camera_optical'


class VideoSource:
    """
    The frames of a video; stamps count from its start.

    :param path: the file.
    :param fps: frames per second to stamp with; None takes the rate of the video.
    :raises SourceError: no frame can be decoded; names the file.
    """

    def __init__(self, path: Path, fps: float | None = None) -> None:
        check_fps(fps)
        self.name = str(path)
        self.skipped = 0
        self._path = path
        capture = self._open()
        try:
            recorded = capture.get(cv2.CAP_PROP_FPS)
            announced = capture.get(cv2.CAP_PROP_FRAME_COUNT)
            if not capture.grab():
                raise SourceError(f'{path}: no frame of it can be decoded as video')
        finally:
            capture.release()
        usable = math.isfinite(recorded) and 0 < recorded <= 1000
        self.fps = fps or (recorded if usable else DEFAULT_FPS)
        self._count = max(1, int(announced)) if math.isfinite(announced) else 1

    def _open(self) -> cv2.VideoCapture:
        name = str(self._path)
        # OpenCV crashes on such a name.
        if any('\ud800' <= letter <= '\udfff' for letter in name):
            raise SourceError(f'{name}: rename the video: OpenCV needs names in UTF-8')
        capture = cv2.VideoCapture(name)
        if not capture.isOpened():
            capture.release()
            raise SourceError(f'{self._path}: is not an image folder, a bag or a video that this '
                              'OpenCV decodes')
        return capture

    def __len__(self) -> int:
        """Return the number of frames that the file announces; some containers estimate it."""
        return self._count

    def __iter__(self) -> Iterator[SourceFrame]:
        """Decode the frames in order."""
        capture = self._open()
        try:
            index = 0
            while True:
                decoded, image = capture.read()
                if not decoded:
                    break
                yield SourceFrame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB),
                                  round(index * NS_PER_S / self.fps), FRAME_ID)
                index += 1
            self.skipped = max(0, self._count - index)
        finally:
            capture.release()
