# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of a comparison: one HTML file that needs nothing beside it and no network."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
import math
from typing import Any

import cv2
from gsc_ros.evaluation.equal_quality import equal_f1, region_costs
from gsc_ros.evaluation.markup import document, photo, svg, table
from gsc_ros.evaluation.plan import Comparison, Outcome, Plan
from gsc_ros.evaluation.resampling import Picture, resized
from gsc_ros.evaluation.verdict import (
    at_rates,
    best_within,
    METRICS,
    metrics_of,
    present,
    rate_of,
    savings,
)
from gsc_ros.perception.network.agreement import MATCH_IOU
import numpy as np


def page(comparison: Comparison, plan: Plan, run: Mapping[str, Any],
         plots: Mapping[str, bytes]) -> str:
    """
    Return the page.

    :param run: input, command and versions, to be shown.
    :param plots: SVG files by metric.
    """
    sections = (_header(plan, run), _plots(plots), _rates(comparison, plan),
                _savings(comparison, plan),
                _accuracy(comparison, plan), _regions(comparison, plan),
                _gallery(comparison, plan), _codecs(comparison), _points(comparison, plan),
                _how(plan, run))
    return document(f'gsc bench: {run["input"]}', sections)


def _header(plan: Plan, run: Mapping[str, Any]) -> str:
    height, width = plan.images[0].shape[:2]
    what = {'stills': 'every frame coded alone', 'stream': 'coded as video',
            'loss': f'coded as video, {100 * plan.link.loss:g} % of packets lost'}[plan.mode]
    return (f'<header><h1>gsc bench</h1><p><code>{escape(str(run["input"]))}</code>: '
            f'{len(plan.images)} frames of {width} × {height} pixels at {plan.fps:g} frames per '
            f'second, {what}.</p></header>')


def _plots(plots: Mapping[str, bytes]) -> str:
    images = ''.join(svg(drawing, f'{METRICS[metric]} over rate')
                     for metric, drawing in plots.items())
    return (f'<section><h2>Rate and quality</h2><div class="plots">{images}</div><p class="note">'
            'Lines: the best of all downscales and settings. Dots: everything measured. The axis '
            'of rates is logarithmic.</p></section>')


def _rates(comparison: Comparison, plan: Plan) -> str:
    names = metrics_of(comparison.points)
    titles = {codec.name: codec.title for codec in comparison.codecs}
    unit = rate_of(plan.mode)[1]
    rows = at_rates(comparison, plan)
    tables = []
    for rate in plan.rates:
        body = [[titles[row['codec']], *(_figure(row[name], name) for name in names)]
                for row in rows if row['rate'] == rate]
        tables.append(table(f'at {rate:g} {unit}', [METRICS[name] for name in names], body))
    return ('<section><h2>Quality at a rate</h2><p class="note">On the lines above, so between '
            'measured points. A dash: the codec does not get down to this rate.</p>'
            f'<div class="tables">{"".join(tables)}</div></section>')


def _savings(comparison: Comparison, plan: Plan) -> str:
    rows = savings(comparison, plan)
    if not rows:
        return ''
    titles = {codec.name: codec.title for codec in comparison.codecs}
    names = [name for name in rows[0] if name in METRICS]
    body = [[f'{titles[row["codec"]]} against {titles[row["peer"]]}',
             *('–' if row[name] is None else f'{row[name]:+.0f} %' for name in names)]
            for row in rows]
    found = table('bytes at equal', [METRICS[name].partition(',')[0] for name in names], body)
    return (f'<section><h2>Bytes for the same quality</h2>{found}<p class="note">BD-rate over the '
            'qualities that both reach: −50 % is half the bytes. A dash: they share no quality.'
            '</p></section>')


