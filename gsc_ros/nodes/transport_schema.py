# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the transports of the bridge, each in a group of its own."""

from __future__ import annotations

from dataclasses import dataclass

from gsc_ros.link.channel.loss import parse_outages
from gsc_ros.nodes.parameter import parameter


def _outage_refusal(outages: str) -> str | None:
    try:
        parse_outages(outages)
    except ValueError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class SimParameters:
    """Parameters `sim.*` of the bridge: the channel that the transport `sim` simulates."""

    rate_bps: int = parameter(
        0, 'Bits per second that the channel carries; 0 is link_bps.', minimum=0, maximum=10 ** 9)
    delay_ms: float = parameter(
        0.0, 'One-way delay in milliseconds.', minimum=0, maximum=3_600_000)
    jitter_ms: float = parameter(
        0.0, 'Further delay, uniform from 0 to this, in milliseconds.', minimum=0, maximum=60_000)
    loss: float = parameter(
        0.0, 'Share of datagrams lost, or with gilbert_elliott the share of time in bursts of '
        'loss.', minimum=0, maximum=1)
    loss_model: str = parameter(
        'bernoulli', 'Whether each datagram is lost by itself, or all during a burst.',
        choices=('bernoulli', 'gilbert_elliott'))
    burst_ms: float = parameter(
        200.0, 'Mean length of a burst in milliseconds, with gilbert_elliott.', minimum=1,
        maximum=3_600_000)
    duplicate: float = parameter(
        0.0, 'Share of datagrams that arrive twice.', minimum=0, maximum=1)
    reorder: float = parameter(
        0.0, 'Share of datagrams that others overtake.', minimum=0, maximum=1)
    reorder_ms: float = parameter(
        200.0, 'How long such a datagram is held back, at most, in milliseconds.', minimum=0,
        maximum=3_600_000)
    outages: str = parameter(
        '', 'When nothing passes, either way, as 10-70,100-105.5: seconds since the bridge was '
        'configured.', check=_outage_refusal)
    trace: str = parameter(
        '', 'CSV file with the columns time_s and rate_bps or loss or both, each in force from its '
        'time on, of the way to the ground.')
    snr_db: float = parameter(
        100.0, 'Signal to noise per symbol in decibels, by which bits are damaged; 100 is none.',
        minimum=-20, maximum=100)
    modulation: str = parameter(
        'bpsk', 'Modulation of the noisy channel.', choices=('bpsk', 'qpsk', '16qam'))
    seed: int = parameter(0, 'Seed of all chance.', minimum=0, maximum=2 ** 31 - 1)


@dataclass(frozen=True)
class UdpParameters:
    """Parameters `udp.*` of the bridge."""

    bind: str = parameter(
        '0.0.0.0:14600', 'Local address and port, as 0.0.0.0:14600 or [::]:14600; port 0 takes a '
        'free one.', constraint='host:port')
    peers: str = parameter(
        '', 'Addresses of the far side, as 10.0.0.2:14600, with commas between; each gets every '
        'datagram, and the budget counts each. Empty waits for whoever has the key.',
        constraint='host:port, host:port ...')


@dataclass(frozen=True)
class SerialParameters:
    """Parameters `serial.*` of the bridge."""

    port: str = parameter('', 'Device of the serial port, as /dev/ttyUSB0.')
    baud: int = parameter(
        57_600, 'Bits per second on the wire of the serial port, 8N1.', minimum=50,
        maximum=4_000_000)
    count_start_stop: bool = parameter(
        True, 'Count 10 bits for a byte; off: 8, for a modem that carries on the bytes alone.')
    flow_control: bool = parameter(False, 'Use the lines RTS and CTS.')
    pause_ms: float = parameter(
        0.0, 'Silence of the line, in milliseconds, before this side begins to send: for modems '
        'that cannot hear while they speak.', minimum=0, maximum=60_000)


@dataclass(frozen=True)
class SpoolParameters:
    """Parameters `spool.*` of the bridge: frames wait on disk for contact."""

    carrier: str = parameter(
        'udp', 'Transport below the spool.', choices=('sim', 'udp', 'serial'))
    file: str = parameter('', 'SQLite file in which frames wait, on either side one of its own.')
    quota_mb: int = parameter(
        256, 'Megabytes of frames that wait, at most; then the oldest of the least urgent go.',
        minimum=1, maximum=1_000_000)
