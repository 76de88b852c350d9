# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A quantity over the frames of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import math
import statistics

import numpy as np


@dataclass(frozen=True)
class Statistic:
    """Of a quantity over the frames; None where there was none."""

    mean: float | None
    median: float | None
    p95: float | None
    minimum: float | None
    maximum: float | None


def statistic(values: Iterable[float]) -> Statistic:
    """Return the statistic of the finite ones among the values."""
    finite = [float(value) for value in values if math.isfinite(value)]
    if not finite:
        return Statistic(None, None, None, None, None)
    return Statistic(statistics.fmean(finite), statistics.median(finite),
                     float(np.percentile(finite, 95)), min(finite), max(finite))


def words(value: float | None, form: str) -> str:
    """Return a value in a form of `str.format`, a dash where nobody knows it."""
    return '–' if value is None or not math.isfinite(value) else form.format(value)
