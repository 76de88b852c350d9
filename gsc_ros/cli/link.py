# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Run a link without ROS, in simulated time: what gets through, when, and what it costs.

    gsc link --bps 2400 drive/                     a folder of pictures, a video, a bag, terrain
    gsc link --preset lora packets/ --cameras 2    packets that `gsc encode` made
    gsc link --bps 9600 --loss 0.1 --delay-ms 600 --json terrain
    gsc link --bps 20000 --loss 0.05 --loss-model gilbert_elliott --plot run.svg terrain

Pictures are coded each alone. When they run out, the first one follows the last one. Both ends are
those of the bridge; only the channel is a model (docs/channels.md).
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
import json
import math
from pathlib import Path

from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.cli.file import write_bytes
from gsc_ros.cli.link_input import encode_pictures, LinkInput, read_packets
from gsc_ros.cli.link_plot import plot
from gsc_ros.cli.link_setting import (
    add_budget_arguments,
    add_channel_arguments,
    link_settings,
    LinkSettings,
)
from gsc_ros.cli.number import bounded
from gsc_ros.codec.frame import EncoderSettings
from gsc_ros.codec.packet import LATENT_CHANNELS
from gsc_ros.link.trial.run_summary import CameraSummary, DirectionSummary, RunSummary, summarize
from gsc_ros.link.trial.simulation import Feed, LinkRun

