# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which rows of a table make a line of a chart, where they stand on it, and what it is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gsc_ros.evaluation.report.content import COSTS, MEASURED, Row, Table

_MAX_WORDS = 28


@dataclass(frozen=True)
class Line:
    """
    Rows that belong together.

    :param points: place and row, in ascending order where places are numbers.
    """

    name: str
    group: str
    points: Sequence[tuple[float | str, Row]]


def lines(table: Table, column: str) -> list[Line]:
    """
    Return the lines of a metric's chart: over the rate by series, over a parameter by the others.

    Known errors and the original have no rate and no line. Without a measured row there are none.
    """
    rows = [row for row in table.rows if row.values.get(column) is not None
            and row.group in (*MEASURED, 'published') and _place(row, table.axis) is not None]
    if not any(row.group in MEASURED for row in rows):
        return []
    over_rate = table.axis in COSTS
    differing = () if over_rate else _differing(table.rows, table.axis)
    families = {_family(row) for row in rows}
    grouped: dict[Any, list[Row]] = {}
    for row in rows:
        key = (row.group, row.series) if over_rate else (
            row.group, _family(row), *(repr(row.parameter.get(name)) for name in differing))
        grouped.setdefault(key, []).append(row)
    made = []
    for members in grouped.values():
        name = common_name([row.title for row in members], members[0].series)
        if not over_rate:
            words = [said for one in differing if (said := _said(one, members[0].parameter))]
            base = [_family(members[0])] if len(families) > 1 or not words else []
            name = ', '.join([*base, *words])
        points = [(_place(row, table.axis), row) for row in members]
        if not any(isinstance(place, str) for place, _ in points):
            points.sort(key=lambda point: point[0])
        made.append(Line(name, members[0].group, points))
    return made


def common_name(titles: Sequence[str], otherwise: str = '') -> str:
    """Return what titles have in common: `ours, C = 1` and `ours, C = 2` are `ours`."""
    if len(set(titles)) == 1:
        return titles[0]
    parts = [title.split(', ') for title in titles]
    shared = [part for part in parts[0] if all(part in others for others in parts[1:])]
    return ', '.join(shared) or otherwise or titles[0]


def _differing(rows: Sequence[Row], axis: str) -> tuple[str, ...]:
    """Return the parameters, but for the axis, that rows which have them differ in."""
    values: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.parameter.items():
            if name != axis:
                values.setdefault(name, set()).add(repr(value))
    return tuple(name for name, found in values.items() if len(found) > 1)


def _family(row: Row) -> str:
    return row.title.partition(', ')[0]


def _said(name: str, parameter: Any) -> str:
    """Return a parameter in words; what a row leaves to the default is not said."""
    value = parameter.get(name)
    if value is None:
        return ''
    if name == 'channels':
        return f'C = {value}'
    return f'{name.replace("_", " ")} {_word(value)}'


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    text = str(value)
    return text if len(text) <= _MAX_WORDS else f'{text[:_MAX_WORDS - 1]}…'


def _place(row: Row, axis: str) -> float | str | None:
    """Return where a row stands along the axis: a number, or a word."""
    place = row.values.get(axis)
    if place is None:
        place = row.parameter.get(axis)
    if place is None:
        return None
    return float(place) if isinstance(place, int | float) and not isinstance(place, bool) \
        else _word(place)
