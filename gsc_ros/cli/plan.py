# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Foretell what a link carries: frame period, bytes a frame, latency, share of payload.

    gsc plan --bps 2400 --cameras 1 --fps 0.5
    gsc plan --bps 9600 --cameras 2 --fps 10 --bytes 400 --least-bytes 60 --rtt 1.2
    gsc plan --preset lora --cameras 1 --fps 2 --json

`gsc link` runs what this foretells. Cameras are alike and evenly shifted; their frames can be cut
to any size between --least-bytes and --bytes, as packets of many layers nearly can.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
import json

from gsc_ros.cli.error import UsageError
from gsc_ros.cli.link_setting import add_budget_arguments, link_settings, LinkSettings
from gsc_ros.cli.number import bounded
from gsc_ros.link.trial.plan import LinkPlan, plan, PlanRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc plan`."""
    parser.add_argument('--cameras', type=bounded(int, 1, 256), default=1, metavar='K',
                        help='how many (%(default)s)')
    parser.add_argument('--fps', type=bounded(float, 0.0001, 1000), default=10.0, metavar='N',
                        help='frames per second that each offers (%(default)s)')
    parser.add_argument('--bytes', type=bounded(int, 13, 65536), metavar='B',
                        help='a packet with all its layers (as large as the link can carry)')
    parser.add_argument('--least-bytes', type=bounded(int, 1, 65536), default=40, metavar='B',
                        help='a packet with the layers that are never shed (%(default)s)')
    parser.add_argument('--target-fps', type=bounded(float, 0, 1000), metavar='N',
                        help='frame rate to aim at by shedding layers; 0: as they come')
    way = parser.add_mutually_exclusive_group()
    way.add_argument('--rtt', type=bounded(float, 0, 7200), metavar='S',
                     help='round trip in seconds (0)')
    way.add_argument('--delay-ms', type=bounded(float, 0, 3_600_000), metavar='N',
                     help='instead: the delay of one way')
    parser.add_argument('--useful-s', type=bounded(float, 0.05, 86_400), metavar='S',
                        help='age after which a repair comes too late for a frame (2)')
    add_budget_arguments(parser)
    parser.add_argument('--json', action='store_true', help='print one JSON object on stdout')


def run(arguments: argparse.Namespace) -> int:
    """
    Print the plan.

    :raises DataError: when the preset is bad.
    :raises UsageError: when values do not fit together.
    """
    settings = link_settings(arguments)
    delay_s = settings.channel['delay_ms'] / 1e3 if arguments.rtt is None else arguments.rtt / 2
    try:
        planned = plan(PlanRequest(
            rate_bps=settings.bps, cameras=arguments.cameras, fps=arguments.fps,
            whole_bytes=arguments.bytes, least_bytes=arguments.least_bytes, mtu=settings.mtu,
            tag_bytes=settings.suite.tag_bytes, overhead_bytes=settings.overhead,
            target_fps=settings.rules['target_fps'], delay_s=delay_s,
            loss=settings.channel['loss'], repair=settings.repair,
            useful_s=settings.rules['useful_s']))
    except ValueError as error:
        raise UsageError(str(error)) from error
    if arguments.json:
        print(json.dumps({
            'bps': settings.bps, 'mtu': settings.mtu, 'overhead': settings.overhead,
            'security': settings.security, 'repair': settings.repair.value,
            'cameras': arguments.cameras, 'fps': arguments.fps,
            **asdict(planned), 'regime': planned.regime.value}))
    else:
        print(_table(settings, arguments, planned))
    return 0


def _table(settings: LinkSettings, arguments: argparse.Namespace, planned: LinkPlan) -> str:
    rows = [
        ('frames', f'one every {planned.frame_period_s:.3g} s of each camera: '
                   f'{planned.regime.value}'),
        ('packet', f'{planned.frame_bytes} bytes in {planned.datagrams} datagrams, '
                   f'{planned.wire_bytes:.0f} bytes on the wire'),
        ('latency', f'{planned.latency_s:.3g} s (median)'),
        ('budget', f'{planned.used_share:.0%} used, {planned.payload_share:.1%} is packets, '
                   f'{planned.repair_share:.1%} repairs'),
    ]
    if loss := settings.channel['loss']:
        rows.append(('loss', f'{loss:.1%} of datagrams; {planned.arriving_share:.1%} of frames '
                             'need no repair'))
    title = (f'{settings.bps} bit/s, MTU {settings.mtu}, security {settings.security}, '
             f'{arguments.cameras} cameras at {arguments.fps:g} Hz')
    return '\n'.join([title, *(f'  {name:<8} {value}' for name, value in rows)])
