# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The bound over many pictures, and what measured reconstructions keep beside it.

Pictures are joined at equal prices: of all ways to spend a mean rate on them, that one keeps most
on average, so no other allocation of the model's lies above the joined curve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import Any

from gsc_ros.evaluation.bound.information import (
    BoundError,
    distribution,
    entropy,
    Image,
    information,
    MEASURES,
)
from gsc_ros.evaluation.bound.optimum import as_written, gaussian_curve
import numpy as np

#: Of a bit per pixel, in shares of the information: from a handful of bits a picture to lossless.
PRICES = np.geomspace(1e5, 1e-3, 129)
#: The default weights: a bit is worth a hundredth of a percent of the information.
ALPHA, BETA = 1.0, 1e-4
_ROW_DIGITS = 9


def describe(original: Image, measure: str = 'energy') -> dict[str, Any]:
    """
    Return what the bound says of one picture, as JSON values.

    :param original: uint8 [H, W, 3] RGB.
    :param measure: of `MEASURES`.
    :return: `pixels`; `entropy`, H in bits, and `entropy_max`, log2 of the number of details;
        `bpp` and `kept` at PRICES.
    :raises BoundError: the picture is of one colour, or there is no such measure.
    """
    probability = distribution(information(original, measure))
    pixels = original.shape[0] * original.shape[1]
    bits, kept = gaussian_curve(probability, PRICES / pixels)
    return {'pixels': pixels, 'entropy': entropy(probability),
            'entropy_max': math.log2(len(probability)),
            'bpp': (bits / pixels).round(_ROW_DIGITS).tolist(),
            'kept': kept.round(_ROW_DIGITS).tolist()}


def join(rows: Sequence[Mapping[str, Any]], points: Sequence[Mapping[str, Any]] = (),
         alpha: float = ALPHA, beta: float = BETA, measure: str = 'energy') -> dict[str, Any]:
    """
    Return what the bound says of a set of pictures, as JSON values.

    :param rows: what `describe` returned of each.
    :param points: measured means over the same pictures: `bpp` and `kept` (V), and whatever else
        is to be shown of them.
    :param alpha: of eq. (8): cost of losing all information.
    :param beta: of eq. (8): cost of a bit.
    :raises BoundError: there are no rows.
    """
    if not rows:
        raise BoundError('no picture to compute a bound of')
    pixels = _mean(rows, 'pixels')
    curve_bpp, curve_kept = (np.mean([row[name] for row in rows], axis=0)
                             for name in ('bpp', 'kept'))
    spread = _mean(rows, 'entropy')
    written = as_written(spread, alpha, beta)
    cost = alpha * (1 - curve_kept) + beta * curve_bpp * pixels
    best = int(cost.argmin())
    used = curve_bpp > 0
    return {
        'measure': measure, 'definition': MEASURES[measure], 'alpha': alpha, 'beta': beta,
        'images': len(rows), 'pixels': pixels, 'entropy': spread,
        'entropy_max': _mean(rows, 'entropy_max'),
        'written': {'bits': written.bits, 'bpp': written.bits / pixels,
                    'bpp_of_entropy': spread / pixels, 'stationary': written.stationary},
        'optimum': {'bits': float(curve_bpp[best] * pixels), 'bpp': float(curve_bpp[best]),
                    'kept': float(curve_kept[best]), 'cost': float(cost[best])},
        'curve': [{'bpp': float(bpp), 'kept': float(kept)}
                  for bpp, kept in zip(curve_bpp[used], curve_kept[used])],
        'points': [_beside(point, curve_bpp, curve_kept) for point in points]}


def least_rate(curve_bpp: np.ndarray, curve_kept: np.ndarray, kept: float) -> float:
    """Return the bits per pixel from which on the model can keep a share; 0 for none of it."""
    if kept <= curve_kept[0]:
        return 0.0 if kept <= 0 else float(curve_bpp[0])
    return float(np.interp(kept, curve_kept, curve_bpp))


def _beside(point: Mapping[str, Any], curve_bpp: np.ndarray,
            curve_kept: np.ndarray) -> dict[str, Any]:
    bound = least_rate(curve_bpp, curve_kept, point['kept'])
    return {**point, 'bound_bpp': bound, 'ratio': point['bpp'] / bound if bound > 0 else None}


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return math.fsum(row[name] for row in rows) / len(rows)
