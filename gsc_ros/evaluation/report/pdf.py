# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report as a PDF, by reportlab: A4, landscape, the tables' heads on every page."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from html import escape
import io
from pathlib import Path
from typing import Any

import cv2
from gsc_ros.evaluation.report.content import Column, Results, Row, Table
from gsc_ros.evaluation.report.grid import Panel
from gsc_ros.evaluation.report.wording import (
    about_lines,
    bound_text,
    subtitle,
    when,
)
import matplotlib
import numpy as np
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    Image,
    KeepTogether,
    LongTable,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    TableStyle,
)

PAGE = landscape(A4)
MARGIN = 14 * mm
WIDTH = PAGE[0] - 2 * MARGIN
PHOTO_QUALITY = 85
_PLOTS_ABREAST = 3
_PANELS_ABREAST = 3
_CELL_HEIGHT = 140 * mm
# The first column, at least.
_NAME = 58 * mm
# matplotlib brings fonts that have every sign used here; the standard ones of PDF lack some.
_FONTS = {'DejaVu': 'DejaVuSans.ttf', 'DejaVu-Bold': 'DejaVuSans-Bold.ttf',
          'DejaVu-Italic': 'DejaVuSans-Oblique.ttf'}
_MUTED, _LINE = colors.HexColor('#667080'), colors.HexColor('#d5d9e0')
_OURS, _HEAD = colors.HexColor('#fdf1f0'), colors.HexColor('#eef0f4')
_TEXT = ParagraphStyle('text', fontName='DejaVu', fontSize=8, leading=11)
_NOTE = ParagraphStyle('note', _TEXT, fontSize=7, leading=9.5, textColor=_MUTED)
_CELL = ParagraphStyle('cell', _TEXT, fontSize=7, leading=8.5)
_RIGHT = ParagraphStyle('right', _CELL, alignment=2)
_TITLE = ParagraphStyle('title', _TEXT, fontName='DejaVu-Bold', fontSize=17, leading=22)
_HEADING = ParagraphStyle('heading', _TEXT, fontName='DejaVu-Bold', fontSize=11.5, leading=16,
                          spaceBefore=9, spaceAfter=3)
_SUBHEADING = ParagraphStyle('subheading', _HEADING, fontSize=9, leading=12, spaceBefore=6)


def document(results: Results, drawings: Mapping[str, Sequence[tuple[Column, bytes]]],
             bounds: Mapping[str, bytes], pictures: Sequence[tuple[str, Sequence[Panel]]]) -> bytes:
    """
    Return the PDF file.

    :param drawings: PNG files by table and column.
    :param bounds: PNG files by table that a bound belongs to.
    :param pictures: heading and cells of each picture.
    """
    folder = Path(matplotlib.get_data_path()) / 'fonts' / 'ttf'
    for name, file in _FONTS.items():
        pdfmetrics.registerFont(TTFont(name, str(folder / file)))
    pdfmetrics.registerFontFamily('DejaVu', normal='DejaVu', bold='DejaVu-Bold',
                                  italic='DejaVu-Italic', boldItalic='DejaVu-Bold')
    title = str(results.about.get('title', 'gsc eval'))
    story: list[Flowable] = [Paragraph(escape(title), _TITLE),
                             Paragraph(escape(when(results.about)), _NOTE)]
    for content in results.tables:
        story += _table_section(content, drawings.get(content.name, ()))
        if content.name in bounds:
            story.append(KeepTogether([
                Paragraph(escape(bound_text(results.bounds[content.name])), _NOTE), Spacer(0, 4),
                _drawing(bounds[content.name], 0.62 * WIDTH), Spacer(0, 6)]))
    story += _pictures(pictures)
    story += _words('Missing', [[what, why] for what, why in results.missing])
    story += _words('Failures', [[f'{method}, {image}', why]
                                 for method, image, why in results.failures])
    story += _words('How it was measured', about_lines(results.about))
    out = io.BytesIO()
    SimpleDocTemplate(out, pagesize=PAGE, title=title, leftMargin=MARGIN, rightMargin=MARGIN,
                      topMargin=MARGIN, bottomMargin=MARGIN, invariant=1
                      ).build(story, onFirstPage=_number, onLaterPages=_number)
    return out.getvalue()


def _table_section(content: Table, drawings: Sequence[tuple[Column, bytes]]) -> list[Flowable]:
    parts: list[Flowable] = [
        CondPageBreak(50 * mm), Paragraph(escape(content.heading), _HEADING),
        Paragraph(escape(subtitle(content)), _NOTE), Spacer(0, 3), _rows(content)]
    if content.note:
        parts += [Spacer(0, 3), Paragraph(escape(content.note), _NOTE)]
    if content.sources:
        parts += [Spacer(0, 3),
                  Paragraph(escape(f'Published: {"; ".join(content.sources)}.'), _NOTE)]
    images = [_drawing(drawing, WIDTH / _PLOTS_ABREAST - 6) for _, drawing in drawings]
    return [*parts, Spacer(0, 6), *_abreast(images, _PLOTS_ABREAST)]


