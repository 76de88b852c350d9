# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of a study over a noisy channel: one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from typing import Any

from gsc_ros.evaluation.markup import document, photo, svg, table
from gsc_ros.evaluation.snr.link import BASE_BODIES, BASE_PARITIES, NoisyLink
from gsc_ros.evaluation.snr.plot import METRICS, metrics_of, panel_title, WHOLE
from gsc_ros.evaluation.snr.study import Fit, SnrPlan, SnrStudy

_PLOT_TITLES = {**METRICS, WHOLE: 'packets that came whole'}
# Signal-to-noise ratios of which the report shows pictures.
_SHOWN = 4


def as_json(study: SnrStudy, plan: SnrPlan, links: list[NoisyLink],
            run: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return everything but the pictures as JSON values.

    :param run: what to say of the run besides.
    """
    height, width = plan.images[0].shape[:2]
    names = metrics_of(study)
    return {
        **run, 'mode': 'snr', 'frames': len(plan.images), 'width': width, 'height': height,
        'modulation': plan.modulation.value, 'mtu': plan.mtu, 'seed': plan.seed,
        'trials': plan.trials, 'snr_db': list(plan.snrs_db), 'metrics': names,
        'operating_points': [
            {**asdict(one), 'datagrams': link.datagrams, 'data_datagrams': link.data,
             'capacity': link.capacity}
            for one, link in zip(plan.operating_points, links)],
        'codecs': [asdict(codec) for codec in study.codecs],
        'fits': [asdict(fit) for fit in study.fits],
        'points': [{'codec': point.codec, 'operating_point': point.operating_point,
                    'snr_db': point.snr_db, 'whole': point.whole, 'base': point.base,
                    **{name: point.metrics.get(name) for name in names}}
                   for point in study.points]}


def page(study: SnrStudy, plan: SnrPlan, links: list[NoisyLink], run: Mapping[str, Any],
         drawn: Mapping[str, bytes]) -> str:
    """
    Return the page.

    :param run: input, command, versions and what is missing, to be shown.
    :param drawn: SVG files by metric.
    """
    sections = (_header(plan, run), _plots(drawn), _tables(study, plan, links),
                _gallery(study, plan, links), _codecs(study, plan, links), _how(plan, run))
    return document(f'gsc bench --snr: {run["input"]}', sections)


def _header(plan: SnrPlan, run: Mapping[str, Any]) -> str:
    height, width = plan.images[0].shape[:2]
    return (f'<header><h1>gsc bench --snr</h1><p><code>{escape(str(run["input"]))}</code>: '
            f'{len(plan.images)} frames of {width} × {height} pixels, each sent alone over white '
            f'Gaussian noise, {escape(plan.modulation.value.upper())}.</p></header>')


def _plots(drawn: Mapping[str, bytes]) -> str:
    images = ''.join(svg(drawing, f'{_PLOT_TITLES[name]} over the signal-to-noise ratio')
                     for name, drawing in drawn.items())
    return (f'<section><h2>Quality and noise</h2><div class="plots">{images}</div><p class="note">'
            'In a panel, every codec has the same symbols for a frame, the same modulation and the '
            'same code rate, so the same bytes.</p></section>')


def _tables(study: SnrStudy, plan: SnrPlan, links: list[NoisyLink]) -> str:
    titles = _titles(study)
    parts = []
    for number, link in enumerate(links):
        tables = [
            table(METRICS[name], [f'{snr_db:g} dB' for snr_db in plan.snrs_db],
                  [[titles[fit.codec], *_row(study, fit, name)]
                   for fit in study.fits if fit.operating_point == number and fit.bytes])
            for name in metrics_of(study)]
        title = escape(panel_title(plan.operating_points[number], link))
        parts.append(f'<h3>{title}</h3><div class="tables">{"".join(tables)}</div>')
    return f'<section><h2>Figures</h2>{"".join(parts)}</section>'


def _row(study: SnrStudy, fit: Fit, metric: str) -> list[str]:
    return [_figure(point.metrics.get(metric), metric) for point in study.points
            if (point.codec, point.operating_point) == (fit.codec, fit.operating_point)]


def _gallery(study: SnrStudy, plan: SnrPlan, links: list[NoisyLink]) -> str:
    titles = _titles(study)
    wanted = _spread(plan.snrs_db, _SHOWN)
    parts = [f'<div class="gallery">{_picture(plan.images[plan.gallery], "original", "")}</div>']
    for number, link in enumerate(links):
        for snr_db in wanted:
            figures = ''.join(
                _picture(study.pictures[point.shown], titles[point.codec],
                         _figure(point.metrics['psnr'], 'psnr') + ' dB in the mean')
                for point in study.points
                if (point.operating_point, point.snr_db) == (number, snr_db))
            title = escape(panel_title(plan.operating_points[number], link))
            parts.append(f'<h3>{title}, {snr_db:g} dB</h3><div class="gallery">{figures}</div>')
    return (f'<section><h2>Pictures</h2><p class="note">What a receiver shows of frame '
            f'{plan.gallery}, noise of seed {plan.seed}.</p>{"".join(parts)}</section>')


def _picture(image: Any, title: str, note: str) -> str:
    return (f'<figure>{photo(image, title)}<figcaption><b>{escape(title)}</b> {escape(note)}'
            '</figcaption></figure>')


def _codecs(study: SnrStudy, plan: SnrPlan, links: list[NoisyLink]) -> str:
    body = []
    for codec in study.codecs:
        fits = [fit for fit in study.fits if fit.codec == codec.name]
        made = [f'missing: {codec.missing}' if codec.missing else _made(fits, number)
                for number in range(len(links))]
        body.append([codec.title, codec.settings, *made])
    head = ['settings', *(panel_title(one, link)
                          for one, link in zip(plan.operating_points, links))]
    return ('<section><h2>Codecs</h2>' + table('codec', head, body, kind='words') + '</section>')


def _made(fits: list[Fit], number: int) -> str:
    (fit,) = (one for one in fits if one.operating_point == number)
    if fit.bytes is None or fit.uses is None:
        return f'does not fit: {fit.setting}'
    some = '' if fit.fitting == 1 else f', {100 * fit.fitting:.0f} % of the frames fit'
    return f'{fit.bytes:.0f} bytes, {fit.uses:.0f} symbols{some}: {fit.setting}'


def _how(plan: SnrPlan, run: Mapping[str, Any]) -> str:
    scales = ', '.join(f'{factor:g}' for factor in plan.downscales)
    versions = escape(', '.join(f'{name} {version}' for name, version in run['versions'].items()))
    return (f'<section><h2>How it was measured</h2><p>Command: <code>{escape(run["command"])}'
            '</code></p><p>Bytes, coding and noise are real. Packets are cut into the link’s '
            f'datagrams of at most {plan.mtu} bytes with its erasure code, Reed-Solomon over '
            'datagrams; the code rate is the part of the datagrams that carry the packet, and all '
            'heads and checksums are within the symbols counted. Bits are decided on one by one '
            'and a datagram with a wrong one is lost, which its checksum tells. Parity brings lost '
            'datagrams back as long as enough of them arrive. What a packet leaves of the '
            f'datagrams holds more parity. {plan.trials} seeds from {plan.seed} on; figures are '
            'means over them and all frames. Every codec meets the same noise.</p><p>A packet that '
            'does not come through leaves the last picture that did, and mid gray before the '
            f'first, for every codec. Peers code the picture made smaller by {scales} (Lanczos, '
            'and enlarged likewise), at the finest quality that fits, and of these the one of the '
            'best PSNR is sent. Of ours every frame stands alone. With layers, those that fill at '
            f'most {BASE_BODIES:.0%} of the datagrams have {BASE_PARITIES:.0%} of the parities for '
            'themselves, and are shown when only they come through. '
            f'</p><p class="note">{versions}</p></section>')


def _titles(study: SnrStudy) -> dict[str, str]:
    return {codec.name: codec.title for codec in study.codecs}


def _spread(values: Any, count: int) -> list[float]:
    """Return at most so many of the values, evenly spread, ends included."""
    if len(values) <= count:
        return list(values)
    return [values[round(number * (len(values) - 1) / (count - 1))] for number in range(count)]


def _figure(value: float | None, metric: str) -> str:
    if value is None:
        return '–'
    return f'{value:.2f}' if metric == 'psnr' else f'{value:.3f}'
