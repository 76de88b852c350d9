# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two `Repair` ends joined by a pipe that loses, in simulated time; no framing and no records."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
import heapq
import math
from random import Random

from gsc_ros.link.datagram.framing import Kind
from gsc_ros.link.repair.repair import PathMeasure, Protection, Repair, RepairConfig

S = 1_000_000_000
MS = 1_000_000
MTU = 128
# Head, counter and tag of a record.
RECORD_BYTES = 9

Loss = Callable[[int], bool]


def bernoulli(probability: float, seed: int) -> Loss:
    """Return a loss that hits each datagram with a probability."""
    random = Random(seed)
    return lambda _: random.random() < probability


def bursts(mean_ns: int, part: float, seed: int) -> Loss:
    """Return a loss of everything in bursts that last so long and take such a part of the time."""
    random = Random(seed)
    state = {'bad': False, 'until': int(random.expovariate(part / (mean_ns * (1 - part))))}

    def lost(now_ns: int) -> bool:
        while state['until'] <= now_ns:
            state['bad'] = not state['bad']
            mean = mean_ns if state['bad'] else mean_ns * (1 - part) / part
            state['until'] += int(random.expovariate(1 / mean))
        return state['bad']

    return lost


def wire_bits(size: int) -> int:
    """Return the bits of a body on the wire."""
    return 8 * (RECORD_BYTES + size)


@dataclass
class End:
    """One end: a queue of bodies, a budget, and what it repaired."""

    repair: Repair
    rate_bps: int
    room: int
    counter: int = 0
    busy_ns: int = 0
    queue: deque[tuple[bytes, Protection, int | None]] = field(default_factory=deque)
    got: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    sent: dict[int, bytes] = field(default_factory=dict)
    bits: dict[str, int] = field(default_factory=dict)
    marks: deque[tuple[int, int, int, int]] = field(default_factory=deque)
    receipt_ns: int = 0


