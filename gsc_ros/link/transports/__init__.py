# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an endpoint needs from the thing that carries its datagrams."""

from __future__ import annotations

from typing import Protocol

MIN_MTU = 32
MAX_MTU = 1500


class Transport(Protocol):
    """
    One end of a datagram path; all times are nanoseconds of the endpoint's monotonic clock.

    A transport never blocks and never raises for the state of the link: what cannot be taken now
    is refused, and what is lost is lost silently. One thread at a time uses it.
    """

    @property
    def mtu(self) -> int:
        """Return the largest datagram taken, in bytes (32..1500)."""

    def wire_bits(self, size: int) -> int:
        """
        Return the most bits that a datagram of ``size`` bytes takes on the wire.

        Everything counts: headers of the layers below, framing, and every copy where there are
        several peers. It grows with the size and never changes while the transport lives.
        """

    def ready_ns(self, now_ns: int) -> int:
        """Return the time from which the next datagram is taken; ``now_ns`` or less: now."""

    def send(self, datagram: bytes, now_ns: int) -> bool:
        """Hand one datagram over; return False when it was not taken and must be offered again."""

    def receive(self, now_ns: int) -> list[bytes]:
        """
        Return the datagrams that have arrived by ``now_ns``, in order of arrival.

        None is empty or larger than the MTU; nothing else is known about them. A call returns a
        bounded number of them and leaves the rest to the next.
        """

    def note_authentic(self, position: int, confirmed: bool) -> None:
        """
        Learn that the tag of the datagram at ``position`` of the last `receive` is genuine.

        :param confirmed: it is also fresh, of a peer that has answered us. Else it may be a
            replay of an old session, and its source may get one small answer and no more.
        """

    def next_arrival_ns(self) -> int | None:
        """
        Return by when `receive` must be called although nothing became readable.

        That is the next arrival where the transport can know it, or its next try to reopen; None:
        there is no such time.
        """

    def fileno(self) -> int | None:
        """
        Return what becomes readable when something arrives; None: there is no such thing now.

        It may change with every call of another method, so ask before every sleep.
        """

    @property
    def trouble(self) -> str | None:
        """Return why nothing can be carried now, for the operator; None: nothing is known."""

    def close(self) -> None:
        """Let go of what the transport holds; what is sent afterwards is not taken."""
