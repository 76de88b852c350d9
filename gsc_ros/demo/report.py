# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A page about a run: one HTML file that needs nothing beside it and no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import cv2
from gsc_ros.demo.picture import cost, fit, quality, region_cost, Views
from gsc_ros.demo.plot import chart, Limit, Series
from gsc_ros.demo.recording import Image, Recording
from gsc_ros.demo.region_section import region_section
from gsc_ros.demo.score import ScoredFrame
from gsc_ros.demo.statistic import Statistic, words
from gsc_ros.demo.style import STYLE
from gsc_ros.demo.summary import Summary
from gsc_ros.demo.video import Video
from gsc_ros.link.audit import Departure
import numpy as np

# Larger videos are linked instead of embedded; browsers get slow with them.
MAX_EMBEDDED_BYTES = 24 << 20
PICTURE_WIDTH = 720
JPEG_QUALITY = 88
RATE_WINDOW_S = 1.0
SECTION_COLOURS = (
    ('header', 'var(--muted)'), ('text', 'var(--good)'), ('channel_set', 'var(--warm)'),
    ('objects', 'var(--ink)'), ('structure', 'var(--accent)'), ('regions', 'var(--bad)'))


def write_report(path: Path, summary: Summary, recording: Recording,
                 frames: Sequence[ScoredFrame], departures: Sequence[Departure],
                 shown: Sequence[Views], video: Video | None) -> None:
    """
    Write the page.

    :param frames: all scored reconstructions, ordered by stamp.
    :param departures: the bridge's trace.
    :param shown: frames whose pictures are shown side by side.
    :param video: embedded when it plays in browsers and is not too large, else linked.
    :raises OSError: when the file cannot be written.
    """
    sections = (
        _header(summary), _tiles(summary), _modes(summary), region_section(summary.regions),
        _video(video), _gallery(shown), _charts(summary, recording, frames, departures),
        _tables(summary, recording), _frame_table(frames), _how(summary))
    title = f'gsc demo: {summary.input}'
    path.write_text(
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<style>{STYLE}</style></head><body><main>{"".join(sections)}</main></body></html>\n',
        encoding='utf-8')


def _header(summary: Summary) -> str:
    return (f'<header><p class="kicker">gsc_ros demo</p><h1>{summary.frames_received} frames over '
            f'a {_kbit(summary.budget_bps)} kbit/s link</h1><p class="lead">Camera '
            f'<code>{escape(summary.camera)}</code> replaying <code>{escape(summary.input)}</code>,'
            f' {summary.width} × {summary.height} pixels at {summary.fps_in:.1f} frames per second '
            f'for {summary.seconds:.1f} s, through sender, bridge and receiver on the real ROS 2 '
            f'graph; {escape(summary.ending)}.</p></header>')


def _tiles(summary: Summary) -> str:
    share = summary.link_bps / summary.budget_bps if summary.budget_bps else 0
    ratio = f'{summary.compression:,.0f} : 1' if summary.compression else '–'
    held = 'held in every window' if summary.budget_holds else 'EXCEEDED'
    tiles = (
        ('Reconstructed', f'{summary.frames_received} of {summary.frames_in}',
         f'frames, {summary.fps_received:.1f} per second', ''),
        ('On the link', f'{summary.link_bytes:,}',
         f'bytes with every header, {100 * share:.0f} % of the budget', ''),
        ('Budget', f'{_kbit(summary.budget_bps)} kbit/s', held,
         'good' if summary.budget_holds else 'bad'),
        ('Packet', words(summary.frame_bytes.median, '{:,.0f} bytes'),
         f'median; {words(summary.bpp.median, "{:.4f}")} bit per pixel, {ratio}', ''),
        ('Latency', words(summary.latency_ms.median, '{:.0f} ms'),
         f'median; 95 % under {words(summary.latency_ms.p95, "{:.0f} ms")}', ''),
        ('PSNR', words(summary.psnr_db.mean, '{:.2f} dB'), 'mean, against the source', ''),
        ('MS-SSIM', words(summary.ms_ssim.mean, '{:.3f}'), 'mean, against the source', ''),
        ('Codec', words(summary.encode_ms.median, '{:.0f} ms'),
         f'to encode, {words(summary.decode_ms.median, "{:.0f} ms")} to decode (medians)', ''),
    )
    return '<section class="tiles">' + ''.join(
        f'<div class="tile {kind}"><h2>{escape(name)}</h2><strong>{escape(value)}</strong>'
        f'<p>{escape(note)}</p></div>' for name, value, note, kind in tiles) + '</section>'


