# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
When a parity leaves, and over which bodies.

Parity slides along with the traffic: there are no blocks to be filled or closed. Every body says
by when the last parity over it must leave and how many it needs (`redundancy`); these are spread
evenly over that time, so that a burst cannot take the body and all its parities. When the body that
is most in a hurry is due, one parity leaves over all bodies that are still of use, and counts for
each of them: with k bodies in the window and r parities needed, the cost is r / k.

STRONG bodies have parities of their own. What is left of the share goes to parities over STRONG and
WEAK bodies together.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gsc_ros.link.fec import encode_parity, parity_overhead, parity_size, SPAN
from gsc_ros.link.redundancy import (
    count_repeats,
    parities_needed,
    PathMeasure,
    Protection,
    reckoned_loss,
    RepairConfig,
    RepairMode,
    repeat_failure,
)

NS_PER_S = 1_000_000_000

# A body falls out of the window when so many bodies, or counters, have followed.
MAX_BODIES = 48
_MAX_SPAN = SPAN - 32
# Room is left free in bodies for so long after one was in need of parity.
_RESERVE_NS = 10 * NS_PER_S
# The last parity leaves somewhat before the last moment.
_EARLY = 0.5


@dataclass
class _Covered:
    """A body that parities cover."""

    counter: int
    body: bytes
    protection: Protection
    sent_ns: int
    until_ns: int
    need: int
    got: int = 0

    def progress(self, newest: int, now_ns: int) -> float:
        """Return how much of its time, or of its place in the window, is over."""
        age = (now_ns - self.sent_ns) / max(1, self.until_ns - self.sent_ns)
        return max(age, (newest - self.counter) / _MAX_SPAN)

    def due(self) -> float:
        """Return the progress at which the next parity over it should leave."""
        return (self.got + 1) / (self.need + _EARLY)

    def due_ns(self) -> int:
        return self.sent_ns + int(self.due() * (self.until_ns - self.sent_ns))


@dataclass(frozen=True)
class PlannedParity:
    """
    A parity that should leave now.

    :param size: bytes of its body.
    :param protection: STRONG or WEAK, by the bodies that it is for.
    :param useful_ns: until when it is worth sending.
    :param row: its row of the code.
    :param bodies: what it covers, by counter.
    """

    size: int
    protection: Protection
    useful_ns: int
    row: int
    bodies: dict[int, bytes]

    def build(self, kind: int, counter: int) -> bytes:
        """Return the body, for the counter that it will have."""
        return encode_parity(kind, self.row, counter, self.bodies)


