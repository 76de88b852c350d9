# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cut messages into bodies without records, transport or repair around them."""

from __future__ import annotations

from gsc_ros.link.datagram.cutting import Cut


class PlainWire:
    """
    Datagrams of bodies alone.

    :param room: the most bytes of a body.
    :param overhead_bits: what each of them takes on the wire besides.
    """

    def __init__(self, room: int, overhead_bits: int = 0) -> None:
        self._room = room
        self._overhead_bits = overhead_bits
        self.next_counter = 0

    def room(self, strong: bool, now_ns: int) -> int:
        """Return the most bytes of the next body."""
        return self._room

    def bits(self, size: int, now_ns: int) -> int:
        """Return the bits on the wire of a body."""
        return 8 * size + self._overhead_bits

    def send(self, cut: Cut, gap: int = 0) -> list[tuple[int, bytes]]:
        """Send all of a message; return counters and bodies. Other datagrams come between."""
        sent = []
        while cut.left:
            assert cut.take(0) == cut.take(0)
            body = cut.take(0)
            assert len(body) == cut.size(0) <= self._room
            cut.advance()
            sent.append((self.next_counter, body))
            self.next_counter += 1 + gap
        return sent