def _modes(summary: Summary) -> str:
    """Return the table of structure and generated pictures, if both were made."""
    if not summary.modes:
        return ''
    names = ('pictures', 'shown a second', 'PSNR, dB', 'MS-SSIM', 'distance of spectra, dB',
             'latency, ms', 'generation, ms', 'flicker, gray levels')
    rows = ''.join(f'<tr><td>{escape(mode)}</td>' + ''.join(f'<td>{cell}</td>' for cell in (
        f'{figures.frames}', words(figures.fps if figures.frames else None, '{:.2f}'),
        words(figures.psnr_db.mean, '{:.2f}'), words(figures.ms_ssim.mean, '{:.4f}'),
        words(figures.spectrum_db.mean, '{:.2f}'), words(figures.latency_ms.median, '{:.0f}'),
        words(figures.generate_ms.median, '{:.0f}'), words(figures.flicker.mean, '{:+.2f}'),
    )) + '</tr>' for mode, figures in summary.modes.items())
    head = ''.join(f'<th>{name}</th>' for name in names)
    compared = summary.modes['generate'].compared
    return (
        f'<section><h2>Structure and generated</h2><table><thead><tr><th>mode</th>{head}</tr>'
        f'</thead><tbody>{rows}</tbody></table><p class="note">Quality is that of the {compared} '
        'frames that were made in both ways, of the same packets, by generator <code>'
        f'{escape(summary.generator)}</code>. Distance of spectra: how far the power of details '
        'of every size is from the original’s, less is better. Flicker: by how much generated '
        'pictures change from one to the next beyond what the structure pictures do, the motion '
        'of the scene taken out. Latency and generation are medians.</p></section>')


def _video(video: Video | None) -> str:
    if video is None:
        return ''
    name = escape(video.path.name)
    if video.plays_in_browsers and video.path.stat().st_size <= MAX_EMBEDDED_BYTES:
        data = base64.b64encode(video.path.read_bytes()).decode()
        source = f'data:{video.media_type};base64,{data}'
    else:
        source = name
    return ('<section><h2>Original and reconstruction</h2><video controls muted loop autoplay '
            f'playsinline src="{source}"></video><p class="note">Also as <a href="{name}">{name}'
            '</a>.</p></section>')


def _gallery(shown: Sequence[Views]) -> str:
    if not shown:
        return '<section><h2>Pictures</h2><p class="empty">No frame arrived.</p></section>'
    rows = ''.join(
        f'<div class="views{" pairs" * (views.generated is None and views.overlay is not None)}">'
        f'{_figures(views)}</div>' for views in shown)
    note = 'Confidence: bright where the decoder expects its picture to be right, dark where not.'
    if shown[0].generated is not None:
        note += (' It is that in the generated picture: what the generator changed of the '
                 'structure picture was not measured.')
    if shown[0].overlay is not None:
        note += (' Objects are as a detector on the rover found them in the original, with its '
                 'mistakes; dashed boxes are regions, coded better than the rest.')
    return f'<section><h2>Frame by frame</h2><p class="note">{note}</p>{rows}</section>'


def _figures(views: Views) -> str:
    frame, generated = views.scored.frame, views.generated
    name = 'reconstruction' if generated is None else 'structure'
    return (
        _figure(views.original_or_blank, 'original', f'{views.raw_bytes:,} bytes raw')
        + _figure(views.reconstruction, name, cost(views.scored))
        + ('' if generated is None else _figure(
            generated, 'generated', quality(views.scored_generated)))
        + ('' if views.overlay is None else _figure(
            views.overlay, 'objects and regions', region_cost(frame)))
        + _figure(views.confidence, 'confidence',
                  f'frame {frame.sequence}, {frame.channels} channels'))


