# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables as CSV, for other programs, and as Markdown, for documents."""

from __future__ import annotations

from collections.abc import Mapping
import csv
import io
import json
from typing import Any

from gsc_ros.evaluation.report.content import Results, Table
from gsc_ros.evaluation.report.wording import bound_cells, BOUND_HEAD, bound_text, subtitle


def as_csv(content: Table) -> str:
    """Return a table with all digits; what was not measured is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator='\n')
    names = [column.name for column in content.columns]
    writer.writerow(['method', 'title', 'series', 'group', 'published', 'source', 'images',
                     'parameter', *names])
    for row in content.rows:
        writer.writerow([
            row.method, row.title, row.series, row.group, int(row.published), row.source,
            '' if row.images is None else row.images,
            json.dumps(dict(row.parameter), sort_keys=True) if row.parameter else '',
            *('' if row.values.get(name) is None else row.values[name] for name in names)])
    return out.getvalue()


def as_markdown(results: Results) -> str:
    """Return all tables, each under a heading of its own."""
    return '\n'.join([*(_section(content) for content in results.tables),
                      *(_bound(bound) for bound in results.bounds)])


def _section(content: Table) -> str:
    columns, best = content.shown, content.best()
    lines = [f'## {content.title}', '', f'{_sentence(subtitle(content))}{content.note}'.strip(), '',
             '| ' + ' | '.join(['method', *(f'{column.title} {column.arrow}'.strip()
                                            for column in columns)]) + ' |',
             '|' + '|'.join(['---', *['--:'] * len(columns)]) + '|']
    for row in content.ordered():
        cells = []
        for column in columns:
            text = column.text(row.values.get(column.name))
            cells.append(f'**{text}**' if (row.method, column.name) in best else text)
        name = f'*{row.title} (published)*' if row.published else row.title
        lines.append('| ' + ' | '.join([name, *cells]) + ' |')
    sources = sorted({row.source for row in content.rows if row.published and row.source})
    if sources:
        lines += ['', f'Published: {"; ".join(sources)}.']
    return '\n'.join([*lines, ''])


def _bound(bound: Mapping[str, Any]) -> str:
    lines = [f'## Bound: {bound.get("title", "")}', '', bound_text(bound), '',
             '| ' + ' | '.join(['method', *BOUND_HEAD]) + ' |', '|---' + '|--:' * 5 + '|']
    lines += ['| ' + ' | '.join(bound_cells(point)) + ' |' for point in bound['points']]
    return '\n'.join([*lines, ''])


def _sentence(text: str) -> str:
    return f'{text}. ' if text else ''
