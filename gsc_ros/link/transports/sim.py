# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two ends joined by two modelled channels inside one process."""

from __future__ import annotations

from gsc_ros.link.channel.channel import Channel, ChannelConfig
from gsc_ros.link.transports import MAX_MTU, MIN_MTU


class SimTransport:
    """
    One end of a simulated link; use `connect` to make a pair.

    :param outgoing: the channel this end sends into.
    :param incoming: the channel this end receives from.
    :param mtu: largest datagram in bytes (32..1500).
    :param overhead_bits: bits that the modelled radio adds to each datagram.
    :raises ValueError: when the MTU or the overhead is out of range.
    """

    def __init__(
        self, outgoing: Channel, incoming: Channel, mtu: int, overhead_bits: int = 0,
    ) -> None:
        """Join the two channels."""
        if not MIN_MTU <= mtu <= MAX_MTU:
            raise ValueError(f'mtu must be within {MIN_MTU}..{MAX_MTU} bytes, got {mtu}')
        if overhead_bits < 0:
            raise ValueError(f'overhead_bits must be >= 0, got {overhead_bits}')
        self._outgoing = outgoing
        self._incoming = incoming
        self._mtu = mtu
        self._overhead_bits = overhead_bits

    @property
    def mtu(self) -> int:
        """Return the largest datagram taken, in bytes."""
        return self._mtu

    def wire_bits(self, size: int) -> int:
        """Return the bits that a datagram of ``size`` bytes takes on the wire."""
        return 8 * size + self._overhead_bits

    def set_rate(self, rate_bps: int, now_ns: int) -> None:
        """Change the rate of the outgoing channel in bit/s now; 0 means infinitely fast."""
        self._outgoing.set_rate(rate_bps, now_ns)

    def ready_ns(self, now_ns: int) -> int:
        """Return the time from which the next datagram is taken."""
        return self._outgoing.ready_ns(now_ns)

    def send(self, datagram: bytes, now_ns: int) -> bool:
        """Put a datagram on the outgoing channel; False when it is busy."""
        return self._outgoing.send(datagram, self.wire_bits(len(datagram)), now_ns)

    def receive(self, now_ns: int) -> list[bytes]:
        """Return what has arrived by ``now_ns``."""
        return self._incoming.receive(now_ns)

    def next_arrival_ns(self) -> int | None:
        """Return when the next datagram arrives at this end, or None."""
        return self._incoming.next_arrival_ns()

    def note_authentic(self, position: int, confirmed: bool) -> None:
        """Do nothing: there is one peer, and it cannot move."""

    def fileno(self) -> None:
        """Return None: time is simulated."""

    @property
    def trouble(self) -> None:
        """Return None: a simulated link is always there."""

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""


def connect(
    forward: ChannelConfig, backward: ChannelConfig, mtu: int, overhead_bits: int = 0,
) -> tuple[SimTransport, SimTransport]:
    """
    Return the two ends (rover, ground) of a simulated link.

    :param forward: the channel from the rover to the ground.
    :param backward: the channel from the ground to the rover.
    :param mtu: largest datagram in bytes (32..1500), both ways.
    :param overhead_bits: bits added to each datagram, both ways.
    :raises ValueError: when the MTU or the overhead is out of range.
    """
    to_ground, to_rover = Channel(forward), Channel(backward)
    return (
        SimTransport(to_ground, to_rover, mtu, overhead_bits),
        SimTransport(to_rover, to_ground, mtu, overhead_bits),
    )
