# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Range coding with integer frequency tables, exact on any machine.

A table holds the frequencies of its symbols, each at least 1, together 2**24. constriction's range
coder turns floating-point probabilities ``p`` into such frequencies itself, as
``1 + p * (2**24 - n) / sum(p)`` of ``n`` symbols, cumulated and truncated. It is therefore given
``p = frequency - 1``: all of these and their sums are integers below 2**24, which float32 holds
exactly, the factor is exactly 1, and what comes out are the frequencies that went in.

A stream is the shortest byte string whose value, followed by zeros, lies in the final interval.
The interval after a part of the symbols gives the bytes that this part alone needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import constriction
from gsc_ros.codec.error import PacketError, ProfileError
import numpy as np

PRECISION = 24
TOTAL = 1 << PRECISION
# Symbols per call; bounds the memory for their tables.
_CHUNK = 8192
_CATEGORICAL = constriction.stream.model.Categorical(perfect=False, lazy=True)
_UNIFORM = constriction.stream.model.Uniform()
_STATE_BITS = 64
_STATE_BYTES = 8
_WORD_BYTES = 4


@dataclass(frozen=True)
class Coded:
    """
    A finished stream.

    :param stream: the bytes.
    :param ends: bytes of the stream needed at each mark; strictly ascending, so one may lie
        beyond the stream: zeros follow it.
    """

    stream: bytes
    ends: tuple[int, ...]


