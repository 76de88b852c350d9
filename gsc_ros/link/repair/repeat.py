# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Send again what was asked for, while it is of use.

::

    REPEAT  head counter(2) body, or a half of it

    head     kind 8 in the high half; 0 the whole body, 1 its first half, 2 its second half
    counter  low 16 bits of the counter with which it was first sent

A body that fills its datagram does not fit into a repeat, and is repeated in halves.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from gsc_ros.link.repair.redundancy import Protection

REPEAT_OVERHEAD = 3
_MAX_REPEATS = 4
_MAX_BODIES = 1024
_MAX_CARRIED = 256
_MAX_HALVES = 32
# A repeat of what is further back than this is nonsense or comes from far too late.
_MAX_DISTANCE = 2048


class RepeatError(ValueError):
    """A repeat is damaged or nonsense."""


@dataclass
class _Stored:
    """A body that may be asked for."""

    body: bytes
    protection: Protection
    useful_ns: int
    repeats: int = 0
    repeated_ns: int | None = None
    half: int = 0


@dataclass(frozen=True)
class PlannedRepeat:
    """
    A repeat that should leave now.

    :param counter: with which the body was first sent.
    :param part: 0 for the whole body, 1 and 2 for its halves.
    :param data: the body or the half.
    :param useful_ns: until when it must arrive.
    """

    counter: int
    part: int
    data: bytes
    useful_ns: int

    @property
    def size(self) -> int:
        """Return the bytes of the repeat's body."""
        return REPEAT_OVERHEAD + len(self.data)

    def build(self, kind: int) -> bytes:
        """Return the repeat's body."""
        head = bytes([kind << 4 | self.part])
        return head + (self.counter & 0xFFFF).to_bytes(2, 'big') + self.data


@dataclass
class RepeatCounter:
    """Cumulative counts of requests: what could not be, or was not to be, repeated."""

    unknown: int = 0
    late: int = 0
    debounced: int = 0
    exhausted: int = 0
    too_large: int = 0


class RepeatQueue:
    """
    Keep bodies that have left, and repeat those that are asked for, the most useful first.

    :param memory_bytes: the most bytes of bodies that are kept.
    """

    def __init__(self, memory_bytes: int = 512 * 1024) -> None:
        """Start with nothing sent."""
        self._memory_bytes = memory_bytes
        self._stored: OrderedDict[int, _Stored] = OrderedDict()
        self._held = 0
        self._asked: OrderedDict[int, None] = OrderedDict()
        # Which body the datagram with a counter repeated, so that its loss is noticed at once.
        self._carried: OrderedDict[int, int] = OrderedDict()
        self.counter = RepeatCounter()

    @property
    def held_bytes(self) -> int:
        """Return what the bodies take up."""
        return self._held

    def clear(self) -> None:
        """Forget everything but the counts."""
        self._stored.clear()
        self._asked.clear()
        self._carried.clear()
        self._held = 0

    def sent(
        self, counter: int, body: bytes, protection: Protection, useful_ns: int, now_ns: int,
    ) -> None:
        """Note a body that has left."""
        self._prune(now_ns)
        if protection is Protection.NONE:
            return
        self._stored[counter] = _Stored(body, protection, useful_ns)
        self._held += len(body)
        while len(self._stored) > _MAX_BODIES or self._held > self._memory_bytes:
            self._drop(next(iter(self._stored)))

    def ask(
        self, counters: list[int], latest_ns: int, round_trip_ns: int | None, now_ns: int,
    ) -> None:
        """
        Take in a request.

        :param latest_ns: when a repeat that leaves now arrives.
        :param round_trip_ns: a body is not repeated twice within this time, None when unknown.
        """
        for asked in counters:
            counter = self._carried.pop(asked, asked)
            stored = self._stored.get(counter)
            if stored is None:
                self.counter.unknown += 1
            elif latest_ns > stored.useful_ns:
                self.counter.late += 1
            elif counter in self._asked or (
                    asked == counter and stored.repeated_ns is not None
                    and now_ns - stored.repeated_ns < (round_trip_ns or 0)):
                self.counter.debounced += 1
            elif stored.repeats >= _MAX_REPEATS:
                self.counter.exhausted += 1
            else:
                self._asked[counter] = None

    def select(self, room: int, latest_ns: int) -> PlannedRepeat | None:
        """
        Return the repeat that should leave now, or None; nothing changes before `departed`.

        :param room: the most bytes of its body.
        :param latest_ns: when a repeat that leaves now arrives.
        """
        for counter in list(self._asked):
            stored = self._stored.get(counter)
            if stored is None or latest_ns > stored.useful_ns:
                del self._asked[counter]
                self.counter.late += 1
            elif REPEAT_OVERHEAD + -(-len(stored.body) // 2) > room:
                del self._asked[counter]
                self.counter.too_large += 1
        if not self._asked:
            return None
        # What has been begun first, then what is worth most, then the oldest.
        counter = min(self._asked, key=lambda c: (
            self._stored[c].half == 0, -self._stored[c].protection, c))
        stored = self._stored[counter]
        if not stored.half and REPEAT_OVERHEAD + len(stored.body) <= room:
            return PlannedRepeat(counter, 0, stored.body, stored.useful_ns)
        middle = -(-len(stored.body) // 2)
        part = stored.half + 1
        data = stored.body[:middle] if part == 1 else stored.body[middle:]
        return PlannedRepeat(counter, part, data, stored.useful_ns)

    def departed(self, repeat: PlannedRepeat, counter: int, now_ns: int) -> None:
        """
        Note that a repeat has left.

        :param counter: the one that it left with.
        """
        self._carried[counter] = repeat.counter
        while len(self._carried) > _MAX_CARRIED:
            self._carried.popitem(last=False)
        stored = self._stored.get(repeat.counter)
        if stored is None:
            return
        stored.repeated_ns = now_ns
        stored.half = 1 if repeat.part == 1 else 0
        if repeat.part != 1:
            stored.repeats += 1
            self._asked.pop(repeat.counter, None)

    def _prune(self, now_ns: int) -> None:
        while self._stored:
            counter, stored = next(iter(self._stored.items()))
            if stored.useful_ns > now_ns:
                return
            self._drop(counter)

    def _drop(self, counter: int) -> None:
        self._held -= len(self._stored.pop(counter).body)
        self._asked.pop(counter, None)


@dataclass
class RepeatJoiner:
    """Read repeats, and put halves together, in bounded memory."""

    _halves: OrderedDict[tuple[int, int], bytes] = field(default_factory=OrderedDict)

    @property
    def held_bytes(self) -> int:
        """Return what halves that wait take up."""
        return sum(map(len, self._halves.values()))

    def take(self, counter: int, body: bytes) -> tuple[int, bytes] | None:
        """
        Read a repeat; return the counter and the body that it completes, or None.

        :param counter: with which the repeat itself came.
        :raises RepeatError: and nothing else, whatever the bytes are.
        """
        part, distance = body[0] & 15, (counter - int.from_bytes(body[1:3], 'big')) % 0x10000
        old = counter - distance
        if len(body) <= REPEAT_OVERHEAD or part > 2 or old < 0 or not 0 < distance <= _MAX_DISTANCE:
            raise RepeatError('repeat is malformed')
        data = body[REPEAT_OVERHEAD:]
        if part == 0:
            return old, data
        other = self._halves.pop((old, 3 - part), None)
        if other is not None:
            return old, data + other if part == 1 else other + data
        self._halves[old, part] = data
        if len(self._halves) > _MAX_HALVES:
            self._halves.popitem(last=False)
        return None
