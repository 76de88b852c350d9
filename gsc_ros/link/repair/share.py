# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A part of the budget that something may take at most."""

from __future__ import annotations

from gsc_ros.link.shaper import TokenBucket


class RepairShare:
    """
    A bucket that is filled with a part of the budget and may owe what was more than foreseen.

    It begins empty, so from then on no more than its part is ever spent, but for the last datagram.

    :param part: of the budget, 0..1.
    :param rate_bps: the budget in bit/s, >= 1.
    :param burst_bits: the least that it can save; it can save what it earns in a second, too.
    :param now_ns: the time.
    """

    def __init__(self, part: float, rate_bps: int, burst_bits: int, now_ns: int) -> None:
        """Create an empty bucket."""
        self._part = part
        self._burst_bits = burst_bits
        self._bucket = TokenBucket(*self._bound(rate_bps), now_ns)
        self._owed_bits = 0

    def set_rate(self, rate_bps: int, now_ns: int) -> None:
        """Change the whole budget."""
        self._bucket.set_rate(*self._bound(rate_bps), now_ns)

    def wait_ns(self, bits: int, now_ns: int) -> int:
        """Return how long until so many bits may leave."""
        return self._bucket.wait_ns(
            min(bits + self._owed_bits, self._bucket.burst_bits), now_ns)

    def spend(self, bits: int, now_ns: int) -> None:
        """Note that bits have left, of which what is not covered is owed."""
        self._owed_bits += bits
        paid = min(self._owed_bits, self._bucket.credit_bits(now_ns))
        self._bucket.admit(paid, now_ns)
        self._owed_bits -= paid

    def _bound(self, rate_bps: int) -> tuple[int, int]:
        share_bps = max(1, int(self._part * rate_bps))
        return share_bps, max(self._burst_bits, share_bps)
