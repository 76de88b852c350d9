# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What follows from the budget of a link where its operator says no more: burst, and way back."""

from __future__ import annotations

from collections.abc import Callable

MIN_BURST_BITS = 4096
# The way back carries receipts, heartbeats and requests, and has a budget of its own: this part of
# the rover's, but as much as brings a receipt of so many bytes in so many seconds, as the rover
# counts the ground as silent when it has not heard it for 6 s, and never more than the rover's.
RETURN_PART = 10
RECEIPT_BYTES = 40
RECEIPT_PERIOD_S = 3


def choose_burst_bits(rate_bps: int, datagram_bits: int) -> int:
    """
    Return the burst of the rover's end: a second of the budget, and at least two datagrams.

    :param rate_bps: its budget in bit/s.
    :param datagram_bits: of the largest datagram on the wire.
    """
    return max(rate_bps, MIN_BURST_BITS, 2 * datagram_bits)


def choose_return_bps(rate_bps: int, wire_bits: Callable[[int], int]) -> int:
    """
    Return the budget of the ground's end in bit/s.

    :param rate_bps: that of the rover's end.
    :param wire_bits: from the bytes of a datagram to its bits on the wire.
    """
    least_bps = wire_bits(RECEIPT_BYTES) // RECEIPT_PERIOD_S
    return max(rate_bps // RETURN_PART, min(least_bps, rate_bps))