NS_PER_S = 1_000_000_000
DRAIN_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc link`."""
    parser.add_argument('input', metavar='INPUT',
                        help='folder of images, KITTI drive, video, bag, `terrain`, or packets')
    parser.add_argument('--topic', metavar='NAME', help='image topic of a bag that has several')
    parser.add_argument('--cameras', type=bounded(int, 1, 256), default=1, metavar='K',
                        help='that all show the input, one shifted against the next (%(default)s)')
    parser.add_argument('--fps', type=bounded(float, 0.001, 1000), metavar='N',
                        help='frames per second of a camera (as recorded; packets: 10)')
    parser.add_argument('--seconds', type=bounded(float, 0.1, 1_000_000), default=60.0, metavar='S',
                        help='simulated time in which frames are offered (%(default)s)')
    parser.add_argument('--frames', type=bounded(int, 1, 1_000_000), default=100, metavar='N',
                        help='pictures to code, at most (%(default)s)')
    parser.add_argument('--control-hz', type=bounded(float, 0, 100), default=0.0, metavar='N',
                        help='control messages per second, whose latency is measured (0)')
    add_budget_arguments(parser)
    add_channel_arguments(parser)
    codec = parser.add_argument_group('codec')
    codec.add_argument('--profile', default='tiny', help='name or folder (%(default)s)')
    size = codec.add_mutually_exclusive_group()
    size.add_argument('--channels', type=bounded(int, 1, LATENT_CHANNELS), metavar='N',
                      help=f'channels to code ({EncoderSettings().channels})')
    size.add_argument('--max-bytes', type=bounded(int, 13, 65536), metavar='B',
                      help='no packet is larger')
    parser.add_argument('--plot', type=Path, metavar='FILE', help='draw the run into an SVG file')
    parser.add_argument('--json', action='store_true', help='print one JSON object on stdout')


def run(arguments: argparse.Namespace) -> int:
    """
    Run the link; return 0, or 1 when the budget did not hold.

    :raises DataError: when the input, the preset or the trace is bad.
    :raises UsageError: when options do not fit together.
    """
    if arguments.plot and arguments.plot.suffix.lower() != '.svg':
        raise UsageError(f'{arguments.plot}: the plot is an SVG file, its name must end in .svg')
    if arguments.plot and not arguments.plot.absolute().parent.is_dir():
        raise DataError(f'{arguments.plot}: no such folder')
    settings = link_settings(arguments)
    setup = settings.setup()
    try:
        LinkRun(setup, [])
    except ValueError as error:
        raise UsageError(str(error)) from error
    source = _read(arguments)
    fps = arguments.fps or source.fps
    feeds = [
        Feed(f'camera{number}' if number else 'camera', source.frames, fps,
             policy=settings.policy,
             start_ns=round(number * NS_PER_S / fps / arguments.cameras))
        for number in range(arguments.cameras)]
    period_ns = round(NS_PER_S / arguments.control_hz) if arguments.control_hz else 0
    link = LinkRun(setup, feeds, period_ns)
    link.run(arguments.seconds, min(DRAIN_S, arguments.seconds))
    summary = summarize(link)
    if arguments.plot:
        write_bytes(arguments.plot, plot(link).encode())
    if arguments.json:
        print(json.dumps(_as_json(arguments, settings, source, fps, link, summary)))
    else:
        print(_table(settings, summary))
    return 0 if summary.forward.budget_holds and summary.backward.budget_holds else 1


def _read(arguments: argparse.Namespace) -> LinkInput:
    packets = read_packets(Path(arguments.input), arguments.profile, arguments.frames)
    if packets is not None:
        return packets
    encoder = EncoderSettings(
        channels=arguments.channels or (
            LATENT_CHANNELS if arguments.max_bytes else EncoderSettings().channels),
        max_bytes=arguments.max_bytes)
    return encode_pictures(
        arguments.input, arguments.profile, encoder, arguments.topic, arguments.frames)


def _as_json(
    arguments: argparse.Namespace, settings: LinkSettings, source: LinkInput, fps: float,
    link: LinkRun, summary: RunSummary,
) -> dict:
    return {
        'input': arguments.input, 'pictures': len(source.frames), 'fps': fps,
        'bps': settings.bps, 'overhead': settings.overhead, 'security': settings.security,
        'repair': settings.repair.value, **settings.rules, 'channel': settings.channel,
        **asdict(summary),
        'frames': [{
            'camera': link.feeds[one.camera].name, 'number': one.number, 'fate': one.fate.value,
            'offered_s': one.offered_ns / NS_PER_S, 'begun_s': _seconds(one.begun_ns),
            'delivered_s': _seconds(one.delivered_ns), 'offered_bytes': one.offered_bytes,
            'delivered_bytes': one.delivered_bytes, 'layers': one.layers}
            for one in link.outcomes],
    }


def _seconds(time_ns: int | None) -> float | None:
    return None if time_ns is None else time_ns / NS_PER_S


def _table(settings: LinkSettings, summary: RunSummary) -> str:
    lines = [f'{settings.bps} bit/s, MTU {settings.mtu}, security {settings.security}, '
             f'repair {settings.repair.value}: {summary.seconds:g} s']
    for camera in summary.cameras:
        lines += _camera_lines(camera)
    if summary.control_latency_s.p50 is not None:
        lines.append(f'  control messages: {_latency(summary)} s')
    lines.append(f'  packets are {summary.payload_share:.1%} of the budget, parity '
                 f'{summary.parity_share:.1%}, repeats {summary.repeat_share:.1%}')
    if summary.loss is not None or summary.round_trip_s is not None:
        lines.append(f'  measured: loss {_number(summary.loss, ".1%")}, round trip '
                     f'{_number(summary.round_trip_s, ".3f")} s')
    lines += _direction_lines('to the ground', summary.forward)
    lines += _direction_lines('to the rover', summary.backward)
    return '\n'.join(lines)


def _camera_lines(camera: CameraSummary) -> list[str]:
    latency = camera.latency_s
    return [
        f'  {camera.camera}: {camera.delivered} of {camera.offered} frames delivered, '
        f'{camera.dropped} dropped, {camera.lost} lost, {camera.waiting} waiting',
        f'    one every {_number(camera.frame_period_s, ".2f")} s, '
        f'{_number(camera.mean_bytes, ".0f")} of {_number(camera.offered_bytes, ".0f")} bytes, '
        f'{_number(camera.mean_layers, ".1f")} layers',
        f'    latency: median {_number(latency.p50, ".2f")}, 90 % {_number(latency.p90, ".2f")}, '
        f'99 % {_number(latency.p99, ".2f")}, at most {_number(latency.maximum, ".2f")} s']


def _latency(summary: RunSummary) -> str:
    latency = summary.control_latency_s
    return (f'median {_number(latency.p50, ".2f")}, 99 % {_number(latency.p99, ".2f")}, at most '
            f'{_number(latency.maximum, ".2f")}')


def _direction_lines(name: str, direction: DirectionSummary) -> list[str]:
    verdict = 'held in every window' if direction.budget_holds else 'EXCEEDED'
    kinds = ', '.join(f'{kind} {size}' for kind, size in direction.bytes_by_kind.items())
    return [f'  {name}: {direction.bytes} bytes in {direction.datagrams} datagrams, '
            f'{direction.used_share:.1%} of {direction.budget_bps} bit/s, budget {verdict} '
            f'({math.floor(direction.spare_bits)} bits left in the tightest)',
            f'    bytes: {kinds or "none"}']


def _number(value: float | None, form: str) -> str:
    return '-' if value is None else format(value, form)
