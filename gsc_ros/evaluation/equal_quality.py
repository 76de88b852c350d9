# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What accuracy costs: the rates at which codecs reach the same F1, and what key regions cost besides.

Rates are read off the envelopes, between measured points. A peer whose cheapest point is better
than asked for has no rate there; ours is then charged for its own cheapest point.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gsc_ros.evaluation.curve import rate_at
from gsc_ros.evaluation.plan import (
    Comparison,
    OWN,
    OWN_AGREEMENT,
    OWN_REGIONS,
    OWN_STREAM,
    OWN_STREAM_AGREEMENT,
    OWN_STREAM_REGIONS,
    Plan,
    Point,
)
from gsc_ros.evaluation.verdict import curve, present, rate_of

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
#: Which of ours is another one with regions added.
WITHOUT = {OWN_REGIONS: OWN, OWN_AGREEMENT: OWN, OWN_STREAM_REGIONS: OWN_STREAM,
           OWN_STREAM_AGREEMENT: OWN_STREAM}


@dataclass(frozen=True)
class Equal:
    """
    What one level of F1 costs.

    :param codec: one of ours.
    :param f1: the level, 0..1.
    :param rate: of ours, in the unit of the mode; None when it does not get there.
    :param peers: rates of those that reach it, by name.
    """

    codec: str
    f1: float
    rate: float | None
    peers: dict[str, float]

    @property
    def best(self) -> str | None:
        """Return the peer of the lowest rate."""
        return min(self.peers, key=self.peers.__getitem__, default=None)

    @property
    def ratio(self) -> float | None:
        """Return our rate over that of the best peer; None when one of them is missing."""
        if self.rate is None or self.best is None:
            return None
        return self.rate / self.peers[self.best]


def equal_f1(comparison: Comparison, mode: str, levels: Sequence[float] = LEVELS,
             peers: Collection[str] | None = None) -> list[Equal]:
    """
    Return what levels of F1 cost, for each of ours that has points.

    :param mode: of the plan.
    :param peers: names of those that count; None for all.
    """
    points = comparison.points
    curves = {codec.name: curve(points, codec.name, mode, 'f1') for codec in present(comparison)}
    rivals = [codec.name for codec in present(comparison)
              if not codec.own and (peers is None or codec.name in peers)]
    rows = []
    for ours in (codec.name for codec in present(comparison) if codec.own):
        for level in levels:
            rates = {name: rate_at(curves[name], level) for name in rivals}
            rows.append(Equal(ours, level, rate_at(curves[ours], level, unmeasured=True), {
                name: rate for name, rate in rates.items() if rate is not None}))
    return rows


@dataclass(frozen=True)
class RegionCost:
    """
    What regions change at one setting.

    :param codec: with regions.
    :param rate: of the plan, in the unit of its mode.
    :param f1: gained; None without a detector.
    :param ms_ssim: gained, so that a loss is negative; None where the pictures are too small.
    :param encode_ms: added for a frame, with the search for them.
    """

    codec: str
    rate: float
    f1: float | None
    ms_ssim: float | None
    encode_ms: float


def region_costs(comparison: Comparison, plan: Plan) -> list[RegionCost]:
    """Return what regions change at each rate: the same limit of bytes with and without."""
    points = {(point.codec, point.setting): point for point in comparison.points}
    unit = 'bpp' if rate_of(plan.mode)[0] == 'bpp' else 'kbit/s'
    rows = []
    for codec, without in WITHOUT.items():
        for rate in plan.rates:
            found: list[Point] = [
                point for (name, setting), point in points.items()
                if name in (codec, without) and setting.endswith(f'at most {rate:g} {unit}')]
            by_name = {point.codec: point for point in found}
            if len(by_name) == 2:
                one, other = by_name[codec], by_name[without]
                rows.append(RegionCost(
                    codec, rate, _gain(one.f1, other.f1), _gain(one.ms_ssim, other.ms_ssim),
                    one.encode_ms - other.encode_ms))
    return rows


def _gain(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
