# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures for the tests of the codec, from whole numbers alone: the same on any machine."""

from __future__ import annotations

import numpy as np


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """
    Return a picture with sky, ground and boxes, uint8 ``[height, width, 3]``.

    :param seed: of the boxes.
    """
    state = seed * 2654435761 + 12345
    image = np.empty((height, width, 3), np.uint8)
    rows = np.arange(height, dtype=np.int64)[:, None]
    columns = np.arange(width, dtype=np.int64)[None, :]
    horizon = height * 2 // 5
    for plane, (sky, ground) in enumerate(((150, 90), (180, 80), (220, 70))):
        shade = np.where(rows < horizon, sky - 40 * rows // height, ground + 60 * rows // height)
        image[:, :, plane] = shade + 12 * columns // width
    for _ in range(14):
        numbers = []
        for _ in range(7):
            state = (state * 1103515245 + 12345) % (1 << 31)
            numbers.append(state >> 8)
        top, left = numbers[0] % height, numbers[1] % width
        bottom, right = top + 2 + numbers[2] % (height // 3), left + 2 + numbers[3] % (width // 4)
        image[top:bottom, left:right] = [number % 256 for number in numbers[4:]]
    return image