class FrequencyTables:
    """
    Tables to code symbols with.

    :param frequencies: integers ``[tables, n]``, each at least 1, each row summing to 2**24.
    :raises ProfileError: when they are not.
    """

    def __init__(self, frequencies: np.ndarray):
        values = np.asarray(frequencies)
        if values.ndim != 2 or values.shape[1] < 2 or values.dtype.kind not in 'iu':
            raise ProfileError('frequencies must be integers [tables, n]')
        values = values.astype(np.int64)
        if (values < 1).any() or (values > TOTAL).any() or (values.sum(axis=1) != TOTAL).any():
            raise ProfileError(f'frequencies must be positive and sum to {TOTAL}')
        self.frequencies = values
        self.weights = (values - 1).astype(np.float32)

    def information(self, rows: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """Return the bits that symbols ``[n]`` of these tables take, float64 ``[n]``."""
        return PRECISION - np.log2(self.frequencies[rows, symbols])


class SymbolEncoder:
    """Writes one stream."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()
        self._marks: list[_Interval] = []

    def encode(self, tables: FrequencyTables, rows: np.ndarray, symbols: np.ndarray) -> None:
        """
        Append symbols.

        :param tables: the tables.
        :param rows: integers ``[n]``, the table of each symbol.
        :param symbols: integers ``[n]``.
        """
        symbols = np.ascontiguousarray(symbols, np.int32)
        for start in range(0, len(symbols), _CHUNK):
            self._coder.encode(
                symbols[start:start + _CHUNK], _CATEGORICAL,
                tables.weights[rows[start:start + _CHUNK]])

    def encode_uniform(self, bits: np.ndarray, values: np.ndarray) -> None:
        """
        Append values that are equally probable.

        :param bits: integers ``[n]`` in 1..24, how many bits each value has.
        :param values: integers ``[n]``.
        """
        self._coder.encode(np.ascontiguousarray(values, np.int32), _UNIFORM, _sizes(bits))

    def encode_ranks(self, counts: Sequence[int], ranks: Sequence[int]) -> None:
        """
        Append ranks that are equally probable.

        :param counts: how many there are of each, in 1..2**24.
        :param ranks: each in 0..count - 1.
        """
        open_ranks = [pair for pair in zip(counts, ranks) if pair[0] > 1]
        if open_ranks:
            sizes, values = np.array(open_ranks, np.int32).T
            self._coder.encode(
                np.ascontiguousarray(values), _UNIFORM, np.ascontiguousarray(sizes))

    def mark(self) -> None:
        """Remember this place: :meth:`finish` tells how many bytes are needed up to here."""
        self._marks.append(self._interval())

    def finish(self) -> Coded:
        """Return the stream, and the bytes needed at each mark."""
        stream = self._shortest()
        ends: list[int] = []
        for interval in self._marks:
            end = interval.bytes_needed(stream)
            # Ends ascend strictly, so that a reader of the ends can tell the layers apart.
            ends.append(max(end, ends[-1] + 1) if ends else end)
        return Coded(stream, tuple(ends))

    def _interval(self) -> _Interval:
        """Return the coder's interval."""
        words, (lower, size) = self._coder.pos()
        return _Interval(words * _WORD_BYTES, lower, size)

    def _shortest(self) -> bytes:
        """Return the shortest stream in the final interval."""
        interval = self._interval()
        length = interval.offset + _STATE_BYTES
        sealed = self._coder.get_compressed().astype('>u4').tobytes()
        # The sealed stream is in the interval; that settles a carry which the state leaves open.
        value = int.from_bytes(sealed[:length].ljust(length, b'\0'), 'big')
        lower = value - (value - interval.lower) % (1 << _STATE_BITS)
        for dropped in range(_STATE_BYTES, -1, -1):
            unit = 1 << 8 * dropped
            rounded = -(-lower // unit) * unit
            if rounded < lower + interval.size:
                return rounded.to_bytes(length, 'big').rstrip(b'\0')
        raise AssertionError('an interval holds its lower end')


class SymbolDecoder:
    """
    Reads one stream.

    :param stream: any bytes; zeros are taken to follow.
    """

    def __init__(self, stream: bytes):
        padded = stream + bytes(-len(stream) % _WORD_BYTES + _STATE_BYTES)
        self._coder = constriction.stream.queue.RangeDecoder(
            np.frombuffer(padded, '>u4').astype(np.uint32))

    def decode(self, tables: FrequencyTables, rows: np.ndarray) -> np.ndarray:
        """
        Return the next symbols, int32 ``[n]``.

        :param tables: the tables.
        :param rows: integers ``[n]``, the table of each symbol.
        :raises PacketError: when no symbols give this stream.
        """
        parts = []
        for start in range(0, len(rows), _CHUNK):
            parts.append(self._decode(_CATEGORICAL, tables.weights[rows[start:start + _CHUNK]]))
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)

    def decode_uniform(self, bits: np.ndarray) -> np.ndarray:
        """
        Return the next of values that are equally probable, int32 ``[n]``.

        :param bits: integers ``[n]`` in 1..24, how many bits each value has.
        :raises PacketError: when no values give this stream.
        """
        return self._decode(_UNIFORM, _sizes(bits))

    def decode_ranks(self, counts: Sequence[int]) -> list[int]:
        """
        Return the next ranks.

        :param counts: how many there are of each, in 1..2**24.
        :raises PacketError: when no ranks give this stream.
        """
        sizes = np.array([count for count in counts if count > 1], np.int32)
        found = iter(self._decode(_UNIFORM, sizes).tolist() if len(sizes) else ())
        return [next(found) if count > 1 else 0 for count in counts]

    def _decode(
        self, family: constriction.stream.model.Model, parameters: np.ndarray,
    ) -> np.ndarray:
        """Return a symbol for each row of parameters."""
        try:
            return self._coder.decode(family, parameters)
        except AssertionError as error:  # what constriction raises for impossible data
            raise PacketError(f'the stream is damaged: {error}') from error


def _sizes(bits: np.ndarray) -> np.ndarray:
    """Return how many values there are of so many bits, int32 ``[n]``."""
    return np.left_shift(1, bits).astype(np.int32)


@dataclass(frozen=True)
class _Interval:
    """
    What the coder has narrowed the stream's value down to.

    :param offset: bytes of the stream before the state.
    :param lower: lower end, as the 64 bits behind the offset.
    :param size: size, in the same unit.
    """

    offset: int
    lower: int
    size: int

    def bytes_needed(self, stream: bytes) -> int:
        """Return how many bytes of a stream, zeros behind them, are within the interval."""
        window = stream[self.offset:self.offset + _STATE_BYTES].ljust(_STATE_BYTES, b'\0')
        value = int.from_bytes(window, 'big')
        room = (value - self.lower) % (1 << _STATE_BITS)
        kept = 0
        while value - int.from_bytes(window[:kept].ljust(_STATE_BYTES, b'\0'), 'big') > room:
            kept += 1
        return len(stream[:self.offset + kept].rstrip(b'\0'))
