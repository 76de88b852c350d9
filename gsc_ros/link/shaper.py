# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The hard bit budget: a token bucket in exact integer arithmetic."""

from __future__ import annotations

NS_PER_S = 1_000_000_000


class TokenBucket:
    """
    Admit bits so that every window of any length holds bits <= rate * window + burst.

    Credit is kept in nano-bits (1e-9 bit): at r bit/s, exactly r nano-bits accrue per nanosecond,
    so nothing is ever rounded. The bucket starts empty: a process that is killed and restarted in
    the middle of a burst then still keeps the bound over the restart. The clock may go backwards;
    that counts as no time.

    :param rate_bps: budget in bit/s, >= 1.
    :param burst_bits: the most credit that can be saved, >= 1.
    :param now_ns: the time on a monotonic clock.
    :param credit_bits: credit to begin with, 0..burst_bits.
    :raises ValueError: when a value is out of range.
    """

    def __init__(
        self, rate_bps: int, burst_bits: int, now_ns: int, credit_bits: int = 0,
    ) -> None:
        """Create a bucket that holds ``credit_bits``."""
        _check(rate_bps, burst_bits)
        if not 0 <= credit_bits <= burst_bits:
            raise ValueError(f'credit_bits must be within 0..{burst_bits}, got {credit_bits}')
        self._rate = rate_bps
        self._burst = burst_bits
        self._credit = credit_bits * NS_PER_S
        self._now_ns = now_ns

    @property
    def rate_bps(self) -> int:
        """Return the budget in bit/s."""
        return self._rate

    @property
    def burst_bits(self) -> int:
        """Return the most credit that can be saved, in bits."""
        return self._burst

    def credit_bits(self, now_ns: int) -> int:
        """Return the whole bits that could be sent now."""
        self._refill(now_ns)
        return self._credit // NS_PER_S

    def admit(self, bits: int, now_ns: int) -> bool:
        """
        Spend credit for ``bits`` that leave now.

        :returns: False, with nothing spent, when the credit does not cover all of them.
        :raises ValueError: when ``bits`` is negative.
        """
        if bits < 0:
            raise ValueError(f'bits must be >= 0, got {bits}')
        self._refill(now_ns)
        if bits * NS_PER_S > self._credit:
            return False
        self._credit -= bits * NS_PER_S
        return True

    def wait_ns(self, bits: int, now_ns: int) -> int | None:
        """
        Return how long until `admit` takes ``bits``: 0 when it does now.

        None means never: more than the burst.
        """
        if bits > self._burst:
            return None
        self._refill(now_ns)
        # A clock that stepped back must first catch up before time counts again.
        behind = self._now_ns - now_ns
        missing = bits * NS_PER_S - self._credit
        return 0 if missing <= 0 else behind + -(-missing // self._rate)

    def set_rate(self, rate_bps: int, burst_bits: int, now_ns: int) -> None:
        """
        Change the budget from now on.

        Credit earned so far at the old rate stays, up to the new burst; a larger burst creates
        no credit. A window over the change holds at most the integral of the rate plus the larger
        burst.

        :raises ValueError: when a value is out of range.
        """
        _check(rate_bps, burst_bits)
        self._refill(now_ns)
        self._rate = rate_bps
        self._burst = burst_bits
        self._credit = min(self._credit, burst_bits * NS_PER_S)

    def _refill(self, now_ns: int) -> None:
        elapsed = now_ns - self._now_ns
        if elapsed > 0:
            self._credit = min(self._burst * NS_PER_S, self._credit + self._rate * elapsed)
            self._now_ns = now_ns


def _check(rate_bps: int, burst_bits: int) -> None:
    if rate_bps < 1:
        raise ValueError(f'rate_bps must be >= 1, got {rate_bps}')
    if burst_bits < 1:
        raise ValueError(f'burst_bits must be >= 1, got {burst_bits}')
