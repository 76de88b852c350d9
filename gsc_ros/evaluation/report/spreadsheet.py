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
from gsc_ros.evaluation.report.wording import bound_text, subtitle


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
    return '\n'.join(_section(content, results.bounds.get(content.name))
                     for content in results.tables)


def _section(content: Table, bound: Mapping[str, Any] | None) -> str:
    columns, best = content.shown, content.best()
    words = f'{_sentence(subtitle(content))}{content.note}'.strip()
    lines = [f'## {content.heading}', '', words, '',
             '| ' + ' | '.join(['method', *(f'{column.title} {column.arrow}'.strip()
                                            for column in columns)]) + ' |',
             '|' + '|'.join(['---', *['--:'] * len(columns)]) + '|']
    for row in content.ordered():
        cells = []
        for column in columns:
            text = column.text(row.values.get(column.name))
            cells.append(f'**{text}**' if (row.method, column.name) in best else text)
        title = row.name.replace('|', r'\|')
        name = f'*{title} (published)*' if row.published else title
        lines.append('| ' + ' | '.join([name, *cells]) + ' |')
    if content.sources:
        lines += ['', f'Published: {"; ".join(content.sources)}.']
    if bound:
        lines += ['', bound_text(bound)]
    return '\n'.join([*lines, ''])


def _sentence(text: str) -> str:
    return f'{text}. ' if text else ''
