# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quality against the signal-to-noise ratio as SVG: a file per metric, a panel per cost."""

from __future__ import annotations

from collections.abc import Callable
import io

from gsc_ros.evaluation.plot import OWN_COLOURS, PEER_COLOURS
from gsc_ros.evaluation.snr.link import NoisyLink
from gsc_ros.evaluation.snr.study import OperatingPoint, SnrCodec, SnrPlan, SnrPoint, SnrStudy
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

METRICS = {'psnr': 'PSNR, dB', 'ssim': 'SSIM', 'vsi': 'VSI', 'lpips': 'LPIPS (less is better)',
           'f1': 'detections, F1'}
WHOLE = 'whole'
_OWN_STYLES = ('-', '--', ':')


def metrics_of(study: SnrStudy) -> list[str]:
    """Return the metrics that were computed."""
    return [name for name in METRICS
            if any(point.metrics.get(name) is not None for point in study.points)]


def panel_title(one: OperatingPoint, link: NoisyLink) -> str:
    """Return what a frame costs, in words."""
    return f'{one.uses} symbols, code rate {one.code_rate:g}: {link.capacity} bytes'


def plots(study: SnrStudy, plan: SnrPlan, links: list[NoisyLink]) -> dict[str, bytes]:
    """Return an SVG file for each metric, and one of the shares of packets that came whole."""
    drawn: dict[str, tuple[str, Callable[[SnrPoint], float | None]]] = {
        name: (METRICS[name], lambda point, name=name: point.metrics.get(name))
        for name in metrics_of(study)}
    drawn[WHOLE] = ('packets that came whole', lambda point: point.whole)
    # Names as text rather than outlines: smaller, and found by a search. The same input gives the
    # same file.
    with rc_context({'svg.fonttype': 'none', 'svg.hashsalt': 'gsc', 'font.size': 9}):
        return {name: _plot(study, plan, links, title, value)
                for name, (title, value) in drawn.items()}


def _plot(study: SnrStudy, plan: SnrPlan, links: list[NoisyLink], title: str,
          value: Callable[[SnrPoint], float | None]) -> bytes:
    count = len(links)
    figure = Figure(figsize=(max(5.0, 4.2 * count), 3.9), layout='constrained')
    panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    for number, axes in enumerate(panels):
        axes.set_title(panel_title(plan.operating_points[number], links[number]), fontsize=9)
        _draw(axes, study, number, value)
        axes.set_xlabel(f'Es/N0 in dB, {plan.modulation.value.upper()}')
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(title)
    out = io.BytesIO()
    figure.savefig(out, format='svg', metadata={'Date': None})
    return out.getvalue()


def _draw(axes: Axes, study: SnrStudy, number: int,
          value: Callable[[SnrPoint], float | None]) -> None:
    for codec, colour, style in _styles(study.codecs):
        points = [(point.snr_db, value(point)) for point in study.points
                  if point.codec == codec.name and point.operating_point == number]
        points = [(snr_db, quality) for snr_db, quality in points if quality is not None]
        # What has no form that is small enough keeps its place in the legend.
        label = codec.title if points else f'{codec.title}: does not fit'
        axes.plot([point[0] for point in points], [point[1] for point in points], style,
                  marker='o', color=colour, linewidth=2 if codec.own else 1.2,
                  markersize=4 if codec.own else 2.5, zorder=3 if codec.own else 2, label=label)
    axes.legend(fontsize=8)


def _styles(codecs: tuple[SnrCodec, ...]) -> list[tuple[SnrCodec, str, str]]:
    """Return the codecs that are there with colour and style of their lines."""
    styles = []
    own, peers = 0, 0
    for codec in codecs:
        if codec.missing:
            continue
        if codec.own:
            styles.append((codec, OWN_COLOURS[own % len(OWN_COLOURS)],
                           _OWN_STYLES[own % len(_OWN_STYLES)]))
            own += 1
        else:
            styles.append((codec, PEER_COLOURS[peers % len(PEER_COLOURS)], '-'))
            peers += 1
    return styles
