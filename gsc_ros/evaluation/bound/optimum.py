# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The constrained optimum of eq. (8): as it is written, and with a loss that saturates.

As written, only the numbers h = H(x') and B matter, and the problem is linear: `as_written`.

With a loss that saturates, r bits for a detail with the share P of the information lose P f(r) of
it, and the optimum is a matter of allocation:

    minimise  alpha sum P_i f(r_i) + beta B    subject to  B >= sum r_i,  r_i >= 0

`allocate` solves it for any convex falling f by Lagrange's method: at a price p = beta / alpha of a
bit, each detail takes bits until P_i |f'(r_i)| = p, and a budget of bits is met by the right price.
For details that are Gaussian, as eq. (8) supposes, f(r) = 2^(-2r) and the solution is reverse
water-filling (Cover and Thomas, section 10.3.3), in closed form: `water_filling`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

from gsc_ros.evaluation.bound.information import BoundError
import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[np.float64]
#: |f'(0)| of the Gaussian loss.
GAUSSIAN_SLOPE = 2 * math.log(2)
_BISECTIONS = 200
_MAX_BITS = 1024.0
_LEAST_LOG_PRICE = -700.0


@dataclass(frozen=True)
class Written:
    """
    The optimum of eq. (8) as it is written.

    :param entropy: H(x') there, bits.
    :param bits: B = R there.
    :param objective: alpha (H(x) - H(x')) + beta B.
    :param multiplier: lambda of eq. (9).
    :param stationary: whether eq. (10) holds there. It can only where alpha equals beta.
    """

    entropy: float
    bits: float
    objective: float
    multiplier: float
    stationary: bool


def as_written(entropy: float, alpha: float, beta: float) -> Written:
    """
    Solve eq. (8) as it is written, with 0 <= H(x') <= H(x) and B >= H(x').

    Linear, so the optimum lies in a corner: everything is sent where alpha > beta, nothing where
    alpha < beta. Where they are equal every H(x') is as good, and the largest is returned.

    :param entropy: H(x), bits.
    :param alpha: cost of a bit of lost information, > 0.
    :param beta: cost of a bit that is sent, > 0.
    """
    _check_weights(alpha, beta)
    kept = entropy if alpha >= beta else 0.0
    return Written(kept, kept, alpha * (entropy - kept) + beta * kept, beta, alpha == beta)


@dataclass(frozen=True, eq=False)
class Allocation:
    """
    Bits by detail.

    :param bits: float64 [N], >= 0.
    :param kept: V = 1 - sum P_i f(r_i), the share of the information that is kept, 0..1.
    :param price: what the last bit brings, share of the information per bit: beta / alpha.
    """

    bits: _Array
    kept: float
    price: float

    @property
    def rate(self) -> float:
        """Return all bits together, B."""
        return float(self.bits.sum())


@dataclass(frozen=True)
class Loss:
    """
    What share of a detail's information is lost when it gets r bits, elementwise.

    :param value: f(r), 1 at 0, convex and falling.
    :param slope: |f'(r)|, falling to 0.
    """

    value: Callable[[_Array], _Array]
    slope: Callable[[_Array], _Array]


#: A Gaussian of variance s coded with r bits keeps an error of s 2^(-2r): the rate-distortion
#: function.
GAUSSIAN = Loss(lambda bits: np.exp2(-2 * bits), lambda bits: GAUSSIAN_SLOPE * np.exp2(-2 * bits))


def allocate(probability: _Array, *, price: float | None = None, budget: float | None = None,
             loss: Loss = GAUSSIAN) -> Allocation:
    """
    Return the best allocation of bits, by Lagrange's method and bisection.

    :param probability: P, float64 [N], sums to 1.
    :param price: of a bit, share of the information, > 0; or
    :param budget: bits to spend, >= 0.
    :raises BoundError: not exactly one of both is given, or it is out of range.
    """
    if (price is None) == (budget is None):
        raise BoundError('give either the price of a bit or the number of bits')
    if price is not None:
        if price <= 0:
            raise BoundError(f'a price of {price:g} for a bit: must be above 0')
        return _at(probability, price, loss)
    if budget < 0:
        raise BoundError(f'{budget:g} bits: must not be negative')
    # At the dearest price nobody buys. The demand falls as the price rises: bisect its logarithm.
    dear = math.log(float(probability.max() * loss.slope(np.zeros(1))[0]))
    cheap = dear - 1
    while _at(probability, math.exp(cheap), loss).rate < budget:
        cheap = dear - 2 * (dear - cheap)
        if cheap < _LEAST_LOG_PRICE:
            raise BoundError(f'{budget:g} bits are more than numbers of 64 bits can allocate')
    for _ in range(_BISECTIONS):
        middle = (cheap + dear) / 2
        if middle in (cheap, dear):
            break
        if _at(probability, math.exp(middle), loss).rate < budget:
            dear = middle
        else:
            cheap = middle
    return _at(probability, math.exp(dear), loss)


def water_filling(probability: _Array, budget: float) -> Allocation:
    """
    Return the best allocation of bits for Gaussian details, in closed form.

    The k largest shares get bits, r_i = log2(P_i / theta) / 2, and lose theta each; the others get
    none and lose all. From sum r_i = B: log2 theta = (sum_{i <= k} log2 P_i - 2 B) / k, and k is
    the one for which P_k > theta >= P_{k+1}.

    :param probability: P, float64 [N], sums to 1.
    :param budget: B, bits, >= 0.
    """
    order = np.sort(probability[probability > 0])[::-1]
    count = np.arange(1, len(order) + 1)
    levels = (np.cumsum(np.log2(order)) - 2 * budget) / count
    # Levels rise as long as the next share lies above them, so the first k that fits is the one.
    fits = np.exp2(levels[:-1]) >= order[1:]
    last = int(fits.argmax()) if fits.any() else len(order) - 1
    level = 2.0 ** levels[last]
    bits = np.maximum(0.5 * np.log2(np.maximum(probability, level) / level), 0)
    return Allocation(bits, 1 - float(np.minimum(probability, level).sum()),
                      GAUSSIAN_SLOPE * level)


def gaussian_curve(probability: _Array, prices: _Array) -> tuple[_Array, _Array]:
    """
    Return the least rate and what it keeps at many prices, in closed form.

    :param probability: P, float64 [N], sums to 1.
    :param prices: of a bit, share of the information, float64 [M], > 0.
    :return: bits and V, float64 [M] each.
    """
    order = np.sort(probability[probability > 0])[::-1]
    logs = np.concatenate([[0.0], np.cumsum(np.log2(order))])
    tails = np.concatenate([np.cumsum(order[::-1])[::-1], [0.0]])
    levels = np.asarray(prices, np.float64) / GAUSSIAN_SLOPE
    counts = np.searchsorted(-order, -levels, side='left')  # shares above the level
    bits = 0.5 * (logs[counts] - counts * np.log2(levels))
    return bits, 1 - (counts * levels + tails[counts])


def _at(probability: _Array, price: float, loss: Loss) -> Allocation:
    """Return what each detail takes at a price."""
    wanted = np.divide(price, probability, out=np.full_like(probability, np.inf),
                       where=probability > 0)
    buyers = loss.slope(np.zeros(1))[0] > wanted
    # Where |f'| reaches price / P, by bisection of all details at once.
    low = np.zeros(int(buyers.sum()))
    high = np.ones_like(low)
    while (short := loss.slope(high) > wanted[buyers]).any():
        high[short] *= 2
        if high.max() > _MAX_BITS:
            raise BoundError('a detail takes bits without end: the loss has no falling slope')
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if ((middle == low) | (middle == high)).all():
            break
        above = loss.slope(middle) > wanted[buyers]
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    bits = np.zeros_like(probability)
    bits[buyers] = (low + high) / 2
    return Allocation(bits, 1 - float((probability * loss.value(bits)).sum()), price)


def _check_weights(alpha: float, beta: float) -> None:
    if not (alpha > 0 and beta > 0 and math.isfinite(alpha) and math.isfinite(beta)):
        raise BoundError(f'weights {alpha:g} and {beta:g}: both must be above 0')
