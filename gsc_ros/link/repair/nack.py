# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Notice which datagrams are missing, and ask for them.

::

    NACK  head base(2) bitmap(0..15)

    head    kind 10 in the high half, bytes of the bitmap in the low half
    base    low 16 bits of the oldest counter that is asked for
    bitmap  bit i (from the lowest of the first byte) asks for base + 1 + i

A counter is missing when a later one has arrived and it has not come within the time that
reordering may take. It is asked for at once, then again after a round trip, two, four, at most
`MAX_TRIES` times, never twice within a round trip. When several requests in a row have brought
nothing, most of what is missing is not of use any more or never was, as receipts are, and each
counter is asked for `FEW_TRIES` times only.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

MAX_TRIES = 4
FEW_TRIES = 2
# The most counters that are missed at a time; of a larger gap the newest.
MAX_MISSING = 128
MAX_REORDER_NS = NS_PER_S // 2
_BITMAP_BYTES = 15
# Taken for the round trip while none is known.
_FIRST_ROUND_TRIP_NS = NS_PER_S
_SHORTEST_ROUND_TRIP_NS = 50 * NS_PER_MS
_PATIENCE = 8
_RECENT = 1024


class NackError(ValueError):
    """A request is damaged or nonsense."""


def pack_nack(kind: int, counters: list[int]) -> bytes:
    """Return the body that asks for ascending counters, which must be within 120 of the first."""
    base = counters[0]
    bitmap = sum(1 << counter - base - 1 for counter in counters[1:])
    size = -(-bitmap.bit_length() // 8)
    return (bytes([kind << 4 | size]) + (base & 0xFFFF).to_bytes(2, 'big')
            + bitmap.to_bytes(size, 'little'))


def parse_nack(body: bytes, newest: int) -> list[int]:
    """
    Return the counters that a request asks for.

    :param newest: the newest counter that has been used here.
    :raises NackError: and nothing else, whatever the bytes are.
    """
    if len(body) < 3 or len(body) != 3 + (body[0] & 15):
        raise NackError('request has the wrong length')
    base = newest - (newest - int.from_bytes(body[1:3], 'big')) % 0x10000
    bitmap = int.from_bytes(body[3:], 'little')
    counters = [base] + [
        base + 1 + bit for bit in range(bitmap.bit_length()) if bitmap >> bit & 1]
    if base < 0 or counters[-1] > newest:
        raise NackError('request for what has not been sent')
    return counters


@dataclass
class _Missing:
    """A counter that has not arrived."""

    since_ns: int
    noticed_ns: int
    due_ns: int
    settled: bool = False
    tries: int = 0
    asked_ns: int = 0


@dataclass
class LossWatch:
    """
    Keep track of what has arrived, what is missing, and when to ask for it.

    :param reorder_ns: how long a datagram may come after a later one; where they come later still
        it is raised for a while, up to `MAX_REORDER_NS`.
    :param give_up_ns: what has been missing for so long is given up.
    """

    reorder_ns: int
    give_up_ns: int
    highest: int = -1
    received: int = 0
    runs: int = 0
    _missing: OrderedDict[int, _Missing] = field(default_factory=OrderedDict)
    _lost: OrderedDict[int, None] = field(default_factory=OrderedDict)
    _arrival_ns: int = 0
    _round_trip_ns: int | None = None
    _deviation_ns: int = 0
    _tolerance_ns: int = 0
    _fruitless: int = 0

    def __post_init__(self) -> None:
        """Begin with the configured tolerance of reordering."""
        self._tolerance_ns = self.reorder_ns

    def arrived(self, counter: int, now_ns: int) -> None:
        """Note a datagram that has arrived by itself, each counter once."""
        self.received += 1
        if counter > self.highest:
            self._miss(counter, now_ns)
            self.highest = counter
            self._arrival_ns = now_ns
            return
        missing = self._missing.pop(counter, None)
        if missing is not None and missing.settled:
            late_ns = 5 * (now_ns - missing.noticed_ns) // 4
            raised_ns = self._tolerance_ns + max(0, late_ns - self._tolerance_ns) // 2
            self._tolerance_ns = min(MAX_REORDER_NS, raised_ns)

    def repaired(self, counter: int, repeated: bool, now_ns: int) -> None:
        """
        Note that what a datagram carried is there all the same.

        :param repeated: by a repeat, which shows that asking helps.
        """
        missing = self._missing.get(counter)
        if repeated:
            self._fruitless = 0
            if missing and missing.tries == 1:
                self._sample(now_ns - missing.asked_ns)
        if missing:
            missing.tries = MAX_TRIES
            if missing.settled:
                del self._missing[counter]

    def measure(self, round_trip_ns: int | None) -> None:
        """Take in a round trip that was measured elsewhere, for as long as there is no better."""
        if self._round_trip_ns is None and round_trip_ns is not None:
            self._round_trip_ns, self._deviation_ns = round_trip_ns, round_trip_ns // 4

    def due(self, now_ns: int) -> list[int]:
        """Return the counters to ask for now, ascending, for one request."""
        self._settle(now_ns)
        counters = sorted(counter for counter, missing in self._missing.items()
                          if missing.settled and missing.due_ns <= now_ns)
        return [c for c in counters if c - counters[0] <= 8 * _BITMAP_BYTES]

    def asked(self, counters: list[int], now_ns: int) -> None:
        """Note that a request for these counters has left."""
        self._fruitless += 1
        wait_ns = self._wait_ns()
        for counter in counters:
            missing = self._missing.get(counter)
            if missing is not None:
                missing.due_ns = now_ns + (wait_ns << missing.tries)
                missing.tries += 1
                missing.asked_ns = now_ns

    def next_ns(self) -> int | None:
        """Return when `due` may next have something, or None."""
        times = [missing.due_ns for missing in self._missing.values()]
        return min(times, default=None)

    def _miss(self, counter: int, now_ns: int) -> None:
        """Note what is missing before a counter that is the highest now."""
        gap = counter - self.highest - 1
        if self.highest < 0 or gap <= 0:
            return
        if gap > MAX_MISSING:
            self.runs += 1
        silence_ns = now_ns - self._arrival_ns
        for behind in range(min(gap, MAX_MISSING), 0, -1):
            # Those of a long gap were not all sent just now.
            since_ns = now_ns - silence_ns * behind // (gap + 1)
            self._missing[counter - behind] = _Missing(
                since_ns, now_ns, now_ns + self._tolerance_ns)
            if gap > MAX_MISSING:
                self._lost[counter - behind] = None
        while len(self._missing) > MAX_MISSING:
            self._missing.popitem(last=False)

    def _settle(self, now_ns: int) -> None:
        """Count as lost what has not come in time, and give up what is old."""
        tries = MAX_TRIES if self._fruitless <= _PATIENCE else FEW_TRIES
        for counter, missing in list(self._missing.items()):
            if not missing.settled and missing.due_ns <= now_ns:
                missing.settled = True
                self._tolerance_ns -= (self._tolerance_ns - self.reorder_ns) // 16
                if counter not in self._lost:
                    self.runs += counter - 1 not in self._lost
                    self._lost[counter] = None
            old = now_ns - missing.since_ns > self.give_up_ns
            if missing.settled and (missing.tries >= tries or old):
                del self._missing[counter]
        while len(self._lost) > _RECENT:
            self._lost.popitem(last=False)

    def _wait_ns(self) -> int:
        """Return how long an answer may take."""
        if self._round_trip_ns is None:
            return _FIRST_ROUND_TRIP_NS
        margin = max(4 * self._deviation_ns, self._round_trip_ns // 4)
        return max(_SHORTEST_ROUND_TRIP_NS, self._round_trip_ns + margin)

    def _sample(self, sample_ns: int) -> None:
        if self._round_trip_ns is None:
            self._round_trip_ns, self._deviation_ns = sample_ns, sample_ns // 4
            return
        error = sample_ns - self._round_trip_ns
        self._round_trip_ns += error // 8
        self._deviation_ns += (abs(error) - self._deviation_ns) // 4