class Pipe:
    """
    Frames from one end to the other, receipts and requests back.

    :param loss: of the way there and of the way back.
    :param frame: sizes of the bodies of a frame; the first is STRONG.
    :param fps: 0 saturates the link: the next frame as soon as the last has left.
    :param two_way: whether there is a way back.
    """

    def __init__(
        self, config: RepairConfig, *, loss: Loss, back_loss: Loss | None = None,
        round_trip_ns: int = 1200 * MS, rate_bps: int = 9600, back_bps: int = 960,
        frame: tuple[int, ...] = (119, 119, 60), fps: float = 0.0, two_way: bool = True,
        known_round_trip: bool = True, useful_ns: int | None = None, jitter_ns: int = 0,
        seed: int = 1,
    ) -> None:
        """Build both ends."""
        self.now_ns = 0
        self.loss = (loss, back_loss or loss)
        self.delay_ns = round_trip_ns // 2
        self.frame, self.fps, self.two_way = frame, fps, two_way
        self.known_round_trip, self.useful_ns = known_round_trip, useful_ns
        self.jitter_ns, self.random = jitter_ns, Random(seed)
        room = MTU - RECORD_BYTES
        self.rover = End(Repair(config, rate_bps, wire_bits, MTU, 0), rate_bps, room)
        self.ground = End(Repair(config, back_bps, wire_bits, MTU, 0), back_bps, room)
        self.frames: list[list[int]] = []
        self.flight: list[tuple[int, int, int, int, bytes]] = []
        self.order = 0
        self.next_frame_ns = 0
        self.stopped = False
        self.measured = PathMeasure(math.nan, math.nan, None, rate_bps)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_ns = self.now_ns + round(seconds * S)
        while self.now_ns < end_ns:
            while self.flight and self.flight[0][0] <= self.now_ns:
                _, _, side, counter, body = heapq.heappop(self.flight)
                self._arrive((self.rover, self.ground)[side], counter, body)
            self._offer()
            for side, end in enumerate((self.rover, self.ground)):
                self._send(side, end)
            wakes = [end_ns, self.now_ns + 20 * MS]
            wakes += [end.busy_ns for end in (self.rover, self.ground)
                      if end.busy_ns > self.now_ns]
            wakes += [self.flight[0][0]] if self.flight else []
            self.now_ns = max(self.now_ns + 1, min(wakes))

    def decodable(self, useful_ns: int, skip: int = 0) -> tuple[float, float]:
        """Return the share of frames whose first body, or all, came within a time."""
        first = whole = total = 0
        for counters, sent_ns in self.frames[skip:]:
            if self.now_ns - sent_ns < 2 * useful_ns or len(counters) < len(self.frame):
                continue
            total += 1
            times = [self.ground.got[c][1] - sent_ns for c in counters if c in self.ground.got]
            head = self.ground.got.get(counters[0])
            first += head is not None and head[1] - sent_ns <= useful_ns
            whole += len(times) == len(counters) and max(times) <= useful_ns
        return first / total, whole / total

    def share(self, kind: str) -> float:
        """Return the part of the rover's budget that a kind took."""
        return self.rover.bits.get(kind, 0) / (self.rover.rate_bps * self.now_ns / S)

    def _offer(self) -> None:
        idle = not self.rover.queue and self.rover.busy_ns <= self.now_ns
        if self.stopped or (self.now_ns < self.next_frame_ns if self.fps else not idle):
            return
        self.next_frame_ns = self.now_ns + (round(S / self.fps) if self.fps else 0)
        self.frames.append(([], self.now_ns))
        for place, size in enumerate(self.frame):
            protection = Protection.WEAK if place else Protection.STRONG
            reserve = self.rover.repair.reserve(protection, self.now_ns)
            size = min(size, self.rover.room - reserve)
            body = bytes([Kind.FRAGMENT << 4]) + self.random.randbytes(size - 1)
            useful_ns = None if self.useful_ns is None else self.now_ns + self.useful_ns
            self.rover.queue.append((body, protection, useful_ns, self.frames[-1][0]))

    def _send(self, side: int, end: End) -> None:
        if end.busy_ns > self.now_ns:
            return
        repair = end.repair
        if side == 1 and not self.two_way:
            return
        message = repair.select_nack(self.now_ns, end.room) or repair.select(
            self.now_ns, end.room)
        if message is not None:
            body = message.build(end.counter)
            assert len(body) == message.size <= end.room
            kind = message.kind
            repair.departed(message, end.counter, wire_bits(message.size), self.now_ns)
        elif side == 1 and self.now_ns >= end.receipt_ns and repair.highest >= 0:
            end.receipt_ns = self.now_ns + S
            body = bytes([Kind.RECEIPT << 4]) + b''.join(
                number.to_bytes(4, 'big')
                for number in (repair.highest, repair.received, repair.runs))
            kind = 'receipt'
            repair.sent(end.counter, body, Protection.NONE, None, self.now_ns)
        elif end.queue:
            body, protection, useful_ns, counters = end.queue.popleft()
            kind = 'frame'
            counters.append(end.counter)
            repair.sent(end.counter, body, protection, useful_ns, self.now_ns)
        elif repair.tail_ns() is not None and repair.tail_ns() <= self.now_ns:
            body, kind = bytes([Kind.HEARTBEAT << 4]), 'heartbeat'
            repair.sent(end.counter, body, Protection.NONE, None, self.now_ns)
        else:
            return
        bits = wire_bits(len(body))
        end.bits[kind] = end.bits.get(kind, 0) + bits
        end.busy_ns = self.now_ns + bits * S // end.rate_bps
        end.sent[end.counter] = body
        if not self.loss[side](self.now_ns):
            self.order += 1
            arrival_ns = end.busy_ns + self.delay_ns + self.random.randint(0, self.jitter_ns)
            heapq.heappush(
                self.flight, (arrival_ns, self.order, 1 - side, end.counter, body))
        end.counter += 1

    def _arrive(self, end: End, counter: int, body: bytes) -> None:
        for known, inner in end.repair.receive(counter, body, self.now_ns):
            assert known not in end.got
            end.got[known] = (inner, self.now_ns)
            if inner[0] >> 4 == Kind.RECEIPT:
                self._measure(inner)

    def _measure(self, receipt: bytes) -> None:
        """Do what the endpoint does with receipts: loss over 30 s, and the round trip."""
        highest, received, runs = (
            int.from_bytes(receipt[at:at + 4], 'big') for at in (1, 5, 9))
        marks = self.rover.marks
        marks.append((self.now_ns, highest, received, runs))
        while marks[0][0] < self.now_ns - 30 * S:
            marks.popleft()
        _, first, first_received, first_runs = marks[0]
        if highest == first:
            return
        lost = max(0, highest - first - received + first_received)
        self.measured = PathMeasure(
            lost / (highest - first), max(1.0, lost / max(1, runs - first_runs)),
            2 * self.delay_ns + 150 * MS if self.known_round_trip else None, self.rover.rate_bps)
        self.rover.repair.measure(self.measured, self.now_ns)
