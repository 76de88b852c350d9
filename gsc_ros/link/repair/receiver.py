# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The receiving half of repair: what arrived, what can be recovered, and what to ask for."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gsc_ros.link.datagram.framing import Kind
from gsc_ros.link.repair.fec import ErasureDecoder, Parity, ParityError
from gsc_ros.link.repair.nack import LossWatch
from gsc_ros.link.repair.redundancy import RepairConfig
from gsc_ros.link.repair.repeat import RepeatError, RepeatJoiner

# Counters this far behind the highest are too old to be repeated.
_MEMORY = 2048
_REPAIR_KINDS = (Kind.REPEAT, Kind.PARITY, Kind.NACK)


@dataclass
class ReceiverCounter:
    """
    Cumulative counts.

    :param recovered: bodies that parity brought back.
    :param repeated: bodies that a repeat brought back.
    :param spurious: bodies that were there already.
    :param malformed: parities, repeats and requests that are nonsense.
    :param stale: repeats of what is too far back.
    """

    recovered: int = 0
    repeated: int = 0
    spurious: int = 0
    malformed: int = 0
    stale: int = 0


class RepairReceiver:
    """
    Recover bodies from repeats and parities, in bounded memory and time, whatever arrives.

    :param config: how long to wait and to ask.
    """

    def __init__(self, config: RepairConfig) -> None:
        """Start with nothing received."""
        self._config = config
        self.counter = ReceiverCounter()
        self.clear()

    def clear(self) -> None:
        """Forget everything but the counts."""
        self.watch = LossWatch(self._config.reorder_ns, self._config.give_up_ns)
        self._decoder = ErasureDecoder()
        self._joiner = RepeatJoiner()
        self._handed: OrderedDict[int, None] = OrderedDict()

    @property
    def held_bytes(self) -> int:
        """Return the bytes of bodies and parities that are kept."""
        return self._decoder.held_bytes + self._joiner.held_bytes

    def take(self, counter: int, body: bytes, now_ns: int) -> list[tuple[int, bytes]]:
        """
        Take in a body that is no request; return what is for framing, each counter once.

        Never raises.

        :param counter: of its record.
        :returns: pairs of counter and body: itself, what a repeat holds, what becomes known.
        """
        self.watch.arrived(counter, now_ns)
        kind = body[0] >> 4 if body else None
        if kind == Kind.REPEAT:
            return self._take_repeat(counter, body, now_ns)
        if kind == Kind.PARITY:
            return self._take_parity(counter, body, now_ns)
        return self._take_body(counter, body, now_ns)

    def _take_body(self, counter: int, body: bytes, now_ns: int) -> list[tuple[int, bytes]]:
        if not self._fresh(counter):
            self.counter.spurious += 1
            return []
        return [(counter, body), *self._recover(self._decoder.body(counter, body), now_ns)]

    def _take_repeat(self, counter: int, body: bytes, now_ns: int) -> list[tuple[int, bytes]]:
        try:
            completed = self._joiner.take(counter, body)
        except RepeatError:
            self.counter.malformed += 1
            return []
        if completed is None:
            return []
        old, inner = completed
        if inner[0] >> 4 in _REPAIR_KINDS:
            self.counter.malformed += 1
            return []
        if old <= self.watch.highest - _MEMORY:
            self.counter.stale += 1
            return []
        self.watch.repaired(old, True, now_ns)
        repeated = self._take_body(old, inner, now_ns)
        self.counter.repeated += bool(repeated)
        return repeated

    def _take_parity(self, counter: int, body: bytes, now_ns: int) -> list[tuple[int, bytes]]:
        try:
            parity = Parity.parse(counter, body)
        except ParityError:
            self.counter.malformed += 1
            return []
        return self._recover(self._decoder.parity(parity), now_ns)

    def _recover(
        self, recovered: list[tuple[int, bytes]], now_ns: int,
    ) -> list[tuple[int, bytes]]:
        """Return what of the recovered bodies is for framing."""
        fresh = []
        for counter, body in recovered:
            self.watch.repaired(counter, False, now_ns)
            if body[0] >> 4 in _REPAIR_KINDS:
                self.counter.malformed += 1
            elif self._fresh(counter):
                self.counter.recovered += 1
                fresh.append((counter, body))
        return fresh

    def _fresh(self, counter: int) -> bool:
        """Return whether a counter's body is handed on for the first time."""
        if counter in self._handed:
            return False
        self._handed[counter] = None
        if len(self._handed) > _MEMORY:
            self._handed.popitem(last=False)
        return True
