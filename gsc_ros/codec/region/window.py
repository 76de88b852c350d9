# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The base picture where regions need it, and nowhere else: the synthesis takes its time."""

from __future__ import annotations

from collections.abc import Iterable

from gsc_ros.codec.region.canvas import Canvas
from gsc_ros.codec.structure import Synthesis
import numpy as np

# Latent positions around a box that the synthesis is shown; further away little is seen of it.
MARGIN = 2
# Two windows become one that is larger than both together by no more than this factor.
_WASTE = 1.15

Box = tuple[int, int, int, int]


def base_canvas(
    synthesis: Synthesis, pitch: int, symbols: np.ndarray, channels: tuple[int, ...],
    quantizer: int, height: int, width: int, boxes: Iterable[tuple[float, float, float, float]],
) -> Canvas:
    """
    Return a canvas with the base picture in some boxes.

    :param synthesis: of the profile.
    :param pitch: image pixels per latent position.
    :param symbols: int16 ``[len(channels), h, w]``.
    :param channels: their channels.
    :param quantizer: the quantizer they were made with.
    :param height: image height in pixels.
    :param width: image width in pixels.
    :param boxes: left, top, right, bottom in pixels; may reach beyond the image.
    """
    canvas = Canvas(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8))
    rows, columns = symbols.shape[1:]
    cells = [
        (max(int(left // pitch), 0), max(int(top // pitch), 0),
         min(int(-(-right // pitch)), columns), min(int(-(-bottom // pitch)), rows))
        for left, top, right, bottom in boxes]
    for left, top, right, bottom in merged(box for box in cells if _area(box) > 0):
        first_row, first = max(top - MARGIN, 0), max(left - MARGIN, 0)
        last_row, last = min(bottom + MARGIN, rows), min(right + MARGIN, columns)
        picture = synthesis.render(
            symbols[:, first_row:last_row, first:last], channels, quantizer,
            (last_row - first_row) * pitch, (last - first) * pitch)
        place = np.s_[top * pitch:bottom * pitch, left * pitch:right * pitch]
        shape = canvas.confidence[place].shape
        part = np.s_[(top - first_row) * pitch:(top - first_row) * pitch + shape[0],
                     (left - first) * pitch:(left - first) * pitch + shape[1]]
        canvas.picture[place] = picture.image[part]
        canvas.confidence[place] = picture.confidence[part]
    return canvas


def merged(boxes: Iterable[Box]) -> list[Box]:
    """Return boxes that cover all of some, overlapping little."""
    left = list(boxes)
    done: list[Box] = []
    while left:
        box = left.pop()
        for index, other in enumerate(done):
            both = (min(box[0], other[0]), min(box[1], other[1]),
                    max(box[2], other[2]), max(box[3], other[3]))
            if _area(both) <= _WASTE * (_area(box) + _area(other)):
                # The larger one may reach others now.
                del done[index]
                left.append(both)
                break
        else:
            done.append(box)
    return done


def _area(box: Box) -> int:
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)
