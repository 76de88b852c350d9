# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The entropy model of the symbols: integers only, adaptive to what is already known.

Channels are coded one after the other, each in five interlaced passes: the positions on a lattice
of stride 4, the midpoints of its diagonals, the midpoints of its edges, and the same again at
stride 2. From the second pass on, every symbol has four coded neighbours around it.

For each symbol two linear forms with integer weights are evaluated. The *signed* form predicts the
symbol from its neighbours and from the co-located symbols of coded channels. The *magnitude* form
predicts how far off that will be, from the magnitudes of the neighbours, of the co-located symbols
of coded channels and of those around them, from how much the neighbours differ, and from the mean
magnitude and the mean error of the channel so far. Symbols and magnitudes are taken relative to
their mean over the training data: one that is missing, at a border or because its channel is not
sent, counts as average. The prediction's fraction and the magnitude, by thresholds,
select one of a few frequency tables, and what is coded is the symbol less the rounded prediction,
modulo the number of symbols.

Fixed point: inputs, predictions and magnitudes have 12 fractional bits, and so have weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

from gsc_ros.codec.entropy import Coded, FrequencyTables, SymbolDecoder, SymbolEncoder
from gsc_ros.codec.error import ProfileError
from gsc_ros.codec.packet import LATENT_CHANNELS
import numpy as np

FRACTION_BITS = 12
ONE = 1 << FRACTION_BITS
PASSES = 5
NEIGHBORS = 4
# Inputs of the magnitude form from the channel itself: neighbours, spread, magnitude and error.
OWN = NEIGHBORS + 3
# The prediction's distance from a whole number, 0..1/2, in steps of 1/8.
OFFSETS = 5
_OFFSET_SHIFT = FRACTION_BITS - 3
PAD = 2
NO_CHANNEL = -1

_AXIS = ((-1, 0), (1, 0), (0, -1), (0, 1))
_DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class Pass:
    """
    One pass over a grid.

    :param positions: int64 ``[n]``, indices into the grid, row by row.
    :param padded: int64 ``[n]``, the same as indices into the grid with a border of 2.
    :param neighbors: int64 ``[n, 4]``, indices of the neighbours in the padded grid.
    """

    positions: np.ndarray
    padded: np.ndarray
    neighbors: np.ndarray


@dataclass(frozen=True)
class ContextTables:
    """
    The integers of the model; Q quantizers, C = 320 channels.

    :param frequency: uint32 ``[S * 5, 2 L + 1]``: of symbol - prediction + L, by scale and offset.
    :param threshold: int32 ``[S - 1]``, ascending: magnitudes at which the scale steps up.
    :param signed_mean: int32 ``[Q, C]``, mean symbol.
    :param signed_reference: int16 ``[Q, C, J]``, coded channels that predict the symbol; -1: none.
    :param signed_weight: int16 ``[Q, C, J]``, their weights.
    :param signed_neighbor: int16 ``[Q, C, 5, 4]``, weights of the neighbours by pass.
    :param magnitude_mean: int32 ``[Q, C]``, mean magnitude of a symbol.
    :param magnitude_bias: int32 ``[Q, C, 5]``, mean error of the prediction by pass.
    :param magnitude_reference: int16 ``[Q, C, K]``, coded channels that predict the magnitude.
    :param magnitude_weight: int16 ``[Q, C, 2, K]``, weights of the co-located symbol and of the
        four symbols around it.
    :param magnitude_neighbor: int16 ``[Q, C, 5, 7]``, weights by pass of the neighbours, of their
        spread, and of the mean magnitude and the mean error in the channel so far.
    """

    frequency: np.ndarray
    threshold: np.ndarray
    signed_mean: np.ndarray
    signed_reference: np.ndarray
    signed_weight: np.ndarray
    signed_neighbor: np.ndarray
    magnitude_mean: np.ndarray
    magnitude_bias: np.ndarray
    magnitude_reference: np.ndarray
    magnitude_weight: np.ndarray
    magnitude_neighbor: np.ndarray

    def validate(self) -> None:
        """Raise a ProfileError unless shapes, types and ranges fit together."""
        quantizers = self.signed_mean.shape[0] if self.signed_mean.ndim else 0
        pair = (quantizers, LATENT_CHANNELS)
        signed = self.signed_reference.shape[-1] if self.signed_reference.ndim else 0
        magnitude = self.magnitude_reference.shape[-1] if self.magnitude_reference.ndim else 0
        expected = {
            'signed_mean': (np.int32, pair),
            'signed_reference': (np.int16, pair + (signed,)),
            'signed_weight': (np.int16, pair + (signed,)),
            'signed_neighbor': (np.int16, pair + (PASSES, NEIGHBORS)),
            'magnitude_mean': (np.int32, pair),
            'magnitude_bias': (np.int32, pair + (PASSES,)),
            'magnitude_reference': (np.int16, pair + (magnitude,)),
            'magnitude_weight': (np.int16, pair + (2, magnitude)),
            'magnitude_neighbor': (np.int16, pair + (PASSES, OWN)),
            'threshold': (np.int32, (len(np.atleast_1d(self.threshold)),)),
        }
        for name, (dtype, shape) in expected.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape:
                raise ProfileError(
                    f'entropy model: {name} must be {np.dtype(dtype).name} {list(shape)}')
        if (np.diff(self.threshold.astype(np.int64)) <= 0).any():
            raise ProfileError('entropy model: threshold must ascend')
        rows = (len(self.threshold) + 1) * OFFSETS
        if self.frequency.ndim != 2 or len(self.frequency) != rows:
            raise ProfileError(f'entropy model: frequency must have {rows} rows')
        if self.frequency.shape[1] % 2 == 0:
            raise ProfileError('entropy model: the number of symbols must be odd')
        for reference in (self.signed_reference, self.magnitude_reference):
            earlier = np.arange(LATENT_CHANNELS)[None, :, None]
            if (reference < NO_CHANNEL).any() or (reference >= earlier).any():
                raise ProfileError('entropy model: a reference is not to an earlier channel')


