# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Throw hostile datagrams at one end of a link, and time how long each takes to refuse.

    python benchmarks/link_hostile.py [--datagrams 1000000] [--suite AES_CCM] [--seed 0] [--json]
                                      [--whole]

Half of them meet an end in the middle of a session, the other half one that has just restarted,
whose far end has not: random bytes, records replayed, of old epochs, of the other direction, of
another key, another id or another suite, with a bit flipped, cut short or made longer. Exit status
1 when one was accepted, one raised an error, memory grew, or half of them took 50 us or more.

The end is a record layer, which is what refuses them; or, with --whole, an endpoint with all that
it does when something arrives, polled for each datagram by itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
import gc
import json
from random import Random
import sys
import time
from typing import Protocol

from gsc_ros.link.datagram.framing import Heartbeat
from gsc_ros.link.endpoint import Endpoint, EndpointConfig
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig, RecordLayer
import numpy as np

MTU = 128
MAX_MEDIAN_US = 50.0
# What a process allocates for itself meanwhile, in blocks of some dozen bytes.
MAX_GROWN_BLOCKS = 1000
# Sealed but not delivered: fewer than the counters that a short record is tried for.
HELD = 64
# How many of the datagrams that it sent an endpoint remembers.
MEMORY = 1024


@dataclass(frozen=True)
class HostileResult:
    """
    What an attack came to.

    :param datagrams: how many were thrown.
    :param accepted: how many were handed on.
    :param raised: how many raised an error.
    :param grown_blocks: allocated blocks of memory after it, less before.
    :param median_us: time to refuse one, with ``p99_us``.
    :param alive: afterwards the real far end's records got in as ever.
    """

    suite: str
    datagrams: int
    accepted: int
    raised: int
    grown_blocks: int
    median_us: float
    p99_us: float
    alive: bool

    @property
    def held(self) -> bool:
        """Return whether the bars were kept."""
        return (self.alive and not self.accepted and not self.raised
                and self.grown_blocks <= MAX_GROWN_BLOCKS and self.median_us < MAX_MEDIAN_US)


class End(Protocol):
    """The end that is attacked."""

    @property
    def received(self) -> int:
        """Return how many datagrams it has handed on."""

    def take(self, datagram: bytes) -> None:
        """Take in a datagram."""

    def say(self) -> bytes | None:
        """Return what it sends, if anything."""


class RecordEnd:
    """
    A record layer alone.

    :param config: of the end.
    """

    def __init__(self, config: RecordConfig) -> None:
        """Start it."""
        self._layer = RecordLayer(config, MTU, 0)
        self.received = 0

    def take(self, datagram: bytes) -> None:
        """Open a datagram."""
        self.received += self._layer.open(datagram, 0) is not None

    def say(self) -> bytes | None:
        """Seal something."""
        return self._layer.seal(Heartbeat().pack(), 0)


class Inbox:
    """A transport that holds what came and what is to go, each the last only."""

    mtu = MTU
    trouble = None

    def __init__(self) -> None:
        """Begin with nothing."""
        self.came: list[bytes] = []
        self.gone: bytes | None = None

    def wire_bits(self, size: int) -> int:
        """Return the bits of a datagram."""
        return 8 * size

    def ready_ns(self, now_ns: int) -> int:
        """Take everything at once."""
        return now_ns

    def send(self, datagram: bytes, _now_ns: int) -> bool:
        """Keep what is sent."""
        self.gone = datagram
        return True

    def receive(self, _now_ns: int) -> list[bytes]:
        """Hand over what came."""
        came, self.came = self.came, []
        return came

    def note_authentic(self, position: int, confirmed: bool) -> None:
        """Need not know."""

    def next_arrival_ns(self) -> int | None:
        """Know nothing of the future."""
        return None


class WholeEnd:
    """
    An endpoint, as the bridge has it.

    :param config: of its records.
    """

    def __init__(self, config: RecordConfig) -> None:
        """Start it."""
        self._inbox = Inbox()
        self._now_ns = 0
        self._endpoint = Endpoint(EndpointConfig(9600, record=config), self._inbox, 0)

    def take(self, datagram: bytes) -> None:
        """Poll it with a datagram that has arrived."""
        if 0 < len(datagram) <= MTU:  # no transport hands on anything else
            self._inbox.came.append(datagram)
        self._poll(1_000_000)

    @property
    def received(self) -> int:
        """Return how many datagrams it has handed on."""
        return self._endpoint.statistics(self._now_ns).received_datagrams

    def say(self) -> bytes | None:
        """Wait until it sends something."""
        for _ in range(20):
            self._poll(250_000_000)
            if self._inbox.gone is not None:
                gone, self._inbox.gone = self._inbox.gone, None
                return gone
        return None

    def _poll(self, step_ns: int) -> None:
        self._now_ns += step_ns
        self._endpoint.poll(self._now_ns)


