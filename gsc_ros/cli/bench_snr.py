# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc bench --snr`: quality against the signal-to-noise ratio of a channel."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import json
import logging
from pathlib import Path
from typing import Any

from gsc_ros.cli.error import UsageError
from gsc_ros.cli.number import bounded
from gsc_ros.evaluation import saliency
from gsc_ros.evaluation.region_source import Found
from gsc_ros.evaluation.resampling import Picture
from gsc_ros.evaluation.snr.link import CapacityError, NoisyLink
from gsc_ros.evaluation.snr.page import as_json, page
from gsc_ros.evaluation.snr.plot import METRICS, metrics_of, plots
from gsc_ros.evaluation.snr.score import Distance, PairScorer
from gsc_ros.evaluation.snr.study import OperatingPoint, SnrPlan, SnrStudy, study
from gsc_ros.evaluation.still_peer import STILL_PEERS, StillPeer
from gsc_ros.evaluation.store import Store
from gsc_ros.evaluation.stream_cache import StreamCache
from gsc_ros.evaluation.task.weight import LPIPS, VGG16, WeightError, WeightFolder
from gsc_ros.link.channel.noise import Modulation
from gsc_ros.perception.network.network import DetectionNetwork
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

FRAMES = 12
MTU = 64
PEERS = ('jpeg', 'webp')
USES = (8000, 24000)
CODE_RATES = (0.5,)
DOWNSCALES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
_REPORT = 'bench.json'


def add_arguments(parser: argparse.ArgumentParser, mode: Any) -> None:
    """
    Add the arguments of `gsc bench --snr`.

    :param mode: the group of modes that exclude each other.
    """
    mode.add_argument('--snr', type=_list(float, -30, 60), metavar='LIST',
                      help='compare over a noisy channel at these ratios of signal to noise, Es/N0 '
                      'in dB; write --snr=LIST when it begins with a minus')
    channel = parser.add_argument_group('noisy channel')
    channel.add_argument('--modulation', choices=[one.value for one in Modulation],
                         default=Modulation.BPSK.value, help='(%(default)s)')
    channel.add_argument('--uses', type=_list(int, 64, 1_000_000), metavar='LIST',
                         help='symbols for a frame, everything included '
                         f'({",".join(map(str, USES))})')
    channel.add_argument('--code-rates', type=_list(float, 0.01, 1), metavar='LIST',
                         help='parts of the datagrams that carry the packet; the others are parity '
                         f'({",".join(map(str, CODE_RATES))})')
    channel.add_argument('--weights', type=Path, metavar='DIR',
                         help="where the weights of LPIPS are (torch hub's cache)")


def run(arguments: argparse.Namespace, images: Sequence[Picture],
        detector: DetectionNetwork | None, found: Found | None,
        about: Callable[[str | None], dict[str, Any]]) -> int:
    """
    Compare over a noisy channel, and write the report.

    :param images: uint8 [H, W, 3] RGB of one size.
    :param detector: for the agreement of detections; None for none.
    :param found: where perception looks, for ours with key regions; None for no such codec.
    :param about: from why VSI is missing to what the report says of the run.
    :raises UsageError: a peer is unknown, or the channel holds no frame.
    :raises CodecError: our profile cannot be used.
    :raises OSError: the report cannot be written.
    """
    console = Console(stderr=True)
    plan = _plan(arguments, images, found)
    try:
        links = [NoisyLink(one.uses, plan.modulation, one.code_rate, plan.mtu)
                 for one in plan.operating_points]
    except CapacityError as error:
        raise UsageError(str(error)) from error
    no_vsi = 'not asked for' if arguments.no_vsi else saliency.missing()
    lpips, no_lpips = _lpips(arguments.weights)
    described = about(no_vsi)
    if no_lpips:
        described['versions']['LPIPS'] = f'missing: {no_lpips}'
    logging.getLogger('matplotlib').setLevel(logging.WARNING)
    arguments.output.mkdir(parents=True, exist_ok=True)
    store = Store(arguments.cache or arguments.output / 'cache')
    scorer = PairScorer(images, store, no_vsi is None, lpips, detector)
    with Progress(TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
                  TimeElapsedColumn(), console=console, transient=True,
                  disable=not console.is_terminal) as progress:
        task = progress.add_task('', total=None)
        result = study(
            plan, links, scorer, StreamCache(store),
            lambda done, total, text: progress.update(
                task, completed=done, total=total, description=text))
    content = _write(arguments.output, result, plan, links, described)
    if arguments.json:
        print(json.dumps(content))
    else:
        _show(console, result, plan)
    if no_lpips:
        console.print(f'missing: LPIPS: {no_lpips}', markup=False, highlight=False)
    console.print(f'open {arguments.output / "report.html"}', markup=False, highlight=False)
    return 0


