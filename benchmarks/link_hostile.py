# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Throw hostile datagrams at the record layer, and time how long each takes to refuse.

    python benchmarks/link_hostile.py [--datagrams 1000000] [--suite AES_CCM] [--seed 0] [--json]

Half of them meet an end in the middle of a session, the other half one that has just restarted,
whose far end has not: random bytes, records replayed, of old epochs, of the other direction, of
another key, another id or another suite, with a bit flipped, cut short or made longer. Exit status
1 when one was accepted, one raised an error, memory grew, or half of them took 50 us or more.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
import gc
import json
from random import Random
import sys
import time

from gsc_ros.link.cipher import Direction, Suite
from gsc_ros.link.record import RecordConfig, RecordLayer
from gsc_ros.link.security import KeyRing
import numpy as np

MTU = 128
MAX_MEDIAN_US = 50.0
# What a process allocates for itself meanwhile, in blocks of some dozen bytes.
MAX_GROWN_BLOCKS = 1000
# Sealed but not delivered: fewer than the counters that a short record is tried for.
HELD = 64


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


class Scene:
    """
    A rover, its ground, what somebody recorded of them, and what he sends to the ground.

    :param suite: `Suite.AES_CCM` or `Suite.CHACHA20_POLY1305`.
    :param restarted: the ground forgets everything once all is recorded.
    """

    def __init__(self, suite: Suite, seed: int, restarted: bool) -> None:
        """Let them talk, and record it."""
        self._random = Random(seed)
        self._suite = suite
        self._keys = KeyRing.random()
        self._recorded: list[bytes] = []
        self.ground = self._make(Direction.GROUND)
        for _ in range(8):
            # The earlier processes' last words were withheld.
            self.rover = self._make(Direction.ROVER)
            self._talk(30)
            self._recorded += self._seal(self.rover, 20)
        self.rover = self._make(Direction.ROVER)
        self._talk(200)
        if restarted:
            self._recorded += self._seal(self.rover, HELD)
            self.ground = self._make(Direction.GROUND)
        self._held = self._seal(self.rover, HELD)
        others = [self._make(Direction.ROVER, keys=KeyRing.random()),
                  self._make(Direction.ROVER, keys=KeyRing.random(9)),
                  self._make(Direction.ROVER, suite=next(
                      other for other in Suite if other not in (Suite.NONE, suite))),
                  self._make(Direction.ROVER, suite=Suite.NONE, keys=None)]
        self._foreign = [datagram for other in others for datagram in self._seal(other, 20)]
        self._foreign += self._seal(self.ground, 100)

    def datagrams(self, count: int) -> Iterator[bytes]:
        """Yield what is sent to the ground."""
        kinds = (self._noise, self._record_like_noise, self._replay, self._other, self._flip,
                 self._cut, self._lengthen)
        for index in range(count):
            yield kinds[index % len(kinds)]()

    def comes_through(self) -> bool:
        """Return whether the two still, or again, hear each other."""
        self._talk(10)
        return (self.ground.open(self.rover.seal(b'body', 0), 0) is not None
                and self.rover.open(self.ground.seal(b'body', 0), 0) is not None)

    def _make(self, direction: Direction, **given: object) -> RecordLayer:
        values = {'suite': self._suite, 'keys': self._keys, **given}
        return RecordLayer(RecordConfig(direction, **values), MTU, 0)

    def _seal(self, end: RecordLayer, count: int) -> list[bytes]:
        return [end.seal(self._random.randbytes(self._random.randint(1, end.room(0))), 0)
                for _ in range(count)]

    def _talk(self, count: int) -> None:
        for _ in range(count):
            for sender, receiver in ((self.rover, self.ground), (self.ground, self.rover)):
                datagram, = self._seal(sender, 1)
                receiver.open(datagram, 0)
                if sender is self.rover:
                    self._recorded.append(datagram)

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


def attack(
    datagrams: Iterator[bytes], count: int, accept: Callable[[bytes], bool],
) -> tuple[np.ndarray, int, int]:
    """
    Throw datagrams at a receiver.

    :param accept: takes one in, and returns whether it was handed on.
    :returns: nanoseconds ``[count]`` that each took, how many were accepted, how many raised.
    """
    taken = np.zeros(count, np.int64)
    accepted = raised = 0
    for index, datagram in enumerate(datagrams):
        begun = time.perf_counter_ns()
        try:
            accepted += accept(datagram)
        except Exception:  # noqa: BLE001 - every error counts
            raised += 1
        taken[index] = time.perf_counter_ns() - begun
    return taken, accepted, raised


def measure(suite: Suite = Suite.AES_CCM, datagrams: int = 1_000_000, seed: int = 0
            ) -> HostileResult:
    """Attack an end in a session and one that has just restarted, each with half of them."""
    taken, accepted, raised, grown, alive = [], 0, 0, 0, True
    for restarted in (False, True):
        scene = Scene(suite, seed, restarted)
        ground = scene.ground
        for count in (1000, datagrams // 2):  # the first fill caches
            gc.collect()
            before = sys.getallocatedblocks()
            times, got, failed = attack(
                scene.datagrams(count), count,
                lambda datagram, ground=ground: ground.open(datagram, 0) is not None)
            gc.collect()
            blocks = sys.getallocatedblocks() - before
            accepted, raised = accepted + got, raised + failed
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
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    arguments = parser.parse_args()
    result = measure(Suite[arguments.suite], arguments.datagrams, arguments.seed)
    if arguments.json:
        print(json.dumps(asdict(result) | {'held': result.held}))
    else:
        print('\n'.join(f'{key:<13} {value}' for key, value in asdict(result).items()))
    return 0 if result.held else 1


if __name__ == '__main__':
    sys.exit(main())
