# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A picture with the boxes of its objects and regions drawn into it, for people."""

from __future__ import annotations

from collections.abc import Sequence
import colorsys

import cv2
from gsc_ros.codec.region.object_list import ObjectBox
from gsc_ros.perception.source.class_id import class_name
import numpy as np

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_REGION_INK, _TEXT_INK = (255, 255, 255), (0, 0, 0)
# Height of a letter as a share of the picture's height, and its least in pixels.
_SHARE, _LEAST = 1 / 32, 7
# Turn of the colour circle between two classes: neighbours get colours far apart.
_TURN = 0.618
_DASH = 6

Corners = tuple[float, float, float, float]


def draw(image: np.ndarray, objects: Sequence[ObjectBox], regions: Sequence[Corners],
         names: Sequence[str] = ()) -> np.ndarray:
    """
    Return a copy of the picture with objects as coloured boxes, regions as dashed white ones.

    :param image: uint8 ``[H, W, 3]`` RGB.
    :param objects: with class and score written at each box.
    :param regions: left, top, right, bottom as shares of the picture, 0..1.
    :param names: of the classes that COCO does not have.
    """
    drawn = np.ascontiguousarray(image).copy()
    height, width = drawn.shape[:2]
    tall = max(_LEAST, round(_SHARE * height))
    line = max(1, tall // 8)
    for region in regions:
        _dashed(drawn, _pixels(region, width, height), line)
    # The most important one comes first, and is drawn last.
    for one in reversed(objects):
        _object(drawn, one, class_name(one.class_id, names), tall, line)
    return drawn


def _object(image: np.ndarray, one: ObjectBox, name: str, tall: int, line: int) -> None:
    height, width = image.shape[:2]
    left, top, right, bottom = _pixels(one.box, width, height)
    hue = one.class_id * _TURN % 1
    colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.65, 1.0))
    cv2.rectangle(image, (left, top), (right, bottom), colour, line + 1)
    scale = cv2.getFontScaleFromHeight(_FONT, tall)
    word = f'{name} {one.score:.2f}'.encode('ascii', 'replace').decode()
    (across, up), below = cv2.getTextSize(word, _FONT, scale, line)
    # Above the box, or within it where there is no room.
    foot = top - below if top > up + 2 * below else top + up + below
    start = max(0, min(left, width - across))
    cv2.rectangle(image, (start, foot - up - below // 2), (start + across, foot + below), colour,
                  cv2.FILLED)
    cv2.putText(image, word, (start, foot), _FONT, scale, _TEXT_INK, line, cv2.LINE_AA)


def _pixels(corners: Corners, width: int, height: int) -> tuple[int, int, int, int]:
    """Return shares of a picture as pixels within it."""
    left, top, right, bottom = corners
    return (min(max(int(left * width), 0), width - 1), min(max(int(top * height), 0), height - 1),
            min(max(round(right * width) - 1, 0), width - 1),
            min(max(round(bottom * height) - 1, 0), height - 1))


def _dashed(image: np.ndarray, box: tuple[int, int, int, int], line: int) -> None:
    """Draw a box of dashes, white on black so that it shows on any ground."""
    left, top, right, bottom = box
    cv2.rectangle(image, (left, top), (right, bottom), _TEXT_INK, line)
    for x in range(left, right, 2 * _DASH):
        for y in (top, bottom):
            cv2.line(image, (x, y), (min(x + _DASH, right), y), _REGION_INK, line)
    for y in range(top, bottom, 2 * _DASH):
        for x in (left, right):
            cv2.line(image, (x, y), (x, min(y + _DASH, bottom)), _REGION_INK, line)
