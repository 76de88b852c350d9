# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
From rows to the tables of a run: one for each task of a part, or one of a whole ablation.

A table is a dict of JSON values, see docs/evaluation.md: `columns` name the metrics, `rows` have
a `values` by column, `published` ones among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
import math
from typing import Any

from gsc_ros.evaluation.dataset.dataset import Dataset
from gsc_ros.evaluation.run.cache import RowCache
from gsc_ros.evaluation.run.method import Group, Scalar
from gsc_ros.evaluation.run.opening import KINDS, open_task
from gsc_ros.evaluation.run.picture_task import BoundTask
from gsc_ros.evaluation.run.published import PUBLISHED, PUBLISHED_TASK
from gsc_ros.evaluation.run.spec import PartSpec, RATE_AXIS
from gsc_ros.evaluation.run.task import Column, RunTask
from gsc_ros.evaluation.run.work import Done

RATE_COLUMNS = (Column('bytes', 'bytes', 'B', 'lower', 0),
                Column('bpp', 'bpp', 'bit/pixel', 'lower', 4))
TEXT_COLUMN = Column('text_bytes', 'caption', 'B', 'lower', 1)


@dataclass
class Collected:
    """
    What the jobs of a part said, by number of the method.

    :param keys: of the rows, by task, in the order of the pictures.
    :param titles: title, series and group.
    """

    keys: dict[tuple[int, str], dict[int, str]] = field(default_factory=dict)
    titles: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    cells: dict[int, dict[int, dict[str, Any]]] = field(default_factory=dict)
    images: dict[int, tuple[str, tuple[int, int]]] = field(default_factory=dict)

    def add(self, done: Done) -> None:
        """Take in what a job said."""
        for entry in done.entries:
            self.keys.setdefault((entry.method, entry.task), {})[done.job.index] = entry.key
        self.titles |= done.titles
        self.images[done.job.index] = (done.image, done.size)
        if done.cells:
            self.cells.setdefault(done.job.index, {}).update(done.cells)


def tables(part: PartSpec, dataset: Dataset, collected: Collected,
           cache: RowCache) -> dict[str, dict[str, Any]]:
    """Return the tables of a part by name."""
    tasks = [open_task(task, dataset.classes) for task in part.tasks]
    groups = [[task] for task in tasks] if part.axis == RATE_AXIS else [tasks]
    result = {}
    for group in groups:
        kind = group[0].spec.kind if part.axis == RATE_AXIS else 'ablation'
        name = f'{part.name}-{kind}' if part.axis == RATE_AXIS else part.name
        rows = [row for number in range(len(part.methods))
                if (row := _row(part, number, group, collected, cache))]
        columns = [*RATE_COLUMNS, *(column for task in group for column in task.columns)]
        if any(row['values'].get('text_bytes') for row in rows):
            columns.insert(2, TEXT_COLUMN)
        published = []
        if part.published and PUBLISHED_TASK[part.published] in (kind, None):
            published = _published(part.published, columns)
        result[name] = {
            'task': kind, 'title': part.title, 'data': _data_words(part, dataset, collected),
            'network': _network_words(group), 'reference': _reference(dataset, group),
            'note': ' '.join(task.note(dataset.truth) for task in group), 'axis': part.axis,
            'images': len(dataset.names), 'columns': [asdict(column) for column in columns],
            'rows': rows + published}
    return result


def bounds(part: PartSpec, dataset: Dataset, collected: Collected,
           cache: RowCache) -> dict[str, dict[str, Any]]:
    """Return the bound on the rate for a part that asks for it, with its methods beside it."""
    result = {}
    for spec in part.tasks:
        task = open_task(spec, dataset.classes)
        if not isinstance(task, BoundTask):
            continue
        described: list[dict[str, Any]] = []
        points = []
        for number in range(len(part.methods)):
            row = _row(part, number, [task], collected, cache)
            if row is not None:
                described = _counted(number, task, collected, cache)
                points.append({name: row[name] for name in ('method', 'title', 'series', 'group')}
                              | {name: row['values'][name] for name in ('bpp', 'kept')})
        if described:
            result[f'{part.name}-{spec.kind}'] = {
                'title': part.title, 'data': _data_words(part, dataset, collected),
                **task.study(described, points)}
    return result


