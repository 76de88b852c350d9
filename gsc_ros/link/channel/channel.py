# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A seeded model of a link in one direction.

A datagram passes, in this order::

    rate ──> loss ──> bit errors ──> delay, jitter, reordering ──> duplication
    │        │                       (arrives later)               (arrives once more)
    │        └─ Bernoulli or Gilbert-Elliott, outages, trace
    └─ constant, or of a trace

Each effect draws from a generator of its own: one that is switched on leaves the others as they
were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import heapq
import math
from random import Random

from gsc_ros.link.channel.loss import (
    BernoulliLoss,
    GilbertElliottLoss,
    LossKind,
    LossModel,
    Outage,
    OutageLoss,
)
from gsc_ros.link.channel.noise import BitNoise, Modulation
from gsc_ros.link.channel.trace import ChannelTrace

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


@dataclass(frozen=True)
class ChannelConfig:
    """
    Describe one direction of a link.

    :param rate_bps: serialisation rate in bit/s; 0 means infinitely fast.
    :param delay_ns: propagation delay added after the last bit has left.
    :param jitter_ns: a uniform random delay of 0..jitter_ns on top; may reorder datagrams.
    :param loss: 0..1: with Bernoulli the probability that a datagram is lost, with Gilbert-Elliott
        the part of the time that is bad.
    :param loss_model: how losses are spread over time.
    :param burst_ns: mean length of a bad state of Gilbert-Elliott, >= 1.
    :param duplicate: probability 0..1 that what arrives does so twice.
    :param reorder: probability 0..1 that a datagram is held back, and others may overtake it.
    :param reorder_ns: it is held back for a uniform random time of 0..reorder_ns.
    :param outages: times in which nothing passes, counted from `start_ns`.
    :param trace: rate and loss over time, counted from `start_ns`; a rate in it replaces
        `rate_bps`, a loss in it comes on top of `loss`.
    :param snr_db: Es/N0 in dB of the bit channel, which damages datagrams; infinite: no noise.
    :param modulation: of the bit channel.
    :param backlog_ns: how much work, as time, may wait inside before a datagram is refused.
    :param start_ns: the time from which outages and trace count.
    :param seed: of everything random; the same seed and traffic give the same outcome.
    :raises ValueError: when a value is out of its range.
    """

    rate_bps: int = 0
    delay_ns: int = 0
    jitter_ns: int = 0
    loss: float = 0.0
    loss_model: LossKind = LossKind.BERNOULLI
    burst_ns: int = 200 * NS_PER_MS
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_ns: int = 200 * NS_PER_MS
    outages: tuple[Outage, ...] = ()
    trace: ChannelTrace | None = None
    snr_db: float = math.inf
    modulation: Modulation = Modulation.BPSK
    backlog_ns: int = 0
    start_ns: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ('rate_bps', 'delay_ns', 'jitter_ns', 'reorder_ns', 'backlog_ns'):
            if getattr(self, name) < 0:
                raise ValueError(f'{name} must be >= 0, got {getattr(self, name)}')
        for name in ('loss', 'duplicate', 'reorder'):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f'{name} must be within 0..1, got {getattr(self, name)}')
        if self.burst_ns < 1:
            raise ValueError(f'burst_ns must be >= 1, got {self.burst_ns}')
        if math.isnan(self.snr_db) or self.snr_db > 1000.0 and math.isfinite(self.snr_db):
            raise ValueError(f'snr_db must be at most 1000 dB, or infinite, got {self.snr_db}')


