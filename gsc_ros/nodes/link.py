# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ends of the link that this process holds, as the parameters of the bridge describe them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gsc_ros.link.audit import Departure
from gsc_ros.link.budget import choose_burst_bits, choose_return_bps
from gsc_ros.link.endpoint import Endpoint
from gsc_ros.link.endpoint_config import EndpointConfig
from gsc_ros.link.record.cipher import Direction
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.repair.redundancy import RepairConfig, RepairMode
from gsc_ros.link.schedule.message import CameraPolicy
from gsc_ros.link.spool.error import SpoolError
from gsc_ros.link.spool.incoming import IncomingStore
from gsc_ros.link.spool.outgoing import OutgoingStore
from gsc_ros.link.spool.receiver import SpoolReceiver
from gsc_ros.link.spool.sender import SpoolSender
from gsc_ros.link.transports import Transport
from gsc_ros.link.transports.sim import SimTransport
from gsc_ros.nodes.link_security import carrier_of, key_ring, suite_of
from gsc_ros.nodes.schema import BridgeParameters, Role
from gsc_ros.nodes.transport import channel_bps, open_simulation, open_transport
from gsc_ros.nodes.transport_schema import SpoolParameters


class Link:
    """
    The rover's end, the ground's end, or both.

    `rover` and `ground` are the ends that live here, `transports` what carries their datagrams.
    """

    def __init__(self, settings: BridgeParameters, now_ns: int,
                 trace: Callable[[Departure], None] | None) -> None:
        """
        Make the ends.

        :param now_ns: time of the steady clock.
        :param trace: called with every departure, from the rover where both ends are here.
        :raises ValueError: when the parameters do not describe a link; the message says the cure.
        :raises OSError: when a file, a port or an address cannot be opened.
        :raises SpoolError: when the spool cannot be used.
        """
        role, carrier = Role(settings.role), carrier_of(settings)
        if (role is Role.BOTH) != (carrier == 'sim'):
            raise ValueError(
                'a simulated channel joins both ends in one process: with transport sim the role '
                'is both, with any other it is rover or ground')
        if settings.one_way and settings.transport == 'spool':
            raise ValueError(
                'a spool keeps each frame until the ground has it, which one_way leaves unknown: '
                'choose the transport itself, or set one_way: false')
        self.rover: Endpoint | SpoolSender | None = None
        self.ground: Endpoint | SpoolReceiver | None = None
        self._stores: list[OutgoingStore | IncomingStore] = []
        keys = key_ring(settings)
        self.transports: tuple[Transport, ...] = (
            open_simulation(settings, now_ns) if role is Role.BOTH
            else (open_transport(settings, carrier),))
        try:
            if role is not Role.GROUND:
                self.rover = Endpoint(
                    self._rover_config(settings, keys), self.transports[0], now_ns, trace)
            if role is not Role.ROVER:
                self.ground = Endpoint(
                    self._ground_config(settings, keys), self.transports[-1], now_ns,
                    trace if role is Role.GROUND else None)
            if settings.transport == 'spool':
                self._spool(settings.spool, now_ns)
        except (ValueError, SpoolError):
            self.close()
            raise

    @property
    def ends(self) -> tuple[Endpoint | SpoolSender | SpoolReceiver, ...]:
        """The ends that live here, the one that sends frames first."""
        return tuple(end for end in (self.rover, self.ground) if end is not None)

    def change(self, settings: BridgeParameters, now_ns: int) -> None:
        """
        Take over the live parameters: the budgets, and how frames are cut to them.

        :raises ValueError: when `burst_bits` is set but cannot hold one full datagram; nothing
            has changed then.
        """
        if self.rover is not None:
            self.rover.set_rate(settings.link_bps, now_ns, self._burst_bits(settings))
            for number in range(len(settings.cameras)):
                self.rover.set_policy(number, _policy(settings))
        if self.ground is not None:
            self.ground.set_rate(self._return_bps(settings), now_ns)
        for transport in self.transports[:1]:
            if isinstance(transport, SimTransport):
                transport.set_rate(channel_bps(settings), now_ns)

    def change_keys(self, keys: KeyRing) -> None:
        """Seal and open with other keys from now on."""
        for end in self.ends:
            end.set_keys(keys)

    @property
    def set_aside(self) -> tuple[Path, ...]:
        """Spools that turned out to be damaged when they were opened, as they are called now."""
        return tuple(store.aside for store in self._stores if store.aside is not None)

    def close(self) -> None:
        """Release ports, sockets and files."""
        for store in self._stores:
            # What could not be made durable is reported while the link runs.
            with suppress(SpoolError):
                store.close()
        for transport in self.transports:
            transport.close()

    def burst_refusal(self, burst_bits: int) -> str | None:
        """Return why an operator's `burst_bits` cannot be kept to, or None; 0 leaves the choice."""
        transport = self.transports[0]
        datagram_bits = transport.wire_bits(transport.mtu)
        return None if burst_bits == 0 or burst_bits >= datagram_bits else (
            f'{burst_bits} cannot hold one full datagram of {datagram_bits} bits: give more, or a '
            'smaller mtu')

    def _spool(self, settings: SpoolParameters, now_ns: int) -> None:
        """Put the disk in front of the ends."""
        if not settings.file:
            raise ValueError('spool.file is empty: name a file in which frames can wait')
        path, quota_bytes = Path(settings.file).expanduser(), settings.quota_mb * 10 ** 6
        if self.rover is not None:
            self._stores.append(OutgoingStore(path, quota_bytes))
            self.rover = SpoolSender(self.rover, self._stores[-1], now_ns)
        if self.ground is not None:
            # Both ends in one process have a file each.
            path = path.with_name(path.name + '.ground') if self.rover is not None else path
            self._stores.append(IncomingStore(path, quota_bytes))
            self.ground = SpoolReceiver(self.ground, self._stores[-1], now_ns)

    def _rover_config(self, settings: BridgeParameters, keys: KeyRing | None) -> EndpointConfig:
        return EndpointConfig(
            rate_bps=settings.link_bps, burst_bits=self._burst_bits(settings),
            policy=_policy(settings), expiry_ns=round(settings.deadline_s * 1e9),
            announce_period_ns=round(settings.announce_period_s * 1e9),
            record=RecordConfig(
                Direction.ROVER, suite_of(settings), keys, two_way=not settings.one_way),
            repair=_repair(settings))

    def _ground_config(self, settings: BridgeParameters, keys: KeyRing | None) -> EndpointConfig:
        return EndpointConfig(
            rate_bps=self._return_bps(settings),
            record=RecordConfig(
                Direction.GROUND, suite_of(settings), keys, two_way=not settings.one_way),
            repair=_repair(settings))

    def _return_bps(self, settings: BridgeParameters) -> int:
        """Return the budget of the way back in bit/s."""
        return settings.return_bps or choose_return_bps(
            settings.link_bps, self.transports[0].wire_bits)

    def _burst_bits(self, settings: BridgeParameters) -> int:
        """Return the burst as the operator bounds it, or one that holds two full datagrams."""
        transport = self.transports[0]
        return settings.burst_bits or choose_burst_bits(
            settings.link_bps, transport.wire_bits(transport.mtu))


def _policy(settings: BridgeParameters) -> CameraPolicy:
    return CameraPolicy(target_fps=settings.target_fps, min_layers=settings.min_layers)


def _repair(settings: BridgeParameters) -> RepairConfig:
    return RepairConfig(
        mode=RepairMode(settings.repair), fec_share=settings.repair_share,
        nack_share=settings.repair_share, useful_ns=round(settings.useful_s * 1e9),
        least_loss=settings.least_loss, reorder_ns=round(settings.reorder_ms * 1e6))