def _accuracy(comparison: Comparison, plan: Plan) -> str:
    rows = [row for row in equal_f1(comparison, plan.mode) if row.peers or row.rate]
    if not rows or 'f1' not in metrics_of(comparison.points):
        return ''
    titles = {codec.name: codec.title for codec in comparison.codecs}
    tables = []
    for name in dict.fromkeys(row.codec for row in rows):
        body = [[f'{row.f1:g}', _rate(row.rate, plan),
                 '–' if row.best is None else f'{_rate(row.peers[row.best], plan)}, '
                 f'{titles[row.best]}', '–' if row.ratio is None else f'{row.ratio:.2f}']
                for row in rows if row.codec == name]
        tables.append(table('F1', [titles[name], 'best peer', 'ratio'], body))
    unit = 'bytes a frame' if plan.mode == 'stills' else 'kbit/s'
    return (f'<section><h2>What detections cost</h2><p class="note">{unit[0].upper()}{unit[1:]} '
            'at which the detector agrees with itself as far, read off the lines above. A ratio of '
            '0.5 is half the bytes of the best peer.</p>'
            f'<div class="tables">{"".join(tables)}</div></section>')


def _regions(comparison: Comparison, plan: Plan) -> str:
    rows, listed = region_costs(comparison, plan), comparison.listed
    if not rows and listed is None:
        return ''
    told = '' if listed is None else (
        f'<p>The list of objects alone takes {listed.list_bytes:.0f} bytes a frame, in packets of '
        f'{listed.bytes:.0f} bytes, {listed.kbps:.1f} kbit/s: against what the detector finds on '
        f'the originals, F1 {_figure(listed.f1, "f1")}.</p>')
    titles = {codec.name: codec.title for codec in comparison.codecs}
    unit = rate_of(plan.mode)[1]
    body = [[f'{titles[row.codec]} at {row.rate:g} {unit}',
             *('–' if gain is None else f'{gain:+.3f}' for gain in (row.f1, row.ms_ssim)),
             f'{row.encode_ms:+.1f}'] for row in rows]
    found = table('the same limit of bytes', ['F1', 'MS-SSIM', 'encode, ms'], body)
    return ('<section><h2>What key regions change</h2>'
            f'{found}<p class="note">Against the same codec without regions. Time includes the '
            f'search for them.</p>{told}</section>')


def _rate(rate: float | None, plan: Plan) -> str:
    """Return a rate of the plan's mode in words: of stills, the bytes of a frame."""
    if rate is None:
        return '–'
    if plan.mode == 'stills':
        return f'{rate * np.mean([image[..., 0].size for image in plan.images]) / 8:,.0f}'
    return f'{rate:.1f}'


def _gallery(comparison: Comparison, plan: Plan) -> str:
    original = plan.images[plan.gallery]
    parts = []
    for rate in plan.rates:
        figures = [_picture(original, 'original', f'frame {plan.gallery}')]
        for codec in present(comparison):
            best = best_within(comparison.outcomes, codec.name, plan.mode, rate)
            if best and best.sample:
                figures.append(_sample(best, original, codec.title, plan, rate))
        parts.append(f'<h3>at {rate:g} {escape(rate_of(plan.mode)[1])}</h3>'
                     f'<div class="gallery">{"".join(figures)}</div>')
    return ('<section><h2>Pictures</h2><p class="note">Of each codec, the measured point of the '
            'best MS-SSIM within the rate; marked where even its smallest is above it. Rates are '
            f'means over all frames.</p>{"".join(parts)}</section>')