class ContextModel:
    """
    The entropy model of a profile. Immutable; may be shared by threads.

    :param tables: its integers.
    :raises ProfileError: when they do not fit together.
    """

    def __init__(self, tables: ContextTables):
        tables.validate()
        self._tables = tables
        self._frequencies = FrequencyTables(tables.frequency)
        self._threshold = tables.threshold.astype(np.int64)
        self.quantizers = tables.signed_mean.shape[0]
        self.symbol_max = tables.frequency.shape[1] // 2

    @classmethod
    def from_tables(cls, arrays: dict[str, np.ndarray]) -> ContextModel:
        """
        Return the model in the arrays of a tables.npz, which may hold others too.

        :raises ProfileError: when one is missing or does not fit.
        """
        names = [field.name for field in fields(ContextTables)]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ProfileError(f'entropy model: {", ".join(missing)} missing')
        return cls(ContextTables(**{name: arrays[name] for name in names}))

    def encode(
        self, symbols: np.ndarray, channels: Sequence[int], quantizer: int,
        counts: Sequence[int],
    ) -> Coded:
        """
        Return the stream of symbols.

        :param symbols: integers ``[n, h, w]`` in -L..L.
        :param channels: their channels, ascending, ``[n]``.
        :param quantizer: the quantizer they were made with.
        :param counts: channel counts after which the stream may be cut, the last one n.
        """
        encoder = SymbolEncoder(self._frequencies)
        known = symbols.reshape(len(symbols), -1).astype(np.int64)
        layers = set(counts)

        def code(slot: int, positions: np.ndarray, rows: np.ndarray, sign: np.ndarray,
                 center: np.ndarray) -> np.ndarray:
            values = known[slot, positions]
            encoder.encode(rows, self._residual(values, sign, center))
            return values

        for slot in self._walk(channels, quantizer, symbols.shape[1:], code):
            if slot + 1 in layers:
                encoder.mark()
        return encoder.finish()

    def decode(
        self, stream: bytes, channels: Sequence[int], quantizer: int, height: int, width: int,
    ) -> np.ndarray:
        """
        Return the symbols of a stream, int16 ``[len(channels), height, width]``.

        :param stream: any bytes; zeros are taken to follow.
        :param channels: ascending.
        :param quantizer: the quantizer.
        :param height: rows of the grid.
        :param width: columns of the grid.
        :raises PacketError: when no symbols give this stream.
        """
        decoder = SymbolDecoder(self._frequencies, stream)
        symbols = np.empty((len(channels), height * width), np.int16)
        size = 2 * self.symbol_max + 1

        def code(slot: int, positions: np.ndarray, rows: np.ndarray, sign: np.ndarray,
                 center: np.ndarray) -> np.ndarray:
            residual = decoder.decode(rows).astype(np.int64) - self.symbol_max
            values = (residual * sign + center + self.symbol_max) % size - self.symbol_max
            symbols[slot, positions] = values
            return values

        for _ in self._walk(channels, quantizer, (height, width), code):
            pass
        return symbols.reshape(len(channels), height, width)

    def entropy(
        self, symbols: np.ndarray, channels: Sequence[int], quantizer: int,
    ) -> np.ndarray:
        """
        Return the information in each channel's symbols under the model.

        :return: float64 ``[n]``, bits.
        """
        known = symbols.reshape(len(symbols), -1).astype(np.int64)
        bits = np.zeros(len(symbols))
        frequencies = self._frequencies.frequencies

        def code(slot: int, positions: np.ndarray, rows: np.ndarray, sign: np.ndarray,
                 center: np.ndarray) -> np.ndarray:
            values = known[slot, positions]
            chosen = frequencies[rows, self._residual(values, sign, center)]
            bits[slot] -= np.log2(chosen / frequencies[0].sum()).sum()
            return values

        for _ in self._walk(channels, quantizer, symbols.shape[1:], code):
            pass
        return bits

    def count(
        self, symbols: np.ndarray, channels: Sequence[int], quantizer: int,
    ) -> np.ndarray:
        """
        Return how often each table codes each residual, int64 ``[tables, 2 L + 1]``.

        This is what frequencies are made from when a model is fitted.
        """
        known = symbols.reshape(len(symbols), -1).astype(np.int64)
        shape = self._frequencies.frequencies.shape
        counts = np.zeros(shape[0] * shape[1], np.int64)

        def code(slot: int, positions: np.ndarray, rows: np.ndarray, sign: np.ndarray,
                 center: np.ndarray) -> np.ndarray:
            values = known[slot, positions]
            np.add.at(counts, rows * shape[1] + self._residual(values, sign, center), 1)
            return values

        for _ in self._walk(channels, quantizer, symbols.shape[1:], code):
            pass
        return counts.reshape(shape)

    def _residual(
        self, values: np.ndarray, sign: np.ndarray, center: np.ndarray,
    ) -> np.ndarray:
        """Return what is coded for symbols: 0..2 L."""
        return ((values - center) * sign + self.symbol_max) % (2 * self.symbol_max + 1)

    def _walk(
        self, channels: Sequence[int], quantizer: int, shape: tuple[int, int],
        code: Callable[..., np.ndarray],
    ) -> Iterator[int]:
        """
        Visit all symbols in coding order; yield each slot after its channel is done.

        ``code(slot, positions, rows, sign, center)`` is told the table of each symbol and the
        prediction, and returns the symbols at these positions.
        """
        tables = self._tables
        height, width = shape
        passes = interlace(height, width)
        memory = _Memory(len(channels), height, width)
        limit = self.symbol_max << FRACTION_BITS
        for slot, channel in enumerate(channels):
            place = (quantizer, channel)
            signed_mean = int(tables.signed_mean[place])
            magnitude_mean = int(tables.magnitude_mean[place])
            signed_far, magnitude_far = memory.recall(tables, place)
            values = np.zeros(height * width, np.int64)
            signed_map = np.zeros((height + 2 * PAD) * (width + 2 * PAD), np.int64)
            magnitude_map = np.zeros_like(signed_map)
            size_total = error_total = count = 0
            for index, part in enumerate(passes):
                if not len(part.positions):
                    continue
                near = tables.signed_neighbor[place][index].astype(np.int64)
                around = signed_map[part.neighbors]
                signed = around @ near
                near = tables.magnitude_neighbor[place][index].astype(np.int64)
                magnitude = magnitude_map[part.neighbors] @ near[:NEIGHBORS]
                if count:
                    magnitude += near[NEIGHBORS] * spread(around)
                    magnitude += near[NEIGHBORS + 1] * (size_total // count - magnitude_mean)
                    magnitude += near[NEIGHBORS + 2] * (error_total // count)
                if signed_far is not None:
                    signed += signed_far[part.positions]
                if magnitude_far is not None:
                    magnitude += magnitude_far[part.positions]
                signed = np.clip(signed_mean + (signed >> FRACTION_BITS), -limit, limit)
                magnitude = (magnitude >> FRACTION_BITS) + int(tables.magnitude_bias[place][index])
                rows, sign, center = self._select(signed, magnitude)
                found = code(slot, part.positions, rows, sign, center)
                values[part.positions] = found
                fixed = found << FRACTION_BITS
                sizes = np.abs(fixed)
                signed_map[part.padded] = fixed - signed_mean
                magnitude_map[part.padded] = sizes - magnitude_mean
                size_total += int(sizes.sum())
                error_total += int(np.abs(fixed - signed).sum())
                count += len(found)
            memory.store(slot, channel, values, signed_mean, magnitude_mean)
            yield slot

    def _select(
        self, signed: np.ndarray, magnitude: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return table, sign and rounded prediction for the two forms' values."""
        center = (signed + ONE // 2) >> FRACTION_BITS
        offset = signed - (center << FRACTION_BITS)
        # Tables are for predictions that lie above; the others are their mirror image.
        sign = np.where(offset < 0, -1, 1)
        step = (np.abs(offset) + (1 << _OFFSET_SHIFT - 1)) >> _OFFSET_SHIFT
        scale = np.searchsorted(self._threshold, magnitude, side='right')
        return scale * OFFSETS + step, sign, center


class _Memory:
    """
    The coded channels of a frame, as inputs of the next ones.

    :param slots: how many there will be.
    :param height: rows of the grid.
    :param width: columns of the grid.
    """

    def __init__(self, slots: int, height: int, width: int):
        self._shape = (height, width)
        self._slot = np.full(LATENT_CHANNELS + 1, NO_CHANNEL)
        self._signed = np.zeros((slots, height * width), np.int32)
        self._magnitude = np.zeros((slots, height * width), np.int32)
        self._around = np.zeros((slots, height * width), np.int32)

    def store(
        self, slot: int, channel: int, values: np.ndarray, signed_mean: int, magnitude_mean: int,
    ) -> None:
        """Keep the symbols of a channel relative to their means."""
        self._slot[channel] = slot
        self._signed[slot] = (values << FRACTION_BITS) - signed_mean
        magnitude = (np.abs(values) << FRACTION_BITS) - magnitude_mean
        self._magnitude[slot] = magnitude
        self._around[slot] = sum_around(magnitude.reshape(self._shape)).ravel()

    def recall(
        self, tables: ContextTables, place: tuple[int, int],
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return what coded channels contribute to the two forms, int64 ``[h * w]`` each."""
        slots = self._slot[tables.signed_reference[place]]
        here = slots != NO_CHANNEL
        signed = None
        if here.any():
            signed = _product(tables.signed_weight[place][here], self._signed[slots[here]])
        slots = self._slot[tables.magnitude_reference[place]]
        here = slots != NO_CHANNEL
        magnitude = None
        if here.any():
            weights = tables.magnitude_weight[place][:, here]
            magnitude = _product(weights[0], self._magnitude[slots[here]])
            magnitude += _product(weights[1], self._around[slots[here]])
        return signed, magnitude


@lru_cache(maxsize=8)
def interlace(height: int, width: int) -> tuple[Pass, ...]:
    """Return the five passes over a grid; small grids have empty ones."""
    row, column = np.divmod(np.arange(height * width), width)
    row_4, column_4, row_2, column_2 = row % 4, column % 4, row % 2, column % 2
    coarse = (row_2 == 0) & (column_2 == 0)
    members = (
        (row_4 == 0) & (column_4 == 0),
        (row_4 == 2) & (column_4 == 2),
        coarse & (row_4 != column_4),
        (row_2 == 1) & (column_2 == 1),
        row_2 != column_2,
    )
    steps = (None, (_DIAGONAL, 2), (_AXIS, 2), (_DIAGONAL, 1), (_AXIS, 1))
    passes = []
    for member, step in zip(members, steps):
        positions = np.flatnonzero(member)
        padded = (row[positions] + PAD) * (width + 2 * PAD) + column[positions] + PAD
        # The first pass has no neighbours: it looks at a corner of the border, which stays zero.
        neighbors = np.zeros((len(positions), NEIGHBORS), np.int64)
        if step is not None:
            shifts, distance = step
            offsets = [distance * (dy * (width + 2 * PAD) + dx) for dy, dx in shifts]
            neighbors = padded[:, None] + np.array(offsets)
        passes.append(Pass(positions, padded, neighbors))
    return tuple(passes)


def spread(neighbors: np.ndarray) -> np.ndarray:
    """Return the mean distance of four neighbours from their mean, int64 ``[n, 4]`` to ``[n]``."""
    total = neighbors.sum(axis=1)
    return np.abs(NEIGHBORS * neighbors - total[:, None]).sum(axis=1) >> 4


def sum_around(values: np.ndarray) -> np.ndarray:
    """Return the sum of the four neighbours in a map ``[h, w]``; zeros lie beyond the border."""
    total = np.zeros_like(values)
    total[1:] += values[:-1]
    total[:-1] += values[1:]
    total[:, 1:] += values[:, :-1]
    total[:, :-1] += values[:, 1:]
    return total


def _product(weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Return the weighted sum of integer rows in 64 bits."""
    return weights.astype(np.int64) @ inputs.astype(np.int64)
