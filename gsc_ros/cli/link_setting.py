# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of a link: a preset, and whatever on the command line replaces its values."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.cli.link_preset import CHANNEL, read_preset, RULES
from gsc_ros.cli.number import bounded
from gsc_ros.link.budget import choose_burst_bits, choose_return_bps
from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.channel.loss import LossKind, parse_outages
from gsc_ros.link.channel.noise import Modulation
from gsc_ros.link.channel.trace import read_channel_trace
from gsc_ros.link.endpoint import EndpointConfig
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.repair.repair import RepairConfig, RepairMode
from gsc_ros.link.schedule.scheduler import CameraPolicy
from gsc_ros.link.trial.simulation import LinkSetup

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
SUITES = {'none': Suite.NONE, 'aes-ccm': Suite.AES_CCM,
          'chacha20-poly1305': Suite.CHACHA20_POLY1305}


def add_budget_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that a plan and a run have in common."""
    link = parser.add_argument_group('link')
    link.add_argument('--bps', type=bounded(int, 10, 10 ** 9), metavar='N',
                      help='hard budget in bit/s, every header included (that of the preset)')
    link.add_argument('--preset', metavar='NAME', help='a file of config/links, by name or path')
    link.add_argument('--mtu', type=bounded(int, 32, 1500), metavar='B',
                      help=f'bytes of a datagram, at most ({RULES["mtu"].default})')
    link.add_argument('--overhead', type=bounded(int, 0, 200), default=0, metavar='B',
                      help='bytes that the transport adds to each: 28 for UDP over IPv4, 48 over '
                      'IPv6 (%(default)s)')
    link.add_argument('--security', choices=list(SUITES), default='aes-ccm',
                      help='what protects the datagrams (%(default)s)')
    link.add_argument('--repair', choices=[mode.value for mode in RepairMode],
                      default=RepairMode.AUTO.value,
                      help='how losses are made up for (%(default)s)')
    link.add_argument('--loss', type=bounded(float, 0, 1), metavar='P',
                      help='probability that a datagram is lost, or with gilbert_elliott the part '
                      'of the time that is bad (0)')


def add_channel_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe the channel, named as the parameters `sim.*` of the bridge."""
    channel = parser.add_argument_group('channel', 'See docs/channels.md.')
    for name, words in (
            ('delay-ms', 'one-way delay'),
            ('jitter-ms', 'further delay, uniform from 0 to this'),
            ('burst-ms', 'mean length of a burst of gilbert_elliott'),
            ('duplicate', 'probability that a datagram arrives twice'),
            ('reorder', 'probability that a datagram is held back'),
            ('reorder-ms', 'for how long, at most'),
            ('snr-db', 'Es/N0 of a channel that damages bits; 100: none'),
            ('seed', 'of everything random')):
        value = CHANNEL[name.replace('-', '_')]
        channel.add_argument(
            f'--{name}', type=bounded(type(value.default), value.low, value.high), metavar='N',
            help=f'{words} ({value.default:g})')
    channel.add_argument('--return-bps', type=bounded(int, 10, 10 ** 9), metavar='N',
                         help='hard budget of the way back in bit/s (as the bridge chooses it)')
    channel.add_argument('--rate-bps', type=bounded(int, 10, 10 ** 9), metavar='N',
                         help='what the channel to the ground carries in bit/s (the budget)')
    channel.add_argument('--loss-model', choices=[kind.value for kind in LossKind],
                         help='losses one by one, or in bursts (bernoulli)')
    channel.add_argument('--modulation', choices=[kind.value for kind in Modulation],
                         help='of the channel that damages bits (bpsk)')
    channel.add_argument('--outages', metavar='LIST', help='such as 10-70,100-105.5, in seconds')
    channel.add_argument('--trace', metavar='FILE', help='CSV of time_s and rate_bps or loss')
    rules = parser.add_argument_group('frames and repair')
    rules.add_argument('--target-fps', type=bounded(float, 0, 1000), metavar='N',
                       help='frame rate to aim at by shedding layers; 0: as they come')
    rules.add_argument('--min-layers', type=bounded(int, 1, 32), metavar='N',
                       help='layers that are never shed (1)')
    rules.add_argument('--deadline-s', type=bounded(float, 0.01, 86_400), metavar='S',
                       help='age at which a frame that waits is dropped (10)')
    rules.add_argument('--useful-s', type=bounded(float, 0.05, 86_400), metavar='S',
                       help='age after which a repair comes too late for a frame (2)')
    rules.add_argument('--repair-share', type=bounded(float, 0, 0.5), metavar='P',
                       help='part of the budget for parity, and as much for repeats (0.3)')
    rules.add_argument('--repair-reorder-ms', type=bounded(float, 0, 3_600_000), metavar='N',
                       help='after which a datagram that others have overtaken counts as lost; '
                       'reorder_ms of the bridge (30)')
    rules.add_argument('--burst-bits', type=bounded(int, 0, 10 ** 9), metavar='N',
                       help='bits that may leave the rover at once after a pause (as the bridge '
                       'chooses them)')
    rules.add_argument('--announce-period-s', type=bounded(float, 0.1, 86_400), metavar='S',
                       help='cameras are announced again so often while the ground is silent (10)')


