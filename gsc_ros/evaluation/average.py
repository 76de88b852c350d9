# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the pictures that a codec gave to the figures of one operating point, as JSON values."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
import time
from typing import Any

import cv2
from gsc_ros.evaluation.own import Coded, Sent
from gsc_ros.evaluation.packet_loss import LossyLink
from gsc_ros.evaluation.plan import Outcome, Plan, Point
from gsc_ros.evaluation.resampling import Picture, resized
from gsc_ros.evaluation.score import Scorer
import numpy as np


def mean(plan: Plan, scorer: Scorer, coded: Iterable[Coded]) -> dict[str, Any]:
    """Return the means over the plan's images, and the gallery's picture."""
    rows: list[tuple[float, ...]] = []
    regions: list[int] = []
    sample = b''

    def enlarged() -> Iterable[Picture]:
        nonlocal sample
        for number, (original, one) in enumerate(zip(plan.images, coded)):
            height, width = original.shape[:2]
            start = time.perf_counter()
            picture = resized(one.picture, width, height)
            decode_ms = one.decode_ms + (time.perf_counter() - start) * 1e3
            rows.append((one.size, 8 * one.size / (height * width), one.encode_ms, decode_ms))
            if one.regions is not None:
                regions.append(one.regions)
            if number == plan.gallery:
                sample = cv2.imencode('.png', np.ascontiguousarray(one.picture[..., ::-1]))[1]
            yield picture

    score = scorer.mean(enlarged())
    size, bpp, encode_ms, decode_ms = np.mean(rows, axis=0).tolist()
    return {'bytes': size, 'bpp': bpp, 'kbps': size * 8 * plan.fps / 1000, **asdict(score),
            'encode_ms': encode_ms, 'decode_ms': decode_ms,
            'regions': float(np.mean(regions)) if regions else None,
            'sample': base64.b64encode(bytes(sample)).decode()}


def mean_sent(plan: Plan, scorer: Scorer, sent: Iterable[Sent]) -> dict[str, Any]:
    """Return the means of what was seen: the last picture there was, gray before the first."""
    frames: list[Sent] = []

    def seen() -> Iterable[Coded]:
        last = np.full_like(plan.images[0], 128)
        for one in sent:
            frames.append(one)
            last = last if one.picture is None else one.picture
            yield Coded(one.size, last, one.encode_ms, one.decode_ms or 0.0, one.regions)

    result = mean(plan, scorer, seen())
    times = [one.decode_ms for one in frames if one.decode_ms is not None]
    return result | {
        'decode_ms': float(np.mean(times)) if times else 0.0,
        'arrived': float(np.mean([one.arrived for one in frames])),
        'decodable': float(np.mean([one.picture is not None for one in frames]))}


def over_trials(plan: Plan, measure: Callable[[LossyLink], dict[str, Any]]) -> dict[str, Any]:
    """Return the means over the seeds of losses, and the first one's picture."""
    results = [measure(replace(plan.link, seed=plan.link.seed + trial))
               for trial in range(plan.trials)]
    means: dict[str, Any] = {'sample': results[0]['sample']}
    for name in results[0].keys() - means.keys():
        values = [result[name] for result in results if result[name] is not None]
        means[name] = float(np.mean(values)) if values else None
    if plan.mode != 'loss':
        means |= {'arrived': None, 'decodable': None}
    return means


def outcome(point: Point, result: dict[str, Any]) -> Outcome:
    """Return a point with its figures, and the picture."""
    figures = {name: value for name, value in result.items() if name != 'sample'}
    return Outcome(replace(point, **figures), base64.b64decode(result['sample']))
