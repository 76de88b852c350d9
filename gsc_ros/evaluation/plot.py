# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rate-distortion plots as SVG."""

from __future__ import annotations

from collections.abc import Sequence
import io

from gsc_ros.evaluation.plan import Comparison, Plan
from gsc_ros.evaluation.verdict import curve, METRICS, metrics_of, present, rate_of
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

OWN_COLOURS = ('#f28e8c', '#d62728', '#b58900', '#8c1d18')
PEER_COLOURS = ('#1f77b4', '#2ca02c', '#9467bd', '#ff7f0e', '#17becf', '#8c564b', '#e377c2',
                '#7f7f7f', '#bcbd22')


def plots(comparison: Comparison, plan: Plan) -> dict[str, bytes]:
    """Return an SVG file for each metric: envelopes as lines, all measured points as dots."""
    # Names as text rather than outlines: smaller, and found by a search. The same input gives the
    # same file.
    with rc_context({'svg.fonttype': 'none', 'svg.hashsalt': 'gsc', 'font.size': 9}):
        return {metric: _plot(comparison, plan, metric) for metric in metrics_of(comparison.points)}


def _plot(comparison: Comparison, plan: Plan, metric: str) -> bytes:
    figure = Figure(figsize=(7, 4.6), layout='constrained')
    axes = figure.subplots()
    rate, unit = rate_of(plan.mode)
    colours = {True: list(OWN_COLOURS), False: list(PEER_COLOURS)}
    for codec in present(comparison):
        colour = colours[codec.own].pop(0) if colours[codec.own] else '#7f7f7f'
        points = [point for point in comparison.points
                  if point.codec == codec.name and getattr(point, metric) is not None]
        axes.plot([getattr(point, rate) for point in points],
                  [getattr(point, metric) for point in points], '.', color=colour, alpha=0.25,
                  markersize=3)
        knots = curve(comparison.points, codec.name, plan.mode, metric)
        # A dollar sign would begin a formula.
        axes.plot([knot[0] for knot in knots], [knot[1] for knot in knots], '-o', color=colour,
                  linewidth=2.2 if codec.own else 1.2, markersize=4 if codec.own else 2.5,
                  label=codec.title.replace('$', r'\$'), zorder=3 if codec.own else 2)
    _frame(axes, plan.rates, unit, METRICS[metric])
    out = io.BytesIO()
    figure.savefig(out, format='svg', metadata={'Date': None})
    return out.getvalue()


def _frame(axes: Axes, rates: Sequence[float], unit: str, quality: str) -> None:
    axes.set_xscale('log')
    axes.set_xlim(0.6 * rates[0], 1.6 * rates[-1])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xticks(rates, [f'{rate:g}' for rate in rates])
    axes.minorticks_off()
    axes.set_xlabel(unit)
    axes.set_ylabel(quality)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
