# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a report shows, read from results.json.

A run writes its results as JSON values; here they become types, so that whoever draws a table need
not ask whether a key is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import math
from typing import Any

#: What a row is, in the order in which tables show them.
GROUPS = ('reference', 'known', 'published', 'external', 'peer', 'ours')
#: Those that compete for the best figure of a column.
MEASURED = ('external', 'peer', 'ours')
#: Columns that say what a row costs; the others say how good it is.
COSTS = ('bytes', 'bpp', 'text_bytes')
_TASKS = {'depth': 'depth', 'segmentation': 'segmentation', 'detection': 'detection',
          'images': 'image quality', 'bound': 'bound on the rate'}


class ReportError(ValueError):
    """Results cannot be shown; the message says what is missing or wrong."""


@dataclass(frozen=True)
class Column:
    """
    One figure of every row.

    :param better: 'lower', 'higher', or None where neither is.
    :param digits: behind the decimal point.
    """

    name: str
    title: str
    unit: str = ''
    better: str | None = None
    digits: int = 3

    def text(self, value: float | None) -> str:
        """Return a value as a table shows it; a dash for one that is not there."""
        if value is None or not math.isfinite(value):
            return '–'
        return f'{value:,.{self.digits}f}'

    @property
    def label(self) -> str:
        """Return title and unit, for an axis."""
        return f'{self.title}, {self.unit}' if self.unit and self.unit != self.title else self.title

    @property
    def arrow(self) -> str:
        """Return which way is better, as a sign."""
        return {'lower': '↓', 'higher': '↑'}.get(self.better or '', '')


@dataclass(frozen=True)
class Row:
    """
    One method at one setting.

    :param series: rows of one series are points of one line.
    :param group: of GROUPS.
    :param source: where a published row is from.
    :param values: by column; what is not there was not measured.
    :param images: the pictures that it is of, and `wanted` those that there are.
    """

    method: str
    title: str
    series: str
    group: str
    values: Mapping[str, float]
    published: bool = False
    source: str = ''
    parameter: Mapping[str, Any] = field(default_factory=dict)
    images: int | None = None
    wanted: int | None = None

    @property
    def name(self) -> str:
        """Return the title as a table shows it: a mean over fewer pictures is marked."""
        return self.title + fewer(self.images, self.wanted)


def fewer(images: int | None, wanted: int | None) -> str:
    """Return the words that mark a row which is not of all pictures; empty for the others."""
    if images is None or wanted is None or images >= wanted:
        return ''
    return f' ({images} of {wanted} pictures)'


@dataclass(frozen=True)
class Table:
    """
    One table of results.

    :param axis: what plots have along x: a cost, or a parameter of the rows.
    """

    name: str
    title: str
    task: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    axis: str = 'bpp'
    data: str = ''
    network: str | None = None
    reference: str = ''
    note: str = ''

    @property
    def shown(self) -> list[Column]:
        """Return the columns that any row has."""
        return [column for column in self.columns
                if any(row.values.get(column.name) is not None for row in self.rows)]

    @property
    def metrics(self) -> list[Column]:
        """
        Return those of them that are compared and drawn.

        Over the rate it is how good a row is; over a parameter also what that costs, once.
        """
        left_out = COSTS if self.axis in COSTS else ('bpp',)
        return [column for column in self.shown if column.name not in left_out]

    @property
    def heading(self) -> str:
        """Return the title with the task, where the title does not say it."""
        task = _TASKS.get(self.task, '')
        return self.title if task.lower() in self.title.lower() else f'{self.title}: {task}'

    @property
    def sources(self) -> list[str]:
        """Return where published rows are from, each once."""
        return list(dict.fromkeys(row.source for row in self.rows if row.published and row.source))

    def column(self, name: str) -> Column | None:
        """Return a column by name."""
        return next((column for column in self.columns if column.name == name), None)

    def ordered(self) -> list[Row]:
        """Return the rows by group; within one as they came."""
        return sorted(self.rows, key=lambda row: GROUPS.index(row.group))

    def best(self) -> set[tuple[str, str]]:
        """
        Return method and column of the best measured figures: neither known nor published.

        A row of fewer pictures than others does not compete: they may be the easy ones.
        """
        measured = [row for row in self.rows if row.group in MEASURED and not row.published]
        most = max((row.images or 0 for row in measured), default=0)
        measured = [row for row in measured if row.images is None or row.images == most]
        found = set()
        for column in self.metrics:
            rows = [row for row in measured if row.values.get(column.name) is not None]
            values = {row.values[column.name] for row in rows}
            if len(values) > 1 and column.better:
                record = max(values) if column.better == 'higher' else min(values)
                found |= {(row.method, column.name) for row in rows
                          if row.values[column.name] == record}
        return found


@dataclass(frozen=True)
class Cell:
    """
    What one method made of a picture, and what the networks said of it.

    :param file: the image, relative to the folder of the report.
    :param depth: a file of float16 [H, W], as .npy; larger is nearer unless `metres`.
    :param labels: an image of class indices.
    :param boxes: each with `box` [left, top, right, bottom], `name` and `score`; None where no
        detector ran.
    """

    title: str
    group: str
    file: str
    bytes: float | None = None
    bpp: float | None = None
    caption: str = ''
    depth: str | None = None
    metres: bool = False
    labels: str | None = None
    class_names: Sequence[str] = ()
    boxes: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Picture:
    """One picture by all methods; the first cell is the original."""

    table: str
    image: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Results:
    """
    All that a report shows.

    :param about: title, command, date, seconds, versions, profile, machine: whatever is known.
    :param missing: pairs of what could not be used and why.
    :param failures: triples of method, image and reason.
    :param bounds: what evaluation/bound says, by name of the table that has its figures.
    """

    about: Mapping[str, Any]
    tables: Sequence[Table]
    pictures: Sequence[Picture]
    missing: Sequence[tuple[str, str]]
    failures: Sequence[tuple[str, str, str]]
    bounds: Mapping[str, Mapping[str, Any]]


def parse(results: Mapping[str, Any]) -> Results:
    """
    Return the content of results.json.

    :raises ReportError: something that must be there is not.
    """
    try:
        return Results(
            about=results.get('about') or {},
            tables=[_table(name, entry) for name, entry in (results.get('tables') or {}).items()],
            pictures=[Picture(entry['table'], entry['image'],
                              [_known(Cell, cell) for cell in entry['cells']])
                      for entry in results.get('pictures') or ()],
            missing=[(entry['what'], entry['reason']) for entry in results.get('missing') or ()],
            failures=[(entry['method'], entry['image'], entry['reason'])
                      for entry in results.get('failures') or ()],
            bounds=results.get('bounds') or {})
    except (AttributeError, KeyError, TypeError) as error:
        raise ReportError(f'not the results of an evaluation: {error}') from error


def _table(name: str, entry: Mapping[str, Any]) -> Table:
    rows = [_known(Row, {**row, 'wanted': entry.get('images')}) for row in entry['rows']]
    for row in rows:
        if row.group not in GROUPS:
            raise ReportError(f'{name}: no group of rows is called {row.group!r}')
    return _known(Table, {**entry, 'name': name, 'rows': rows,
                          'columns': [_known(Column, column) for column in entry['columns']]})


def _known(kind: type, values: Mapping[str, Any]) -> Any:
    """Return an instance made of what it knows; a newer run may say more."""
    names = kind.__dataclass_fields__
    return kind(**{name: value for name, value in values.items()
                   if name in names and value is not None})
