# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a comparison says: curves, quality at a rate, and bytes at a quality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gsc_ros.evaluation.curve import bd_rate, envelope, Knot, quality_at
from gsc_ros.evaluation.plan import Codec, Comparison, Outcome, Plan, Point

METRICS = {'psnr': 'PSNR, dB', 'ssim': 'SSIM', 'ms_ssim': 'MS-SSIM', 'vsi': 'VSI',
           'f1': 'detections, F1'}
BD_METRICS = ('psnr', 'ms_ssim', 'f1')


def rate_of(mode: str) -> tuple[str, str]:
    """Return the field of a point that is its rate, and the rate's unit."""
    return ('bpp', 'bit per pixel') if mode == 'stills' else ('kbps', 'kbit/s')


def curve(points: Sequence[Point], codec: str, mode: str, metric: str) -> list[Knot]:
    """Return the envelope of a codec over all of its settings and downscales."""
    rate, _ = rate_of(mode)
    return envelope((getattr(point, rate), getattr(point, metric)) for point in points
                    if point.codec == codec and getattr(point, metric) is not None)


def metrics_of(points: Sequence[Point]) -> list[str]:
    """Return the metrics that were computed."""
    return [name for name in METRICS
            if any(getattr(point, name) is not None for point in points)]


def best_within(outcomes: Sequence[Outcome], codec: str, mode: str, rate: float) -> Outcome | None:
    """
    Return a codec's measured point of the best MS-SSIM (else PSNR) at a rate or below.

    When it does not get there, its point of the lowest rate; None when it has no point.
    """
    field, _ = rate_of(mode)
    own = [one for one in outcomes if one.point.codec == codec and not one.point.failure]
    within = [one for one in own if getattr(one.point, field) <= rate]
    if within:
        return max(within, key=lambda one: (one.point.ms_ssim or 0.0, one.point.psnr))
    return min(own, key=lambda one: getattr(one.point, field), default=None)


def at_rates(comparison: Comparison, plan: Plan) -> list[dict[str, Any]]:
    """Return for each codec and rate the metrics that its envelopes reach; None when too low."""
    points = comparison.points
    rows = []
    for codec in present(comparison):
        for rate in plan.rates:
            metrics = {name: quality_at(curve(points, codec.name, plan.mode, name), rate)
                       for name in metrics_of(points)}
            rows.append({'codec': codec.name, 'rate': rate, **metrics})
    return rows


def savings(comparison: Comparison, plan: Plan) -> list[dict[str, Any]]:
    """Return for each of ours and each peer how many percent more bytes ours needs."""
    points = comparison.points
    codecs = present(comparison)
    rows = []
    for ours in (codec for codec in codecs if codec.own):
        for peer in (codec for codec in codecs if not codec.own):
            rows.append({'codec': ours.name, 'peer': peer.name, **{
                metric: bd_rate(curve(points, ours.name, plan.mode, metric),
                                curve(points, peer.name, plan.mode, metric))
                for metric in BD_METRICS if metric in metrics_of(points)}})
    return rows


def present(comparison: Comparison) -> list[Codec]:
    """Return the codecs that have at least one point."""
    having = {point.codec for point in comparison.points}
    return [codec for codec in comparison.codecs if codec.name in having]
