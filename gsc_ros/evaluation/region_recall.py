# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much of what a judge sees lies in key regions, and how much of the picture they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: A thing of which so much lies in regions is found.
COVERED = 0.75


@dataclass(frozen=True)
class Recall:
    """
    Sums over frames; add them up.

    :param things: what the judge sees, and how many of them are `found`.
    :param share: of the picture that the regions take, summed over frames.
    :param regions: their number, summed over frames.
    :param frames: how many.
    """

    things: int = 0
    found: int = 0
    share: float = 0.0
    regions: int = 0
    frames: int = 0

    def __add__(self, other: Recall) -> Recall:
        """Return the sums over the frames of both."""
        return Recall(self.things + other.things, self.found + other.found,
                      self.share + other.share, self.regions + other.regions,
                      self.frames + other.frames)


def recall(regions: Sequence[tuple[float, float, float, float]],
           things: npt.NDArray[np.float32], width: int, height: int) -> Recall:
    """
    Compare regions with what a judge sees in one frame.

    :param regions: left, top, right, bottom in pixels.
    :param things: float [N, 4], likewise.
    """
    mask = np.zeros((height, width), np.uint8)
    for region in regions:
        mask[_pixels(region)] = 1
    found = 0
    for thing in things:
        inside = mask[_pixels(thing)]
        found += bool(inside.size) and float(inside.mean()) >= COVERED
    return Recall(len(things), found, float(mask.mean()), len(regions), 1)


def _pixels(box: Sequence[float]) -> tuple[slice, slice]:
    """Return the pixels of a box, the nearest edges."""
    left, top, right, bottom = (max(0, round(float(side))) for side in box)
    return slice(top, bottom), slice(left, right)
