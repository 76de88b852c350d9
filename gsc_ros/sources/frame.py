# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a source of images yields, and what a source is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

NS_PER_S = 1_000_000_000


class SourceError(ValueError):
    """The input cannot be opened or holds no image; the message names the file."""


@dataclass(frozen=True)
class Calibration:
    """
    Camera calibration, as in `sensor_msgs/CameraInfo`.

    :param width: width in pixels of the calibrated image.
    :param height: height in pixels of the calibrated image.
    :param distortion_model: 'plumb_bob', 'rational_polynomial' or 'equidistant'.
    :param d: distortion coefficients, five for plumb_bob: k1 k2 p1 p2 k3.
    :param k: intrinsic matrix of the image as it is, 3 x 3 row-major, in pixels.
    :param r: rectification rotation, 3 x 3 row-major.
    :param p: projection matrix of the rectified image, 3 x 4 row-major, in pixels (its fourth
        column in pixels times metres).
    """

    width: int
    height: int
    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...]
    p: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse matrices of a wrong size."""
        if (len(self.k), len(self.r), len(self.p)) != (9, 9, 12):
            raise ValueError(
                f'K, R and P have 9, 9 and 12 numbers, not {len(self.k)}, {len(self.r)} and '
                f'{len(self.p)}')

    @classmethod
    def pinhole(cls, width: int, height: int, fx: float, fy: float, cx: float,
                cy: float) -> Calibration:
        """Return the calibration of a camera without distortion; lengths in pixels."""
        return cls(width, height, 'plumb_bob', (0.0,) * 5,
                   (fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0),
                   (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
                   (fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0))


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """
    One image of a source.

    :param image: uint8 [H, W, 3] RGB, or uint8 [H, W] gray.
    :param stamp_ns: time of the exposure in nanoseconds since the epoch of the recording.
    :param frame_id: name of the camera's optical frame.
    :param calibration: None when the recording has none: it is never invented.
    :param depth: float32 [H, W], metres along the optical axis, inf where nothing is hit (sky);
        None when not known.
    """

    image: np.ndarray = field(repr=False)
    stamp_ns: int
    frame_id: str
    calibration: Calibration | None = None
    depth: np.ndarray | None = field(default=None, repr=False)


class Source(Protocol):
    """
    A finite sequence of images that can be iterated any number of times.

    `len()` counts the images that the input announces; fewer come when some cannot be read, and
    `skipped` says how many of the latest iteration.
    """

    name: str
    #: Frames per second, nominal where stamps are recorded; always greater than 0.
    fps: float
    skipped: int

    def __len__(self) -> int:
        """Return the number of images announced."""
        ...

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the frames in order of time."""
        ...
