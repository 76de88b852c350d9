# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The picture that regions are put together on, and where in it regions lie."""

from __future__ import annotations

from dataclasses import dataclass

from gsc_ros.codec.region.transform import Change
from gsc_ros.codec.structure import Picture
import numpy as np


@dataclass(frozen=True)
class PlacedRegion:
    """
    A region of a decoded frame.

    :param box: left, top, right, bottom in whole pixels of the frame.
    :param scale: 1, 2 or 4: it was coded at 1 / scale of the frame's resolution.
    :param level: quantizer of its symbols, when it was last sent with any.
    :param channels: channels of symbols that came for it with this frame; 0 for one that is shown
        again as it was, moved or not.
    :param tracked: whether it was known from an earlier frame.
    """

    box: tuple[int, int, int, int]
    scale: int
    level: int
    channels: int
    tracked: bool


class Canvas:
    """
    A picture that is being put together; the arrays given are changed.

    :param picture: uint8 ``[H, W, 3]``.
    :param confidence: uint8 ``[H, W]``.
    """

    def __init__(self, picture: np.ndarray, confidence: np.ndarray):
        self.picture = picture
        self.confidence = confidence
        #: uint8 ``[H, W]``: 255 where regions lie, 0 elsewhere, the feather between.
        self.mask = np.zeros(confidence.shape, np.uint8)

    @classmethod
    def over(cls, base: Picture) -> Canvas:
        """Return a canvas with the base on it."""
        return cls(base.image, base.confidence)

    def change(self, change: Change) -> None:
        """Add what a region changes."""
        place, part = self._overlap(change.left, change.top, change.mask.shape)
        mask = change.mask[part]
        below = self.picture[place].astype(np.float32)
        below += change.delta[part] * mask[..., None]
        self.picture[place] = _bytes(below)
        self._certain(place, change.confidence[part], mask)

    def paste(
        self, left: int, top: int, picture: np.ndarray, confidence: np.ndarray, mask: np.ndarray,
    ) -> None:
        """
        Blend a picture in.

        :param left: column of its left side; it may reach beyond the canvas.
        :param top: row of its upper side.
        :param picture: ``[h, w, 3]`` in 0..255.
        :param confidence: ``[h, w]`` in 0..255.
        :param mask: float32 ``[h, w]``, how much of it to take, 0..1.
        """
        place, part = self._overlap(left, top, mask.shape)
        mask = mask[part]
        below = self.picture[place].astype(np.float32)
        below += (picture[part] - below) * mask[..., None]
        self.picture[place] = _bytes(below)
        self._certain(place, confidence[part].astype(np.float32), mask)

    def _certain(
        self, place: tuple[slice, slice], confidence: np.ndarray, mask: np.ndarray,
    ) -> None:
        below = self.confidence[place].astype(np.float32)
        self.confidence[place] = _bytes(below + (confidence - below) * mask)
        self.mask[place] = np.maximum(self.mask[place], _bytes(mask * np.float32(255)))

    def _overlap(
        self, left: int, top: int, shape: tuple[int, int],
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return where a part lies on the canvas, and what of the part does."""
        height, width = self.confidence.shape
        rows = slice(min(max(top, 0), height), max(min(top + shape[0], height), 0))
        columns = slice(min(max(left, 0), width), max(min(left + shape[1], width), 0))
        return (rows, columns), (slice(rows.start - top, rows.stop - top),
                                 slice(columns.start - left, columns.stop - left))


def _bytes(values: np.ndarray) -> np.ndarray:
    """Return float32 values rounded to uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
