# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an endpoint needs from the thing that carries its datagrams."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """
    One end of a datagram path; all times are nanoseconds of the endpoint's monotonic clock.

    A transport never blocks and never raises for the state of the link: what cannot be taken now
    is refused, and what is lost is lost silently.
    """

    @property
    def mtu(self) -> int:
        """Return the largest datagram taken, in bytes (32..1500)."""

    @property
    def overhead_bits(self) -> int:
        """Return the bits the transport adds to each datagram on the wire (UDP/IPv4: 224)."""

    def ready_ns(self, now_ns: int) -> int:
        """Return the time from which the next datagram is taken; ``now_ns`` or less: now."""

    def send(self, datagram: bytes, now_ns: int) -> bool:
        """Hand one datagram over; return False when it was not taken and must be offered again."""

    def receive(self, now_ns: int) -> list[bytes]:
        """Return the datagrams that have arrived by ``now_ns``, in order of arrival."""

    def next_arrival_ns(self) -> int | None:
        """Return when the next datagram arrives if the transport can know it, else None."""