def _figure(image: Image, name: str, note: str) -> str:
    small = fit(image, min(PICTURE_WIDTH, image.shape[1]))
    _, data = cv2.imencode('.jpg', cv2.cvtColor(small, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    encoded = base64.b64encode(data.tobytes()).decode()
    return (f'<figure><img alt="{escape(name)}" src="data:image/jpeg;base64,{encoded}">'
            f'<figcaption><b>{escape(name)}</b><span>{escape(note)}</span></figcaption></figure>')


def _charts(summary: Summary, recording: Recording, frames: Sequence[ScoredFrame],
            departures: Sequence[Departure]) -> str:
    first_ns = min((source.stamp_ns for source in recording.sources),
                   default=min((scored.frame.stamp_ns for scored in frames), default=0))
    at = [(scored.frame.stamp_ns - first_ns) / 1e9 for scored in frames]
    seconds = 'time of the original, s'
    charts = (
        ('Bytes of each packet', chart(_stacked(at, frames), seconds, 'bytes')),
        ('Rate on the link', _rate_chart(summary, departures)),
        ('Latency, original to reconstruction', chart(
            [Series(at, [scored.frame.latency_ms for scored in frames], kind='dots')],
            seconds, 'ms')),
        ('Encoding and decoding', chart(
            [Series(at, [scored.frame.encode_ms for scored in frames], 'encode'),
             Series(at, [scored.frame.decode_ms for scored in frames], 'decode',
                    colour='var(--warm)')], seconds, 'ms')),
        ('PSNR', chart([Series(at, [scored.psnr_db for scored in frames])], seconds, 'dB',
                       from_zero=False)),
        ('MS-SSIM', chart([Series(at, [scored.ms_ssim for scored in frames])], seconds,
                          'MS-SSIM', from_zero=False)),
    )
    return '<section><h2>Over time</h2><div class="charts">' + ''.join(
        f'<div class="chart"><h3>{escape(title)}</h3>{svg}</div>' for title, svg in charts
    ) + '</div></section>'


def _stacked(at: Sequence[float], frames: Sequence[ScoredFrame]) -> list[Series]:
    """Return the bytes by section as bars on top of each other: the tallest is drawn first."""
    series = []
    below = np.zeros(len(frames))
    for name, colour in SECTION_COLOURS:
        sizes = np.array([getattr(scored.frame.sections, name) for scored in frames])
        if sizes.any():
            below = below + sizes
            series.append(Series(at, below.tolist(), name.replace('_', ' '), 'bars', colour))
    return series[::-1]


def _rate_chart(summary: Summary, departures: Sequence[Departure]) -> str:
    """Draw the bits of the last second over time, from the first frame on, beside the budget."""
    begin_ns = next((departure.time_ns for departure in departures
                     if departure.kind in ('frame', 'fragment')), None)
    if begin_ns is None:
        return '<p class="empty">No data.</p>'
    times_ns = np.array([departure.time_ns for departure in departures], np.int64)
    times = (times_ns - begin_ns) / 1e9
    total = np.concatenate([[0], np.cumsum([departure.bits for departure in departures])])
    grid = np.linspace(0, times[-1], 240)
    until = np.searchsorted(times, grid, 'right')
    since = np.searchsorted(times, grid - RATE_WINDOW_S, 'right')
    # Until a whole window has passed, what left is still divided by a whole window.
    rate = (total[until] - total[since]) / RATE_WINDOW_S / 1000
    budget = summary.budget_bps / 1000
    return chart([Series(grid.tolist(), rate.tolist())], 'time on the link, s',
                 f'kbit/s in the last {RATE_WINDOW_S:.0f} s', Limit(budget, 'budget'))


def _tables(summary: Summary, recording: Recording) -> str:
    figures = (
        ('Packet size', 'bytes', summary.frame_bytes, '{:,.0f}'),
        ('Rate', 'bit per pixel', summary.bpp, '{:.5f}'),
        ('Latency', 'ms', summary.latency_ms, '{:.1f}'),
        ('Encoding', 'ms', summary.encode_ms, '{:.1f}'),
        ('Decoding', 'ms', summary.decode_ms, '{:.1f}'),
        ('PSNR', 'dB', summary.psnr_db, '{:.2f}'),
        ('MS-SSIM', '', summary.ms_ssim, '{:.4f}'),
        ('Distance of spectra', 'dB', summary.spectrum_db, '{:.2f}'))
    counts = (
        ('Originals on the image topic', f'{summary.frames_in:,}'),
        ('Frames that the sender coded', f'{summary.frames_coded:,}'),
        ('Frames that left over the link', f'{summary.frames_sent:,}'),
        ('Reconstructions that arrived', f'{summary.frames_received:,}'),
        *((('Passed over for newer frames by the generator', f'{summary.frames_not_generated:,}'),)
          if summary.modes else ()),
        ('Matched with an original by exact stamp', f'{summary.frames_matched:,}'),
        *((f'Dropped by the bridge: {reason.replace("_", " ")}', f'{count:,}')
          for reason, count in summary.dropped.items() if count),
        ('Layers cut off frames by the bridge', f'{summary.layers_shed:,}'),
        ('Bytes of packets received', f'{summary.packet_bytes:,}'),
        ('Bytes on the link, every header included', f'{summary.link_bytes:,}'),
        ('Datagrams', f'{summary.link_datagrams:,}'),
        ('Mean rate on the link, kbit/s', _kbit(summary.link_bps)),
        ('Budget, kbit/s', _kbit(summary.budget_bps)),
        ('Burst, bits', f'{summary.burst_bits:,}'),
        ('Room left in the tightest window, bits',
         words(summary.budget_headroom_bits, '{:,.0f}')),
        ('Loss set for the link, %', f'{100 * summary.loss:g}'),
        ('One-way delay set for the link, ms', f'{summary.delay_ms:g}'))
    nodes = [(record.name, record.message) for _, record in sorted(recording.diagnostics.items())]
    return ('<section><h2>Figures</h2><div class="tables"><div><table><thead><tr><th>Per frame</th>'
            '<th>mean</th><th>median</th><th>95 %</th><th>min</th><th>max</th></tr></thead><tbody>'
            + ''.join(_statistic_row(*figure) for figure in figures)
            + '</tbody></table>' + _pairs('Last word on /diagnostics', nodes) + '</div><div>'
            + _pairs('The run', counts) + '</div></div></section>')


def _statistic_row(name: str, unit: str, statistic: Statistic, form: str) -> str:
    label = f'{name}, {unit}' if unit else name
    values = (statistic.mean, statistic.median, statistic.p95, statistic.minimum,
              statistic.maximum)
    return f'<tr><td>{escape(label)}</td>' + ''.join(
        f'<td>{words(value, form)}</td>' for value in values) + '</tr>'


def _pairs(title: str, rows: Iterable[tuple[str, str]]) -> str:
    body = ''.join(f'<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>'
                   for name, value in rows)
    return f'<table><thead><tr><th colspan="2">{escape(title)}</th></tr></thead>' \
           f'<tbody>{body}</tbody></table>' if body else ''


def _frame_table(frames: Sequence[ScoredFrame]) -> str:
    names = ('frame', 'bytes', 'bpp', 'layers', 'channels', 'latency, ms', 'encode, ms',
             'decode, ms', 'PSNR, dB', 'MS-SSIM')
    rows = ''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in (
        scored.frame.sequence, scored.frame.sections.total, f'{scored.frame.bpp:.5f}',
        scored.frame.layers_received, scored.frame.channels,
        words(scored.frame.latency_ms, '{:.1f}'), words(scored.frame.encode_ms, '{:.1f}'),
        words(scored.frame.decode_ms, '{:.1f}'), words(scored.psnr_db, '{:.2f}'),
        words(scored.ms_ssim, '{:.4f}'))) + '</tr>' for scored in frames)
    head = ''.join(f'<th>{name}</th>' for name in names)
    return (f'<section><details><summary>Every frame</summary><table class="wide"><thead><tr>{head}'
            f'</tr></thead><tbody>{rows}</tbody></table></details></section>')


def _how(summary: Summary) -> str:
    versions = ', '.join(f'{name} {version}' for name, version in summary.versions.items())
    files = ''.join(f'<li><a href="{escape(name)}">{escape(name)}</a> – {escape(kind)}</li>'
                    for kind, name in summary.files.items())
    return ('<section><h2>How it was made</h2><pre>player ──image_raw──&gt; sender ──gsc──&gt; '
            'bridge ══ link ══ bridge ──ground/gsc──&gt; receiver ──&gt; reconstructed/…</pre>'
            f'<p>Command: <code>{escape(summary.command)}</code></p><p>Profile <code>'
            f'{escape(summary.profile)}</code>, mode <code>{escape(summary.mode)}</code>. '
            'PSNR is over all samples of the three colour channels; MS-SSIM is the mean over the '
            f'channels.</p><p class="note">{escape(versions)}</p><ul>{files}</ul></section>')


def _kbit(bps: float) -> str:
    return f'{bps / 1000:,.3g}'
