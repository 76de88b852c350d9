# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The list of objects as a picture: what stands where, for each image token of a generator.

The rover measured these boxes; a few bytes tell the generator which kind of thing to paint there.
Classes are COCO's 80, in the order in which detectors number them. They are taken together in
groups, so that what was learned of a truck helps with a bus.
"""

from __future__ import annotations

from collections.abc import Sequence

from gsc_ros.codec.region.object_list import ObjectBox
import numpy as np

# The first class of each group, and the group's number: COCO's order.
_BEGINNINGS = (
    (0, 0),     # person
    (1, 1),     # bicycle
    (2, 2),     # car
    (3, 1),     # motorcycle
    (4, 3),     # airplane, bus, train, truck, boat
    (9, 4),     # what stands in a street: traffic light, sign, bench
    (14, 5),    # animals
    (24, 6),    # what is carried, and for sports
    (39, 7),    # kitchen and food
    (56, 8),    # furniture
    (62, 9),    # electronics and appliances
    (73, 10),   # small things indoors
    (80, 11),   # classes that COCO does not have
)
GROUPS = 12
# Where in its box a token lies, across and down, and how large the box is: 4 numbers.
MAP_CHANNELS = GROUPS + 4


def group_of(class_id: int) -> int:
    """Return the group 0..GROUPS - 1 of a class 0..255."""
    return next(group for first, group in reversed(_BEGINNINGS) if class_id >= first)


def object_map(
    objects: Sequence[ObjectBox], rows: int, columns: int, height: float, width: float,
) -> np.ndarray:
    """
    Return what the object list says of each image token.

    Channel g < GROUPS is the score of an object of that group, the next two are the token's place
    in the object's box (-1 at its left or top edge, 1 at the right or bottom), the last two
    ``log2(1 + side) / 4`` of the box's width and height in tokens. All are shares of the token that
    the box covers; smaller boxes lie on larger ones.

    :param objects: boxes as shares of the picture.
    :param rows: rows of image tokens.
    :param columns: columns of image tokens.
    :param height: height of the picture in tokens, over ``rows - 1`` to ``rows``.
    :param width: width of the picture in tokens.
    :return: float32 ``[MAP_CHANNELS, rows, columns]``; all 0 without objects.
    """
    painted = np.zeros((MAP_CHANNELS, rows, columns), np.float32)
    down, across = np.arange(rows), np.arange(columns)
    for one in sorted(objects, key=_area, reverse=True):
        left, top, right, bottom = np.array(one.box) * (width, height, width, height)
        cover = np.outer(_covered(down, top, bottom), _covered(across, left, right))
        told = np.zeros_like(painted)
        told[group_of(one.class_id)] = one.score
        told[GROUPS] = _place(across, left, right)
        told[GROUPS + 1] = _place(down, top, bottom)[:, None]
        told[GROUPS + 2] = np.log2(1 + right - left) / 4
        told[GROUPS + 3] = np.log2(1 + bottom - top) / 4
        painted += cover.astype(np.float32) * (told - painted)
    return painted


def _area(one: ObjectBox) -> float:
    left, top, right, bottom = one.box
    return (right - left) * (bottom - top)


def _covered(cells: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the share of each cell [i, i + 1] that the interval covers."""
    return np.clip(np.minimum(cells + 1, high) - np.maximum(cells, low), 0, 1)


def _place(cells: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return where each cell's middle lies in the interval, -1 at its low end, 1 at the other."""
    half = max((high - low) / 2, 1e-6)
    return np.clip((cells + 0.5 - (low + high) / 2) / half, -1, 1)
