# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Channels by what they are worth: measured error less per real bit, one channel after the other.

The error is that of the synthesis itself, on the work image or a sample of it. What a channel gains
hardly ever grows when others are there already, so an old gain bounds the new one and only the most
promising channels are measured again (lazy greedy selection).
"""

from __future__ import annotations

import heapq
from itertools import product

from gsc_ros.codec import packet as wire
from gsc_ros.codec.candidate import Candidate, LatentCoder
from gsc_ros.codec.rate_control import by_fineness, fit, most_channels
from gsc_ros.codec.structure import dequantize, Synthesis
import numpy as np

# Latent positions on which errors are measured, and the side of the windows of a larger frame.
SAMPLE = 288
WINDOW = 12
# Runs of the synthesis for a frame at most; afterwards old gains decide.
RUNS = 64
# Channels considered: those with the most information.
CONSIDERED = 40
# Naming one more channel of a set.
INDEX_BITS = 6.0


class ErrorMeter:
    """
    Measures what a set of channels leaves of a frame.

    :param synthesis: of the profile that the latent is of.
    :param coder: of the frame.
    :param work: the work image, float32 ``[h * stride, w * stride, 3]`` in [0, 1].
    """

    def __init__(self, synthesis: Synthesis, coder: LatentCoder, work: np.ndarray):
        self._synthesis = synthesis
        self._coder = coder
        stride = coder.profile.manifest.stride
        height, width = work.shape[0] // stride, work.shape[1] // stride
        self._windows = windows(height, width)
        self._references = [
            work[top * stride:bottom * stride, left * stride:right * stride].transpose(2, 0, 1)
            for top, bottom, left, right in self._windows]

    def measure(
        self, channels: tuple[int, ...], symbols: np.ndarray, quantizer: int,
    ) -> float:
        """
        Return the mean square error of these channels' picture.

        :param channels: ascending.
        :param symbols: int16 ``[len(channels), h, w]``.
        :param quantizer: the quantizer they were made with.
        """
        gains = self._coder.profile.gains[quantizer][list(channels)]
        error = count = 0.0
        for (top, bottom, left, right), reference in zip(self._windows, self._references):
            latent = np.zeros((wire.LATENT_CHANNELS, bottom - top, right - left), np.float32)
            latent[list(channels)] = dequantize(symbols[:, top:bottom, left:right], gains)
            planes = np.clip(self._synthesis.planes(latent, quantizer), 0, 1)
            error += float(np.square(planes - reference).sum())
            count += reference.size
        return error / count


def choose(
    coder: LatentCoder, meter: ErrorMeter, count: int, head: wire.Packet,
) -> Candidate:
    """
    Return the candidate of the ``count`` channels that are worth most, or of fewer.

    :param coder: of the frame.
    :param meter: of the frame.
    :param count: channels wanted, 1..320.
    :param head: all of the packet but channels and stream.
    """
    quantizer = head.quantizer
    chosen = coder.code(sorted(rank(coder, meter, count, quantizer, RUNS)), quantizer)
    # The channels between those chosen may cost less than it costs to name the set.
    filled = coder.code(range(min(chosen.channels[-1] + 1, count)), quantizer)
    if len(filled.channels) > chosen.channels[-1] and filled.size(head) <= chosen.size(head):
        return filled
    return chosen


def choose_within(
    coder: LatentCoder, meter: ErrorMeter, count: int, head: wire.Packet, max_bytes: int,
) -> Candidate:
    """
    Return the candidate of the least measured error that fits.

    The first channels, with the finest quantizer at which they fit, compete with the worthiest
    channels at finer quantizers.

    :param coder: of the frame.
    :param meter: of the frame.
    :param count: channels to send at most, 1..320.
    :param head: all of the packet but channels and stream.
    :param max_bytes: what the packet must not exceed.
    :raises CodecError: when not even one channel fits.
    """
    plain = fit(coder, range(count), head, max_bytes)
    order = by_fineness(coder)
    start = order.index(plain.quantizer)
    candidates = [plain]
    for quantizer in order[start:start + 2]:
        ranked = rank(coder, meter, count, quantizer, RUNS // 2)
        largest = most_channels(coder, ranked, quantizer, head, max_bytes)
        if largest is not None:
            candidates.append(largest)
    return min(candidates, key=lambda candidate: meter.measure(
        candidate.channels, candidate.symbols, candidate.quantizer))


def rank(
    coder: LatentCoder, meter: ErrorMeter, count: int, quantizer: int, runs: int,
) -> list[int]:
    """
    Return up to ``count`` channels, the one with the most gain per bit first.

    :param runs: measurements at most.
    """
    channels, symbols = coder.quantize(range(wire.LATENT_CHANNELS), quantizer)
    bits = coder.bits(channels, symbols, quantizer)
    audible = symbols.any(axis=(1, 2))
    considered = np.argsort(np.where(audible, -bits, 0), kind='stable')[:CONSIDERED]
    price = bits + INDEX_BITS

    def error(slots: list[int]) -> float:
        kept = sorted(slots)
        return meter.measure(tuple(channels[slot] for slot in kept), symbols[kept], quantizer)

    chosen: list[int] = []
    left = meter.measure((), symbols[:0], quantizer)
    # Entries: worth (negative, as the heap gives the least), slot, channels chosen when measured.
    heap = [(-np.inf, int(slot), -1) for slot in considered if audible[slot]]
    while heap and len(chosen) < count:
        worth, slot, age = heapq.heappop(heap)
        if age < len(chosen) and runs:
            runs -= 1
            gain = left - error([*chosen, slot])
            heapq.heappush(heap, (-gain / price[slot], slot, len(chosen)))
        elif age >= 0 and worth < 0:
            chosen.append(slot)
            left += worth * price[slot]
        else:
            break
    return [channels[slot] for slot in chosen] or [channels[0]]


def windows(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Return top, bottom, left and right of what is measured of a latent grid."""
    if height * width <= SAMPLE:
        return [(0, height, 0, width)]
    tall, wide = min(height, WINDOW), min(width, WINDOW)
    room = SAMPLE // (tall * wide)
    across = min(room, width // wide)
    down = min(room // across, height // tall)
    # In the middle of equal parts of the grid.
    tops = [height * (2 * index + 1) // (2 * down) - tall // 2 for index in range(down)]
    lefts = [width * (2 * index + 1) // (2 * across) - wide // 2 for index in range(across)]
    return [(top, top + tall, left, left + wide) for top, left in product(
        np.clip(tops, 0, height - tall).tolist(), np.clip(lefts, 0, width - wide).tolist())]
