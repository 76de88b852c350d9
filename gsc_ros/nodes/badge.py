# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A word in a corner of a picture that says how it was made, for people."""

from __future__ import annotations

import cv2
import numpy as np

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK, _GROUND = (255, 255, 255), (0, 0, 0)
# Height of a letter as a share of the picture's height, and its least in pixels.
_SHARE, _LEAST = 1 / 24, 7


def badge(image: np.ndarray, word: str) -> np.ndarray:
    """
    Return a copy of the picture with a word in its upper left corner, white on black.

    :param image: uint8 ``[H, W, 3]``.
    :param word: ASCII; a picture that is too narrow for it shows the beginning.
    """
    marked = np.ascontiguousarray(image).copy()
    tall = max(_LEAST, round(_SHARE * image.shape[0]))
    scale = cv2.getFontScaleFromHeight(_FONT, tall)
    thickness = max(1, tall // 12)
    (width, height), below = cv2.getTextSize(word, _FONT, scale, thickness)
    edge = max(2, tall // 3)
    cv2.rectangle(marked, (0, 0), (width + 2 * edge, height + below + edge), _GROUND, cv2.FILLED)
    cv2.putText(marked, word, (edge, height + edge), _FONT, scale, _INK, thickness, cv2.LINE_AA)
    return marked
