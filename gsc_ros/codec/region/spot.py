# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""From what several sources say to boxes worth coding: widened, united where they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gsc_ros.codec.region.grid import Grid
from gsc_ros.codec.region.object_list import MAX_OBJECTS, ObjectBox
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.codec.region.transform import Cells

# Pixels around a box that belong to it: what is in it is told from what is around.
MARGIN = 8.0
# A box in the image that is thinner is none, in pixels.
_THINNEST = 0.5
# How often an error may count: under the first it is not worth a bit, and more than the last makes
# no difference.
_LEAST_WEIGHT, _MOST_WEIGHT = 1e-3, 1e6
# Boxes that are looked at, the weightiest ones: to unite them takes the square of the time.
_MOST_BOXES = 256
# Boxes are united when the box of all is larger than what they cover by no more than this.
_WASTE = 1.2
# A cell belongs to a box that covers more than this share of it along each axis.
_COVERED = 0.25

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Spot:
    """
    A box that may be sent as one region.

    :param box: left, top, right, bottom in pixels, within the image.
    :param weight: how often a squared error in it counts.
    :param source: which sources have named it, with commas between.
    :param named: pixels in the boxes that it was made of, about; None for all of it.
    """

    box: Box
    weight: float
    source: str
    named: float | None = None

    @property
    def area(self) -> float:
        """Pixels in the box."""
        return _area(self.box)

    def cells(self, grid: Grid) -> Cells:
        """Return the box on a grid, at least one cell."""
        left, right = _snapped(self.box[0], self.box[2], grid.pitch, grid.columns)
        top, bottom = _snapped(self.box[1], self.box[3], grid.pitch, grid.rows)
        return Cells(grid.scale, left, top, right - left, bottom - top)


def spots(regions: Sequence[KeyRegion], width: int, height: int, most: int) -> list[Spot]:
    """
    Return the boxes of an image that regions ask for, the weightiest first.

    :param regions: of any number of sources, in any order.
    :param width: image width in pixels.
    :param height: image height in pixels.
    :param most: how many at most.
    """
    found: list[Spot] = []
    for region in sorted(regions, key=lambda region: -region.weight):
        if region.weight < _LEAST_WEIGHT or len(found) == _MOST_BOXES:
            break
        if _part(region, width, height) is not None:
            left, top, right, bottom = region.box
            box = (max(left - MARGIN, 0.0), max(top - MARGIN, 0.0),
                   min(right + MARGIN, float(width)), min(bottom + MARGIN, float(height)))
            found.append(Spot(box, min(region.weight, _MOST_WEIGHT), region.source))
    return sorted(_united(found[::-1]), key=lambda spot: -spot.weight)[:most]


def objects(regions: Sequence[KeyRegion], width: int, height: int) -> tuple[ObjectBox, ...]:
    """
    Return the list of objects: the regions of which a source knows the class.

    :param regions: of any number of sources, in any order.
    :param width: image width in pixels.
    :param height: image height in pixels.
    """
    found = []
    for region in sorted(regions, key=lambda region: -region.weight):
        box = _part(region, width, height)
        if box is not None and region.class_id is not None:
            shares = (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
            found.append(ObjectBox(
                region.class_id, 1.0 if region.score is None else region.score, shares))
    return tuple(found[:MAX_OBJECTS])


def _part(region: KeyRegion, width: int, height: int) -> Box | None:
    """Return the part of a region's box in an image; None for none, or next to none."""
    box = region.within(width, height)
    if box is None or min(box[2] - box[0], box[3] - box[1]) < _THINNEST:
        return None
    return box


def overlap(one: Box, other: Box) -> float:
    """Return intersection over union of two boxes."""
    shared = _area((max(one[0], other[0]), max(one[1], other[1]),
                    min(one[2], other[2]), min(one[3], other[3])))
    return shared / (_area(one) + _area(other) - shared) if shared else 0.0


def _united(found: list[Spot]) -> list[Spot]:
    """Return spots of which no two are cheaper together."""
    waiting, done = list(found), []
    while waiting:
        spot = waiting.pop()
        for index, other in enumerate(done):
            both = _unite(spot, other)
            if both is not None:
                # The larger one may reach others now.
                del done[index]
                waiting.append(both)
                break
        else:
            done.append(spot)
    return done


def _unite(one: Spot, other: Spot) -> Spot | None:
    """Return one spot for two that overlap and fill it well; None for others."""
    a, b = one.box, other.box
    if a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]:
        return None
    shared = _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    both = (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
    # What was named counts, not what earlier unions have added, or a chain of boxes would become
    # the whole picture.
    covered = [spot.area if spot.named is None else spot.named for spot in (one, other)]
    named = min(max(sum(covered) - shared, *covered), _area(both))
    if _area(both) > _WASTE * named:
        return None
    names = dict.fromkeys([*one.source.split(','), *other.source.split(',')])
    return Spot(both, max(one.weight, other.weight), ','.join(names), named)


def _snapped(first: float, last: float, pitch: int, cells: int) -> tuple[int, int]:
    """Return the interval of cells of which enough is covered, at least one."""
    start = int(first / pitch + _COVERED)
    stop = int(-(-last // pitch)) if last % pitch > _COVERED * pitch else int(last // pitch)
    start = min(max(start, 0), cells - 1)
    return start, min(max(stop, start + 1), cells)


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)