class Scene:
    """
    A rover, its ground, what somebody recorded of them, and what he sends to the ground.

    :param suite: `Suite.AES_CCM` or `Suite.CHACHA20_POLY1305`.
    :param restarted: the ground forgets everything once all is recorded.
    :param end: makes the ground.
    """

    def __init__(
        self, suite: Suite, seed: int, restarted: bool, end: type[RecordEnd] | type[WholeEnd],
    ) -> None:
        """Let them talk, and record it."""
        self._random = Random(seed)
        self._suite = suite
        self._keys = KeyRing.random()
        self._recorded: list[bytes] = []
        self._said: list[bytes] = []
        config = RecordConfig(Direction.GROUND, suite, self._keys)
        self.ground = end(config)
        for _ in range(8):
            # The earlier processes' last words were withheld.
            self.rover = self._make()
            self._talk(30)
            self._recorded += self._seal(self.rover, 20)
        self.rover = self._make()
        self._talk(200)
        if restarted:
            self._recorded += self._seal(self.rover, HELD)
            self.ground = end(config)
            for _ in range(MEMORY):
                self.ground.say()
        self._held = self._seal(self.rover, HELD)
        others = [self._make(keys=KeyRing.random()), self._make(keys=KeyRing.random(9)),
                  self._make(suite=next(
                      other for other in Suite if other not in (Suite.NONE, suite))),
                  self._make(suite=Suite.NONE, keys=None), RecordLayer(config, MTU, 0)]
        self._foreign = [datagram for other in others for datagram in self._seal(other, 20)]
        self._foreign += self._said

    def datagrams(self, count: int) -> Iterator[bytes]:
        """Yield what is sent to the ground."""
        kinds = (self._noise, self._record_like_noise, self._replay, self._other, self._flip,
                 self._cut, self._lengthen)
        for index in range(count):
            yield kinds[index % len(kinds)]()

    def comes_through(self) -> bool:
        """Return whether the two still, or again, hear each other."""
        self._talk(10)
        received = self.ground.received
        return self._talk(10) == 10 == self.ground.received - received

    def _make(self, **given: object) -> RecordLayer:
        values = {'suite': self._suite, 'keys': self._keys, **given}
        return RecordLayer(RecordConfig(Direction.ROVER, **values), MTU, 0)

    def _seal(self, end: RecordLayer, count: int) -> list[bytes]:
        return [end.seal(self._random.randbytes(self._random.randint(1, end.room(0))), 0)
                for _ in range(count)]

    def _talk(self, count: int) -> int:
        """Exchange heartbeats; return how many of the ground's got in."""
        heard = 0
        for _ in range(count):
            self._recorded.append(self.rover.seal(Heartbeat().pack(), 0))
            self.ground.take(self._recorded[-1])
            said = self.ground.say()
            if said is not None:
                heard += self.rover.open(said, 0) is not None
                self._said = [*self._said[-100:], said]
        return heard

    def _noise(self) -> bytes:
        return self._random.randbytes(self._random.randint(0, 200))

    def _record_like_noise(self) -> bytes:
        head = bytes([0x90 | self._random.randrange(16), 1])
        return head + self._random.randbytes(self._random.randint(20, MTU))

    def _replay(self) -> bytes:
        return self._random.choice(self._recorded)

    def _other(self) -> bytes:
        return self._random.choice(self._foreign)

    def _flip(self) -> bytes:
        datagram = bytearray(self._random.choice(self._held))
        bit = self._random.randrange(8 * len(datagram))
        datagram[bit // 8] ^= 1 << bit % 8
        return bytes(datagram)

    def _cut(self) -> bytes:
        datagram = self._random.choice(self._held)
        return datagram[:self._random.randrange(len(datagram))]

    def _lengthen(self) -> bytes:
        return self._random.choice(self._held) + self._random.randbytes(
            self._random.randint(1, 2000))


def attack(datagrams: Iterator[bytes], count: int, end: End) -> tuple[np.ndarray, int]:
    """
    Throw datagrams at an end.

    :returns: nanoseconds ``[count]`` that each took, and how many raised an error.
    """
    taken = np.zeros(count, np.int64)
    raised = 0
    for index, datagram in enumerate(datagrams):
        begun = time.perf_counter_ns()
        try:
            end.take(datagram)
        except Exception:  # noqa: BLE001 - every error counts
            raised += 1
        taken[index] = time.perf_counter_ns() - begun
    return taken, raised


def measure(
    suite: Suite = Suite.AES_CCM, datagrams: int = 1_000_000, seed: int = 0, whole: bool = False,
) -> HostileResult:
    """
    Attack an end in a session and one that has just restarted, each with half of them.

    :param whole: the end is an endpoint, not only its record layer.
    """
    taken, accepted, raised, grown, alive = [], 0, 0, 0, True
    for restarted in (False, True):
        scene = Scene(suite, seed, restarted, WholeEnd if whole else RecordEnd)
        received = scene.ground.received
        for count in (1000, datagrams // 2):  # the first fill caches
            gc.collect()
            before = sys.getallocatedblocks()
            times, failed = attack(scene.datagrams(count), count, scene.ground)
            gc.collect()
            blocks = sys.getallocatedblocks() - before
            raised += failed
        accepted += scene.ground.received - received
        taken.append(times)
        grown = max(grown, blocks)
        alive &= scene.comes_through()
    microseconds = np.concatenate(taken) / 1000
    return HostileResult(
        suite.name, datagrams, accepted, raised, grown, float(np.median(microseconds)),
        float(np.percentile(microseconds, 99)), alive)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--datagrams', type=int, default=1_000_000)
    parser.add_argument('--suite', choices=[suite.name for suite in Suite if suite],
                        default=Suite.AES_CCM.name)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--whole', action='store_true', help='attack an endpoint')
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    arguments = parser.parse_args()
    result = measure(Suite[arguments.suite], arguments.datagrams, arguments.seed,
                     arguments.whole)
    if arguments.json:
        print(json.dumps(asdict(result) | {'held': result.held}))
    else:
        print('\n'.join(f'{key:<13} {value}' for key, value in asdict(result).items()))
    return 0 if result.held else 1


if __name__ == '__main__':
    sys.exit(main())
