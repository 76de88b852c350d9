# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A seeded model of a thin link in one direction: rate, delay, jitter and loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
import heapq
from random import Random
from typing import Protocol

NS_PER_S = 1_000_000_000


class LossModel(Protocol):
    """Decides which datagrams vanish; richer models (bursts, outages) implement this."""

    def lost(self, size_bits: int, now_ns: int) -> bool:
        """Return whether the datagram that leaves at ``now_ns`` is lost."""


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

    def lost(self, size_bits: int, now_ns: int) -> bool:
        """Return whether the datagram is lost; size and time play no part."""
        return self._random.random() < self._probability


@dataclass(frozen=True)
class ChannelConfig:
    """
    Describe one direction of a link.

    :param rate_bps: serialisation rate in bit/s; 0 means infinitely fast.
    :param delay_ns: propagation delay added after the last bit has left.
    :param jitter_ns: a uniform random delay of 0..jitter_ns on top; may reorder datagrams.
    :param loss: probability 0..1 that a datagram is lost (independent).
    :param backlog_ns: how much work, as time, may wait inside before a datagram is refused.
    :param seed: seed of jitter and loss; the same seed and traffic give the same outcome.
    :raises ValueError: when a value is out of its range.
    """

    rate_bps: int = 0
    delay_ns: int = 0
    jitter_ns: int = 0
    loss: float = 0.0
    backlog_ns: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if min(self.rate_bps, self.delay_ns, self.jitter_ns, self.backlog_ns) < 0:
            raise ValueError('rate_bps, delay_ns, jitter_ns and backlog_ns must be >= 0')
        if not 0.0 <= self.loss <= 1.0:
            raise ValueError(f'loss must be within 0..1, got {self.loss}')


class Channel:
    """
    Carry datagrams from one end to the other in simulated time.

    The channel serialises one datagram after the other at its rate and refuses a datagram while
    more than ``backlog_ns`` of work waits. Lost datagrams occupy the link all the same.

    :param config: rate, delay, jitter and loss.
    :param loss_model: replaces the Bernoulli loss of ``config``.
    """

    def __init__(self, config: ChannelConfig, loss_model: LossModel | None = None) -> None:
        """Create an idle channel."""
        self._config = config
        self._random = Random(config.seed)
        self._loss = loss_model or BernoulliLoss(config.loss, Random(config.seed ^ 0x5EED))
        self._busy_until_ns = 0
        # Arrival, order, end of the serialisation, bytes.
        self._in_flight: list[tuple[int, int, int, bytes]] = []
        self._order = 0
        self.carried = 0
        self.lost = 0

    def ready_ns(self, now_ns: int) -> int:
        """Return the time from which `send` takes a datagram; ``now_ns`` when it does now."""
        return max(now_ns, self._busy_until_ns - self._config.backlog_ns)

    def set_rate(self, rate_bps: int, now_ns: int) -> None:
        """
        Change the serialisation rate, also for what is left of the datagrams inside.

        :param rate_bps: new rate in bit/s; 0 means infinitely fast.
        :param now_ns: the time; must not go backwards.
        :raises ValueError: when the rate is negative.
        """
        before = self._config.rate_bps
        self._config = replace(self._config, rate_bps=rate_bps)

        def moved(end_ns: int) -> int:
            if end_ns <= now_ns or not before:
                return end_ns
            return now_ns + (-(-(end_ns - now_ns) * before // rate_bps) if rate_bps else 0)

        self._busy_until_ns = moved(self._busy_until_ns)
        self._in_flight = [
            (arrival + moved(end) - end, order, moved(end), datagram)
            for arrival, order, end, datagram in self._in_flight]
        heapq.heapify(self._in_flight)

    def send(self, datagram: bytes, size_bits: int, now_ns: int) -> bool:
        """
        Put a datagram on the link.

        :param datagram: its bytes.
        :param size_bits: its size on the wire, overhead included.
        :param now_ns: the time; must not go backwards.
        :returns: False when the channel is busy and has not taken it.
        """
        if self.ready_ns(now_ns) > now_ns:
            return False
        rate = self._config.rate_bps
        duration = -(-size_bits * NS_PER_S // rate) if rate else 0
        self._busy_until_ns = max(now_ns, self._busy_until_ns) + duration
        arrival = self._busy_until_ns + self._config.delay_ns
        if self._config.jitter_ns:
            arrival += self._random.randint(0, self._config.jitter_ns)
        if self._loss.lost(size_bits, now_ns):
            self.lost += 1
            return True
        self.carried += 1
        self._order += 1
        heapq.heappush(self._in_flight, (arrival, self._order, self._busy_until_ns, datagram))
        return True

    def receive(self, now_ns: int) -> list[bytes]:
        """Return the datagrams that have arrived by ``now_ns``, earliest first."""
        arrived = []
        while self._in_flight and self._in_flight[0][0] <= now_ns:
            arrived.append(heapq.heappop(self._in_flight)[-1])
        return arrived

    def next_arrival_ns(self) -> int | None:
        """Return when the next datagram arrives, or None when nothing is in flight."""
        return self._in_flight[0][0] if self._in_flight else None
