# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Crops and changes of size, the same for every codec that is compared."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Picture = npt.NDArray[np.uint8]


def centre(image: Picture, width: int, height: int) -> Picture:
    """Return the centre of an image [H, W, 3], at most ``width`` x ``height``."""
    top = max(0, (image.shape[0] - height) // 2)
    left = max(0, (image.shape[1] - width) // 2)
    return np.ascontiguousarray(image[top:top + height, left:left + width])


def reduced(image: Picture, factor: float) -> Picture:
    """
    Return the image by ``factor`` smaller, both sides even as 4:2:0 wants them.

    Lanczos with a support that grows with the factor: nothing aliases.
    """
    height, width = (max(2, 2 * round(side / factor / 2)) for side in image.shape[:2])
    return resized(image, width, height)


def resized(image: Picture, width: int, height: int) -> Picture:
    """Return the image in another size, by Lanczos."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
