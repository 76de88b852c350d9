# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a report into a folder: report.html, report.pdf, and tables and plots as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gsc_ros.evaluation.report import html, pdf
from gsc_ros.evaluation.report.chart import bound_chart, charts, rendered
from gsc_ros.evaluation.report.content import parse, Table
from gsc_ros.evaluation.report.grid import panels
from gsc_ros.evaluation.report.spreadsheet import as_csv, as_markdown

PAGE, PAPER, MARKDOWN = 'report.html', 'report.pdf', 'tables.md'


def write(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """
    Write the report; return its files, the page first.

    `tables/` gets a CSV and `plots/` an SVG for each table and metric; tables.md has all tables.

    :param results: what results.json holds.
    :param folder: where the pictures that the results name are, and where the report goes.
    :raises ReportError: the results lack something, or a picture is missing or damaged.
    :raises OSError: the folder cannot be written.
    """
    content = parse(results)
    # A bound has a chart of its own, which says all that its table does.
    figures = {table.name: [] if table.name in content.bounds else charts(table)
               for table in content.tables}
    bounds = {name: bound_chart(bound) for name, bound in content.bounds.items()}
    pictures = [(f'{_title(picture.table, content.tables)}: {picture.image}',
                 list(panels(picture, folder))) for picture in content.pictures]
    vector, raster = ({name: [(column, rendered(figure, kind)) for column, figure in drawn]
                       for name, drawn in figures.items()} for kind in ('svg', 'png'))
    vector_bounds, raster_bounds = (
        {name: rendered(figure, kind) for name, figure in bounds.items()}
        for kind in ('svg', 'png'))
    files = {PAGE: html.page(content, vector, vector_bounds, pictures).encode(
                 'utf-8', 'backslashreplace'),  # a file's name need not be Unicode
             PAPER: pdf.document(content, raster, raster_bounds, pictures),
             MARKDOWN: as_markdown(content).encode('utf-8', 'backslashreplace')}
    for table in content.tables:
        files[f'tables/{table.name}.csv'] = as_csv(table).encode('utf-8', 'backslashreplace')
        for column, drawing in vector[table.name]:
            files[f'plots/{table.name}-{column.name}.svg'] = drawing
    for name, drawing in vector_bounds.items():
        files[f'plots/{name}.svg'] = drawing
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return [folder / name for name in files]


def _title(name: str, tables: Sequence[Table]) -> str:
    """Return the title of a table, or of the first of the tables of a part."""
    return next((table.title for table in tables
                 if table.name == name or table.name.startswith(f'{name}-')), name)
