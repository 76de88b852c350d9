# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What record layer, repair and transport together make of a body."""

from __future__ import annotations

from gsc_ros.link.record.layer import COUNTERS, RecordLayer
from gsc_ros.link.repair.repair import Protection, Repair
from gsc_ros.link.transports import Transport

# A long record is so much longer than a short one.
LONG_RECORD_BYTES = 17
# Less room than this no kind of body can do with.
_LEAST_ROOM = 6


class DatagramWire:
    """
    The `cutting.Wire` of an endpoint.

    :param record: seals the bodies.
    :param transport: carries the datagrams.
    """

    def __init__(self, record: RecordLayer, transport: Transport) -> None:
        """Keep both; repair, which needs this to begin with, comes later."""
        self._record = record
        self._transport = transport
        self._now_ns = 0
        self._epoch = record.epoch
        self._earlier = 0
        self.repair: Repair | None = None

    @property
    def next_counter(self) -> int:
        """Return the counter that the next record will have, beyond all of earlier epochs."""
        if self._record.epoch != self._epoch:
            self._epoch = self._record.epoch
            self._earlier += COUNTERS
        return self._earlier + self._record.next_counter

    def whole_room(self, now_ns: int) -> int:
        """Return the most bytes of the next body when nothing is left free in it."""
        return self._record.room(now_ns)

    def room(self, strong: bool, now_ns: int) -> int:
        """Return the most bytes of the next body that repair can still add to."""
        protection = Protection.STRONG if strong else Protection.WEAK
        free = self.repair.reserve(protection, now_ns) if self.repair is not None else 0
        return max(_LEAST_ROOM, self._record.room(now_ns) - free)

    def bits(self, size: int, now_ns: int) -> int:
        """Return the bits on the wire of a datagram whose body has ``size`` bytes."""
        self._now_ns = max(self._now_ns, now_ns)
        return self._transport.wire_bits(self._record.sealed_size(size, now_ns))

    def bits_lately(self, size: int) -> int:
        """Return the same as of the last time that was heard of."""
        return self.bits(size, self._now_ns)
