# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare this codec with others on your own pictures, and write a report.

    gsc bench DRIVE -o out/bench --frames 12
    gsc bench DRIVE -o out/bench-video --stream --rates 7.4,22.7
    gsc bench DRIVE -o out/bench-loss --loss 0.05 --rates 20
    gsc bench DRIVE -o out/bench-regions --detector yolo.onnx --regions detector:yolo.onnx
    gsc bench DRIVE -o out/bench-snr --snr 4,5,6,7,8

Writes bench.json, a plot per metric and report.html into the folder given by -o. Results of the
peers are kept there, too: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
import shlex
import sys
from typing import Any

from gsc_ros.cli import bench_snr
from gsc_ros.cli.bench_input import key_regions, MIN_SIDE, open_judge, pictures
from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.cli.number import bounded
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.region.setting import RegionSettings
from gsc_ros.evaluation import ffmpeg, saliency
from gsc_ros.evaluation.comparison import compare, peers_of
from gsc_ros.evaluation.content import as_json
from gsc_ros.evaluation.equal_quality import equal_f1
from gsc_ros.evaluation.own_run import WAYS
from gsc_ros.evaluation.packet_loss import LossyLink
from gsc_ros.evaluation.page import page
from gsc_ros.evaluation.plan import Comparison, Plan
from gsc_ros.evaluation.plot import plots
from gsc_ros.evaluation.score import Scorer
from gsc_ros.evaluation.store import Store
from gsc_ros.evaluation.verdict import at_rates, METRICS, metrics_of, rate_of
from gsc_ros.perception.network.network import DetectionNetwork
from gsc_ros.perception.source.opening import SYNTAX
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