def _plan(arguments: argparse.Namespace, images: Sequence[Picture],
          found: Found | None) -> SnrPlan:
    points = [OperatingPoint(uses, code_rate) for uses in arguments.uses or USES
              for code_rate in arguments.code_rates or CODE_RATES]
    return SnrPlan(
        images=images, snrs_db=arguments.snr, operating_points=points,
        modulation=Modulation(arguments.modulation), mtu=arguments.mtu or MTU,
        peers=_peers(PEERS if arguments.peers is None else arguments.peers),
        downscales=arguments.downscales or DOWNSCALES, profile=arguments.profile,
        threads=arguments.threads, workers=arguments.workers, seed=arguments.seed,
        trials=arguments.trials, gallery=len(images) // 2, found=found,
        objects=arguments.objects)


def _peers(names: Sequence[str]) -> list[StillPeer]:
    known = {peer.name: peer for peer in STILL_PEERS}
    for name in names:
        if name not in known:
            raise UsageError(f'no peer {name!r}; there are: {", ".join(sorted(known))}')
    return [known[name] for name in names]


def _lpips(folder: Path | None) -> tuple[Distance | None, str | None]:
    """Return the metric, or why it is missing."""
    absent = saliency.missing()  # piq and torch: what both metrics need
    if absent:
        return None, absent
    weights = WeightFolder(folder)
    absent = weights.missing(VGG16, LPIPS)
    if absent:
        return None, absent
    from gsc_ros.evaluation.task.perceptual import lpips
    try:
        return lpips(weights), None
    except WeightError as error:
        return None, str(error)


def _write(folder: Path, result: SnrStudy, plan: SnrPlan, links: list[NoisyLink],
           described: dict[str, Any]) -> dict[str, Any]:
    """Write the report; return what bench.json holds."""
    content = as_json(result, plan, links, described)
    drawn = plots(result, plan, links)
    for name, svg in drawn.items():
        (folder / f'snr_{name}.svg').write_bytes(svg)
    (folder / _REPORT).write_text(json.dumps(content, indent=1), encoding='utf-8')
    (folder / 'report.html').write_text(
        # The input's name need not be Unicode.
        page(result, plan, links, described, drawn), encoding='utf-8', errors='backslashreplace')
    return content


def _show(console: Console, result: SnrStudy, plan: SnrPlan) -> None:
    """Print quality at each ratio, and what does not fit."""
    names = metrics_of(result)
    titles = {codec.name: codec.title for codec in result.codecs}
    table = Table('codec', 'symbols', 'code rate', 'Es/N0, dB', 'whole', 'base',
                  *(METRICS[name] for name in names), box=None)
    for point in result.points:
        cost = plan.operating_points[point.operating_point]
        cells = ('-' if point.metrics.get(name) is None else
                 f'{point.metrics[name]:.{2 if name == "psnr" else 3}f}' for name in names)
        table.add_row(titles[point.codec], str(cost.uses), f'{cost.code_rate:g}',
                      f'{point.snr_db:g}', f'{point.whole:.2f}', f'{point.base:.2f}', *cells)
    Console().print(table)
    for codec in result.codecs:
        if codec.missing:
            console.print(f'missing: {codec.title}: {codec.missing}', markup=False)
    for fit in result.fits:
        if fit.bytes is None:
            console.print(f'does not fit {fit.capacity} bytes: {titles[fit.codec]}: {fit.setting}',
                          markup=False, highlight=False)


def _list(kind: type, low: float, high: float) -> Callable[[str], list]:
    """Return a converter of comma-separated numbers to an ascending list, for argparse."""
    one = bounded(kind, low, high)
    return lambda text: sorted({one(word) for word in text.split(',')})
