# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Whole allocations that are tried on a frame, and what the picture of each is worth.

How much of a packet the base should have, no gain of a single region tells: a finer base is a
better prediction. Several shares are tried when the settings leave that open, and with a *judge*
more: it looks at the picture as the receiver will show it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gsc_ros.codec.region.setting import RegionSettings
from gsc_ros.codec.region.spot import Spot
import numpy as np

SHARES = (0.5, 0.35, 0.65, 0.8)
# Of a judge's trials: fewer symbols at a finer step, and by how much the level changes.
_THRIFT = 0.1
_LEVELS = (0, -2, 2)

Judge = Callable[[np.ndarray], float]


def trials(
    settings: RegionSettings, limited: bool, judged: bool, default_level: int, levels: int,
) -> list[RegionSettings | None]:
    """
    Return the settings to try, the usual ones first; None stands for no regions.

    :param settings: those of the frame, with no more regions than there are.
    :param limited: whether the packet has a limit of bytes.
    :param judged: whether a judge looks at the pictures.
    :param default_level: level of the region model where nothing tells another one.
    :param levels: how many levels it has.
    """
    shares = (settings.base_share,) if settings.base_share is not None else SHARES
    if not limited:
        if not judged:
            return [replace(settings, base_share=1.0)]
        level = default_level if settings.level is None else settings.level
        tried = [replace(settings, level=min(max(level + step, 0), levels - 1))
                 for step in _LEVELS]
        return [*dict.fromkeys(tried), None]
    if judged and settings.base_share is not None:
        shares = dict.fromkeys((settings.base_share, *SHARES))
    tried = [replace(settings, base_share=share) for share in shares]
    if judged:
        tried += [replace(tried[0], thrift=_THRIFT),
                  replace(tried[0], most=max(settings.most // 2, 1))]
    return [*dict.fromkeys(tried), None] if len(tried) > 1 else tried


def weighted_error(image: np.ndarray, picture: np.ndarray, spots: Sequence[Spot]) -> float:
    """
    Return the squared error of a picture, where perception looks with its weight.

    :param image: uint8 ``[H, W, 3]``.
    :param picture: of the same shape.
    :param spots: where perception looks.
    """
    squares = np.square(image.astype(np.int32) - picture).sum(axis=2)
    return float((squares * error_weights(*image.shape[:2], spots)).sum())


def error_weights(height: int, width: int, spots: Sequence[Spot]) -> np.ndarray:
    """Return how often an error counts, float64 ``[height, width]``: the weightiest spot says."""
    weights = np.ones((height, width))
    for spot in reversed(spots):
        left, top, right, bottom = (round(side) for side in spot.box)
        weights[top:bottom, left:right] = spot.weight
    return weights