@dataclass(frozen=True)
class LinkSettings:
    """
    A link as the options describe it.

    :param bps: hard budget of the rover in bit/s.
    :param rules: of `RULES`, as the preset and the options have it.
    :param channel: of `CHANNEL`, likewise.
    :param overhead: bytes added to each datagram.
    :param security: a name of `SUITES`.
    :param repair: how losses are made up for.
    """

    bps: int
    rules: dict[str, Any]
    channel: dict[str, Any]
    overhead: int
    security: str
    repair: RepairMode

    @property
    def mtu(self) -> int:
        """Bytes of a datagram, at most."""
        return self.rules['mtu']

    @property
    def suite(self) -> Suite:
        """What protects the datagrams."""
        return SUITES[self.security]

    @property
    def policy(self) -> CameraPolicy:
        """How frames are treated."""
        return CameraPolicy(
            target_fps=self.rules['target_fps'], min_layers=self.rules['min_layers'])

    def setup(self) -> LinkSetup:
        """
        Return both ends and both channels.

        :raises DataError: when the trace cannot be read.
        :raises UsageError: when values do not fit together.
        """
        keys = None if self.suite is Suite.NONE else KeyRing.random()
        rules = self.rules
        back_bps = rules['return_bps'] or choose_return_bps(self.bps, self._wire_bits)
        repair = RepairConfig(
            mode=self.repair, fec_share=rules['repair_share'], nack_share=rules['repair_share'],
            useful_ns=round(rules['useful_s'] * NS_PER_S),
            reorder_ns=round(rules['reorder_ms'] * NS_PER_MS))
        burst_bits = rules['burst_bits'] or choose_burst_bits(self.bps, self._wire_bits(self.mtu))
        try:
            forward = self._channel()
            ends = [EndpointConfig(
                rate_bps, burst, record=RecordConfig(direction, self.suite, keys), repair=repair,
                policy=self.policy, expiry_ns=round(rules['deadline_s'] * NS_PER_S),
                announce_period_ns=round(rules['announce_period_s'] * NS_PER_S))
                for direction, rate_bps, burst in (
                    (Direction.ROVER, self.bps, burst_bits), (Direction.GROUND, back_bps, 0))]
        except ValueError as error:
            raise UsageError(str(error)) from error
        backward = replace(forward, rate_bps=back_bps, trace=None, seed=forward.seed + 1)
        return LinkSetup(
            *ends, forward=forward, backward=backward, mtu=self.mtu,
            overhead_bits=8 * self.overhead)

    def _wire_bits(self, size: int) -> int:
        return 8 * (size + self.overhead)

    def _channel(self) -> ChannelConfig:
        values = self.channel
        milliseconds = {
            f'{name}_ns': round(values[f'{name}_ms'] * NS_PER_MS)
            for name in ('delay', 'jitter', 'burst', 'reorder')}
        try:
            trace = read_channel_trace(Path(values['trace'])) if values['trace'] else None
        except FileNotFoundError as error:
            raise DataError(f'{values["trace"]}: no such file') from error
        except (OSError, ValueError) as error:
            raise DataError(str(error)) from error
        return ChannelConfig(
            rate_bps=values['rate_bps'] or self.bps, loss=values['loss'],
            loss_model=LossKind(values['loss_model']), duplicate=values['duplicate'],
            reorder=values['reorder'], outages=parse_outages(values['outages']), trace=trace,
            snr_db=values['snr_db'], modulation=Modulation(values['modulation']),
            seed=values['seed'], **milliseconds)


def link_settings(arguments: argparse.Namespace) -> LinkSettings:
    """
    Return the link of a call.

    :raises DataError: when there is no such preset, or it is not one.
    :raises UsageError: when neither a budget nor a preset is given.
    """
    rules, channel = read_preset(arguments.preset) if arguments.preset else ({}, {})
    if arguments.bps is None and 'link_bps' not in rules:
        raise UsageError('give the budget with --bps, or a --preset')
    # On the command line, what has the same name in both is the channel's.
    return LinkSettings(
        arguments.bps or rules['link_bps'],
        {name: _chosen(getattr(arguments, f'repair_{name}' if name in CHANNEL else name, None),
                       rules.get(name), value.default) for name, value in RULES.items()},
        {name: _chosen(getattr(arguments, name, None), channel.get(name), value.default)
         for name, value in CHANNEL.items()},
        arguments.overhead, arguments.security, RepairMode(arguments.repair))


def _chosen(option: Any, preset: Any, default: Any) -> Any:
    return next(value for value in (option, preset, default) if value is not None)
