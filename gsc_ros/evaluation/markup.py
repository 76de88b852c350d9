# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What pages of results are made of: one HTML file that needs nothing beside it and no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np

JPEG_QUALITY = 90


def document(title: str, sections: Iterable[str]) -> str:
    """Return the page, for light and dark screens."""
    return (f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
            f'<title>{escape(title)}</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<style>{_STYLE}</style></head><body><main>{"".join(sections)}</main></body></html>\n')


def table(first: str, head: Iterable[str], body: Iterable[Sequence[str]], kind: str = '') -> str:
    """
    Return a table of plain texts.

    :param first: head of the first column; `head` has the others.
    :param kind: its class: `words` where no column holds numbers.
    """
    columns = ''.join(f'<th>{escape(name)}</th>' for name in (first, *head))
    rows = ''.join('<tr>' + ''.join(f'<td>{escape(cell)}</td>' for cell in row) + '</tr>'
                   for row in body)
    return (f'<table class="{kind}"><thead><tr>{columns}</tr></thead>'
            f'<tbody>{rows}</tbody></table>')


def svg(drawing: bytes, alternative: str) -> str:
    """Return a drawing as a picture of the page; `alternative` says what it shows."""
    return (f'<img alt="{escape(alternative)}" '
            f'src="data:image/svg+xml;base64,{base64.b64encode(drawing).decode()}">')


def photo(image: np.ndarray, alternative: str, quality: int = JPEG_QUALITY) -> str:
    """Return an image, uint8 [H, W, 3] RGB, as a JPEG picture of the page."""
    _, data = cv2.imencode('.jpg', np.ascontiguousarray(image[..., ::-1]),
                           [cv2.IMWRITE_JPEG_QUALITY, quality])
    encoded = base64.b64encode(data.tobytes()).decode()
    height, width = image.shape[:2]  # known before it is decoded, so that nothing moves
    return (f'<img alt="{escape(alternative)}" width="{width}" height="{height}" decoding="async" '
            f'src="data:image/jpeg;base64,{encoded}">')


_STYLE = """
:root { --page: #f5f6f8; --card: #fff; --ink: #1b1f27; --muted: #667080; --line: #e1e4ea;
  --bad: #c92f2f; --ours: #fdf1f0; --accent: #b3261e; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --page: #14161a; --card: #1d2026; --ink: #e8eaee;
  --muted: #969eab; --line: #30353e; --bad: #ff7b72; --ours: #2b1f22; --accent: #ff9d94; } }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: 32px 24px 80px; }
h1 { margin: 0; } h2 { margin: 40px 0 10px; } h3 { margin: 24px 0 8px; }
.note, figcaption { color: var(--muted); font-size: 13px; }
code { overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 16px 0 0; }
a { color: var(--accent); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(480px, 1fr)); gap: 12px; }
.plots.small { grid-template-columns: repeat(auto-fill, minmax(380px, 1fr)); margin-top: 12px; }
.plots img { width: 100%; background: #fff; border-radius: 8px; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 12px;
  align-items: start; }
.gallery { display: grid; grid-template-columns: repeat(auto-fit, minmax(400px, 1fr)); gap: 12px; }
.gallery.wide { grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 16px 12px; }
.gallery.tall { grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); gap: 16px 12px; }
.single img { width: 100%; max-width: 820px; background: #fff; border-radius: 8px; }
figure { margin: 0; } figure img { width: 100%; height: auto; display: block; border-radius: 4px; }
figure img + img { margin-top: 3px; }
figure.above figcaption { color: var(--bad); } figcaption b { color: var(--ink); }
figcaption q { display: block; font-style: italic; }
table { border-collapse: collapse; background: var(--card); font-size: 13px; width: 100%;
  font-variant-numeric: tabular-nums; }
th, td { padding: 4px 9px; border: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child, table.words td { text-align: left; }
th small { display: block; font-weight: 400; color: var(--muted); white-space: nowrap; }
tr.ours { background: var(--ours); } tr.published td, tr.reference td { color: var(--muted); }
tr.published td { font-style: italic; } tr.first td { border-top: 2px solid var(--muted); }
.scroll { overflow-x: auto; }
summary { cursor: pointer; font-weight: 600; margin: 24px 0; }
details.note summary { font-weight: 400; margin: 8px 0; }
details { overflow-x: auto; }
@media (max-width: 560px) { .plots, .plots.small, .tables, .gallery, .gallery.wide {
  grid-template-columns: 1fr; } main { padding: 20px 12px 60px; } }
"""