class ParityWindow:
    """
    Keep the bodies that parity covers and say when the next one is due.

    :param config: mode and targets.
    """

    def __init__(self, config: RepairConfig) -> None:
        """Start with an empty window and nothing known of the path."""
        self._config = config
        self._loss = reckoned_loss(0.0, config.least_loss)
        self._path = PathMeasure(float('nan'), 1.0, None, 1)
        self._covered: OrderedDict[int, _Covered] = OrderedDict()
        self._newest = -1
        self._row = 0
        self._wanted_ns: dict[Protection, int] = {}
        self._bitmap_bytes = 1
        self.uncovered = 0

    def measure(self, path: PathMeasure) -> None:
        """Take in what is known of the path."""
        self._path = path
        self._loss = reckoned_loss(path.loss, self._config.least_loss)

    def clear(self) -> None:
        """Forget all bodies."""
        self._covered.clear()
        self._newest = -1

    def reserve(self, protection: Protection, now_ns: int) -> int:
        """Return the bytes that must be free in bodies for a parity over them to fit."""
        wanted_ns = self._wanted_ns.get(protection)
        if wanted_ns is None or now_ns - wanted_ns > _RESERVE_NS:
            return 0
        return parity_overhead(8 * self._bitmap_bytes)

    def sent(
        self, counter: int, body: bytes, protection: Protection, useful_ns: int, gap_ns: int,
        datagram_ns: int, now_ns: int,
    ) -> None:
        """
        Note a body that has left.

        :param gap_ns: until the next datagram, as a rule.
        :param datagram_ns: how long a datagram takes to leave.
        """
        self._newest = max(self._newest, counter)
        self._prune(now_ns)
        if protection is Protection.NONE or not self._config.parity or not self._loss:
            return
        one_way_ns = (self._path.round_trip_ns or 0) // 2
        until_ns = useful_ns - one_way_ns - 2 * datagram_ns
        if until_ns <= now_ns:
            return
        need = self._need(counter, protection, useful_ns - now_ns, gap_ns, datagram_ns)
        if not need:
            return
        self._wanted_ns[protection] = now_ns
        self._covered[counter] = _Covered(counter, body, protection, now_ns, until_ns, need)

    def select(self, room: int, now_ns: int) -> PlannedParity | None:
        """
        Return the parity that should leave now, or None; nothing changes before `departed`.

        :param room: the most bytes of its body.
        """
        self._prune(now_ns)
        for protection in (Protection.STRONG, Protection.WEAK):
            due = [covered for covered in self._of(protection)
                   if covered.progress(self._newest, now_ns) >= covered.due()]
            if due:
                return self._plan(protection, due, room)
        return None

    def departed(self, parity: PlannedParity) -> None:
        """Note that a parity has left."""
        self._row += 1
        for counter in parity.bodies:
            covered = self._covered.get(counter)
            if covered is not None and covered.protection is parity.protection:
                covered.got += 1

    def next_ns(self, now_ns: int) -> int | None:
        """Return when the next parity is due if nothing else is sent, or None."""
        return min((covered.due_ns() for covered in self._covered.values()
                    if covered.got < covered.need and covered.until_ns > now_ns), default=None)

    def _need(
        self, counter: int, protection: Protection, useful_ns: int, gap_ns: int, datagram_ns: int,
    ) -> int:
        config, path = self._config, self._path
        target = config.target if protection is Protection.STRONG else config.weak_target
        if config.mode is RepairMode.AUTO:
            repeats = count_repeats(
                useful_ns, path.round_trip_ns, gap_ns, config.reorder_ns, datagram_ns)
            target = min(0.5, target / repeat_failure(self._loss) ** repeats)
        beside = [covered for covered in self._covered.values()
                  if covered.protection is protection]
        sources = len(beside) + 1
        span = counter - beside[0].counter if beside else 1
        burst = max(path.clear_burst(), 1.0 / (1.0 - self._loss))
        # Parities lie between the bodies, so the distances are somewhat less than those of these.
        spacing = max(1, round(span / (sources + 2)))
        return parities_needed(self._loss, round(burst, 1), sources, min(spacing, 8), target)

    def _of(self, protection: Protection) -> list[_Covered]:
        return [covered for covered in self._covered.values()
                if covered.protection is protection and covered.got < covered.need]

    def _plan(
        self, protection: Protection, due: list[_Covered], room: int,
    ) -> PlannedParity | None:
        bodies: dict[int, bytes] = {}
        useful_ns = 0
        # Newest first: what is left out for want of room is the oldest.
        for covered in reversed(self._covered.values()):
            if covered.protection < protection:
                continue
            bodies[covered.counter] = covered.body
            if len(bodies) > MAX_BODIES or parity_size(bodies) > room:
                del bodies[covered.counter]
            else:
                useful_ns = max(useful_ns, covered.until_ns)
        for covered in due:
            if covered.counter not in bodies:
                # It is too long, or too old for the space; more tries would not change that.
                covered.need = covered.got
                self.uncovered += 1
        if not any(covered.counter in bodies for covered in due):
            return None
        span = max(bodies) - min(bodies) + 1
        self._bitmap_bytes = max(-(-span // 8), self._bitmap_bytes - (self._row % 64 == 63))
        return PlannedParity(parity_size(bodies), protection, useful_ns, self._row, bodies)

    def _prune(self, now_ns: int) -> None:
        """Let go of what is out of time or out of the window."""
        for counter, covered in list(self._covered.items()):
            if covered.until_ns <= now_ns or self._newest - counter > _MAX_SPAN:
                del self._covered[counter]
        while len(self._covered) > 2 * MAX_BODIES:
            self._covered.popitem(last=False)