def _sample(best: Outcome, original: Picture, title: str, plan: Plan, rate: float) -> str:
    field, unit = rate_of(plan.mode)
    value = getattr(best.point, field)
    picture = cv2.imdecode(np.frombuffer(best.sample, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    height, width = original.shape[:2]
    quality = '' if best.point.ms_ssim is None else f', MS-SSIM {best.point.ms_ssim:.3f}'
    note = f'{value:.4g} {unit}, {best.point.psnr:.1f} dB{quality}'
    return _picture(resized(np.ascontiguousarray(picture), width, height), title, note,
                    above=value > rate)


def _picture(image: Picture, title: str, note: str, above: bool = False) -> str:
    return (f'<figure{" class=above" if above else ""}>{photo(image, title)}<figcaption>'
            f'<b>{escape(title)}</b> {escape(note)}{" – above the rate" if above else ""}'
            '</figcaption></figure>')


def _codecs(comparison: Comparison) -> str:
    body = [[codec.title, codec.settings, f'missing: {codec.missing}' if codec.missing else 'ran']
            for codec in comparison.codecs]
    return ('<section><h2>Codecs</h2>'
            + table('codec', ['settings', ''], body, kind='words') + '</section>')


def _points(comparison: Comparison, plan: Plan) -> str:
    titles = {codec.name: codec.title for codec in comparison.codecs}
    names = metrics_of(comparison.points)
    lossy = plan.mode == 'loss'
    head = ['setting', 'scale', 'bytes/frame', 'bit/pixel', 'kbit/s',
            *(METRICS[name] for name in names), 'encode, ms', 'decode, ms',
            *(('arrived', 'decodable') if lossy else ())]
    body = []
    for outcome in comparison.outcomes:
        point = outcome.point
        cells = [titles[point.codec], point.setting, f'1/{point.downscale:g}']
        if point.failure:
            body.append([*cells, f'failed: {point.failure}', *[''] * (len(head) - 3)])
            continue
        body.append([
            *cells, f'{point.bytes:,.0f}', f'{point.bpp:.5f}', f'{point.kbps:.1f}',
            *(_figure(getattr(point, name), name) for name in names),
            f'{point.encode_ms:.1f}', f'{point.decode_ms:.1f}',
            *((_share(point.arrived), _share(point.decodable)) if lossy else ())])
    return ('<section><details><summary>Everything measured</summary>'
            + table('codec', head, body) + '</details></section>')


def _how(plan: Plan, run: Mapping[str, Any]) -> str:
    scales = ', '.join(f'{factor:g}' for factor in plan.downscales)
    loss = '' if plan.mode != 'loss' else (
        f'<p>Packets of {plan.link.mtu} bytes, headers not counted for anybody; each is lost with '
        f'probability {plan.link.loss:g}, independently. {plan.trials} runs from seed '
        f'{plan.link.seed} on; figures are means over them. A loss is known to the sender '
        f'{plan.link.rtt_s:g} s after it shows, and answered by a frame that stands alone: a key '
        'frame of the peers, too. Peers lose NAL units of their real streams and are decoded by '
        'ffmpeg; what counts is its concealment or the last good picture held, whichever is '
        'better. For our codec the last good picture is held. Decodable: the frame came, and all '
        'that it builds on.</p>')
    detector = '' if 'detector' not in run else (
        f'<p>Detections of {escape(str(run["detector"]))} of a score of {run["min_score"]:g} or '
        'more: those on the reconstruction against those on the original, of the same class and '
        f'with an intersection over union of {MATCH_IOU:g} or more.</p>')
    regions = '' if plan.regions is None else (
        f'<p>Key regions are those of {escape(plan.regions.source)} on the original, the same for '
        'all codecs that code regions, '
        f'{np.mean([len(each) for each in plan.regions.regions]):.1f} a frame. Ours '
        f'{"sends" if plan.objects else "does not send"} the list of classes and boxes.</p>')
    versions = escape(', '.join(f'{name} {version}' for name, version in run['versions'].items()))
    return (f'<section><h2>How it was measured</h2><p>Command: <code>{escape(run["command"])}'
            f'</code></p><p>Peers code the picture made smaller by {scales}, and it is enlarged '
            'again, both by Lanczos; ours codes it as it is. Bytes are real: whole packets of '
            'ours; of the peers what the table of codecs says. PSNR is over all samples of red, '
            'green and blue; SSIM and MS-SSIM are means over the three. Times are wall-clock per '
            'frame, with the change of size, and with the start of the program where that is '
            'ffmpeg; peers have one thread each, and several of them run at once.</p>'
            f'{loss}{detector}{regions}<p class="note">{versions}</p></section>')


def _figure(value: float | None, metric: str) -> str:
    if value is None or not math.isfinite(value):
        return '–'
    return f'{value:.2f}' if metric == 'psnr' else f'{value:.3f}'


def _share(value: float | None) -> str:
    return '–' if value is None else f'{100 * value:.1f} %'
