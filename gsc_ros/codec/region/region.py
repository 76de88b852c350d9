# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where perception looks: boxes in an image that are worth more than the rest of it."""

from __future__ import annotations

from dataclasses import dataclass
import math

from gsc_ros.codec.error import CodecError

# How often an error counts in a region of full weight, where one elsewhere counts once.
FULL_WEIGHT = 32.0


@dataclass(frozen=True)
class KeyRegion:
    """
    A box that perception looks at.

    :param box: left, top, right, bottom in pixels of the image; may reach beyond it.
    :param weight: how often a squared error in the box counts, where one elsewhere counts once:
        positive; :data:`FULL_WEIGHT` for what is certainly looked at, in proportion to the
        certainty for what is not. With equal gains the larger weight goes first.
    :param source: what has said so: ``importance``, ``detector``, ``topic``, ``zones`` or
        ``request``.
    :param class_id: class of what is there, 0..255; None when nobody knows. Only regions with a
        class cross in the list of objects.
    :param score: how certain the class is, 0..1; None when nobody knows.
    :raises CodecError: when a number is out of range or no number.
    """

    box: tuple[float, float, float, float]
    weight: float = FULL_WEIGHT
    source: str = ''
    class_id: int | None = None
    score: float | None = None

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if not all(math.isfinite(side) for side in self.box) or left >= right or top >= bottom:
            raise CodecError(f'{self.box} is no box: left, top, right, bottom')
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise CodecError(f'a weight of {self.weight} is not positive')
        if self.class_id is not None and not 0 <= self.class_id <= 0xFF:
            raise CodecError(f'class {self.class_id} is not in 0..255')
        if self.score is not None and not 0 <= self.score <= 1:
            raise CodecError(f'a score of {self.score} is not in 0..1')

    def within(self, width: int, height: int) -> tuple[float, float, float, float] | None:
        """Return the part of the box in an image of ``width`` x ``height``; None for no part."""
        left, top, right, bottom = self.box
        box = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
        return box if box[0] < box[2] and box[1] < box[3] else None
