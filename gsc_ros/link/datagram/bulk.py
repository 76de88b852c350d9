# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Put messages of several datagrams back together, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from gsc_ros.link.datagram.framing import BulkPart

MAX_BULK_BYTES = 1 << 16

# What keeping a part costs beyond its bytes.
_PART_COST = 128
_MOST_BYTES = 4 * (MAX_BULK_BYTES + 256 * _PART_COST)
_TIMEOUT_NS = 120_000_000_000
_REMEMBERED = 64


@dataclass
class _Partial:
    updated_ns: int
    parts: dict[int, bytes] = field(default_factory=dict)
    last: int | None = None
    cost: int = 0


class BulkReassembler:
    """
    Collect parts of bulk messages; in any order, with any duplicates.

    ``incomplete`` counts the messages that were given up, ``malformed`` the contradictory ones.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._partials: OrderedDict[int, _Partial] = OrderedDict()
        self._finished: OrderedDict[int, None] = OrderedDict()
        self._cost = 0
        self.incomplete = 0
        self.malformed = 0

    @property
    def held_bytes(self) -> int:
        """Return what unfinished messages take up."""
        return self._cost

    def restart(self) -> None:
        """Forget everything, as the far end has."""
        self.incomplete += len(self._partials)
        self._partials.clear()
        self._finished.clear()
        self._cost = 0

    def accept(self, part: BulkPart, now_ns: int) -> bytes | None:
        """Take a part; return the message if that makes it whole."""
        if part.message_id in self._finished:
            return None
        partial = self._partials.setdefault(part.message_id, _Partial(now_ns))
        if part.index in partial.parts:
            return None
        highest = max(partial.parts, default=-1)
        beyond = partial.last is not None and part.index > partial.last
        size = partial.cost - _PART_COST * len(partial.parts) + len(part.body)
        if beyond or size > MAX_BULK_BYTES or (
                part.last and (partial.last is not None or part.index < highest)):
            self._discard(part.message_id)
            self.malformed += 1
            return None
        if part.last:
            partial.last = part.index
        partial.parts[part.index] = part.body
        partial.updated_ns = now_ns
        partial.cost += len(part.body) + _PART_COST
        self._cost += len(part.body) + _PART_COST
        self._partials.move_to_end(part.message_id)
        if partial.last is not None and len(partial.parts) == partial.last + 1:
            self._discard(part.message_id)
            self._finished[part.message_id] = None
            if len(self._finished) > _REMEMBERED:
                self._finished.popitem(last=False)
            return b''.join(partial.parts[index] for index in range(partial.last + 1))
        while self._cost > _MOST_BYTES:
            self._give_up_oldest()
        return None

    def expire(self, now_ns: int) -> None:
        """Give up messages that have got no part for too long."""
        while self._partials:
            oldest = next(iter(self._partials.values()))
            if now_ns - oldest.updated_ns <= _TIMEOUT_NS:
                return
            self._give_up_oldest()

    def _give_up_oldest(self) -> None:
        self._discard(next(iter(self._partials)))
        self.incomplete += 1

    def _discard(self, message_id: int) -> None:
        self._cost -= self._partials.pop(message_id).cost
