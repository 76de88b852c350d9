# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures in the sizes that captioners look at."""

from __future__ import annotations

import math

import cv2
import numpy as np


def fit_pixels(image: np.ndarray, min_pixels: int, max_pixels: int) -> np.ndarray:
    """
    Return the image scaled, in proportion, to a number of pixels within these bounds.

    :param image: uint8 ``[H, W, 3]``.
    """
    pixels = image.shape[0] * image.shape[1]
    wanted = min(max(pixels, min_pixels), max_pixels)
    if wanted == pixels:
        return image
    scale = math.sqrt(wanted / pixels)
    # Down to whole pixels when shrinking, up when enlarging: the bound holds either way.
    whole = math.floor if scale < 1 else math.ceil
    size = tuple(max(1, whole(side * scale)) for side in (image.shape[1], image.shape[0]))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def gray(image: np.ndarray, side: int) -> np.ndarray:
    """
    Return the brightness of the image on a coarse grid.

    :param image: uint8 ``[H, W, 3]`` RGB.
    :return: float32 ``[side, side]``, 0..1.
    """
    # Every pixel counts in a mean only when there are few: eight by eight of a cell are enough.
    rows, columns = (max(1, size // (8 * side)) for size in image.shape[:2])
    few = np.ascontiguousarray(image[::rows, ::columns])
    small = cv2.resize(few, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
