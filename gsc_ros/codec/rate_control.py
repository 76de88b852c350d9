# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Choosing quantizer and channels so that a packet lands just under a limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gsc_ros.codec import packet as wire
from gsc_ros.codec.candidate import Candidate, LatentCoder
from gsc_ros.codec.error import CodecError
import numpy as np

# Between two quantizers the finer one is used with fewer symbols: magnitudes are rounded up from
# these fractions only. Beyond the last, the coarser quantizer is the better way to spend less.
THRESHOLDS = (0.52, 0.54, 0.56, 0.58, 0.6)


def fit(
    coder: LatentCoder, channels: Sequence[int], head: wire.Packet, max_bytes: int,
) -> Candidate:
    """
    Return the finest candidate that fits.

    A quantizer was trained for the trade-off at which all channels are sent, so channels are given
    up only where no coarser quantizer is left.

    :param coder: of the frame.
    :param channels: the channels to send if there is room, the most important first.
    :param head: all of the packet but channels and stream.
    :param max_bytes: what the packet must not exceed.
    :raises CodecError: when not even one channel fits.
    """
    order, whole = by_fineness(coder), sorted(channels)

    def fits(candidate: Candidate) -> bool:
        return candidate.size(head) <= max_bytes

    finest = _last(
        len(order), lambda index: coder.code(whole, order[index]), fits)
    if finest is None:
        fewer = _last(
            len(channels), lambda index: coder.code(sorted(channels[:index + 1]), order[0]), fits)
        if fewer is None:
            raise CodecError(f'not even one channel fits {max_bytes} bytes')
        return fewer
    finer = order.index(finest.quantizer) + 1
    if finer == len(order):
        return finest
    # From the highest threshold, which costs least, to the lowest.
    between = _last(
        len(THRESHOLDS),
        lambda index: coder.code(whole, order[finer], THRESHOLDS[-1 - index]), fits)
    return finest if between is None else between


def by_fineness(coder: LatentCoder) -> list[int]:
    """Return the quantizers, the coarsest first."""
    gains = coder.profile.gains.mean(axis=1)
    return [int(index) for index in np.argsort(gains, kind='stable')]


def _last(
    count: int, make: Callable[[int], Candidate], fits: Callable[[Candidate], bool],
) -> Candidate | None:
    """Return the candidate of the highest index that fits, by bisection; None if none does."""
    best = None
    low, high = 0, count - 1
    while low <= high:
        middle = (low + high) // 2
        candidate = make(middle)
        if fits(candidate):
            best = candidate
            low = middle + 1
        else:
            high = middle - 1
    return best
