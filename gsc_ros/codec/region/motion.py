# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How far what a region shows has moved and grown, from the original pictures."""

from __future__ import annotations

import cv2
from gsc_ros.codec.region.track import Place, PLACE_UNITS, Track, ZOOM_UNITS
import numpy as np

# Points that are followed, and how many of them must agree.
_POINTS = 80
_FEWEST = 6
_WINDOW = (15, 15)
_LEVELS = 3
# Displacements further than this from what most say are left out, in pixels.
_OUTLIER = 1.5
_ROUNDS = 3


def corners(gray: np.ndarray) -> np.ndarray:
    """
    Return points of a picture that can be found again, float32 ``[n, 1, 2]``.

    :param gray: uint8 ``[h, w]``.
    """
    found = cv2.goodFeaturesToTrack(gray, _POINTS, 0.01, 6)
    return np.zeros((0, 1, 2), np.float32) if found is None else found


def find(
    track: Track, anchor: np.ndarray, points: np.ndarray, gray: np.ndarray, guess: Place,
) -> Place | None:
    """
    Return the place of a track in a frame.

    :param track: the track, at any place.
    :param anchor: the original of its anchor, uint8 ``[h, w]``.
    :param points: what :func:`corners` has found there.
    :param gray: the frame, uint8 ``[H, W]``.
    :param guess: where it should be.
    :return: None when the points do not say.
    """
    if len(points) < _FEWEST:
        return None
    height, width = anchor.shape
    # The frame as the anchor would see it from the guess: what is left to find is small.
    box_x, box_y, factor = _corner(track, guess)
    matrix = np.array([[factor, 0, box_x + 0.5 * factor - 0.5],
                       [0, factor, box_y + 0.5 * factor - 0.5]])
    seen = cv2.warpAffine(
        gray, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE)
    moved, status, _ = cv2.calcOpticalFlowPyrLK(
        anchor, seen, points, None, winSize=_WINDOW, maxLevel=_LEVELS)
    kept = status[:, 0] > 0
    if np.count_nonzero(kept) < _FEWEST:
        return None
    start, step = points[kept, 0], (moved - points)[kept, 0]
    fitted = _fit(start - np.float32((width / 2, height / 2)), step)
    if fitted is None:
        return None
    x, y, growth = fitted
    return (guess[0] + round(x * factor * PLACE_UNITS), guess[1] + round(y * factor * PLACE_UNITS),
            guess[2] + round(np.log2(max(1 + growth, 0.5)) * ZOOM_UNITS))


def _corner(track: Track, place: Place) -> tuple[float, float, float]:
    """Return where the upper left corner of the anchor lies at a place, and its growth."""
    height, width = track.confidence.shape
    factor = 2.0 ** (place[2] / ZOOM_UNITS)
    return (track.left + width / 2 * (1 - factor) + place[0] / PLACE_UNITS,
            track.top + height / 2 * (1 - factor) + place[1] / PLACE_UNITS, factor)


def _fit(points: np.ndarray, steps: np.ndarray) -> tuple[float, float, float] | None:
    """Return the shift and the growth that most displacements ``[n, 2]`` agree on."""
    shift, growth = np.median(steps, axis=0), 0.0
    for _ in range(_ROUNDS):
        off = np.abs(steps - shift - growth * points).max(axis=1)
        limit = max(_OUTLIER, float(np.median(off)))
        inside = off <= limit
        if np.count_nonzero(inside) < _FEWEST:
            return None
        near, moves = points[inside], steps[inside]
        middle, mean = near.mean(axis=0), moves.mean(axis=0)
        spread = float(np.square(near - middle).sum())
        growth = float(((near - middle) * (moves - mean)).sum()) / spread if spread > 1 else 0.0
        shift = mean - growth * middle
    return float(shift[0]), float(shift[1]), growth
