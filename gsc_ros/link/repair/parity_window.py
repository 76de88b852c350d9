# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
When a parity leaves, and over which bodies.

Parity slides along with the traffic: there are no blocks to be filled or closed. Every body says
by when the last parity over it must leave and how many it needs (`redundancy`); these are spread
evenly over that time, so that a burst cannot take the body and all its parities. When the body that
is most in a hurry is due, one parity leaves over all bodies that are still of use, and counts for
each of them: with k bodies in the window and r parities needed, the cost is r / k.

Where the share pays for it STRONG and WEAK bodies are under the same parities, as a long code is
better than two short ones. Else STRONG bodies have parities of their own, and what is left of the
share goes to parities over all.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
import math

from gsc_ros.link.repair.fec import encode_parity, MAX_COVERED, parity_overhead, SPAN
from gsc_ros.link.repair.nack import MAX_TRIES
from gsc_ros.link.repair.redundancy import (
    LossMemory,
    MAX_PARITIES,
    parities_needed,
    PathMeasure,
    PieceMeter,
    Protection,
    RepairConfig,
    repeat_failure,
    residual_loss,
)

NS_PER_S = 1_000_000_000

# A body falls out of the window when so many counters have followed.
_MAX_SPAN = SPAN - 32
_MIN_SPAN = 16
_MAX_SPACING = 8
# Room is left free in bodies for so long after one was in need of parity.
_RESERVE_NS = 10 * NS_PER_S
# The last parity leaves somewhat before the last moment.
_EARLY = 0.5


@dataclass
class _Covered:
    """
    A body that parities cover.

    :param ordinal: how-manyth it is of those that are covered.
    :param rank: parities of which protection it needs; WEAK bodies may be among the STRONG.
    """

    counter: int
    ordinal: int
    body: bytes
    protection: Protection
    rank: Protection
    sent_ns: int
    until_ns: int
    need: int
    got: int = 0

    @property
    def due(self) -> float:
        """Return what part of its time may be over when the next parity over it leaves."""
        return (self.got + 1) / (self.need + _EARLY)

    @property
    def due_ns(self) -> int:
        """Return when that is."""
        return self.sent_ns + math.ceil(self.due * (self.until_ns - self.sent_ns))


@dataclass(frozen=True)
class PlannedParity:
    """
    A parity that should leave now.

    :param size: bytes of its body.
    :param rank: which bodies it is for: STRONG, or all.
    :param useful_ns: until when it is worth sending.
    :param expires_ns: until when all that it covers is of use.
    :param row: its row of the code.
    :param bodies: what it covers, by counter.
    """

    size: int
    rank: Protection
    useful_ns: int
    expires_ns: int
    row: int
    bodies: dict[int, bytes]

    def build(self, kind: int, counter: int) -> bytes:
        """Return the body, for the counter that it will have."""
        return encode_parity(kind, self.row, counter, self.bodies)


