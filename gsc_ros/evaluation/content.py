# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What bench.json holds: everything but the pictures."""

from __future__ import annotations

from dataclasses import asdict
import math
from typing import Any

from gsc_ros.evaluation.equal_quality import equal_f1, region_costs
from gsc_ros.evaluation.plan import Comparison, Plan
from gsc_ros.evaluation.verdict import at_rates, rate_of, savings
import numpy as np


def as_json(comparison: Comparison, plan: Plan, run: dict[str, Any]) -> dict[str, Any]:
    """
    Return everything but the pictures as JSON values.

    :param run: what to say of the run besides.
    """
    height, width = plan.images[0].shape[:2]
    link = asdict(plan.link) | {'trials': plan.trials} if plan.mode == 'loss' else None
    return {
        **run, 'mode': plan.mode, 'frames': len(plan.images), 'width': width, 'height': height,
        'fps': plan.fps, 'rate_unit': rate_of(plan.mode)[1], 'link': link,
        'regions': _regions(plan),
        'codecs': [asdict(codec) for codec in comparison.codecs],
        'at_rates': at_rates(comparison, plan), 'bd_rate_percent': savings(comparison, plan),
        'equal_f1': [asdict(row) | {'best': row.best, 'ratio': row.ratio}
                     for row in equal_f1(comparison, plan.mode)
                     if row.peers or row.rate is not None],
        'region_costs': [asdict(row) for row in region_costs(comparison, plan)],
        'object_list': None if comparison.listed is None else asdict(comparison.listed),
        'points': [{name: None if isinstance(value, float) and math.isnan(value) else value
                    for name, value in asdict(outcome.point).items()}
                   for outcome in comparison.outcomes]}


def _regions(plan: Plan) -> dict[str, Any] | None:
    """Return what was looked for and found, on average."""
    if plan.regions is None:
        return None
    return {'source': plan.regions.source, 'objects': plan.objects,
            'count': float(np.mean([len(each) for each in plan.regions.regions])),
            'milliseconds': float(np.mean(plan.regions.milliseconds))}
