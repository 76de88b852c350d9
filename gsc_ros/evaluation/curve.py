# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Rate-distortion curves: the best of many operating points, and how two curves compare.

Between measured points a metric is taken to be linear in the logarithm of the rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import math

import numpy as np

#: Rate and quality.
Knot = tuple[float, float]


def envelope(points: Iterable[Knot]) -> list[Knot]:
    """Return the points that no other beats in both rate and quality, by ascending rate."""
    best: list[Knot] = []
    for rate, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or quality > best[-1][1]:
            best.append((rate, quality))
    return best


def quality_at(curve: Sequence[Knot], rate: float) -> float | None:
    """
    Return the quality that an envelope reaches at a rate.

    None when the curve begins above the rate: the codec does not get there. Past its end, the
    last point holds: nobody has to use all of a rate.
    """
    if not curve or rate < curve[0][0]:
        return None
    return float(np.interp(math.log(rate), [math.log(knot[0]) for knot in curve],
                           [knot[1] for knot in curve]))


def rate_at(curve: Sequence[Knot], quality: float, unmeasured: bool = False) -> float | None:
    """
    Return the rate at which an envelope reaches a quality.

    None when it never does. When its lowest rate is better already, so that less might do: None,
    or, if ``unmeasured``, that rate.
    """
    if not curve or quality > curve[-1][1]:
        return None
    if quality < curve[0][1]:
        return curve[0][0] if unmeasured else None
    return math.exp(float(_log_rates(curve, [quality])[0]))


def bd_rate(ours: Sequence[Knot], other: Sequence[Knot]) -> float | None:
    """
    Return how many percent more bytes we need for the same quality; negative when fewer.

    The mean difference of log rate over the qualities that both envelopes reach (Bjontegaard's
    definition, but piecewise linear: at rates this low a cubic through four points swings).
    None when they share no quality.
    """
    if len(ours) < 2 or len(other) < 2:
        return None
    low = max(ours[0][1], other[0][1])
    high = min(ours[-1][1], other[-1][1])
    if high <= low:
        return None
    knots = sorted({low, high, *(quality for _, quality in (*ours, *other)
                                 if low < quality < high)})
    difference = _log_rates(ours, knots) - _log_rates(other, knots)
    area = np.sum((difference[1:] + difference[:-1]) / 2 * np.diff(knots))
    return 100 * (math.exp(area / (high - low)) - 1)


def _log_rates(curve: Sequence[Knot], qualities: Sequence[float]) -> np.ndarray:
    return np.interp(qualities, [quality for _, quality in curve],
                     [math.log(rate) for rate, _ in curve])