class ParityWindow:
    """
    Keep the bodies that parity covers and say when the next one is due.

    :param config: mode, share and targets.
    :param mtu: the largest datagram, in bytes; short ones have no room for a wide window.
    """

    def __init__(self, config: RepairConfig, mtu: int) -> None:
        """Start with an empty window and nothing known of the path."""
        self._config = config
        self._span = min(_MAX_SPAN, max(_MIN_SPAN, mtu // 2))
        self._memory = LossMemory(config.least_loss)
        self._meter = PieceMeter()
        self._round_trip_ns: int | None = None
        self._covered: OrderedDict[int, _Covered] = OrderedDict()
        self._newest = -1
        self._row = self._ordinal = 0
        # When the next parity of a rank is due; and the one that was planned last.
        self._due_ns: dict[Protection, int] = {}
        self._planned: tuple[int, PlannedParity] | None = None
        self._wanted_ns: dict[Protection, int] = {}
        self._widest = 1
        self.uncovered = 0

    @property
    def loss(self) -> float:
        """Return the loss that is reckoned with."""
        return self._memory.loss

    def measure(self, path: PathMeasure, now_ns: int) -> None:
        """Take in what is known of the path."""
        self._round_trip_ns = path.round_trip_ns
        self._memory.measure(path.loss, path.burst, now_ns)

    def clear(self) -> None:
        """Forget all bodies."""
        self._covered.clear()
        self._newest = -1
        self._changed()

    def reserve(self, protection: Protection, now_ns: int) -> int:
        """Return the bytes that must be free in bodies for a parity over them to fit."""
        wanted_ns = self._wanted_ns.get(protection)
        if wanted_ns is None or now_ns - wanted_ns > _RESERVE_NS:
            return 0
        return parity_overhead(self._widest)

    def sent(
        self, counter: int, body: bytes, protection: Protection, useful_ns: int, repeats: int,
        datagram_ns: int, now_ns: int, worth: int = 1,
    ) -> None:
        """
        Note a body that has left.

        :param useful_ns: until when its arrival is of use.
        :param repeats: how many repeats of it are in time.
        :param datagram_ns: how long a datagram takes to leave.
        :param worth: how many frames are lost with it.
        """
        self._newest = max(self._newest, counter)
        self._meter.sent(body, protection is Protection.STRONG)
        self._prune(now_ns)
        self._cover(counter, body, protection, useful_ns, repeats, datagram_ns, now_ns, worth)
        self._changed()

    def _cover(
        self, counter: int, body: bytes, protection: Protection, useful_ns: int, repeats: int,
        datagram_ns: int, now_ns: int, worth: int,
    ) -> None:
        """Take a body into the window if it needs parity."""
        if protection is Protection.NONE or not self._config.parity or not self._memory.loss:
            return
        until_ns = useful_ns - (self._round_trip_ns or 0) // 2 - 2 * datagram_ns
        if until_ns <= now_ns:
            return
        slots = (until_ns - now_ns) // max(1, datagram_ns)
        rank, need = self._demand(counter, protection, repeats, slots, worth)
        if need:
            if not self._wants_any(now_ns):
                self._widest = 1
            self._wanted_ns[protection] = now_ns
            self._ordinal += 1
            self._covered[counter] = _Covered(
                counter, self._ordinal, body, protection, rank, now_ns, until_ns, need)

    def select(self, room: int, now_ns: int) -> PlannedParity | None:
        """
        Return the parity that should leave now, or None.

        It stays the same before `departed`, but for what has got too old.

        :param room: the most bytes of its body.
        """
        if self._planned is not None:
            planned_room, planned = self._planned
            if planned_room == room and now_ns < planned.expires_ns:
                return planned
        self._planned = None
        for rank in (Protection.STRONG, Protection.WEAK):
            if self._due_ns.get(rank, now_ns + 1) <= now_ns:
                planned = self._plan(rank, room, now_ns)
                if planned is not None:
                    self._planned = (room, planned)
                    return planned
        return None

    def departed(self, parity: PlannedParity) -> None:
        """Note that a parity has left."""
        self._row += 1
        for counter in parity.bodies:
            covered = self._covered.get(counter)
            if covered is not None and covered.rank is parity.rank:
                covered.got += 1
        self._changed()

    def next_ns(self) -> int | None:
        """Return when the next parity is due, or was, if nothing else is sent; None: never."""
        return min(self._due_ns.values(), default=None)

    def _demand(
        self, counter: int, protection: Protection, repeats: int, slots: int, worth: int,
    ) -> tuple[Protection, int]:
        """
        Return with which rank a body is covered, and by how many parities.

        One code over all bodies is better than one for each protection, as long as the share can
        pay for it; else STRONG bodies come first.

        :param repeats: how many repeats are in time.
        :param slots: how many datagrams may leave in the time that it has.
        :param worth: how many frames are lost with it.
        """
        config = self._config
        failure = repeat_failure(self._memory.loss) ** min(repeats, MAX_TRIES)
        target = min(0.5, config.target / self._meter.pieces / worth / failure)
        affordable = int(config.fec_share * slots + 0.5)
        _, reached = self._foresee(counter, None, affordable, target)
        if reached <= target:
            return Protection.STRONG, self._foresee(counter, None, 0, target)[0]
        if protection is Protection.WEAK:
            target = min(0.5, config.weak_target / failure)
        return protection, self._foresee(counter, protection, 0, target)[0]

    def _foresee(
        self, counter: int, protection: Protection | None, parities: int, target: float,
    ) -> tuple[int, float]:
        """
        Return the parities needed for a target, and the loss that remains with so many.

        :param protection: of the bodies that would be in the window; None: all.
        """
        beside = [covered.counter for covered in self._covered.values()
                  if protection is None or covered.protection is protection]
        sources = min(MAX_COVERED, len(beside) + 1)
        # Parities lie between the bodies, so distances are less than those of the bodies.
        spacing = (counter - beside[0] + 1 if beside else 1) // (sources + 2)
        known = (self._memory.loss, self._memory.burst, sources)
        spacing = min(max(1, spacing), _MAX_SPACING)
        return (parities_needed(*known, spacing, target),
                residual_loss(*known, min(parities, MAX_PARITIES), spacing))

    def _plan(self, rank: Protection, room: int, now_ns: int) -> PlannedParity | None:
        """Return a parity over all of a rank, and above, that is of use and fits."""
        wished = [covered for covered in self._covered.values()
                  if covered.rank >= rank and covered.until_ns > now_ns][-MAX_COVERED:]
        if not wished:
            return None
        self._widest = max(self._widest, wished[-1].counter - wished[0].counter + 1)
        fitting: list[_Covered] = []
        longest = size = 0
        # Newest first: what is left out for want of room is the oldest.
        for covered in reversed(wished):
            span = fitting[0].counter - covered.counter + 1 if fitting else 1
            needed = parity_overhead(span) + max(longest, len(covered.body))
            if needed <= room:
                fitting.append(covered)
                longest, size = max(longest, len(covered.body)), needed
        if not any(self._is_due(covered, now_ns) for covered in fitting):
            return None
        return PlannedParity(
            size, rank, max(covered.until_ns for covered in fitting),
            min(covered.until_ns for covered in fitting), self._row,
            {covered.counter: covered.body for covered in fitting})

    def _is_due(self, covered: _Covered, now_ns: int) -> bool:
        return covered.got < covered.need and (
            covered.due_ns <= now_ns or self._way(covered) >= covered.due)

    def _way(self, covered: _Covered) -> float:
        """Return how much of its way through the window a body has gone."""
        return max((self._newest - covered.counter) / self._span,
                   (self._ordinal - covered.ordinal) / MAX_COVERED)

    def _changed(self) -> None:
        """Find out anew when parities are due."""
        self._planned = None
        self._due_ns.clear()
        for covered in self._covered.values():
            if covered.got < covered.need:
                due_ns = covered.sent_ns if self._way(covered) >= covered.due else covered.due_ns
                known_ns = self._due_ns.get(covered.rank, due_ns)
                self._due_ns[covered.rank] = min(known_ns, due_ns)

    def _wants_any(self, now_ns: int) -> bool:
        return any(now_ns - wanted_ns <= _RESERVE_NS for wanted_ns in self._wanted_ns.values())

    def _prune(self, now_ns: int) -> None:
        """Let go of what is out of time or out of the window."""
        for counter, covered in list(self._covered.items()):
            if covered.until_ns <= now_ns or self._way(covered) >= 1.0:
                del self._covered[counter]
                self.uncovered += covered.got < covered.need
