# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Curves and bars of a table, and the bound under measured rates, by matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import io
import math
from typing import Any

from gsc_ros.evaluation.report.content import Column, COSTS, Row, Table
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

COLOURS = {
    'ours': ('#c62828', '#ef6c00', '#ad1457', '#8d6e63'),
    'peer': ('#1f77b4', '#2e7d32', '#17a2b8', '#5c6bc0', '#9e9d24', '#546e7a'),
    'external': ('#7b1fa2', '#00838f', '#5d4037', '#303f9f'),
    'published': ('#424242', '#757575', '#9e9e9e', '#616161'),
    'known': ('#455a64', '#78909c'),
    'reference': ('#212121',),
}
MARKERS = {'ours': 'o', 'peer': 's', 'external': 'D', 'published': '^', 'known': 'v'}
SIZE = (5.0, 3.6)
# Drawn in this order, so that ours lie on top.
_LAYERS = ('published', 'peer', 'external', 'known', 'ours')
_FONT = {'svg.fonttype': 'none', 'svg.hashsalt': 'gsc', 'font.size': 9.5,
         'axes.spines.top': False, 'axes.spines.right': False, 'axes.edgecolor': '#888888'}


def charts(table: Table) -> list[tuple[Column, Figure]]:
    """Return a chart for each metric of a table that has anything to draw."""
    drawn = ((column, chart(table, column)) for column in table.metrics)
    return [(column, figure) for column, figure in drawn if figure is not None]


def chart(table: Table, column: Column) -> Figure | None:
    """Return a metric over the table's axis, as curves, or as bars where the axis holds words."""
    places = [(row, place) for row in table.rows
              if row.values.get(column.name) is not None
              and (place := _place(row, table.axis)) is not None]
    if not places:
        return None
    with rc_context(_FONT):
        figure = Figure(figsize=SIZE, layout='constrained')
        axes = figure.subplots()
        if any(isinstance(place, str) for _, place in places):
            _bars(axes, [(row, str(place)) for row, place in places], column)
        else:
            _curves(axes, table, column, places)
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
        for group, series, members in _series(points):
            members = sorted(members, key=lambda point: point['bpp'])
            axes.plot([point['bpp'] for point in members], [point['kept'] for point in members],
                      '-', marker=MARKERS.get(group, 'o'), markersize=5, linewidth=1.4,
                      color=series, label=_plain(_name(members)))
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


def _curves(axes: Axes, table: Table, column: Column,
            places: Sequence[tuple[Row, float]]) -> None:
    rates = [place for row, place in places if row.group != 'reference' and place > 0]
    for group, colour, members in _by_series(places):
        if group == 'reference':
            continue
        members = sorted(members, key=lambda entry: entry[1])
        published = group == 'published'
        axes.plot([place for _, place in members],
                  [row.values[column.name] for row, _ in members],
                  linestyle='--' if published else '-', marker=MARKERS[group], color=colour,
                  markersize=5.5, linewidth=2.0 if group == 'ours' else 1.2,
                  markerfacecolor='white' if published else colour,
                  zorder=2 + _LAYERS.index(group),
                  label=_plain(_name([{'title': row.title, 'series': row.series}
                                      for row, _ in members])
                               + (' (published)' if published else '')))
    _ceiling(axes, table, column)
    if table.axis in COSTS and rates:
        _rate_axis(axes, min(rates) / 1.4, max(rates) * 1.4)
    elif rates and min(rates) > 0 and max(rates) / min(rates) >= 8:
        axes.set_xscale('log', base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    _legend(axes)
    axes.set_xlabel(_axis_label(table))
    axes.grid(alpha=0.25)


def _bars(axes: Axes, places: Sequence[tuple[Row, str]], column: Column) -> None:
    names = [_plain(row.title) for row, _ in places]
    values = [row.values[column.name] for row, _ in places]
    colours = [COLOURS[row.group][0] for row, _ in places]
    axes.barh(range(len(places)), values, color=colours, alpha=0.85, height=0.62)
    axes.set_yticks(range(len(places)), names)
    axes.invert_yaxis()
    for at, value in enumerate(values):
        axes.annotate(column.text(value), (value, at), xytext=(4, 0), textcoords='offset points',
                      va='center', fontsize=8.5)
    axes.margins(x=0.14)
    axes.grid(alpha=0.25, axis='x')


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
        axes.legend(fontsize=7.5, frameon=False, loc='upper center', ncols=3,
                    bbox_to_anchor=(0.5, -0.16), columnspacing=1.2, handlelength=1.8)
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


def _place(row: Row, axis: str) -> float | str | None:
    """Return where a row stands along the axis."""
    if row.group == 'reference':
        return 0.0
    place = row.values.get(axis, row.parameter.get(axis))
    if place is None or isinstance(place, str):
        return place
    return str(place) if isinstance(place, bool | list | tuple) else float(place)


def _by_series(places: Sequence[tuple[Row, float]]
                    ) -> Iterator[tuple[str, str, list[tuple[Row, float]]]]:
    """Return group, colour and members of each series, ours last."""
    keyed: dict[tuple[str, str], list[tuple[Row, float]]] = {}
    for row, place in places:
        keyed.setdefault((row.group, row.series), []).append((row, place))
    yield from _coloured(keyed)


def _series(points: Sequence[Mapping[str, Any]]
            ) -> Iterator[tuple[str, str, list[Mapping[str, Any]]]]:
    keyed: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for point in points:
        key = (point.get('group', 'ours'), point.get('series', point.get('method', '')))
        keyed.setdefault(key, []).append(point)
    yield from _coloured(keyed)


def _coloured(keyed: Mapping[tuple[str, str], list[Any]]) -> Iterator[tuple[str, str, list[Any]]]:
    used = dict.fromkeys(COLOURS, 0)
    for (group, _), members in keyed.items():
        colours = COLOURS[group]
        yield group, colours[used[group] % len(colours)], members
        used[group] += 1


def _name(members: Sequence[Mapping[str, Any]]) -> str:
    """Return what the titles of a series have in common: `ours, C = 1` and `... 2` are `ours`."""
    titles = [str(member['title']) for member in members]
    if len(titles) == 1:
        return titles[0]
    shared = titles[0]
    for title in titles[1:]:
        while not title.startswith(shared):
            shared = shared[:-1]
    # Not in the middle of a word or a number.
    shared = shared.rstrip('0123456789.').rstrip(' ,=:(-')
    shared = shared.removesuffix(', C').removesuffix(' C')
    return shared or str(members[0]['series'])


def _plain(text: str) -> str:
    """Return a text in which a dollar sign begins no formula."""
    return text.replace('$', r'\$')
