# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The arithmetic of repair: how many repeats a body can get in time, and how many parities it needs.

A body that is sent at 0 and of use until u can be repeated n times::

    first = 3/2 round trip + gap + debounce + 2 datagrams      sent, missed, asked for, repeated
    next  = 1.25 round trip + debounce + 2 datagrams           asked for again, repeated
    n     = 1 + (u - first) / next, or 0 when u < first

Each of them fails with q = 1 - (1 - loss)^2, as the request can be lost too. What is left for
parity is to bring the loss of the body under target / q^n: with time for two repeats that is
nothing as a rule, with time for none it is the whole target.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache
import math

from gsc_ros.link.datagram.framing import Kind, SHORT_CONTINUATION

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

# Loss beyond this is an outage, against which no parity helps.
_MOST_LOSS = 0.35
MAX_PARITIES = 16
# Loss is reckoned with in steps of this part of it, so that results can be kept.
_LOSS_STEP = 0.05
_NO_LOSS = 1e-4
_MEMORY_NS = 60 * NS_PER_S
_MEAN_FRAMES = 8


class RepairMode(Enum):
    """What repair may use; `AUTO` chooses for each body by arithmetic."""

    AUTO = 'auto'
    FEC = 'fec'
    NACK = 'nack'
    NONE = 'none'


class Protection(IntEnum):
    """How much a body is worth: `STRONG` for first layers, `WEAK` for the rest of a frame."""

    NONE = 0
    WEAK = 1
    STRONG = 2


@dataclass(frozen=True)
class RepairConfig:
    """
    Configure repair in both directions of one end.

    :param mode: what may be used.
    :param fec_share: the most of the budget that parity takes, 0..0.5.
    :param nack_share: the most of the budget that repeats take, 0..0.5.
    :param back_share: the most of the budget of this end that its own requests take, 0.01..0.5.
    :param useful_ns: how long a body is of use after it was sent, where nobody said.
    :param target: residual loss of STRONG bodies that parity aims at, 0.0001..0.5.
    :param weak_target: the same of WEAK bodies.
    :param least_loss: loss that is reckoned with at least, 0..0.35; on a link without a way back,
        where none is measured, this alone decides how much parity is sent.
    :param reorder_ns: a body counts as lost when it has not come so long after a later one.
    :param give_up_ns: the far end is not asked for a body that has been missing for so long.
    :raises ValueError: when a value is out of range.
    """

    mode: RepairMode = RepairMode.AUTO
    fec_share: float = 0.3
    nack_share: float = 0.3
    back_share: float = 0.25
    useful_ns: int = 2 * NS_PER_S
    target: float = 0.005
    weak_target: float = 0.03
    least_loss: float = 0.0
    reorder_ns: int = 30 * NS_PER_MS
    give_up_ns: int = 10 * NS_PER_S

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low, high in (
                ('fec_share', 0, 0.5), ('nack_share', 0, 0.5), ('back_share', 0.01, 0.5),
                ('target', 0.0001, 0.5), ('weak_target', 0.0001, 0.5),
                ('least_loss', 0, _MOST_LOSS)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f'{name} must be within {low}..{high}')
        for name in ('useful_ns', 'give_up_ns'):
            if getattr(self, name) < NS_PER_MS:
                raise ValueError(f'{name} must be >= 1 ms')
        if self.reorder_ns < 0:
            raise ValueError('reorder_ns must be >= 0')

    @property
    def parity(self) -> bool:
        """Return whether parity may be sent."""
        return self.mode in (RepairMode.AUTO, RepairMode.FEC) and self.fec_share > 0

    @property
    def repeats(self) -> bool:
        """Return whether repeats may be asked for and sent."""
        return self.mode in (RepairMode.AUTO, RepairMode.NACK) and self.nack_share > 0


@dataclass(frozen=True)
class PathMeasure:
    """
    What is known of the way from here to the far end and back.

    :param loss: share of our datagrams that are lost, 0..1; NaN when unknown.
    :param burst: how many are lost in a row on average, >= 1; NaN when unknown.
    :param round_trip_ns: None when unknown.
    :param rate_bps: budget of our direction, in bit/s.
    """

    loss: float
    burst: float
    round_trip_ns: int | None
    rate_bps: int


