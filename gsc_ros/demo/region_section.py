# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The part of the page about objects and key regions."""

from __future__ import annotations

from html import escape

from gsc_ros.demo.region import RegionFigures
from gsc_ros.demo.statistic import words

# Of a picture with more of it in regions little is left to take their bytes from.
MUCH = 1 / 3


def region_section(figures: RegionFigures | None) -> str:
    """Return the part of the page; empty for a run without sources of regions."""
    if figures is None:
        return ''
    rows = (
        ('Regions of a frame', words(figures.regions.mean, '{:.1f}')),
        ('Bytes of its regions', words(figures.region_bytes.mean, '{:.0f}')),
        ('Share of the picture in regions, %', words(
            None if figures.share.mean is None else 100 * figures.share.mean, '{:.0f}')),
        ('Objects of a frame', words(figures.objects.mean, '{:.1f}')),
        ('Bytes of its objects', words(figures.object_bytes.mean, '{:.0f}')))
    parts = (('in the regions', figures.psnr_inside_db, figures.confidence_inside),
             ('outside of all', figures.psnr_outside_db, figures.confidence_outside))
    compared = ''.join(
        f'<tr><td>{name}</td><td>{words(psnr.mean, "{:.2f}")}</td>'
        f'<td>{words(confidence.mean, "{:.0f}")}</td></tr>' for name, psnr, confidence in parts)
    classes = ', '.join(f'{count} × {name}' for name, count in figures.classes.items())
    much = '' if (figures.share.mean or 0) < MUCH else (
        ' <b>The regions are much of the picture</b>, so that little is left to take their bytes '
        'from: they gain little, and the rest loses.')
    body = ''.join(f'<tr><td>{name}</td><td>{value}</td></tr>' for name, value in rows)
    return (
        '<section><h2>Objects and regions</h2><div class="tables"><div><table><thead><tr><th>'
        f'Means</th><th></th></tr></thead><tbody>{body}</tbody></table></div><div><table><thead>'
        '<tr><th>Part of the picture</th><th>PSNR, dB</th><th>confidence, 0 to 255</th></tr>'
        f'</thead><tbody>{compared}</tbody></table></div></div><p class="note">Where perception '
        f'looks is said by <code>{escape(", ".join(figures.sources))}</code>. '
        f'{figures.frames} frames have regions. Objects told of: {escape(classes) or "none"}.{much}'
        '</p></section>')
