# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Curves and bars of a table, and the bound under measured rates, by matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import io
import math
import textwrap
from typing import Any

from gsc_ros.evaluation.report.content import Column, COSTS, Table
from gsc_ros.evaluation.report.series import common_name, Line, lines
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = {
    'ours': ('#c62828', '#ef6c00', '#ad1457', '#8d6e63', '#f9a825', '#ff7043'),
    'peer': ('#1f77b4', '#2e7d32', '#17a2b8', '#5c6bc0', '#9e9d24', '#546e7a'),
    'external': ('#7b1fa2', '#00838f', '#5d4037', '#303f9f'),
    'published': ('#424242', '#757575', '#9e9e9e', '#616161'),
    'reference': ('#212121',),
}
MARKERS = {'ours': 'o', 'peer': 's', 'external': 'D', 'published': '^'}
SIZE = (5.0, 3.6)
LEGEND_COLUMNS = 2
LEGEND_CHARACTERS = 34
LEGEND_LINE = 0.17
"""Height of a line of a legend, inches."""
# Drawn in this order, so that ours lie on top.
_LAYERS = ('published', 'peer', 'external', 'ours')
_FONT = {'svg.fonttype': 'none', 'svg.hashsalt': 'gsc', 'font.size': 9.5,
         'axes.spines.top': False, 'axes.spines.right': False, 'axes.edgecolor': '#888888'}


def charts(table: Table) -> list[tuple[Column, Figure]]:
    """Return a chart for each metric of a table that has anything to draw."""
    drawn = ((column, chart(table, column)) for column in table.metrics)
    return [(column, figure) for column, figure in drawn if figure is not None]


def chart(table: Table, column: Column) -> Figure | None:
    """
    Return a metric over the table's axis, as curves, or as bars where the axis holds words.

    None where there is nothing to see: no measured row, or a parameter that changes nothing.
    """
    drawn = lines(table, column.name)
    values = {row.values[column.name] for line in drawn for _, row in line.points}
    if not drawn or (table.axis not in COSTS and len(values) == 1):
        return None
    words = any(isinstance(place, str) for line in drawn for place, _ in line.points)
    with rc_context(_FONT):
        figure = Figure(figsize=SIZE, layout='constrained')
        axes = figure.subplots()
        (_bars if words else _curves)(axes, table, column, drawn)
        axes.set_title(f'{column.label} {column.arrow}'.strip(), loc='left', fontsize=10.5)
    return figure


def bound_chart(bound: Mapping[str, Any]) -> Figure:
    """Return what is kept over the rate: the bound as a line, measured methods as points."""
    with rc_context(_FONT):
        figure = Figure(figsize=(7.4, 4.6), layout='constrained')
        axes = figure.subplots()
        points = [point for point in bound['points']
                  if point['bpp'] > 0 and point.get('group') != 'reference']
        rates = [point['bpp'] for point in points] or [1e-3, 1e-1]
        low, high = min(rates) / 6, max(rates) * 2.5
        shown = [knot for knot in bound['curve'] if low <= knot['bpp'] <= high]
        axes.plot([knot['bpp'] for knot in shown], [knot['kept'] for knot in shown], '-',
                  color='#212121', linewidth=2, label='least rate of the model')
        axes.fill_between([knot['bpp'] for knot in shown], [knot['kept'] for knot in shown], 1,
                          color='#212121', alpha=0.07, linewidth=0)
        best = bound['optimum']
        if low <= best['bpp'] <= high:
            axes.plot(best['bpp'], best['kept'], '*', color='#212121', markersize=12,
                      label=f'optimum of eq. (8), β / α = {bound["beta"] / bound["alpha"]:g}')
        for group, colour, members in _series(points):
            members = sorted(members, key=lambda point: point['bpp'])
            name = common_name([str(point['title']) for point in members])
            axes.plot([point['bpp'] for point in members], [point['kept'] for point in members],
                      '-', marker=MARKERS.get(group, 'o'), markersize=5, linewidth=1.4,
                      color=colour, label=_plain(name))
        _rate_axis(axes, low, high)
        # What invents more than it keeps lies far below: the axis stays with the others.
        floor = min([point['kept'] for point in points if point['kept'] > 0] or [0])
        axes.set_ylim(max(floor - 0.2, -0.03), 1.01)
        axes.set_xlabel('rate, bit per pixel')
        axes.set_ylabel('information kept, V')
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, frameon=False, loc='center left', bbox_to_anchor=(1.01, 0.5))
    return figure


def rendered(figure: Figure, kind: str = 'svg') -> bytes:
    """Return a figure as a file: `svg`, or `png` for paper. The same figure is the same file."""
    out = io.BytesIO()
    with rc_context(_FONT):
        figure.savefig(out, format=kind, dpi=200,
                       metadata={'Date': None} if kind == 'svg' else {'Software': None})
    return out.getvalue()


