# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Choosing quantizer and channels so that a packet lands just under a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gsc_ros.codec import packet as wire
from gsc_ros.codec.candidate import Candidate, head_bytes, HYSTERESIS, LatentCoder, NEAREST
from gsc_ros.codec.error import CodecError
import numpy as np

# Between two quantizers the finer one is used with fewer symbols: magnitudes are rounded up from
# these fractions only. Beyond the first, the coarser quantizer is the better way to spend less.
THRESHOLDS = (0.6, 0.58, 0.56, 0.54, 0.52, NEAREST)
# In a stream, so far a symbol of the frame before may be off. The first let a stream become finer
# within a limit that holds no frame in which all symbols are new.
STREAM_THRESHOLDS = (1.0, 0.9, 0.8, 0.7, HYSTERESIS)
# About what share of the information of the nearest symbols such a step saves for each 1 of it.
_SAVING = 1.25
# Bytes per estimated bit, until a frame has been coded.
_FIRST_RATIO = 0.1
# Codings, once something fits, and the part of the limit that is near enough.
_CODINGS = 4
_NEAR = 0.985


@dataclass(frozen=True)
class Step:
    """
    A way to spend more than the steps before it.

    :param quantizer: index of the quantizer.
    :param threshold: fraction from which a magnitude is rounded up.
    :param estimate: see :meth:`LatentCoder.estimate`.
    """

    quantizer: int
    threshold: float
    estimate: float


def fit(
    coder: LatentCoder, channels: Sequence[int], head: wire.Packet, max_bytes: int,
) -> Candidate:
    """
    Return about the finest candidate that fits.

    A quantizer was trained for the trade-off at which all channels are sent, so channels are given
    up only where no coarser quantizer is left. Sizes are estimated, and the estimate corrected by
    the size of each candidate coded, so that a few codings are enough.

    :param coder: of the frame.
    :param channels: the channels to send if there is room, the most important first.
    :param head: all of the packet but channels and stream.
    :param max_bytes: what the packet must not exceed.
    :raises CodecError: when not even one channel fits.
    """
    # What is silent at the finest quantizer is silent at all of them.
    whole, _ = coder.quantize(sorted(channels), by_fineness(coder)[-1])
    if coder.follows is not None:
        return _fit_stream(coder, whole, channels, head, max_bytes)
    steps = _steps(coder, whole)
    best = None
    low, high = -1, len(steps)
    ratio, overhead = _FIRST_RATIO, head_bytes(head, (0,))
    codings = 0
    while high - low > 1 and (best is None or codings < _CODINGS):
        affordable = sum(step.estimate * ratio + overhead <= max_bytes for step in steps)
        index = min(max(affordable - 1, low + 1), high - 1)
        step = steps[index]
        candidate = coder.code(whole, step.quantizer, step.threshold)
        codings += 1
        size = candidate.size(head)
        overhead = head_bytes(head, candidate.channels)
        ratio = (size - overhead) / step.estimate
        if size > max_bytes:
            high = index
            continue
        low, best = index, candidate
        if size >= _NEAR * max_bytes:
            break
    return _fewer(coder, channels, steps[0], head, max_bytes) if best is None else best


def _fit_stream(
    coder: LatentCoder, whole: Sequence[int], channels: Sequence[int], head: wire.Packet,
    max_bytes: int,
) -> Candidate:
    """
    Return a candidate that fits, as fine as the frame before or about one quantizer finer.

    What a frame costs depends on how it differs from the one before, quantizer included, so the
    search starts there and its strides grow.
    """
    ladder = [(quantizer, threshold) for quantizer in by_fineness(coder)
              for threshold in STREAM_THRESHOLDS]
    index = ladder.index((coder.follows, HYSTERESIS))
    best = None
    low, high, stride = -1, len(ladder), 1
    codings = 0
    while high - low > 1 and (best is None or codings < _CODINGS):
        candidate = coder.code(whole, *ladder[index])
        codings += 1
        size = candidate.size(head)
        if size <= max_bytes:
            low, best = index, candidate
            if size >= _NEAR * max_bytes:
                break
            index += stride
        else:
            high = index
            index -= stride
        # Once it lies between two, halve what is left.
        if low >= 0 and high < len(ladder):
            index = (low + high) // 2
        index = min(max(index, low + 1), high - 1)
        stride *= 2
    if best is None:
        return _fewer(coder, channels, Step(*ladder[0], 0), head, max_bytes)
    return best


def by_fineness(coder: LatentCoder) -> list[int]:
    """Return the quantizers, the coarsest first."""
    gains = coder.profile.gains.mean(axis=1)
    return [int(index) for index in np.argsort(gains, kind='stable')]


def _steps(coder: LatentCoder, channels: Sequence[int]) -> list[Step]:
    """Return ways to spend more and more."""
    steps: list[Step] = []
    for quantizer in by_fineness(coder):
        estimate = coder.estimate(channels, quantizer)
        for threshold in THRESHOLDS:
            less = estimate * (1 - _SAVING * (threshold - NEAREST))
            if not steps or less > steps[-1].estimate:
                steps.append(Step(quantizer, threshold, less))
    return steps


def most_channels(
    coder: LatentCoder, ranked: Sequence[int], quantizer: int, head: wire.Packet, max_bytes: int,
    threshold: float | None = None,
) -> Candidate | None:
    """Return the candidate of as many of the ranked channels as fit, by bisection, if any does."""
    best = None
    low, high = 1, len(ranked)
    while low <= high:
        middle = (low + high) // 2
        candidate = coder.code(sorted(ranked[:middle]), quantizer, threshold)
        if candidate.size(head) <= max_bytes:
            best = candidate
            low = middle + 1
        else:
            high = middle - 1
    return best


def _fewer(
    coder: LatentCoder, channels: Sequence[int], step: Step, head: wire.Packet, max_bytes: int,
) -> Candidate:
    """Return the candidate of as many of the first channels as fit, or raise a CodecError."""
    best = most_channels(
        coder, channels, step.quantizer, head, max_bytes, step.threshold)
    if best is None:
        raise CodecError(f'not even one channel fits {max_bytes} bytes')
    return best
