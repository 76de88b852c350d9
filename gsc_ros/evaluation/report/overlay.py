# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions drawn over pictures: depth as colours, classes as tints, objects as boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import colorsys
from typing import Any
import zlib

import cv2
import numpy as np
import numpy.typing as npt

#: The colours of Cityscapes' own scripts, by name: what readers know from every paper.
CITYSCAPES = {
    'road': (128, 64, 128), 'sidewalk': (244, 35, 232), 'building': (70, 70, 70),
    'wall': (102, 102, 156), 'fence': (190, 153, 153), 'pole': (153, 153, 153),
    'traffic light': (250, 170, 30), 'traffic sign': (220, 220, 0), 'vegetation': (107, 142, 35),
    'terrain': (152, 251, 152), 'sky': (70, 130, 180), 'person': (220, 20, 60),
    'rider': (255, 0, 0), 'car': (0, 0, 142), 'truck': (0, 0, 70), 'bus': (0, 60, 100),
    'train': (0, 80, 100), 'motorcycle': (0, 0, 230), 'bicycle': (119, 11, 32),
}
TINT = 0.55
IGNORE = 255
# Shares of the reference's depth between which the colours run: a few wild pixels do not count.
_RANGE = (2, 98)
_MIN_SCORE = 0.25
# Of boxes and their names, for pictures of some 800 pixels.
_LINE, _LETTER = 2, 0.55

Image = npt.NDArray[np.uint8]


def colour_of(name: str) -> tuple[int, int, int]:
    """Return the colour of a class, RGB: Cityscapes' own, else one that its name always gets."""
    if name in CITYSCAPES:
        return CITYSCAPES[name]
    mark = zlib.crc32(name.encode())
    red, green, blue = colorsys.hsv_to_rgb(
        (mark % 360) / 360, 0.6 + 0.4 * (mark // 360 % 8) / 8, 0.75 + 0.25 * (mark // 2880 % 8) / 8)
    return round(255 * red), round(255 * green), round(255 * blue)


def depth_range(depth: npt.NDArray[np.floating], metres: bool = False) -> tuple[float, float]:
    """
    Return the nearness that gets the first and the last colour.

    Taken from the original's depth and used for every method, so that equal colours are equal
    depth.
    """
    near = _nearness(depth, metres)
    low, high = np.percentile(near, _RANGE)
    return float(low), float(max(high, low + 1e-6))


def depth_colours(depth: npt.NDArray[np.floating], span: tuple[float, float],
                  metres: bool = False) -> Image:
    """
    Return depth as an image, uint8 [H, W, 3] RGB: near is bright, far is dark.

    :param depth: float [H, W], disparity (larger is nearer) or metres.
    :param span: from `depth_range`.
    """
    share = (_nearness(depth, metres) - span[0]) / (span[1] - span[0])
    gray = (np.clip(share, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(gray, cv2.COLORMAP_INFERNO)[..., ::-1])


def tinted(image: Image, labels: npt.NDArray[np.integer], names: Sequence[str]) -> Image:
    """
    Return the image with each pixel tinted by its class.

    :param labels: integers [H, W], indices of `names`; others stay as they are. The first class of
        PASCAL VOC, `background`, does too.
    """
    palette = np.zeros((IGNORE + 1, 3), np.uint8)
    shown = np.zeros(IGNORE + 1, bool)
    for index, name in enumerate(names):
        palette[index], shown[index] = colour_of(name), name != 'background'
    index = np.where((labels >= 0) & (labels < len(names)), labels, IGNORE)
    mixed = cv2.addWeighted(image, 1 - TINT, palette[index], TINT, 0)
    return np.where(shown[index][..., None], mixed, image)


def boxed(image: Image, boxes: Sequence[Mapping[str, Any]], scale: float = 1.0) -> Image:
    """
    Return the image with the objects that are likely enough drawn in, and their names.

    :param boxes: each with `box` [left, top, right, bottom] in pixels, `name` and `score`.
    :param scale: pixels of the image per pixel of the boxes.
    """
    drawn = np.ascontiguousarray(image).copy()
    likely = [one for one in boxes if one.get('score', 1.0) >= _MIN_SCORE]
    for one in sorted(likely, key=lambda entry: entry.get('score', 1.0)):
        left, top, right, bottom = (round(value * scale) for value in one['box'])
        colour = _bright(colour_of(one['name']))
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, _LINE)
        (wide, high), base = cv2.getTextSize(one['name'], cv2.FONT_HERSHEY_SIMPLEX, _LETTER, 1)
        foot = max(top, high + base)
        left = min(max(left, 0), max(drawn.shape[1] - wide, 0))
        cv2.rectangle(drawn, (left, foot - high - base), (left + wide, foot), colour, cv2.FILLED)
        cv2.putText(drawn, one['name'], (left, foot - base // 2), cv2.FONT_HERSHEY_SIMPLEX,
                    _LETTER, (0, 0, 0), 1, cv2.LINE_AA)
    return drawn


def _nearness(depth: npt.NDArray[np.floating], metres: bool) -> npt.NDArray[np.float32]:
    values = np.nan_to_num(depth.astype(np.float32))
    return 1 / np.maximum(values, 0.1) if metres else values


def _bright(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return a colour of the same hue on which black letters can be read."""
    hue, _, saturation = colorsys.rgb_to_hls(*(channel / 255 for channel in colour))
    red, green, blue = colorsys.hls_to_rgb(hue, 0.7, saturation)
    return round(255 * red), round(255 * green), round(255 * blue)
