# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How a residual, any integer, is coded with small tables.

Every frequency table is for one *scale* (the expected magnitude, in quarters of an octave) and one
*offset* (the distance of the prediction from a whole number, 0..1/2 in eighths). It has 25 entries:
the residuals -11..11, and two escapes for all beyond. At large scales residuals are first divided
by a power of two; the remainder is coded with equal probabilities. An escape is followed by the
distance beyond it in Elias' gamma code.
"""

from __future__ import annotations

from typing import Protocol

from gsc_ros.codec.entropy import FrequencyTables, SymbolDecoder, TOTAL
import numpy as np

ESCAPE = 12
RESIDUALS = 2 * ESCAPE + 1
OFFSETS = 5
STEPS_PER_OCTAVE = 4
# The first scale is for magnitudes around 2**-12.
SMALLEST = 12
# Residuals whose expected magnitude is 4 or more are divided.
_UNDIVIDED_OCTAVES = SMALLEST + 2
# Lengths of gamma codes: a residual has at most 15 bits, and so has its distance to an escape.
_LENGTHS = 16


class Sink(Protocol):
    """What residuals are written to."""

    def encode(self, tables: FrequencyTables, rows: np.ndarray, symbols: np.ndarray) -> None:
        """Take symbols of frequency tables."""

    def encode_uniform(self, bits: np.ndarray, values: np.ndarray) -> None:
        """Take values of so many bits, at least one."""


def shifts(scales: int) -> np.ndarray:
    """Return how many bits are split off the residuals at each scale, int64 ``[scales]``."""
    return np.maximum(np.arange(scales) // STEPS_PER_OCTAVE - _UNDIVIDED_OCTAVES + 1, 0)


class ResidualCode:
    """
    Codes residuals.

    :param frequency: integers ``[scales * 5, 25]``.
    :raises ProfileError: when they are no frequencies.
    """

    def __init__(self, frequency: np.ndarray):
        self.tables = FrequencyTables(frequency)
        self._shift = np.repeat(shifts(len(frequency) // OFFSETS), OFFSETS)
        # A gamma code's unary part has dyadic probabilities.
        lengths = TOTAL >> np.minimum(np.arange(_LENGTHS) + 1, _LENGTHS - 1)
        self._lengths = FrequencyTables(lengths[None])

    def encode(self, sink: Sink, rows: np.ndarray, residuals: np.ndarray) -> None:
        """
        Write residuals.

        :param rows: integers ``[n]``, tables.
        :param residuals: integers ``[n]``.
        """
        shift = self._shift[rows]
        shifted = residuals + ((1 << shift) >> 1)
        quotient = shifted >> shift
        sink.encode(self.tables, rows, np.clip(quotient, -ESCAPE, ESCAPE) + ESCAPE)
        split = shift > 0
        if split.any():
            sink.encode_uniform(shift[split], (shifted - (quotient << shift))[split])
        beyond = np.abs(quotient) - ESCAPE
        beyond = beyond[beyond >= 0] + 1
        if len(beyond):
            length = _bit_length(beyond) - 1
            sink.encode(self._lengths, np.zeros(len(length), np.int64), length)
            long = length > 0
            if long.any():
                sink.encode_uniform(length[long], (beyond - (1 << length))[long])

    def plain(self, rows: np.ndarray, residuals: np.ndarray) -> np.ndarray:
        """Return which residuals are coded by their entry alone; arrays of any shape."""
        return (self._shift[rows] == 0) & (np.abs(residuals) < ESCAPE)

    def information(self, rows: np.ndarray, residuals: np.ndarray) -> np.ndarray:
        """Return the bits that residuals ``[n]`` take, float64 ``[n]``."""
        shift = self._shift[rows]
        quotient = (residuals + ((1 << shift) >> 1)) >> shift
        clipped = np.clip(quotient, -ESCAPE, ESCAPE)
        bits = self.tables.information(rows, clipped + ESCAPE) + shift
        escaped = np.abs(clipped) == ESCAPE
        beyond = np.abs(quotient[escaped]) - ESCAPE + 1
        bits[escaped] += 2 * _bit_length(beyond) - 1
        return bits

    def decode(self, decoder: SymbolDecoder, rows: np.ndarray) -> np.ndarray:
        """
        Return the next residuals, int64 ``[n]``.

        :raises PacketError: when no symbols give this stream.
        """
        quotient = decoder.decode(self.tables, rows).astype(np.int64) - ESCAPE
        shift = self._shift[rows]
        split = np.flatnonzero(shift)
        remainder = decoder.decode_uniform(shift[split]) if len(split) else None
        escaped = np.flatnonzero(np.abs(quotient) == ESCAPE)
        if len(escaped):
            length = decoder.decode(self._lengths, np.zeros(len(escaped), np.int64))
            beyond = np.left_shift(1, length.astype(np.int64))
            long = np.flatnonzero(length)
            if len(long):
                beyond[long] += decoder.decode_uniform(length[long])
            quotient[escaped] += np.sign(quotient[escaped]) * (beyond - 1)
        residuals = (quotient << shift) - ((1 << shift) >> 1)
        if remainder is not None:
            residuals[split] += remainder
        return residuals


def _bit_length(values: np.ndarray) -> np.ndarray:
    """Return the bit lengths of integers in 1..2**20."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)
