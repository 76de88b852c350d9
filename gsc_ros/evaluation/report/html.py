# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML file that needs nothing beside it and no network."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from html import escape
from typing import Any

from gsc_ros.evaluation.markup import document, photo, svg, table
from gsc_ros.evaluation.report.content import Column, Results, Row, Table
from gsc_ros.evaluation.report.grid import Panel
from gsc_ros.evaluation.report.wording import (
    about_lines,
    bound_text,
    subtitle,
    when,
)

PHOTO_QUALITY = 82


def page(results: Results, drawings: Mapping[str, Sequence[tuple[Column, bytes]]],
         bounds: Mapping[str, bytes], pictures: Sequence[tuple[str, Sequence[Panel]]]) -> str:
    """
    Return the page.

    :param drawings: SVG files by table and column.
    :param bounds: SVG files by table that a bound belongs to.
    :param pictures: heading and cells of each picture.
    """
    sections = [_header(results)]
    sections += [
        _table_section(one, drawings.get(one.name, ()), results.bounds.get(one.name),
                       bounds.get(one.name)) for one in results.tables]
    sections += [_pictures(pictures), _missing(results), _how(results)]
    return document(str(results.about.get('title', 'gsc eval')), sections)


def _header(results: Results) -> str:
    about = results.about
    links = [(one.name, one.heading) for one in results.tables]
    links += [('pictures', 'Pictures')] * bool(results.pictures)
    links += [('missing', 'Missing')] * bool(results.missing or results.failures)
    toc = ''.join(f'<a href="#{escape(name)}">{escape(title)}</a>' for name, title in links)
    return (f'<header><h1>{escape(str(about.get("title", "gsc eval")))}</h1>'
            f'<p class="note">{escape(when(about))}</p><nav>{toc}</nav></header>')


def _table_section(content: Table, drawings: Sequence[tuple[Column, bytes]],
                   bound: Mapping[str, Any] | None, bound_drawing: bytes | None) -> str:
    plots = ''.join(svg(drawing, f'{content.heading}: {column.label}')
                    for column, drawing in drawings)
    parts = [f'<section id="{escape(content.name)}"><h2>{escape(content.heading)}</h2>',
             f'<p class="note">{escape(subtitle(content))}</p>', _rows(content)]
    if content.note:
        parts.append(f'<p class="note">{escape(content.note)}</p>')
    if content.sources:
        sources = ''.join(f'<li>{escape(source)}</li>' for source in content.sources)
        parts.append(f'<details class="note"><summary>Where published figures are from</summary>'
                     f'<ul>{sources}</ul></details>')
    if bound and bound_drawing:
        parts.append(f'<p class="note">{escape(bound_text(bound))}</p><div class="single">'
                     f'{svg(bound_drawing, "Information kept over the rate")}</div>')
    if plots:
        parts.append(f'<div class="plots small">{plots}</div>')
    return ''.join(parts) + '</section>'


def _rows(content: Table) -> str:
    if not content.rows:
        return '<p>Nothing could be measured.</p>'
    columns = content.shown
    head = ''.join(f'<th>{escape(column.title)} {column.arrow}'
                   f'<small>{escape(column.unit) or "&nbsp;"}</small></th>' for column in columns)
    best = content.best()
    body, group = [], None
    for row in content.ordered():
        first = group is not None and row.group != group
        group = row.group
        body.append(_row(row, columns, best, first))
    return (f'<div class="scroll"><table><thead><tr><th>method<small>&nbsp;</small></th>{head}'
            f'</tr></thead><tbody>{"".join(body)}</tbody></table></div>')


def _row(row: Row, columns: Sequence[Column], best: Container[tuple[str, str]],
         first: bool) -> str:
    kind = ' '.join([row.group] + ['first'] * first)
    name = escape(row.name)
    if row.published:
        name += f' <span title="{escape(row.source)}">(published)</span>'
    cells = []
    for column in columns:
        text = escape(column.text(row.values.get(column.name)))
        won = (row.method, column.name) in best
        cells.append(f'<td>{f"<b>{text}</b>" if won else text}</td>')
    return f'<tr class="{kind}"><td>{name}</td>{"".join(cells)}</tr>'


def _pictures(pictures: Sequence[tuple[str, Sequence[Panel]]]) -> str:
    if not pictures:
        return ''
    parts = []
    for heading, cells in pictures:
        figures = ''.join(_figure(panel) for panel in cells)
        tall = any(image.shape[0] > image.shape[1] for panel in cells for image in panel.images)
        parts.append(f'<h3>{escape(heading)}</h3>'
                     f'<div class="gallery {"tall" if tall else "wide"}">{figures}</div>')
    return f'<section id="pictures"><h2>Pictures</h2>{"".join(parts)}</section>'


def _figure(panel: Panel) -> str:
    images = ''.join(photo(image, panel.title, PHOTO_QUALITY) for image in panel.images)
    caption = f'<q>{escape(panel.caption)}</q>' if panel.caption else ''
    return (f'<figure>{images}<figcaption><b>{escape(panel.title)}</b> {escape(panel.note)}'
            f'{caption}</figcaption></figure>')


def _missing(results: Results) -> str:
    parts = []
    if results.missing:
        parts.append(table('what', ['why it is not here'],
                           [list(pair) for pair in results.missing], kind='words'))
    if results.failures:
        parts.append('<details><summary>Failures</summary>' + table(
            'method', ['picture', 'reason'], [list(one) for one in results.failures],
            kind='words') + '</details>')
    if not parts:
        return ''
    return f'<section id="missing"><h2>Missing</h2>{"".join(parts)}</section>'


def _how(results: Results) -> str:
    body = about_lines(results.about)
    return f'<section><h2>How it was measured</h2>{table("", [""], body, kind="words")}</section>'