class LossMemory:
    """
    Remember loss for longer than it is measured over: bursts are rare, and come again.

    The loss to reckon with is the one that was measured last or the mean of the last minutes,
    whichever is more.

    :param least: loss that is reckoned with at least.
    """

    def __init__(self, least: float) -> None:
        """Start with nothing measured."""
        self._least = least
        self._last = 0.0
        self._mean: float | None = None
        # Runs of lost datagrams per datagram.
        self._runs = 0.0
        self._now_ns = 0

    def measure(self, loss: float, burst: float, now_ns: int) -> None:
        """Take in a measurement; NaN is unknown, 1 is an outage, and both change nothing."""
        if not math.isfinite(loss) or loss >= 1.0:
            return
        clear = self._last = min(max(loss, 0.0), _MOST_LOSS)
        runs = clear / max(1.0, burst) if math.isfinite(burst) else clear
        if self._mean is None:
            self._mean, self._runs = clear, runs
        else:
            weight = -math.expm1((self._now_ns - now_ns) / _MEMORY_NS)
            self._mean += weight * (clear - self._mean)
            self._runs += weight * (runs - self._runs)
        self._now_ns = now_ns

    @property
    def loss(self) -> float:
        """Return the loss to reckon with, in steps of 5 % upwards; 0 when there is next to none."""
        clear = min(max(self._last, self._mean or 0.0, self._least), _MOST_LOSS)
        if clear < _NO_LOSS:
            return 0.0
        return math.exp(math.ceil(math.log(clear) / _LOSS_STEP) * _LOSS_STEP)

    @property
    def burst(self) -> float:
        """Return the mean run of lost datagrams to reckon with, at least that of chance."""
        chance = 1.0 / (1.0 - self.loss)
        return round(max(chance, (self._mean or 0.0) / self._runs if self._runs else 1.0), 1)


class PieceMeter:
    """
    Measure in how many STRONG bodies a frame leaves: it is lost with any of them.

    Told of every body that leaves; the mean goes over some frames.
    """

    def __init__(self) -> None:
        """Start with frames of one piece."""
        self._mean = 1.0
        self._pieces = 1

    @property
    def pieces(self) -> int:
        """Return the mean, 1 or more."""
        return max(1, round(self._mean))

    def sent(self, body: bytes, strong: bool) -> None:
        """Note a body."""
        kind = body[0] >> 4
        if kind == Kind.FRAME:
            self._mean += (self._pieces - self._mean) / _MEAN_FRAMES
            self._pieces = 1
        elif strong and (
                kind in (Kind.FRAGMENT, Kind.CONTINUATION) or body[0] >= SHORT_CONTINUATION):
            self._pieces += 1


def count_repeats(
    useful_ns: int, round_trip_ns: int | None, gap_ns: int, reorder_ns: int, datagram_ns: int,
) -> int:
    """
    Return how many repeats of a body arrive in time.

    :param useful_ns: how long the body is of use from when it is sent.
    :param round_trip_ns: None when unknown: then no repeat can be counted on.
    :param gap_ns: until something follows it, from which the far end sees that it is missing.
    :param reorder_ns: how long the far end then waits for it.
    :param datagram_ns: how long one datagram takes to leave.
    """
    if round_trip_ns is None:
        return 0
    spent = reorder_ns + 2 * datagram_ns
    left = useful_ns - (3 * round_trip_ns // 2 + gap_ns + spent)
    return 0 if left < 0 else 1 + left // (5 * round_trip_ns // 4 + spent)


def repeat_failure(loss: float) -> float:
    """Return how likely a request and the repeat that answers it do not both arrive."""
    return 1.0 - (1.0 - loss) ** 2


@lru_cache(maxsize=1024)
def residual_loss(loss: float, burst: float, sources: int, parities: int, spacing: int) -> float:
    """
    Return how likely a body is lost and cannot be recovered.

    Losses follow a two-state Markov chain (Gilbert's) with this mean loss and burst. The body is
    lost, and as many more of the ``sources + parities - 1`` other datagrams as there are parities.

    :param loss: 0..1, mean.
    :param burst: mean run of losses, in datagrams; 1 / (1 - loss) when they are independent.
    :param sources: bodies under the same parities, the one in question included.
    :param parities: how many cover it.
    :param spacing: distance between two of these datagrams, in datagrams on the link.
    """
    if parities == 0:
        return loss
    # How much one loss says about another at this distance.
    memory = max(0.0, 1.0 - 1.0 / (max(1.0, burst) * (1.0 - loss))) ** spacing
    stay_lost = loss + (1.0 - loss) * memory
    turn_lost = loss * (1.0 - memory)
    # Probability of n further losses, up to the number of parities, by the state of the last.
    good, bad = [0.0] * parities, [0.0] * parities
    bad[0] = 1.0
    for _ in range(sources + parities - 1):
        next_good = [g * (1.0 - turn_lost) + b * (1.0 - stay_lost) for g, b in zip(good, bad)]
        next_bad = [g * turn_lost + b * stay_lost for g, b in zip(good, bad)]
        good, bad = next_good, [0.0, *next_bad[:-1]]
    return loss * max(0.0, 1.0 - sum(good) - sum(bad))


@lru_cache(maxsize=1024)
def parities_needed(
    loss: float, burst: float, sources: int, spacing: int, target: float,
) -> int:
    """
    Return the fewest parities over so many bodies that bring their loss under a target.

    Parameters are as of `residual_loss`; at most 16, whatever the target.
    """
    for parities in range(MAX_PARITIES):
        if residual_loss(loss, burst, sources, parities, spacing) <= target:
            return parities
    return MAX_PARITIES
