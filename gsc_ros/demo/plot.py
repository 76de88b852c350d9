# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Small charts as inline SVG, so that the base install needs no plotting library.

Colours are CSS variables of the page around them and follow its light or dark theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
import math

WIDTH, HEIGHT = 560, 240
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 42
_PLOT_WIDTH = WIDTH - LEFT - RIGHT
_PLOT_HEIGHT = HEIGHT - TOP - BOTTOM


@dataclass(frozen=True)
class Series:
    """Values over x; `kind` is 'line', 'dots', 'bars' or 'steps' (held to the right)."""

    x: Sequence[float]
    y: Sequence[float]
    label: str = ''
    kind: str = 'line'
    colour: str = 'var(--accent)'


@dataclass(frozen=True)
class Limit:
    """A horizontal line that means something, such as the budget."""

    value: float
    label: str


@dataclass(frozen=True)
class _Axis:
    """A range of values with round ticks, mapped to pixels."""

    low: float
    high: float
    ticks: tuple[float, ...]
    start: float
    length: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * self.length


def chart(series: Sequence[Series], x_label: str, y_label: str, limit: Limit | None = None,
          from_zero: bool = True) -> str:
    """
    Draw series over common axes.

    :param series: what to draw, later ones on top; values that are not finite leave gaps.
    :param x_label: quantity and unit.
    :param y_label: quantity and unit.
    :param limit: a dashed line across, within the range of the y axis.
    :param from_zero: let the y axis begin at zero instead of at the lowest value.
    :return: an `<svg>` element.
    """
    points = [(x, y) for one in series for x, y in zip(one.x, one.y) if math.isfinite(y)]
    if not points:
        return '<p class="empty">No data.</p>'
    values = [y for _, y in points] + ([limit.value] if limit else [])
    # Bars stand on their values, half of each before its own.
    beside = max((_spacing([x for x, y in zip(one.x, one.y) if math.isfinite(y)], 0.0) / 2
                  for one in series if one.kind == 'bars'), default=0.0)
    x_axis = _axis(min(x for x, _ in points) - beside, max(x for x, _ in points) + beside, LEFT,
                   _PLOT_WIDTH, False)
    y_axis = _axis(0 if from_zero else min(values), max(values), TOP + _PLOT_HEIGHT, -_PLOT_HEIGHT,
                   True)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(y_label)} over {escape(x_label)}">',
        *_grid(x_axis, y_axis, x_label, y_label),
        *(_drawn(one, x_axis, y_axis) for one in series),
    ]
    if limit:
        y = y_axis.at(limit.value)
        parts.append(f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
                     f'y2="{y:.1f}"/><text class="limit" x="{WIDTH - RIGHT - 4}" y="{y - 5:.1f}" '
                     f'text-anchor="end">{escape(limit.label)}</text>')
    return ''.join(parts) + '</svg>' + _legend(series)


def _axis(low: float, high: float, start: float, length: float, rounded: bool) -> _Axis:
    """Choose round ticks; `rounded` widens the range to them."""
    if high <= low:
        low, high = low - 0.5, low + 0.5
    rough = (high - low) / 5
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= rough)
    if rounded:
        low = math.floor(low / step + 1e-9) * step
        high = math.ceil(high / step - 1e-9) * step
        if high <= low:
            high = low + step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return _Axis(low, high, tuple(step * index for index in range(first, last + 1)), start, length)


def _spacing(positions: Sequence[float], alone: float) -> float:
    """Return the least distance of neighbours; `alone` where there are none."""
    return min((right - left for left, right in zip(positions, positions[1:])), default=alone)


def _number(value: float) -> str:
    return f'{value:,.4g}' if abs(value) < 1000 else f'{value:,.0f}'


def _grid(x_axis: _Axis, y_axis: _Axis, x_label: str, y_label: str) -> list[str]:
    bottom = TOP + _PLOT_HEIGHT
    parts = []
    for tick in y_axis.ticks:
        y = y_axis.at(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
                     f'y2="{y:.1f}"/><text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">'
                     f'{_number(tick)}</text>')
    for tick in x_axis.ticks:
        x = x_axis.at(tick)
        parts.append(f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">'
                     f'{_number(tick)}</text>')
    middle = TOP + _PLOT_HEIGHT / 2
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" '
                 f'y2="{bottom}"/>'
                 f'<text class="label" x="{LEFT + _PLOT_WIDTH / 2}" y="{HEIGHT - 6}" '
                 f'text-anchor="middle">{escape(x_label)}</text>'
                 f'<text class="label" x="13" y="{middle}" text-anchor="middle" '
                 f'transform="rotate(-90 13 {middle})">{escape(y_label)}</text>')
    return parts


def _drawn(series: Series, x_axis: _Axis, y_axis: _Axis) -> str:
    colour = series.colour
    at = [(x_axis.at(x), y_axis.at(y)) for x, y in zip(series.x, series.y) if math.isfinite(y)]
    if series.kind == 'dots':
        return ''.join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{colour}"/>'
                       for x, y in at)
    if series.kind == 'bars':
        bottom = y_axis.at(max(0.0, y_axis.low))
        # The bars of neighbours must not touch, however unevenly they are spaced.
        spacing = _spacing([x for x, _ in at], _PLOT_WIDTH / 10)
        width = max(1.0, 0.75 * spacing)
        return ''.join(f'<rect x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" '
                       f'height="{max(0.0, bottom - y):.1f}" fill="{colour}"/>' for x, y in at)
    if series.kind == 'steps':
        at = [corner for (x, y), (following, _) in zip(at, [*at[1:], *at[-1:]])
              for corner in ((x, y), (following, y))]
    path = ' '.join(f'{x:.1f},{y:.1f}' for x, y in at)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def _legend(series: Sequence[Series]) -> str:
    named = [one for one in series if one.label]
    if not named:
        return ''
    keys = ''.join(f'<span><i style="background:{one.colour}"></i>{escape(one.label)}</span>'
                   for one in named)
    return f'<div class="legend">{keys}</div>'
