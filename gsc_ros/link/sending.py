# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The way out of an endpoint: what the scheduler chooses is sealed and leaves under the budget.

A body that is sealed has used up a counter and must leave as it is: one that the transport did not
take waits here, and nothing else is chosen before it has left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gsc_ros.link.audit import Departure
from gsc_ros.link.datagram.wire import DatagramWire
from gsc_ros.link.record.layer import RecordLayer
from gsc_ros.link.repair.repair import Protection, Repair
from gsc_ros.link.schedule.message import Outgoing
from gsc_ros.link.schedule.scheduler import Candidate, Scheduler
from gsc_ros.link.shaper import TokenBucket
from gsc_ros.link.statistic import PathMeter, UsageMeter
from gsc_ros.link.transports import Transport

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

# When the transport has refused a datagram, offer it again after this.
_RETRY_NS = 5 * NS_PER_MS
_REPAIR_WINDOW_NS = 10 * NS_PER_S
# What says that something arrived is not answered itself.
_UNANSWERED = ('receipt', 'nack')


@dataclass(frozen=True)
class _Sealed:
    """A datagram that has its counter, and must leave."""

    datagram: bytes
    counter: int
    bits: int
    kind: str


class SendingHalf:
    """
    Send what may leave.

    :param record: seals bodies.
    :param repair: is told of every departure, and has bodies of its own.
    :param trace: called with every departure.
    """

    def __init__(
        self, bucket: TokenBucket, scheduler: Scheduler, record: RecordLayer, repair: Repair,
        wire: DatagramWire, transport: Transport, path: PathMeter,
        trace: Callable[[Departure], None] | None,
    ) -> None:
        """Start with nothing sent."""
        self._bucket = bucket
        self._scheduler = scheduler
        self._record = record
        self._repair = repair
        self._wire = wire
        self._transport = transport
        self._path = path
        self._trace = trace
        self._sealed: _Sealed | None = None
        self._epoch = record.epoch
        self._repair_usage = {
            kind: UsageMeter(_REPAIR_WINDOW_NS) for kind in ('fec', 'repeat')}
        self.usage = UsageMeter()
        self.departed_ns: int | None = None
        self.datagrams = 0
        self.bits = 0

    def repair_share(self, kind: str, now_ns: int) -> float:
        """Return the share of the budget that 'fec' or 'repeat' took lately."""
        bits = self._repair_usage[kind].bits(now_ns)
        return bits * NS_PER_S / _REPAIR_WINDOW_NS / self._bucket.rate_bps

    def send_due(self, now_ns: int) -> int | None:
        """Send while budget and transport allow it; return when they next may."""
        while True:
            held_ns = self._release(now_ns)
            if held_ns is not None:
                return held_ns
            candidate = self._scheduler.select(now_ns, self._bucket.credit_bits(now_ns))
            if candidate is None:
                return None
            wait_ns = self._bucket.wait_ns(candidate.bits, now_ns)
            if wait_ns:
                return now_ns + wait_ns
            ready_ns = self._transport.ready_ns(now_ns)
            if ready_ns > now_ns:
                return ready_ns
            self._seal(candidate, now_ns)

    def send_body(self, body: bytes, kind: str, now_ns: int) -> int | None:
        """
        Send a body that nobody repairs, past the scheduler.

        :returns: None when it was taken; else when it may be tried again.
        """
        held_ns = self._release(now_ns)
        if held_ns is not None:
            return held_ns
        wait_ns = self._bucket.wait_ns(self._wire.bits(len(body), now_ns), now_ns)
        ready_ns = max(now_ns + wait_ns, self._transport.ready_ns(now_ns))
        if ready_ns > now_ns:
            return ready_ns
        counter = self._record.next_counter
        self._seal_body(body, kind, now_ns)
        self._repair.sent(counter, body, Protection.NONE, None, now_ns)
        self.follow_epoch(now_ns)
        self._release(now_ns)
        return None

    def follow_epoch(self, now_ns: int) -> None:
        """Begin anew what goes by counters if the record layer has begun a new epoch."""
        if self._record.epoch != self._epoch:
            self._epoch = self._record.epoch
            self._path.restart()
            self._repair.restarted(now_ns)

    def _release(self, now_ns: int) -> int | None:
        """Let the sealed datagram leave; return when it may be tried again if it cannot."""
        if self._sealed is None:
            return None
        wait_ns = self._bucket.wait_ns(self._sealed.bits, now_ns)
        if wait_ns:
            return now_ns + wait_ns
        if not self._transport.send(self._sealed.datagram, now_ns):
            return max(now_ns + _RETRY_NS, self._transport.ready_ns(now_ns))
        self._note_departure(now_ns)
        return None

    def _seal(self, candidate: Candidate, now_ns: int) -> None:
        counter = self._record.next_counter
        if candidate.repair is not None:
            self._seal_body(candidate.repair.build(counter), candidate.kind, now_ns)
            self._repair.departed(candidate.repair, counter, self._sealed.bits, now_ns)
        else:
            outgoing = self._scheduler.open(candidate, now_ns)
            if outgoing is None:
                return
            self._seal_body(outgoing.body, candidate.kind, now_ns)
            self._repair.sent(
                counter, outgoing.body, _protection(outgoing), outgoing.useful_ns, now_ns,
                outgoing.worth)
        self._scheduler.sent(candidate, now_ns)
        self.follow_epoch(now_ns)

    def _seal_body(self, body: bytes, kind: str, now_ns: int) -> None:
        counter = self._record.next_counter
        datagram = self._record.seal(body, now_ns)
        bits = self._transport.wire_bits(len(datagram))
        self._sealed = _Sealed(datagram, counter, bits, kind)

    def _note_departure(self, now_ns: int) -> None:
        sealed, self._sealed = self._sealed, None
        self._bucket.admit(sealed.bits, now_ns)
        self._path.sent(sealed.counter, sealed.kind not in _UNANSWERED, now_ns)
        self.usage.add(sealed.bits, now_ns)
        if sealed.kind in self._repair_usage:
            self._repair_usage[sealed.kind].add(sealed.bits, now_ns)
        self.datagrams += 1
        self.bits += sealed.bits
        self.departed_ns = now_ns
        if self._trace:
            self._trace(Departure(now_ns, sealed.bits, sealed.kind))


def _protection(outgoing: Outgoing) -> Protection:
    if outgoing.useful_ns is None:
        return Protection.NONE
    return Protection.STRONG if outgoing.strong else Protection.WEAK