STILL_RATES = (0.002, 0.0045, 0.0074, 0.0101, 0.019, 0.04)
VIDEO_RATES = (4.0, 7.4, 14.0, 22.7, 40.0)
LOSS_RATES = (10.0, 20.0, 40.0)
STILL_DOWNSCALES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
VIDEO_DOWNSCALES = (2.0, 3.0, 4.0, 6.0)
STILL_FRAMES, VIDEO_FRAMES = 12, 80
MTU = 1200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc bench`."""
    parser.add_argument('input', metavar='INPUT',
                        help='folder of images, KITTI drive, video, bag, or `terrain`')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='REPORT_DIR',
                        help='where the report goes, and where it goes on after a stop')
    parser.add_argument('--topic', metavar='NAME', help='image topic of a bag that has several')
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument('--stream', action='store_true',
                      help='compare with video codecs instead of still images')
    mode.add_argument('--loss', type=bounded(float, 0, 0.9), metavar='P',
                      help='compare with low-delay video over a link that loses this share of '
                      'packets, 0..0.9')
    bench_snr.add_arguments(parser, mode)
    what = parser.add_argument_group('pictures')
    what.add_argument('--frames', type=bounded(int, 1, 10_000), metavar='N',
                      help=f'spread over the input ({STILL_FRAMES}); of video the first '
                      f'({VIDEO_FRAMES}), with --snr, too ({bench_snr.FRAMES})')
    what.add_argument('--size', type=_size, default=(1216, 352), metavar='WxH',
                      help='larger frames are cropped around their centre (1216x352); `full` for '
                      'no crop')
    what.add_argument('--every', type=bounded(int, 1, 10_000), default=1, metavar='N',
                      help='take each N-th frame of a video, at an N-th of its rate '
                      '(%(default)s)')
    what.add_argument('--fps', type=bounded(float, 0.01, 1000), metavar='N',
                      help='frames per second (as recorded)')
    codecs = parser.add_argument_group('codecs')
    codecs.add_argument('--peers', type=_words, metavar='LIST',
                        help='comma-separated (all; `none` for none): '
                        + ', '.join(peer.name for peer in peers_of('stills')) + '; with --stream '
                        + ', '.join(peer.name for peer in peers_of('stream'))
                        + f'; with --snr those for stills ({",".join(bench_snr.PEERS)})')
    codecs.add_argument('--ours', type=_words, metavar='LIST',
                        help='of ours, comma-separated (all that the mode has): ' + ', '.join(WAYS))
    codecs.add_argument('--rates', type=_numbers, metavar='LIST',
                        help='bits per pixel; with --stream and --loss kbit/s')
    codecs.add_argument('--downscales', type=_numbers, metavar='LIST',
                        help='that each peer chooses the best from; with a fraction if you like')
    codecs.add_argument('--profile', default='tiny', help='ours, by name or folder (%(default)s)')
    codecs.add_argument('--threads', type=bounded(int, 1, 64), default=2, metavar='N',
                        help='of our graphs (%(default)s)')
    regions = parser.add_argument_group('key regions')
    regions.add_argument('--regions', action='append', default=[], metavar='SOURCE',
                         help=f'code what perception looks at more finely: {SYNTAX}; may be given '
                         'several times')
    regions.add_argument('--agreement', action='store_true',
                         help='ours once more, sharing each packet as the detector of the '
                         'regions agrees most')
    regions.add_argument('--base-share', type=bounded(float, 1e-6, 1), metavar='X',
                         default=RegionSettings.base_share, help='share of a packet that ours '
                         'keeps for the whole picture (%(default)s)')
    regions.add_argument('--objects', action='store_true',
                         help='ours sends the list of classes and boxes, too')
    link = parser.add_argument_group('lossy link')
    link.add_argument('--mtu', type=bounded(int, 32, 65_507), metavar='B',
                      help=f'payload of a packet in bytes ({MTU}); with --snr the whole of a '
                      f'datagram ({bench_snr.MTU})')
    link.add_argument('--rtt', type=bounded(float, 0, 60), default=0.5, metavar='S',
                      help='seconds until a loss is known to the sender (%(default)s)')
    link.add_argument('--seed', type=bounded(int, 0, 2 ** 31), default=0, metavar='N',
                      help='of losses and noise (%(default)s)')
    link.add_argument('--trials', type=bounded(int, 1, 1000), default=5, metavar='N',
                      help='seeds to average over (%(default)s)')
    metrics = parser.add_argument_group('metrics')
    metrics.add_argument('--detector', type=Path, metavar='FILE',
                         help='a detector as ONNX (YOLO, RT-DETR, FastestDet, ...): how far its '
                         'detections agree with those on the original')
    metrics.add_argument('--min-score', type=bounded(float, 0, 1), metavar='S',
                         help="of the detector's objects (its own)")
    metrics.add_argument('--names', type=Path, metavar='FILE',
                         help="names of the detector's classes, one a line (its own, or COCO's)")
    metrics.add_argument('--no-vsi', action='store_true', help='leave out VSI, the slowest metric')
    parser.add_argument('--cache', type=Path, metavar='DIR',
                        help='where results of peers are kept (REPORT_DIR/cache)')
    parser.add_argument('--workers', type=bounded(int, 1, 256), default=2, metavar='N',
                        help='peers that run, with --snr pictures that are scored, at a time '
                        '(%(default)s)')
    parser.add_argument('--json', action='store_true', help='print bench.json on stdout, too')


def run(arguments: argparse.Namespace) -> int:
    """
    Compare, and write the report.

    :raises DataError: the input is bad or the report cannot be written.
    :raises UsageError: a peer is unknown, or the settings fit neither mode nor pictures.
    """
    console = Console(stderr=True)
    plan = _plan(arguments) if arguments.snr is None else None
    detector = open_judge(arguments)
    if plan is None:
        return _over_noise(arguments, detector)
    no_vsi = 'not asked for' if arguments.no_vsi else saliency.missing()
    logging.getLogger('matplotlib').setLevel(logging.WARNING)
    try:
        scorer = Scorer(plan.images, detector, with_vsi=no_vsi is None)
        arguments.output.mkdir(parents=True, exist_ok=True)
        store = Store(arguments.cache or arguments.output / 'cache')
        with Progress(TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
                      TimeElapsedColumn(), console=console, transient=True,
                      disable=not console.is_terminal) as progress:
            task = progress.add_task('', total=None)
            comparison = compare(plan, scorer, store, lambda done, total, text: progress.update(
                task, completed=done, total=total, description=text))
        content = _write(arguments, plan, comparison, _about(arguments, no_vsi, detector))
    except CodecError as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise DataError(f'{error.filename or arguments.output}: {error.strerror or error}'
                        ) from error
    if arguments.json:
        print(json.dumps(content))
    else:
        _show(console, plan, comparison)
    console.print(f'open {arguments.output / "report.html"}', markup=False, highlight=False)
    return 0


def _over_noise(arguments: argparse.Namespace, detector: DetectionNetwork | None) -> int:
    """Run `--snr`; errors as of :func:`run`."""
    images, fps = pictures(arguments, still=False, count=bench_snr.FRAMES)
    try:
        return bench_snr.run(arguments, images, detector, key_regions(arguments, images, fps),
                             lambda no_vsi: _about(arguments, no_vsi, detector))
    except CodecError as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise DataError(f'{error.filename or arguments.output}: {error.strerror or error}'
                        ) from error


def _plan(arguments: argparse.Namespace) -> Plan:
    mode = 'stream' if arguments.stream else 'stills' if arguments.loss is None else 'loss'
    known = {peer.name for peer in peers_of(mode, bool(arguments.regions))}
    for name in arguments.peers or ():
        if name not in known:
            raise UsageError(f'no peer {name!r}; there are: {", ".join(sorted(known))}')
    still = mode == 'stills'
    for name in arguments.ours or ():
        if name not in WAYS:
            raise UsageError(f'{name!r} is none of ours; there are: {", ".join(WAYS)}')
    images, fps = pictures(arguments, still, STILL_FRAMES if still else VIDEO_FRAMES)
    rates = {'stills': STILL_RATES, 'stream': VIDEO_RATES, 'loss': LOSS_RATES}[mode]
    return Plan(
        images=images, fps=fps, mode=mode, rates=arguments.rates or rates,
        downscales=arguments.downscales or (
            STILL_DOWNSCALES if mode == 'stills' else VIDEO_DOWNSCALES),
        peers=arguments.peers, ours=arguments.ours, profile=arguments.profile,
        threads=arguments.threads, workers=arguments.workers, gallery=len(images) // 2,
        link=LossyLink(arguments.loss or 0.0, arguments.mtu or MTU, arguments.rtt, arguments.seed),
        trials=arguments.trials if mode == 'loss' else 1,
        regions=key_regions(arguments, images, fps), objects=arguments.objects,
        agreement=arguments.agreement, base_share=arguments.base_share)


def _about(arguments: argparse.Namespace, no_vsi: str | None,
           detector: DetectionNetwork | None) -> dict[str, Any]:
    """Return what the report says of the run."""
    try:
        version = ffmpeg.version().removeprefix('ffmpeg version ').partition(' ')[0]
    except ffmpeg.FFmpegError as error:
        version = f'missing: {error}'
    about: dict[str, Any] = {
        'input': arguments.input, 'command': shlex.join(['gsc', *sys.argv[1:]]),
        'versions': {'ffmpeg': version}}
    if detector is not None:
        about |= {'detector': arguments.detector.name, 'min_score': detector.min_score}
    if no_vsi:
        about['versions']['VSI'] = f'missing: {no_vsi}'
    return about


def _write(arguments: argparse.Namespace, plan: Plan, comparison: Comparison,
           about: dict[str, Any]) -> dict[str, Any]:
    """Write the report; return what bench.json holds."""
    content = as_json(comparison, plan, about)
    drawn = plots(comparison, plan)
    folder = arguments.output
    for metric, svg in drawn.items():
        (folder / f'{metric}.svg').write_bytes(svg)
    (folder / 'bench.json').write_text(json.dumps(content, indent=1), encoding='utf-8')
    (folder / 'report.html').write_text(
        # The input's name need not be Unicode.
        page(comparison, plan, about, drawn), encoding='utf-8', errors='backslashreplace')
    return content


def _show(console: Console, plan: Plan, comparison: Comparison) -> None:
    """Print quality at each rate, and what is missing."""
    names = metrics_of(comparison.points)
    table = Table('codec', rate_of(plan.mode)[1], *(METRICS[name] for name in names), box=None)
    for row in at_rates(comparison, plan):
        cells = ('-' if row[name] is None else f'{row[name]:.{2 if name == "psnr" else 3}f}'
                 for name in names)
        table.add_row(row['codec'], f'{row["rate"]:g}', *cells)
    Console().print(table)
    _show_equal(plan, comparison)
    if comparison.listed is not None:
        console.print(f'list of objects alone: {comparison.listed.bytes:.0f} bytes a frame, F1 '
                      f'{comparison.listed.f1 or 0:.2f}')
    for codec in comparison.codecs:
        if codec.missing:
            console.print(f'missing: {codec.title}: {codec.missing}', markup=False)
    for outcome in comparison.outcomes:
        if outcome.point.failure:
            console.print(f'failed: {outcome.point.codec}, {outcome.point.setting}, 1/'
                          f'{outcome.point.downscale:g}: {outcome.point.failure}', markup=False)


def _show_equal(plan: Plan, comparison: Comparison) -> None:
    """Print what detections cost, where both of ours and a peer reach them."""
    rows = [row for row in equal_f1(comparison, plan.mode) if row.ratio is not None]
    if not rows:
        return
    unit = rate_of(plan.mode)[1]
    table = Table('codec', 'F1', f'{unit}', 'best peer', f'{unit}', 'ratio', box=None)
    for row in rows:
        table.add_row(row.codec, f'{row.f1:g}', f'{row.rate:.4g}', row.best,
                      f'{row.peers[row.best]:.4g}', f'{row.ratio:.2f}')
    Console().print(table)


def _words(text: str) -> list[str]:
    """Return comma-separated words, for argparse; `none` is the empty list."""
    return [] if text == 'none' else [word.strip() for word in text.split(',')]


def _numbers(text: str) -> list[float]:
    """Return comma-separated positive numbers in ascending order, for argparse."""
    return sorted({bounded(float, 1e-6, 1e6)(word) for word in text.split(',')})


def _size(text: str) -> tuple[int, int] | None:
    """Return width and height, or None for `full`, for argparse."""
    if text == 'full':
        return None
    width, cross, height = text.partition('x')
    side = bounded(int, MIN_SIDE, 8192)
    if not cross:
        raise argparse.ArgumentTypeError(f'{text!r} is not a size such as 1216x352')
    return side(width), side(height)