class Channel:
    """
    Carry datagrams from one end to the other in simulated time.

    The channel serialises one datagram after the other at its rate and refuses a datagram while
    more than ``backlog_ns`` of work waits. Lost datagrams occupy the link all the same; damaged
    ones are delivered as they are.

    :param config: what it does.
    :param loss_model: replaces the loss of ``config``, but not its outages and trace.
    """

    def __init__(self, config: ChannelConfig, loss_model: LossModel | None = None) -> None:
        """Create an idle channel."""
        self._config = config
        self._random = Random(config.seed)
        self._loss = loss_model or _loss_model(config)
        self._outages = OutageLoss(config.outages, config.start_ns)
        self._trace_random = Random(f'{config.seed}:trace')
        self._reorder_random = Random(f'{config.seed}:reorder')
        self._duplicate_random = Random(f'{config.seed}:duplicate')
        self._noise = BitNoise(config.modulation, config.snr_db, config.seed)
        self._busy_until_ns = 0
        # Arrival, order, end of the serialisation, bytes.
        self._in_flight: list[tuple[int, int, int, bytes]] = []
        self._order = 0
        self.carried = 0
        self.lost = 0
        self.damaged = 0
        self.duplicated = 0
        self.held_back = 0

    def ready_ns(self, now_ns: int) -> int:
        """Return the time from which `send` takes a datagram; ``now_ns`` when it does now."""
        return max(now_ns, self._busy_until_ns - self._config.backlog_ns)

    def set_rate(self, rate_bps: int, now_ns: int) -> None:
        """
        Change the serialisation rate, also for what is left of the datagrams inside.

        On a channel whose rate is that of a trace it has no effect.

        :param rate_bps: new rate in bit/s; 0 means infinitely fast.
        :param now_ns: the time; must not go backwards.
        :raises ValueError: when the rate is negative.
        """
        before = self._config.rate_bps
        self._config = replace(self._config, rate_bps=rate_bps)
        if self._traced_rate:
            return

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
        begin_ns = max(now_ns, self._busy_until_ns)
        self._busy_until_ns = self._finish_ns(begin_ns, size_bits)
        # Drawn for lost ones, too: so one loss more or less leaves the rest of the run as it was.
        delay_ns, copies = self._delay_ns(), 1 + self._chance(
            self._duplicate_random, self._config.duplicate)
        if self._loses(begin_ns):
            self.lost += 1
            return True
        self.carried += 1
        self.duplicated += copies - 1
        received = self._noise.damage(datagram)
        self.damaged += received != datagram
        for _ in range(copies):
            self._order += 1
            arrival_ns = self._busy_until_ns + delay_ns
            heapq.heappush(
                self._in_flight, (arrival_ns, self._order, self._busy_until_ns, received))
            delay_ns += self._duplicate_random.randint(0, self._config.jitter_ns)
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

    @property
    def _traced_rate(self) -> bool:
        return self._config.trace is not None and bool(self._config.trace.rates_bps)

    def _finish_ns(self, begin_ns: int, bits: int) -> int:
        config = self._config
        if self._traced_rate:
            start_ns = config.start_ns
            return start_ns + config.trace.finish_ns(begin_ns - start_ns, bits)
        return begin_ns + (-(-bits * NS_PER_S // config.rate_bps) if config.rate_bps else 0)

    def _loses(self, begin_ns: int) -> bool:
        """Return whether the datagram is lost that leaves from ``begin_ns`` until not busy."""
        config, trace = self._config, self._config.trace
        traced = trace is not None and self._chance(
            self._trace_random, trace.loss(begin_ns - config.start_ns))
        # Every model is asked about every datagram: they keep the time.
        models = [model.lost(begin_ns, self._busy_until_ns) for model in (
            self._loss, self._outages)]
        return traced or any(models)

    def _delay_ns(self) -> int:
        """Draw how long the datagram takes after its last bit has left."""
        config = self._config
        delay_ns = config.delay_ns
        if config.jitter_ns:
            delay_ns += self._random.randint(0, config.jitter_ns)
        if self._chance(self._reorder_random, config.reorder):
            self.held_back += 1
            delay_ns += self._reorder_random.randint(0, config.reorder_ns)
        return delay_ns

    @staticmethod
    def _chance(random: Random, probability: float) -> bool:
        return bool(probability) and random.random() < probability


def _loss_model(config: ChannelConfig) -> LossModel:
    random = Random(config.seed ^ 0x5EED)
    if config.loss_model is LossKind.GILBERT_ELLIOTT:
        return GilbertElliottLoss(config.loss, config.burst_ns, random)
    return BernoulliLoss(config.loss, random)
