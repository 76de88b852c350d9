# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What carries the datagrams, as the parameters of the bridge say: a channel model, UDP, serial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.channel.loss import LossKind, parse_outages
from gsc_ros.link.channel.noise import Modulation
from gsc_ros.link.channel.trace import read_channel_trace
from gsc_ros.link.transports import Transport
from gsc_ros.link.transports.serial_line import SerialTransport
from gsc_ros.link.transports.sim import connect, SimTransport
from gsc_ros.link.transports.udp import UdpTransport
from gsc_ros.nodes.link_security import is_secure
from gsc_ros.nodes.schema import BridgeParameters


def open_simulation(settings: BridgeParameters, now_ns: int) -> tuple[SimTransport, SimTransport]:
    """
    Return the rover's and the ground's end of a channel in this process.

    :param now_ns: time of the steady clock, from which outages and trace count.
    :raises ValueError: the trace of the channel cannot be used.
    :raises OSError: it cannot be read.
    """
    sim = settings.sim
    back = ChannelConfig(
        delay_ns=round(sim.delay_ms * 1e6), jitter_ns=round(sim.jitter_ms * 1e6), loss=sim.loss,
        loss_model=LossKind(sim.loss_model), burst_ns=round(sim.burst_ms * 1e6),
        duplicate=sim.duplicate, reorder=sim.reorder, reorder_ns=round(sim.reorder_ms * 1e6),
        outages=parse_outages(sim.outages), snr_db=sim.snr_db,
        modulation=Modulation(sim.modulation), start_ns=now_ns, seed=sim.seed + 1)
    trace = read_channel_trace(Path(sim.trace)) if sim.trace else None
    forth = replace(back, rate_bps=channel_bps(settings), trace=trace, seed=sim.seed)
    return connect(forth, back, settings.mtu, 8 * settings.overhead_bytes)


def open_transport(settings: BridgeParameters, carrier: str) -> Transport:
    """
    Return this machine's end of a real link.

    :param carrier: udp or serial.
    :raises ValueError: a parameter does not say enough, or nothing that can be.
    :raises OSError: the local address cannot be taken, or a peer's name is unknown.
    """
    if carrier == 'udp':
        peers = tuple(peer.strip() for peer in settings.udp.peers.split(',') if peer.strip())
        if not peers and not is_secure(settings):
            raise ValueError(
                'udp.peers is empty, and without security the far side could be anybody: name it')
        udp = settings.udp
        try:
            return UdpTransport(
                udp.bind, peers, settings.mtu, learn_peer=not peers,
                added_bytes=settings.overhead_bytes)
        except OSError as error:
            raise OSError(f'udp.bind {udp.bind}, udp.peers {udp.peers or "none"}: '
                          f'{error.strerror}') from error
    serial = settings.serial
    if not serial.port:
        raise ValueError('serial.port is empty: name the device, as /dev/ttyUSB0')
    return SerialTransport(
        serial.port, serial.baud, settings.mtu, serial.count_start_stop, serial.flow_control,
        settings.overhead_bytes, round(serial.pause_ms * 1e6))


def channel_bps(settings: BridgeParameters) -> int:
    """Return what the simulated channel carries in bit/s."""
    return settings.sim.rate_bps or settings.link_bps
