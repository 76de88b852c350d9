# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A picture in the frame that a detector wants, and boxes on the way back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
from gsc_ros.perception.network.network import Picture
import numpy as np
import numpy.typing as npt

GRAY = 114


@dataclass(frozen=True)
class Frame:
    """
    Where a picture lies in the frame of a network.

    :param width: of the picture, pixels; `height` likewise.
    :param left: column of the frame where the picture begins; `top` is its row.
    :param scale_x: pixels of the frame by pixel of the picture; `scale_y` likewise.
    """

    width: int
    height: int
    left: float
    top: float
    scale_x: float
    scale_y: float

    def to_picture(self, boxes: npt.NDArray) -> npt.NDArray[np.float32]:
        """
        Bring boxes back and cut them at the picture's edges.

        :param boxes: float [N, 4]: left, top, right, bottom in pixels of the frame.
        :return: float32 [N, 4] in pixels of the picture.
        """
        offset = np.array([self.left, self.top] * 2)
        scale = np.array([self.scale_x, self.scale_y] * 2)
        edge = np.array([self.width, self.height] * 2)
        return np.clip((boxes - offset) / scale, 0, edge).astype(np.float32)


def letterbox(image: Picture, width: int, height: int) -> tuple[Picture, Frame]:
    """
    Fit a picture into a frame, in its proportions, in the middle of gray.

    Scaling, rounding and the gray of 114 are those that YOLO networks are validated with.

    :param image: uint8 [H, W, 3].
    :return: uint8 [height, width, 3], and where the picture is in it.
    """
    rows, columns = image.shape[:2]
    ratio = min(width / columns, height / rows)
    # A strip of a picture keeps one pixel.
    new_width, new_height = max(1, round(columns * ratio)), max(1, round(rows * ratio))
    left = round((width - new_width) / 2 - 0.1)
    top = round((height - new_height) / 2 - 0.1)
    canvas = np.full((height, width, 3), GRAY, np.uint8)
    canvas[top:top + new_height, left:left + new_width] = cv2.resize(
        image, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    return canvas, Frame(columns, rows, left, top, new_width / columns, new_height / rows)


def stretched(image: Picture, width: int, height: int) -> tuple[Picture, Frame]:
    """
    Scale a picture to the whole frame, whatever its proportions.

    :param image: uint8 [H, W, 3].
    :return: uint8 [height, width, 3], and where the picture is in it.
    """
    rows, columns = image.shape[:2]
    canvas = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return canvas, Frame(columns, rows, 0, 0, width / columns, height / rows)
