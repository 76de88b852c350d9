# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A video of RGB frames, in a format that browsers play where OpenCV can write one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import itertools
import os
from pathlib import Path
import tempfile

import cv2
from gsc_ros.demo.recording import Image

# OpenCV's wheels hold libvpx but no H.264 encoder; VP8 takes a quarter of VP9's time.
FORMATS = (('VP80', '.webm', 'video/webm'), ('mp4v', '.mp4', 'video/mp4'))


@dataclass(frozen=True)
class Video:
    """A file and what it is; not every browser plays MPEG-4 part 2 (`video/mp4` here)."""

    path: Path
    media_type: str

    @property
    def plays_in_browsers(self) -> bool:
        """Return whether a page can show it."""
        return self.media_type == 'video/webm'


def write_video(stem: Path, frames: Iterable[Image], fps: float) -> Video:
    """
    Write the frames with the first format that this OpenCV can encode.

    :param stem: path without suffix.
    :param frames: uint8 [H, W, 3] RGB, at least one, all of one size, with even sides.
    :raises OSError: when no format can be written, or nothing came out (a full disk).
    """
    frames = iter(frames)
    first = next(frames)
    height, width = first.shape[:2]
    for code, suffix, media_type in FORMATS:
        path = stem.with_suffix(suffix)
        with _QuietStderr():
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*code), fps,
                                     (width, height))
        if not writer.isOpened():
            path.unlink(missing_ok=True)
            continue
        for frame in itertools.chain([first], frames):
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()
        if not path.is_file() or path.stat().st_size == 0:
            raise OSError(f'{path}: the video could not be written')
        return Video(path, media_type)
    raise OSError(f'{stem}: this OpenCV can write neither VP8 nor MPEG-4 video')


class _QuietStderr:
    """Swallow what OpenCV's FFmpeg says about container tags while it opens a file."""

    def __enter__(self) -> None:
        self._sink = tempfile.TemporaryFile()
        self._saved = os.dup(2)
        os.dup2(self._sink.fileno(), 2)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._saved, 2)
        os.close(self._saved)
        self._sink.close()
