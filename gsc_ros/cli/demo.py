# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Run the whole ROS 2 graph on this machine: player, sender, bridge with a thin link, receiver.

It stops by itself and leaves a report, a video, pictures, a bag and all figures in the output
folder. `gsc demo --input terrain` needs no data.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import shlex
import sys

from gsc_ros.cli.error import DataError
from gsc_ros.cli.number import bounded
from gsc_ros.codec import text
from gsc_ros.codec.error import CodecError
from gsc_ros.demo.display import Display
from gsc_ros.demo.error import DemoError
from gsc_ros.demo.run import run_demo
from gsc_ros.demo.setting import default_input, default_sources, DemoSettings
from gsc_ros.demo.summary import Ending, Summary
from gsc_ros.nodes.parameter import CAMERA_NAME
from gsc_ros.nodes.schema import Mode
from gsc_ros.perception.source.opening import SYNTAX
from gsc_ros.sources import SourceError
from rich.console import Console

INTERRUPTED = 130
# Sources of regions, and whether something follows the name.
_SOURCES = {'importance': False, 'detector': True, 'zones': True}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc demo`."""
    parser.add_argument('--input', metavar='INPUT',
                        help='KITTI drive, folder of images, video, bag, or `terrain` (a KITTI '
                        'drive under $GSC_SHARED_DATA or ../shared/data, else terrain)')
    parser.add_argument('--topic', metavar='NAME', help='image topic of a bag that has several')
    parser.add_argument('--output', type=Path, default=Path('out', 'demo'), metavar='DIR',
                        help='where everything goes (%(default)s)')
    link = parser.add_argument_group('link')
    link.add_argument('--link-bps', type=bounded(int, 10, 10 ** 9), default=20_000, metavar='BPS',
                      help='hard budget in bit/s, every header included (%(default)s)')
    link.add_argument('--burst-bits', type=bounded(int, 0, 2 ** 31 - 1), metavar='BITS',
                      help='bits that may leave at once (one second of the budget)')
    link.add_argument('--loss', type=bounded(float, 0, 1), default=0.0, metavar='SHARE',
                      help='share of datagrams lost, 0..1 (%(default)s)')
    link.add_argument('--delay-ms', type=bounded(float, 0, 3_600_000), default=0.0, metavar='MS',
                      help='one-way delay (%(default)s)')
    replay = parser.add_argument_group('replay')
    replay.add_argument('--fps', type=bounded(float, 0.01, 1000), metavar='N',
                        help='frames per second (as recorded)')
    replay.add_argument('--seconds', type=bounded(float, 0.1, 86_400), default=60.0, metavar='S',
                        help='replay at most so long (%(default)s)')
    replay.add_argument('--frames', type=bounded(int, 1, 10 ** 6), metavar='N',
                        help='replay at most so many (all)')
    replay.add_argument('--camera', type=_camera, default='front', metavar='NAME',
                        help='name of the camera in the topics (%(default)s)')
    codec = parser.add_argument_group('codec')
    codec.add_argument('--profile', default='tiny', help='name or folder (%(default)s)')
    codec.add_argument('--mode', choices=tuple(mode.value for mode in Mode), default='structure',
                       help='how to reconstruct (%(default)s): auto shows the structure pictures '
                       'at once and the generated ones beside them')
    codec.add_argument('--generator', default='tiny', metavar='NAME',
                       help='name or folder of the generator (%(default)s)')
    codec.add_argument('--steps', type=bounded(int, 1, 1000), metavar='N',
                       help="steps of its sampler (the generator's default)")
    codec.add_argument('--regions', nargs='*', type=_source, metavar='SOURCE',
                       help='code better where perception looks, as one or several say: '
                       f'{SYNTAX}; without any: the detector of the shared data if that is '
                       'there, else importance')
    codec.add_argument('--caption', type=_caption, default='', metavar='TEXT',
                       help='caption to send, which guides the generator (none)')
    codec.add_argument('--channels', type=bounded(int, 1, 320), metavar='N',
                       help="most channels per frame (the sender's default)")
    codec.add_argument('--quantizer', type=bounded(int, 0, 15), metavar='Q',
                       help="quantizer step (the profile's default)")
    codec.add_argument('--max-bytes', type=bounded(int, 13, 65536), metavar='B',
                       help='most bytes per packet (what the link carries per frame)')
    parser.add_argument('--domain-id', type=bounded(int, 0, 232), metavar='N',
                        help='ROS domain, to look in from outside (a free one)')
    parser.add_argument('--json', action='store_true', help='print summary.json on stdout, too')


def run(arguments: argparse.Namespace) -> int:
    """
    Run the demo; return 0, or 130 when it was interrupted (what there was is reported then, too).

    :raises DataError: when the input is bad, a node fails, or the output cannot be written.
    """
    display = Display(Console(stderr=True))
    values = {name: value for name, value in vars(arguments).items() if name != 'json'}
    values['input'] = arguments.input or default_input()
    regions = arguments.regions
    values['regions'] = () if regions is None else tuple(regions) or default_sources()
    settings = DemoSettings(**values, command=shlex.join(['gsc', *sys.argv[1:]]))
    try:
        summary = run_demo(settings, display)
    except (DemoError, SourceError) as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise DataError(f'{error.filename or settings.output}: {error.strerror or error}'
                        ) from error
    display.say(_closing_words(summary, settings))
    if arguments.json:
        print(summary.to_json())
    return INTERRUPTED if summary.ending == Ending.INTERRUPT.value else 0


def _camera(word: str) -> str:
    """Return a name that can be part of a topic, for argparse."""
    if not CAMERA_NAME.fullmatch(word):
        raise argparse.ArgumentTypeError(f'{word!r} cannot be part of a topic name')
    return word


def _source(words: str) -> str:
    """Return a source of regions, for argparse; one with a file is found from any folder."""
    kind, _, rest = words.partition(':')
    if kind not in _SOURCES or bool(rest) != _SOURCES[kind]:
        raise argparse.ArgumentTypeError(f'{words!r} is no source of regions')
    return f'{kind}:{Path(rest).expanduser().resolve()}' if kind == 'detector' else words


def _caption(words: str) -> str:
    """Return a caption that a packet can carry, for argparse."""
    try:
        text.compress(words)
    except CodecError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return words


def _closing_words(summary: Summary, settings: DemoSettings) -> str:
    quality = ('' if summary.psnr_db.mean is None else f', {summary.psnr_db.mean:.2f} dB') + (
        '' if summary.ms_ssim.mean is None else f', MS-SSIM {summary.ms_ssim.mean:.3f}')
    budget = 'held in every window' if summary.budget_holds else 'EXCEEDED'
    return (f'{summary.frames_received} of {summary.frames_in} frames in {summary.link_bytes} '
            f'bytes on the link ({summary.link_bps / 1000:.1f} of {summary.budget_bps / 1000:g} '
            f'kbit/s, budget {budget}){quality}, latency {summary.latency_ms.median:.0f} ms\n'
            f'{_generated(summary)}{_regions(summary)}open {settings.output / "report.html"}')


def _generated(summary: Summary) -> str:
    """Return a line on what was generated, if anything was."""
    if not summary.modes:
        return ''
    figures = summary.modes['generate']
    pace = f'{figures.frames} frames generated by {summary.generator}, {figures.fps:.2f} a second'
    if figures.psnr_db.mean is None:
        return f'{pace}\n'
    return (f'{pace}, {figures.psnr_db.mean:.2f} dB; structure pictures of the same frames '
            f'{summary.modes["structure"].psnr_db.mean:.2f} dB\n')


def _regions(summary: Summary) -> str:
    """Return a line on the key regions, if there were sources of any."""
    figures = summary.regions
    if figures is None:
        return ''
    line = (f'{figures.regions.mean:.1f} regions and {figures.objects.mean:.1f} objects a frame, '
            f'{figures.region_bytes.mean:.0f} and {figures.object_bytes.mean:.0f} bytes')
    inside, outside = figures.psnr_inside_db.mean, figures.psnr_outside_db.mean
    if inside is not None and outside is not None:
        line += f', {inside:.2f} dB in the regions, {outside:.2f} outside'
    return f'{line}\n'
