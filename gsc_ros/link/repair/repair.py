# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Repair of lost datagrams at one end of a link, both as sender and as receiver.

::

    body ──> record ──> sent() ──> parity window ──┐
                          └──────> repeat queue ───┼──> select() ──> body of the REPAIR class
                                        ^ NACK     │
    record ──> receive() ──┬─ REPEAT ─> joiner ────┼──> (counter, body) for framing
                           ├─ PARITY ─> decoder ───┘
                           └─ counter ─> loss watch ──> select_nack() ──> NACK

Repair works on pairs of counter and body, between framing and the record layer, and knows nothing
of what is in a body but its kind. What is recovered counts as if it had arrived with its own
counter.

Use, from the one who seals and opens the records::

    repair = Repair(RepairConfig(), rate_bps, wire_bits, mtu, now_ns)
    repair.measure(PathMeasure(loss, burst, round_trip_ns, rate_bps), now_ns)
    repair.sent(counter, body, Protection.STRONG, useful_ns, now_ns)
    for counter, body in repair.receive(opened.counter, opened.body, now_ns):
        ...
    message = repair.select(now_ns, room)
    if message:
        send(record.seal(message.build(record.next_counter), now_ns))
        repair.departed(message, counter, bits, now_ns)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

from gsc_ros.link.datagram.framing import Kind
from gsc_ros.link.repair.nack import NackError, pack_nack, parse_nack
from gsc_ros.link.repair.parity_window import ParityWindow, PlannedParity
from gsc_ros.link.repair.receiver import RepairReceiver
from gsc_ros.link.repair.redundancy import (
    count_repeats,
    PathMeasure,
    Protection,
    RepairConfig,
    RepairMode,
)
from gsc_ros.link.repair.repeat import PlannedRepeat, REPEAT_OVERHEAD, RepeatQueue
from gsc_ros.link.repair.share import RepairShare

__all__ = [
    'PathMeasure', 'Protection', 'Repair', 'RepairConfig', 'RepairCounts', 'RepairMessage',
    'RepairMode']

NS_PER_S = 1_000_000_000

# When nothing has followed for so long, or for two datagrams, the traffic has paused.
_PAUSE_NS = 200_000_000
_LONGEST_GAP_NS = 2 * NS_PER_S
# From this loss on bodies leave room to be repeated whole; below, halves cost less.
_LOSS_FOR_ROOM = 0.03


@dataclass(frozen=True)
class RepairMessage:
    """
    A body that repair wants to send.

    :param kind: 'fec', 'repeat' or 'nack': its name in a trace.
    :param size: bytes of the body, exact.
    :param useful_ns: after this it is not worth sending.
    :param build: called with the counter that the body will have, returns it.
    :param plan: for `Repair.departed`.
    """

    kind: str
    size: int
    useful_ns: int
    build: Callable[[int], bytes]
    plan: PlannedParity | PlannedRepeat | list[int]


@dataclass(frozen=True)
class RepairCounts:
    """
    A snapshot of cumulative counts.

    :param parities: parities that were sent.
    :param repeats: repeats that were sent.
    :param nacks: requests that were sent.
    :param uncovered: bodies that got fewer parities than they needed, for want of share or room.
    :param not_repeated: requests for bodies that were not, or could not be, repeated.
    :param recovered: bodies that parity brought back.
    :param repeated: bodies that a repeat brought back.
    :param spurious: repeats and bodies of what was there already.
    :param malformed: parities, repeats and requests that were nonsense.
    """

    parities: int
    repeats: int
    nacks: int
    uncovered: int
    not_repeated: int
    recovered: int
    repeated: int
    spurious: int
    malformed: int


