# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Zones: fixed boxes that always matter, as the horizon or the gripper."""

from __future__ import annotations

import math

from gsc_ros.codec.region.region import FULL_WEIGHT, KeyRegion
from gsc_ros.perception.source.source import MAX_REGIONS, Picture, SourceError

NAME = 'zones'


class Zones:
    """
    Boxes that are the same in every picture.

    :param boxes: left, top, right, bottom as shares of width and height, and the importance,
        0 < importance <= 1, where 1 is what a certain detection has.
    :raises SourceError: a box is empty or outside, or there are none or too many.
    """

    name = NAME

    def __init__(self, boxes: list[tuple[float, float, float, float, float]]) -> None:
        if not 0 < len(boxes) <= MAX_REGIONS:
            raise SourceError(f'{len(boxes)} zones: 1 to {MAX_REGIONS}')
        for left, top, right, bottom, importance in boxes:
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise SourceError(f'zone {left:g},{top:g},{right:g},{bottom:g} is no box of shares '
                                  'of the picture: left < right, top < bottom, all within 0 to 1')
            if not 0 < importance <= 1:
                raise SourceError(f'the importance {importance:g} of a zone is not within 0 to 1')
        self._boxes = sorted(boxes, key=lambda box: -box[4])

    def find(self, image: Picture, stamp_ns: int) -> list[KeyRegion]:
        """Return the zones; see RegionSource."""
        height, width = image.shape[:2]
        return [KeyRegion((left * width, top * height, right * width, bottom * height),
                          FULL_WEIGHT * importance, NAME)
                for left, top, right, bottom, importance in self._boxes]


def parse_zones(text: str) -> Zones:
    """
    Read zones as configuration writes them.

    :param text: `LEFT,TOP,RIGHT,BOTTOM[,IMPORTANCE]`, several separated by semicolons; shares of
        width and height, importance 1 unless given.
    :raises SourceError: it is not that.
    """
    boxes = []
    for part in filter(None, (part.strip() for part in text.split(';'))):
        try:
            values = [float(value) for value in part.split(',')]
        except ValueError:
            values = []
        if len(values) not in (4, 5) or not all(map(math.isfinite, values)):
            raise SourceError(f'{part!r} is no zone: LEFT,TOP,RIGHT,BOTTOM[,IMPORTANCE] as shares '
                              'of the picture, 0 to 1')
        left, top, right, bottom, importance = (*values, 1.0)[:5]
        boxes.append((left, top, right, bottom, importance))
    return Zones(boxes)
