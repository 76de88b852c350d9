# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How far a generated picture can be trusted: what of it was measured, and what was invented.

The structure decoder's confidence says which absolute error it expects of its own picture. What the
generator changed of that picture comes on top: by the triangle inequality

    |generated - original| <= |structure - original| + |generated - structure|

so the sum of both is an upper bound of the error expected of the generated picture, and a generated
picture is nowhere trusted more than the structure picture that it was made from.
"""

from __future__ import annotations

import cv2
from gsc_ros.codec.structure import ERROR_OF_NO_CONFIDENCE
import numpy as np

# Side in pixels of the square over which the change is averaged: an edge that was only made sharper
# is changed on both sides of a line, texture everywhere.
WINDOW = 9


def generated_confidence(
    structure: np.ndarray, confidence: np.ndarray, generated: np.ndarray,
) -> np.ndarray:
    """
    Return the confidence in a generated picture.

    :param structure: uint8 ``[H, W, 3]``, the structure picture.
    :param confidence: uint8 ``[H, W]``, the confidence in it.
    :param generated: uint8 ``[H, W, 3]``.
    :return: uint8 ``[H, W]``: 255 where no error is expected, 0 where the bound of the expected
        absolute error is a quarter of full scale or more.
    """
    change = cv2.absdiff(structure, generated).astype(np.float32).mean(axis=2)
    change = cv2.blur(change, (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT_101)
    left = confidence - change / np.float32(ERROR_OF_NO_CONFIDENCE)
    return np.rint(np.maximum(left, 0)).astype(np.uint8)