def _curves(axes: Axes, table: Table, column: Column, drawn: Sequence[Line]) -> None:
    for line, colour in zip(drawn, _colours([line.group for line in drawn])):
        published = line.group == 'published'
        axes.plot([place for place, _ in line.points],
                  [row.values[column.name] for _, row in line.points],
                  linestyle='--' if published else '-', marker=MARKERS[line.group], color=colour,
                  markersize=5.5, linewidth=2.0 if line.group == 'ours' else 1.2,
                  markerfacecolor='white' if published else colour,
                  zorder=2 + _LAYERS.index(line.group),
                  label=_plain(line.name + ' (published)' * published))
    _ceiling(axes, table, column)
    places = [place for line in drawn for place, _ in line.points if place > 0]
    if table.axis in COSTS and places:
        _rate_axis(axes, min(places) / 1.4, max(places) * 1.4)
    elif places and len(places) > 1 and max(places) / min(places) >= 8:
        everything = {place for line in drawn for place, _ in line.points}
        if min(everything) > 0:
            axes.set_xscale('log', base=2)
        axes.set_xticks(sorted(everything), [f'{place:g}' for place in sorted(everything)])
        axes.minorticks_off()
    _legend(axes)
    axes.set_xlabel(_axis_label(table))
    axes.grid(alpha=0.25)


def _bars(axes: Axes, table: Table, column: Column, drawn: Sequence[Line]) -> None:
    bars = [(f'{place:g}' if isinstance(place, float) else place, line, row, colour)
            for line, colour in zip(drawn, _colours([line.group for line in drawn]))
            for place, row in line.points]
    names = [_plain(f'{place}, {line.name}' if len(drawn) > 1 else place)
             for place, line, _, _ in bars]
    axes.barh(range(len(bars)), [row.values[column.name] for _, _, row, _ in bars],
              color=[colour for *_, colour in bars], alpha=0.85, height=0.62)
    axes.set_yticks(range(len(bars)), names, fontsize=8.5)
    axes.invert_yaxis()
    for at, (_, _, row, _) in enumerate(bars):
        value = row.values[column.name]
        axes.annotate(column.text(value), (max(value, 0), at), xytext=(4, 0),
                      textcoords='offset points', va='center', fontsize=8.5)
    axes.margins(x=0.2)
    axes.grid(alpha=0.25, axis='x')
    axes.set_ylabel(_axis_label(table))


def _ceiling(axes: Axes, table: Table, column: Column) -> None:
    """Draw what the original itself reaches, or say it where that is far off."""
    low, high = axes.get_ylim()
    for row in table.rows:
        value = row.values.get(column.name)
        if row.group != 'reference' or value is None or column.better is None:
            continue
        if low - 2 * (high - low) <= value <= high + 2 * (high - low):
            axes.axhline(value, color='#212121', linestyle=':', linewidth=1.2,
                         label=_plain(row.title))
        else:
            axes.plot([], [], ' ', label=_plain(f'{row.title}: {column.text(value)}'))


def _legend(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 6:
        # Below the axes, which keep their size: the figure grows.
        names = [textwrap.fill(label, LEGEND_CHARACTERS) for label in labels]
        height = sum(1 + name.count('\n') for name in names) / LEGEND_COLUMNS + 1
        figure = axes.get_figure()
        figure.set_size_inches(SIZE[0], SIZE[1] + LEGEND_LINE * height)
        figure.legend(handles, names, fontsize=7.5, frameon=False, loc='outside lower center',
                      ncols=LEGEND_COLUMNS, columnspacing=1.2, handlelength=1.8)
    elif labels:
        axes.legend(fontsize=8, frameon=False)


def _rate_axis(axes: Axes, low: float, high: float) -> None:
    """Make x logarithmic, with some three to eight ticks, written out."""
    axes.set_xscale('log')
    axes.set_xlim(low, high)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [step * 10.0 ** decade for decade in decades for step in steps
                 if low <= step * 10.0 ** decade <= high]
        if len(ticks) >= 3:
            break
    axes.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    axes.minorticks_off()


def _axis_label(table: Table) -> str:
    column = table.column(table.axis)
    if table.axis == 'bpp':
        return 'rate, bit per pixel'
    return column.label if column else table.axis.replace('_', ' ')


def _series(points: Sequence[Mapping[str, Any]]
            ) -> Iterator[tuple[str, str, list[Mapping[str, Any]]]]:
    """Return group, colour and members of each series of a bound's points."""
    keyed: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for point in points:
        key = (point.get('group', 'ours'), point.get('series', point.get('method', '')))
        keyed.setdefault(key, []).append(point)
    for (group, _), colour, members in zip(keyed, _colours([group for group, _ in keyed]),
                                           keyed.values()):
        yield group, colour, members


def _colours(groups: Sequence[str]) -> list[str]:
    """Return a colour for each line: its group's next."""
    used = dict.fromkeys(COLOURS, 0)
    colours = []
    for group in groups:
        colours.append(COLOURS[group][used[group] % len(COLOURS[group])])
        used[group] += 1
    return colours


def _plain(text: str) -> str:
    """Return a text in which a dollar sign begins no formula."""
    return text.replace('$', r'\$')