def pictures(part: PartSpec, collected: Collected) -> list[dict[str, Any]]:
    """Return the gallery of a part, its pictures in order, the original first."""
    order = sorted(range(len(part.methods)),
                   key=lambda number: part.methods[number].kind != 'original')
    result = []
    for index, cells in sorted(collected.cells.items()):
        name, (width, height) = collected.images[index]
        result.append({
            'table': part.name, 'image': name, 'width': width, 'height': height, 'cells': [
                {'method': part.methods[number].name, 'title': collected.titles[number][0],
                 'group': collected.titles[number][2], **cells[number]}
                for number in order if number in cells]})
    return result


def _row(part: PartSpec, number: int, tasks: Sequence[RunTask], collected: Collected,
         cache: RowCache) -> dict[str, Any] | None:
    """Return the row of a method; None when it has no figures."""
    values: dict[str, float | None] = {}
    images = 0
    for task in tasks:
        rows = _rows(number, task, collected, cache)
        counted = _counted(number, task, collected, cache)
        if not counted:
            continue
        images = min(images or len(rows), len(rows))
        values |= {name: _mean([row[name] for row in rows]) for name in ('bytes', 'bpp')}
        values |= {f'{section}_bytes': _mean([row['sections'].get(section, 0) for row in rows])
                   for section in rows[0]['sections']}
        values |= task.join(counted)
    if not values:
        return None
    spec = part.methods[number]
    title, series, group = collected.titles[number]
    parameter: dict[str, Scalar] = KINDS[spec.kind] | dict(spec.options)
    return {'method': spec.name, 'title': title, 'series': series, 'group': group,
            'published': False, 'source': '', 'parameter': parameter, 'images': images,
            'values': values}


def _rows(number: int, task: RunTask, collected: Collected,
          cache: RowCache) -> list[dict[str, Any]]:
    """Return the rows of a method, in the order of the pictures."""
    keys = collected.keys.get((number, task.spec.kind), {})
    return [cache[keys[index]] for index in sorted(keys)]


def _counted(number: int, task: RunTask, collected: Collected,
             cache: RowCache) -> list[dict[str, Any]]:
    return [row['values'] for row in _rows(number, task, collected, cache) if row['values']]


def _published(word: str, columns: Sequence[Column]) -> list[dict[str, Any]]:
    return [{'method': f'published-{number}', 'title': figure.title, 'series': 'published',
             'group': Group.PUBLISHED.value, 'published': True,
             'source': figure.source + (f': {figure.claim}' if figure.claim else ''),
             'parameter': {}, 'images': None,
             'values': {column.name: None for column in columns} | {'bpp': figure.bpp}
             | {name: value for name, value in figure.values.items()
                if name in {column.name for column in columns}}}
            for number, figure in enumerate(PUBLISHED[word])]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _data_words(part: PartSpec, dataset: Dataset, collected: Collected) -> str:
    """Return how many pictures of what size from where."""
    sizes = {size for _, size in collected.images.values() if size != (0, 0)}
    size = ' at {}x{}'.format(*sizes.pop()) if len(sizes) == 1 else ' of several sizes'
    count = len(dataset.names)
    which = {'first': ', the first ones', 'spread': ''}[part.data.pick]
    return f'{dataset.name}: {count} picture{"s" * (count != 1)}{size}{which}'


def _network_words(tasks: Sequence[RunTask]) -> str | None:
    words = []
    for task in tasks:
        options: Mapping[str, Scalar] = dict(task.spec.options)
        if options.get('network'):
            model = options.get('model')
            words.append(f'{options["network"]}'
                         + (f' ({str(model).rpartition("/")[2]})' if model else ''))
    return ', '.join(words) or None


def _reference(dataset: Dataset, tasks: Sequence[RunTask]) -> str:
    if all(task.spec.kind in ('images', 'bound') for task in tasks):
        return 'the original'
    return 'ground truth' if dataset.truth else 'prediction on the original'
