# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways in which a modelled channel loses datagrams: singly, in bursts, in outages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
import math
from random import Random
from typing import Protocol

NS_PER_S = 1_000_000_000
# A century: what is longer is a slip of the keyboard, and is refused while it can be explained.
_LONGEST_S = 3.2e9


class LossKind(str, Enum):
    """How losses are spread over time."""

    BERNOULLI = 'bernoulli'
    GILBERT_ELLIOTT = 'gilbert_elliott'


class LossModel(Protocol):
    """Decides which datagrams vanish."""

    def lost(self, begin_ns: int, end_ns: int) -> bool:
        """
        Return whether a datagram is lost.

        :param begin_ns: when its first bit leaves; never before the end of the one asked last.
        :param end_ns: when its last bit has left; ``begin_ns`` on a channel without a rate.
        """


class BernoulliLoss:
    """
    Lose each datagram independently with the same probability.

    :param probability: 0..1.
    :param random: the seeded generator to draw from.
    """

    def __init__(self, probability: float, random: Random) -> None:
        """Keep the probability and the generator."""
        self._probability = probability
        self._random = random

    def lost(self, begin_ns: int, end_ns: int) -> bool:
        """Return whether the datagram is lost; time plays no part."""
        return self._random.random() < self._probability


class GilbertElliottLoss:
    """
    Lose everything during bursts that come and go at random.

    The channel is good or bad; each state lasts an exponentially distributed time (a Markov chain
    in continuous time). A datagram is lost when any part of it is on the air in a bad state: on a
    slow channel, where a datagram takes long, more of them are lost than `share`.

    :param share: part of the time that is bad, 0..1.
    :param burst_ns: mean length of a bad state, >= 1.
    :param random: the seeded generator to draw from.
    :raises ValueError: when a value is out of range.
    """

    def __init__(self, share: float, burst_ns: int, random: Random) -> None:
        """Begin in either state, as likely as it is at any time."""
        if not 0.0 <= share <= 1.0:
            raise ValueError(f'share must be within 0..1, got {share}')
        if burst_ns < 1:
            raise ValueError(f'burst_ns must be >= 1, got {burst_ns}')
        self._random = random
        self._mean_ns = {True: float(burst_ns)}
        self._mean_ns[False] = burst_ns * (1.0 - share) / share if share else math.inf
        self._bad = random.random() < share
        self._until_ns: int | None = None

    def lost(self, begin_ns: int, end_ns: int) -> bool:
        """Return whether a bad state touches the datagram."""
        if self._until_ns is None:
            self._until_ns = self._end_of_state(begin_ns)
        while self._until_ns <= begin_ns:
            self._bad = not self._bad
            self._until_ns = self._end_of_state(self._until_ns)
        return self._bad or self._until_ns < end_ns

    def _end_of_state(self, begin_ns: int) -> int:
        # A state of no length has none of the time, one without end all of it.
        length_ns = self._random.expovariate(1.0) * self._mean_ns[self._bad]
        return begin_ns + round(min(length_ns, _LONGEST_S * NS_PER_S))


@dataclass(frozen=True)
class Outage:
    """
    A time in which nothing passes.

    :param start_ns: its first nanosecond.
    :param end_ns: the first after it.
    :raises ValueError: when it is empty or begins before 0.
    """

    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        """Check the order."""
        if not 0 <= self.start_ns < self.end_ns:
            raise ValueError(
                f'an outage must end after it starts, got {self.start_ns / NS_PER_S:g} to '
                f'{self.end_ns / NS_PER_S:g} s')

    def touches(self, begin_ns: int, end_ns: int) -> bool:
        """Return whether any part of a datagram is on the air during the outage."""
        return begin_ns < self.end_ns and max(end_ns, begin_ns + 1) > self.start_ns


class OutageLoss:
    """
    Lose what is on the air during outages.

    :param outages: in any order; they may overlap.
    :param start_ns: the time from which they count.
    """

    def __init__(self, outages: Sequence[Outage], start_ns: int) -> None:
        """Put the outages in order."""
        self._outages = sorted(outages, key=lambda outage: outage.end_ns)
        self._start_ns = start_ns
        self._passed = 0

    def lost(self, begin_ns: int, end_ns: int) -> bool:
        """Return whether an outage touches the datagram."""
        begin_ns, end_ns = begin_ns - self._start_ns, end_ns - self._start_ns
        while self._passed < len(self._outages) and (
                self._outages[self._passed].end_ns <= begin_ns):
            self._passed += 1
        return any(outage.touches(begin_ns, end_ns) for outage in self._outages[self._passed:])


def parse_outages(text: str) -> tuple[Outage, ...]:
    """
    Read a schedule such as ``10-70,100-105.5``: starts and ends in seconds.

    :raises ValueError: when it is not of that form; the message says which part.
    """
    outages = []
    for part in filter(None, (word.strip() for word in text.split(','))):
        start, dash, end = part.partition('-')
        try:
            limits = [float(word) for word in (start, end)]
        except ValueError:
            limits = []
        if not dash or not limits or not all(0.0 <= limit <= _LONGEST_S for limit in limits):
            raise ValueError(f'an outage is START-END in seconds, such as 10-70, got {part!r}')
        outages.append(Outage(*(round(limit * NS_PER_S) for limit in limits)))
    return tuple(outages)