class Repair:
    """
    Both halves of repair at one end; see the module's docstring.

    :param config: mode, shares and targets.
    :param rate_bps: budget of this end, in bit/s.
    :param wire_bits: returns the bits on the wire of a body of so many bytes.
    :param mtu: the largest datagram, in bytes.
    :param now_ns: the time.
    """

    def __init__(
        self, config: RepairConfig, rate_bps: int, wire_bits: Callable[[int], int], mtu: int,
        now_ns: int,
    ) -> None:
        """Start with nothing sent, received or measured."""
        self._config = config
        self._wire_bits = wire_bits
        self._path = PathMeasure(math.nan, math.nan, None, rate_bps)
        self._shares = {
            kind: RepairShare(part, rate_bps, 2 * wire_bits(mtu), now_ns) for kind, part in (
                ('fec', config.fec_share), ('repeat', config.nack_share),
                ('nack', config.back_share))}
        self._admitted_ns: dict[str, int] = {}
        self._window = ParityWindow(config, mtu)
        self._queue = RepeatQueue()
        self._receiver = RepairReceiver(config)
        self._sent = dict.fromkeys(self._shares, 0)
        self._gap_ns = 0
        self._departed_ns: int | None = None
        self._tail_ns: int | None = None
        self._newest = -1

    @property
    def highest(self) -> int:
        """Return the highest counter that has arrived, -1 before the first."""
        return self._receiver.watch.highest

    @property
    def received(self) -> int:
        """Return how many datagrams have arrived by themselves."""
        return self._receiver.watch.received

    @property
    def runs(self) -> int:
        """Return how many runs of lost datagrams there were."""
        return self._receiver.watch.runs

    @property
    def held_bytes(self) -> int:
        """Return the bytes of bodies and parities that are kept."""
        return self._receiver.held_bytes + self._queue.held_bytes

    @property
    def counts(self) -> RepairCounts:
        """Return a snapshot of what was counted."""
        received, asked = self._receiver.counter, self._queue.counter
        return RepairCounts(
            self._sent['fec'], self._sent['repeat'], self._sent['nack'], self._window.uncovered,
            asked.unknown + asked.late + asked.debounced + asked.exhausted + asked.too_large,
            received.recovered, received.repeated, received.spurious, received.malformed)

    def measure(self, path: PathMeasure, now_ns: int) -> None:
        """Take in what is known of the path, and the budget of this end."""
        if path.rate_bps != self._path.rate_bps:
            for share in self._shares.values():
                share.set_rate(path.rate_bps, now_ns)
        self._path = path
        self._window.measure(path, now_ns)
        self._receiver.watch.measure(path.round_trip_ns)

    def reserve(self, protection: Protection, now_ns: int) -> int:
        """
        Return how many bytes bodies of a protection should leave free in their datagrams.

        0 while nothing is lost. A body without that room is not covered by parity, and is repeated
        in halves.
        """
        if protection is Protection.NONE:
            return 0
        reserve = self._window.reserve(protection, now_ns)
        if self._config.repeats and self._window.loss > _LOSS_FOR_ROOM:
            reserve = max(reserve, REPEAT_OVERHEAD)
        return reserve

    # Sending

    def sent(
        self, counter: int, body: bytes, protection: Protection, useful_ns: int | None,
        now_ns: int, worth: int = 1,
    ) -> None:
        """
        Note a body that has left, other than one of `select` and `select_nack`.

        :param counter: of its record; ascending.
        :param protection: how much it is worth.
        :param useful_ns: until when its arrival is of use; None: the configured time from now.
        :param worth: how many frames are lost with it.
        """
        self._note_departure(counter, now_ns)
        if self._config.mode is RepairMode.NONE:
            return
        if useful_ns is None:
            useful_ns = now_ns + self._config.useful_ns
        datagram_ns = self._duration_ns(len(body))
        pause_ns = max(_PAUSE_NS, 2 * datagram_ns)
        repeats = 0
        if self._config.repeats and protection is not Protection.NONE:
            self._queue.sent(counter, body, protection, useful_ns, now_ns)
            repeats = count_repeats(
                useful_ns - now_ns, self._path.round_trip_ns, min(self._gap_ns, pause_ns),
                self._config.reorder_ns, datagram_ns)
            if repeats and self._window.loss:
                self._tail_ns = now_ns + pause_ns
        self._window.sent(
            counter, body, protection, useful_ns, repeats, datagram_ns, now_ns, worth)

    def select(self, now_ns: int, room: int) -> RepairMessage | None:
        """
        Return the repeat or parity that should leave now, or None.

        Nothing changes before `departed`; it may be asked again at any time. The shares of the
        budget are kept in here.

        :param room: the most bytes of its body.
        """
        repeat = self._queue.select(room, self._arrival_ns(room, now_ns))
        if repeat is not None and self._admits('repeat', repeat.size, now_ns):
            return RepairMessage('repeat', repeat.size, repeat.useful_ns,
                                 lambda _: repeat.build(Kind.REPEAT), repeat)
        parity = self._window.select(room, now_ns)
        # Parities over WEAK bodies leave credit for one that STRONG bodies may need soon.
        spare = 0 if parity is None or parity.rank is Protection.STRONG else parity.size
        if parity is not None and self._admits('fec', parity.size + spare, now_ns):
            return RepairMessage('fec', parity.size, parity.useful_ns,
                                 lambda counter: parity.build(Kind.PARITY, counter), parity)
        return None

    def select_nack(self, now_ns: int, room: int) -> RepairMessage | None:
        """
        Return the request that should leave now, or None; as `select`, for the control class.

        :param room: the most bytes of its body, >= 3.
        """
        if not self._config.repeats:
            return None
        counters = self._receiver.watch.due(now_ns)
        while counters:
            body = pack_nack(Kind.NACK, counters)
            if len(body) <= room:
                break
            counters.pop()
        if not counters or not self._admits('nack', len(body), now_ns):
            return None
        return RepairMessage('nack', len(body), now_ns + self._config.give_up_ns,
                             lambda _: body, counters)

    def departed(self, message: RepairMessage, counter: int, bits: int, now_ns: int) -> None:
        """
        Note that a message of `select` or `select_nack` has left.

        :param counter: of its record.
        :param bits: that it took on the wire.
        """
        self._note_departure(counter, now_ns)
        self._sent[message.kind] += 1
        self._shares[message.kind].spend(bits, now_ns)
        if isinstance(message.plan, PlannedRepeat):
            self._queue.departed(message.plan, counter, now_ns)
        elif isinstance(message.plan, PlannedParity):
            self._window.departed(message.plan)
        else:
            self._receiver.watch.asked(message.plan, now_ns)

    def next_ns(self, now_ns: int) -> int | None:
        """Return when `select` or `select_nack` may next have something, or None."""
        times = [self._window.next_ns()]
        if self._config.repeats:
            times.append(self._receiver.watch.next_ns())
        times += [self._admitted_ns[kind] for kind in self._admitted_ns]
        return min((time for time in times if time is not None and time > now_ns), default=None)

    def tail_ns(self) -> int | None:
        """
        Return when a heartbeat should leave, unless something else does before; None: no need.

        When the last datagram before a pause is lost the far end does not know it before
        something follows.
        """
        return self._tail_ns

    # Receiving

    def receive(self, counter: int, body: bytes, now_ns: int) -> list[tuple[int, bytes]]:
        """
        Take in the body of a record that was opened; return what is for framing.

        :param counter: of its record; the record layer lets each one pass once.
        :returns: pairs of counter and body, each counter once: the body itself, the one that a
            repeat holds, and those that have become known through it. Never raises.
        """
        if body and body[0] >> 4 == Kind.NACK:
            self._receiver.watch.arrived(counter, now_ns)
            self._take_nack(body, now_ns)
            return []
        return self._receiver.take(counter, body, now_ns)

    def peer_restarted(self, now_ns: int) -> None:
        """Forget what the far end has sent, and what it may still ask for."""
        self._receiver.clear()
        self._receiver.watch.measure(self._path.round_trip_ns)
        self.restarted(now_ns)

    def restarted(self, now_ns: int) -> None:
        """Begin anew with counters of a new epoch of this end."""
        self._window.clear()
        self._queue.clear()
        self._newest = -1
        self._tail_ns = None

    def _take_nack(self, body: bytes, now_ns: int) -> None:
        try:
            counters = parse_nack(body, self._newest)
        except NackError:
            self._receiver.counter.malformed += 1
            return
        self._queue.ask(
            counters, self._arrival_ns(0, now_ns), self._path.round_trip_ns, now_ns)

    # Time and budget

    def _note_departure(self, counter: int, now_ns: int) -> None:
        if self._departed_ns is not None:
            gap_ns = min(now_ns - self._departed_ns, _LONGEST_GAP_NS)
            self._gap_ns += (gap_ns - self._gap_ns) // 8
        self._departed_ns = now_ns
        self._newest = counter
        self._tail_ns = None

    def _duration_ns(self, size: int) -> int:
        """Return how long a body takes to leave at the budget."""
        return self._wire_bits(size) * NS_PER_S // self._path.rate_bps

    def _arrival_ns(self, size: int, now_ns: int) -> int:
        """Return when a body that leaves now arrives."""
        return now_ns + self._duration_ns(size) + (self._path.round_trip_ns or 0) // 2

    def _admits(self, kind: str, size: int, now_ns: int) -> bool:
        """Return whether a share lets a body leave now; else note when it will."""
        wait_ns = self._shares[kind].wait_ns(self._wire_bits(size), now_ns)
        self._admitted_ns[kind] = now_ns + wait_ns if wait_ns else now_ns
        return wait_ns == 0