def _rows(content: Table) -> Flowable:
    if not content.rows:
        return Paragraph('Nothing could be measured.', _TEXT)
    columns = content.shown
    head = [Paragraph('<b>method</b>', _CELL), *(
        Paragraph(f'<b>{escape(column.title)} {column.arrow}</b><br/>'
                  f'<font size="6">{escape(column.unit) or "&nbsp;"}</font>', _RIGHT)
        for column in columns)]
    best, rows = content.best(), content.ordered()
    body = [_cells(row, columns, best) for row in rows]
    style = [('VALIGN', (0, 0), (-1, -1), 'MIDDLE'), ('LINEBELOW', (0, 0), (-1, -1), 0.4, _LINE),
             ('BACKGROUND', (0, 0), (-1, 0), _HEAD), ('TOPPADDING', (0, 0), (-1, -1), 1.5),
             ('BOTTOMPADDING', (0, 0), (-1, -1), 2)]
    for index, row in enumerate(rows, 1):
        if row.group == 'ours':
            style.append(('BACKGROUND', (0, index), (-1, index), _OURS))
        if index > 1 and row.group != rows[index - 2].group:
            style.append(('LINEABOVE', (0, index), (-1, index), 1, _MUTED))
    width = min((WIDTH - _NAME) / max(len(columns), 1), 26 * mm)
    name = min(WIDTH - width * len(columns), 1.7 * _NAME)
    return LongTable([head, *body], colWidths=[name, *[width] * len(columns)], repeatRows=1,
                hAlign='LEFT', style=TableStyle(style))


def _cells(row: Row, columns: Sequence[Column],
           best: Container[tuple[str, str]]) -> list[Paragraph]:
    name = escape(row.name)
    name = f'<i>{name} (published)</i>' if row.published else name
    cells = [Paragraph(name, _CELL)]
    for column in columns:
        text = escape(column.text(row.values.get(column.name)))
        won = (row.method, column.name) in best
        cells.append(Paragraph(f'<b>{text}</b>' if won else text, _RIGHT))
    return cells


def _pictures(pictures: Sequence[tuple[str, Sequence[Panel]]]) -> list[Flowable]:
    parts: list[Flowable] = []
    width = WIDTH / _PANELS_ABREAST - 6
    for index, (heading, cells) in enumerate(pictures):
        if not index:
            parts += [CondPageBreak(70 * mm), Paragraph('Pictures', _HEADING)]
        blocks = [[*(_photo(image, min(width, _fitting(panel))) for image in panel.images),
                   Paragraph(_legend(panel), _NOTE)]
                  for panel in cells]
        rows = _abreast(blocks, _PANELS_ABREAST)
        parts += [KeepTogether([Paragraph(escape(heading), _SUBHEADING), *rows[:1]]), *rows[1:]]
    return parts


def _fitting(panel: Panel) -> float:
    """Return the width at which the images of a cell, one below the other, fit on a page."""
    return _CELL_HEIGHT / sum(image.shape[0] / image.shape[1] for image in panel.images)


def _legend(panel: Panel) -> str:
    caption = f'<br/><i>{escape(panel.caption)}</i>' if panel.caption else ''
    return f'<b>{escape(panel.title)}</b> {escape(panel.note)}{caption}'


def _words(heading: str, pairs: Sequence[Sequence[str]]) -> list[Flowable]:
    if not pairs:
        return []
    body = [[Paragraph(escape(one), _CELL) for one in pair] for pair in pairs]
    return [CondPageBreak(30 * mm), Paragraph(heading, _HEADING), LongTable(
        body, colWidths=[_NAME, WIDTH - _NAME], hAlign='LEFT',
        style=TableStyle([('LINEBELOW', (0, 0), (-1, -1), 0.4, _LINE),
                          ('VALIGN', (0, 0), (-1, -1), 'TOP')]))]


def _abreast(blocks: Sequence[Any], count: int) -> list[Flowable]:
    """Lay blocks out in rows, each of which stays on one page."""
    style = TableStyle([('LEFTPADDING', (0, 0), (-1, -1), 0), ('RIGHTPADDING', (0, 0), (-1, -1), 6),
                        ('VALIGN', (0, 0), (-1, -1), 'TOP')])
    rows = [list(blocks[at:at + count]) for at in range(0, len(blocks), count)]
    return [LongTable([[*row, *[''] * (count - len(row))]], colWidths=[WIDTH / count] * count,
                 style=style, hAlign='LEFT') for row in rows]


def _drawing(data: bytes, width: float) -> Image:
    height, across = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    return Image(io.BytesIO(data), width=width, height=width * height / across, hAlign='LEFT')


def _photo(image: np.ndarray, width: float) -> Image:
    _, data = cv2.imencode('.jpg', np.ascontiguousarray(image[..., ::-1]),
                           [cv2.IMWRITE_JPEG_QUALITY, PHOTO_QUALITY])
    height, across = image.shape[:2]
    return Image(io.BytesIO(data.tobytes()), width=width, height=width * height / across,
                 hAlign='LEFT')


def _number(canvas: Any, template: Any) -> None:
    canvas.setFont('DejaVu', 7)
    canvas.setFillColor(_MUTED)
    canvas.drawRightString(PAGE[0] - MARGIN, 7 * mm, str(template.page))
