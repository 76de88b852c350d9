# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The entropy model of the symbols: integers only, adaptive to what is already known.

Channels are coded in groups, the layers of the packet. A group begins with one *kind* for each of
its channels: silent (all symbols are zero), as in the previous frame, or coded. Its coded channels
are then visited together in five interlaced passes: the positions on a lattice of stride 4, the
midpoints of its diagonals, the midpoints of its edges, and the same again at stride 2. From the
second pass on, every symbol has four coded neighbours around it.

For each symbol two linear forms with integer weights are evaluated. The *signed* form predicts the
symbol from its neighbours and, of channels of earlier groups, from the co-located symbols and from
how much these change from left to right and from top to bottom. The
*magnitude* form predicts how far off that will be, from the magnitudes of the neighbours, of the
co-located symbols of earlier groups and of those around them, and from how much the neighbours
differ. Symbols and magnitudes are taken relative to their mean over the training data: one that is
missing, at a border or because its channel is not sent, counts as average.

With the symbols of a previous frame (stream mode) the signed form's value is one of four inputs of
a second prediction; the others are the previous symbol, the signed form's value had it been
evaluated in the previous frame, and the mean of the previous symbols around. Its weights depend on
how well the previous frame has predicted the symbols known so far, here and in the whole frame.

A small network of integers then turns the magnitude form and other measures of activity, all as
logarithms, into a scale. Scale and prediction select a frequency table, and what is coded is the
symbol less the rounded prediction (see :mod:`gsc_ros.codec.residual`).

Fixed point: predictions, magnitudes and weights have 12 fractional bits. Matrix products are
computed in float64, in which all of their terms and sums are integers below 2**53 and exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

from gsc_ros.codec.context_tables import (
    AS_BEFORE,
    CODED,
    ContextTables,
    KIND_LEVELS,
    KIND_TRENDS,
    MAX_SYMBOL,
    NO_CHANNEL,
    OFFSET_SHIFT,
    PRIOR_COUNT,
    ScaleNetwork,
    SILENT,
    SLOPES,
)
from gsc_ros.codec.entropy import Coded, FrequencyTables, SymbolDecoder, SymbolEncoder
from gsc_ros.codec.error import PacketError, ProfileError
from gsc_ros.codec.interlace import (
    FRACTION_BITS,
    inside,
    interlace,
    log_features,
    NEIGHBORS,
    ONE,
    PAD,
    Pass,
    slopes,
    spread,
    sum_around,
)
from gsc_ros.codec.packet import LATENT_CHANNELS, LAYERS
from gsc_ros.codec.residual import OFFSETS, ResidualCode
from gsc_ros.codec.survey import Survey, survey
import numpy as np

# Channel counts at which groups end in which the channels of a region are coded. They are few: a
# region is small, and every group costs the decoder time.
REGION_GROUPS = (1, 4, 16, 64, 320)
# Symbols visited at once, for the memory they take.
_CHUNK = 1 << 16
_FAR_CHUNK = 1 << 12


@dataclass(frozen=True)
class PreviousSymbols:
    """
    The symbols of the frame before, of the same grid.

    :param symbols: integers ``[n, h, w]``.
    :param channels: their channels, ascending, ``[n]``; all others were zero.
    :param quantizer: the quantizer they were made with, which may be another one.
    """

    symbols: np.ndarray
    channels: tuple[int, ...]
    quantizer: int


class Coder(Protocol):
    """What is done with the symbols of a frame while they are visited."""

    def kinds(self, slots: slice, rows: np.ndarray, repeated: np.ndarray | None) -> np.ndarray:
        """
        Return the kinds of channels.

        :param slots: which.
        :param rows: integers ``[n]``, the table of each.
        :param repeated: int16 ``[n, h * w]``, their symbols if they are as in the previous frame.
        """

    def symbols(self, slots: np.ndarray, visit: Visit) -> np.ndarray:
        """Return the symbols ``[n, p]`` of these slots at the positions of a visit."""


@dataclass(frozen=True)
class Visit:
    """
    A part of a pass over some channels, as a coder sees it.

    :param positions: int64 ``[p]``, indices into the grid.
    :param pass_index: the pass.
    :param signed: int64 ``[n, p]``, the prediction with 12 fractional bits.
    :param rows: int64 ``[n, p]``, frequency tables.
    :param features: int ``[F, n, p]``, what the network was given.
    :param likeness: int64 ``[p]``, how well the previous frame predicts; None without one.
    :param inputs: int64 ``[4, n, p]``, the inputs of the second prediction; None without one.
    """

    positions: np.ndarray
    pass_index: int
    signed: np.ndarray
    rows: np.ndarray
    features: np.ndarray
    likeness: np.ndarray | None
    inputs: np.ndarray | None

    @property
    def center(self) -> np.ndarray:
        """The rounded prediction, int64 ``[n, p]``."""
        return (self.signed + ONE // 2) >> FRACTION_BITS


class ContextModel:
    """
    The entropy model of a profile. Immutable; may be shared by threads.

    :param tables: its integers.
    :param groups: channel counts at which groups end, ascending, the last one all channels. Fewer
        groups are coded faster, of more a channel can be predicted better.
    :raises ProfileError: when they do not fit together.
    """

    def __init__(self, tables: ContextTables, groups: Sequence[int] = LAYERS):
        tables.validate(groups)
        self.tables = tables
        self.groups = tuple(groups)
        self.quantizers = tables.signed_mean.shape[0]
        self.symbol_max = int(tables.symbol_max[0])
        self.streams = len(tables.stream_weight) > 0
        self._residuals = ResidualCode(tables.frequency)
        self._kinds = FrequencyTables(tables.kind_frequency)
        scales = len(tables.frequency) // OFFSETS
        self._still = ScaleNetwork(
            tables.still_input, tables.still_bias, tables.still_output, scales)
        self._stream = ScaleNetwork(
            tables.stream_input, tables.stream_bias, tables.stream_output, scales)

    @classmethod
    def from_tables(
        cls, arrays: dict[str, np.ndarray], groups: Sequence[int] = LAYERS,
    ) -> ContextModel:
        """
        Return the model in the arrays of a tables.npz, which may hold others too.

        :param arrays: the arrays by name.
        :param groups: as of the model.
        :raises ProfileError: when one is missing or does not fit.
        """
        names = [field.name for field in fields(ContextTables)]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ProfileError(f'entropy model: {", ".join(missing)} missing')
        return cls(ContextTables(**{name: arrays[name] for name in names}), groups)

    def group_ends(self, count: int) -> tuple[int, ...]:
        """Return the numbers of channels after which the groups of ``count`` channels end."""
        return tuple(end for end in self.groups if end < count) + (count,)

    def encode(
        self, symbols: np.ndarray, channels: Sequence[int], quantizer: int,
        counts: Sequence[int], previous: PreviousSymbols | None = None,
    ) -> Coded:
        """
        Return the stream of symbols.

        :param symbols: integers ``[n, h, w]`` in -L..L.
        :param channels: their channels, ascending, ``[n]``.
        :param quantizer: the quantizer they were made with.
        :param counts: channel counts after which the stream may be cut: some of
            :meth:`group_ends` of n, the last one n.
        :param previous: the symbols of the frame before, which the decoder must have, too.
        :raises ProfileError: when the profile has no stream mode and ``previous`` is given.
        """
        encoder = SymbolEncoder()
        layers = set(counts)
        for end in self.write(encoder, symbols, channels, quantizer, previous):
            if end in layers:
                encoder.mark()
        return encoder.finish()

    def write(
        self, encoder: SymbolEncoder, symbols: np.ndarray, channels: Sequence[int],
        quantizer: int, previous: PreviousSymbols | None = None,
    ) -> Iterator[int]:
        """
        Append symbols to a stream, group by group; see :meth:`encode` and :meth:`walk`.

        :param encoder: the stream.
        """
        if previous is None and symbols.size <= _CHUNK:
            return self._write_survey(encoder, symbols, channels, quantizer)
        coder = _Writer(self._kinds, self._residuals, symbols, encoder)
        return self.walk(channels, quantizer, symbols.shape[1:], coder, previous)

    def decode(
        self, stream: bytes, channels: Sequence[int], quantizer: int, height: int, width: int,
        previous: PreviousSymbols | None = None,
    ) -> np.ndarray:
        """
        Return the symbols of a stream, int16 ``[len(channels), height, width]``.

        :param stream: any bytes; zeros are taken to follow.
        :param channels: ascending.
        :param quantizer: the quantizer.
        :param height: rows of the grid.
        :param width: columns of the grid.
        :param previous: the symbols of the frame before that the encoder has used.
        :raises PacketError: when no symbols give this stream.
        :raises ProfileError: when the profile has no stream mode and ``previous`` is given.
        """
        return self.read(
            SymbolDecoder(stream), channels, quantizer, height, width, previous)

    def read(
        self, decoder: SymbolDecoder, channels: Sequence[int], quantizer: int, height: int,
        width: int, previous: PreviousSymbols | None = None,
    ) -> np.ndarray:
        """
        Return the next symbols of a stream; see :meth:`decode`.

        :param decoder: the stream.
        """
        symbols = np.zeros((len(channels), height, width), np.int16)
        coder = _Reader(self._kinds, self._residuals, symbols, decoder, self.symbol_max)
        for _ in self.walk(channels, quantizer, (height, width), coder, previous):
            pass
        return symbols

    def entropy(
        self, symbols: np.ndarray, channels: Sequence[int], quantizer: int,
        previous: PreviousSymbols | None = None,
    ) -> np.ndarray:
        """
        Return the information in each channel's symbols under the model.

        The arguments are those of :meth:`encode`.

        :return: float64 ``[n]``, bits.
        """
        if previous is None and symbols.size <= _CHUNK:
            found, rows = self._survey(symbols, channels, quantizer)
            bits = self._kinds.information(rows, kinds_of(symbols.reshape(len(symbols), -1), None))
            bits[found.slots] += self._residuals.information(
                found.rows.ravel(), found.residuals.ravel()).reshape(found.rows.shape).sum(axis=1)
            return bits
        meter = _Meter(self._kinds, self._residuals, symbols)
        for _ in self.walk(channels, quantizer, symbols.shape[1:], meter, previous):
            pass
        return meter.bits

    def walk(
        self, channels: Sequence[int], quantizer: int, shape: tuple[int, int], coder: Coder,
        previous: PreviousSymbols | None = None,
    ) -> Iterator[int]:
        """
        Visit all symbols in coding order; yield the number of channels done after each group.

        :raises ProfileError: when the profile has no stream mode and ``previous`` is given.
        """
        if previous is not None and not self.streams:
            raise ProfileError('the profile has no tables for stream mode')
        frame = _Frame(self.tables, np.asarray(channels, np.int64), quantizer, shape, previous)
        start = 0
        for end in self.group_ends(len(channels)):
            slots = np.arange(start, end)
            repeated = None if previous is None else frame.repeated(slots, self.symbol_max)
            kinds = coder.kinds(np.s_[start:end], frame.kind_rows(slots), repeated)
            coded = slots[kinds == CODED]
            if len(coded):
                self._visit_group(frame, coded, coder)
            frame.close(slots, kinds, repeated)
            yield end
            start = end

    def _survey(
        self, symbols: np.ndarray, channels: Sequence[int], quantizer: int,
    ) -> tuple[Survey, np.ndarray]:
        """Return what is coded of a frame that stands alone, and the tables of the kinds."""
        numbers = np.asarray(channels, np.int64)
        found = survey(
            self.tables, self._still, numbers, quantizer, symbols, self.symbol_max,
            np.array((0, *self.group_ends(len(numbers)))))
        positions = symbols.shape[1] * symbols.shape[2]
        return found, self.tables.kind_levels(quantizer, numbers, positions)

    def _write_survey(
        self, encoder: SymbolEncoder, symbols: np.ndarray, channels: Sequence[int],
        quantizer: int,
    ) -> Iterator[int]:
        """Append the symbols of a frame that stands alone to a stream, group by group."""
        found, kind_rows = self._survey(symbols, channels, quantizer)
        kinds = kinds_of(symbols.reshape(len(symbols), -1), None)
        plain = self._residuals.plain(found.rows, found.residuals).all(axis=1)
        start = 0
        for end in self.group_ends(len(channels)):
            encoder.encode(self._kinds, kind_rows[start:end], kinds[start:end])
            coded = np.s_[slice(*np.searchsorted(found.slots, (start, end)))]
            parts = [
                (found.rows[coded, first:last].ravel(), found.residuals[coded, first:last].ravel())
                for first, last in zip(found.starts, found.starts[1:])]
            if plain[coded].all():
                # Nothing is split off: all passes are one run of entries.
                parts = [tuple(np.concatenate(part) for part in zip(*parts))]
            for rows, residuals in parts:
                self._residuals.encode(encoder, rows, residuals)
            yield end
            start = end

    def _visit_group(self, frame: _Frame, slots: np.ndarray, coder: Coder) -> None:
        """Visit the symbols of some channels together, pass by pass."""
        group = _Group(frame, slots)
        network = self._still if frame.previous is None else self._stream
        limit = self.symbol_max << FRACTION_BITS
        most = max(_CHUNK // len(slots), 1)
        for index, part in enumerate(frame.passes):
            for first in range(0, len(part.positions), most):
                chunk = np.s_[first:first + most]
                piece = Pass(
                    part.positions[chunk], part.padded[chunk], part.neighbors[:, chunk])
                signed, features, likeness, inputs = group.look(index, piece, limit)
                center = (signed + ONE // 2) >> FRACTION_BITS
                offset = np.abs(signed - (center << FRACTION_BITS))
                step = (offset + (1 << OFFSET_SHIFT - 1)) >> OFFSET_SHIFT
                features[0] = step << 4
                rows = network.scales(index, features) * OFFSETS + step
                visit = Visit(piece.positions, index, signed, rows, features, likeness, inputs)
                group.learn(piece, signed, coder.symbols(slots, visit))
            group.settle()
        frame.symbols[slots] = group.values


class _Frame:
    """
    What is known of a frame while it is coded.

    :param tables: the model.
    :param channels: the channel of each slot, int64 ``[n]``.
    :param quantizer: the quantizer.
    :param shape: rows and columns of the grid.
    :param previous: the frame before.
    """

    def __init__(
        self, tables: ContextTables, channels: np.ndarray, quantizer: int,
        shape: tuple[int, int], previous: PreviousSymbols | None,
    ):
        height, width = shape
        self.tables = tables
        self.channels = channels
        self.quantizer = quantizer
        self.shape = shape
        self.padded_shape = (height + 2 * PAD, width + 2 * PAD)
        self.passes = interlace(height, width)
        self.inside = inside(height, width)
        self.padded_size = self.padded_shape[0] * self.padded_shape[1]
        # How many neighbours each position has.
        self.borders = sum_around(np.ones((1, height, width)))[0].ravel()
        self.done = 0
        self.slot = np.full(LATENT_CHANNELS + 1, NO_CHANNEL)
        self.symbols = np.zeros((len(channels), height * width), np.int16)
        # Sums over the channels done, in the padded grid, with 8 fractional bits: of magnitudes,
        # of differences from the previous frame, and of magnitudes there.
        self.activity = np.zeros(self.padded_size, np.int64)
        self.previous = previous
        if previous is not None:
            self.before = self._rescaled(previous)
            self.was_silent = ~self.before.any(axis=1)
            self.innovation = np.zeros(self.padded_size, np.int64)
            self.both = np.zeros(self.padded_size, np.int64)
            self.trend = 0

    def _rescaled(self, previous: PreviousSymbols) -> np.ndarray:
        """Return the symbols of the frame before for all slots, int32 with 12 fractional bits."""
        before = np.zeros((len(self.channels), self.symbols.shape[1]), np.int32)
        known = np.full(LATENT_CHANNELS, NO_CHANNEL)
        known[list(previous.channels)] = np.arange(len(previous.channels))
        rows = known[self.channels]
        here = rows != NO_CHANNEL
        gain = self.tables.gain.astype(np.int64)[:, self.channels[here]]
        ratio = (gain[self.quantizer] << FRACTION_BITS) // gain[previous.quantizer]
        symbols = previous.symbols.reshape(len(previous.channels), -1)[rows[here]]
        limit = MAX_SYMBOL << FRACTION_BITS
        before[here] = np.clip(symbols * np.minimum(ratio, limit)[:, None], -limit, limit)
        return before

    def kind_rows(self, slots: np.ndarray) -> np.ndarray:
        """Return the tables of the kinds of channels."""
        level = self.tables.kind_levels(
            self.quantizer, self.channels[slots], self.symbols.shape[1])
        state, trend = 0, 0
        if self.previous is not None:
            state, trend = 2 - self.was_silent[slots], self.trend
        return (state * KIND_TRENDS + trend) * KIND_LEVELS + level

    def far(self, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """
        Return what channels of earlier groups contribute to the forms of some slots.

        :return: int64 ``[n, h * w]`` each, with 12 fractional bits: to the signed form, to the
            magnitude form, and to the signed form in the previous frame.
        """
        tables, place = self.tables, (self.quantizer, self.channels[slots])
        count, size = len(slots), self.symbols.shape[1]
        signed = np.zeros((count, size), np.int64)
        magnitude = np.zeros((count, size), np.int64)
        before = None if self.previous is None else np.zeros((count, size), np.int64)
        if not self.done:
            return signed, magnitude, before
        done = np.s_[:self.done]
        earlier = self.channels[done]
        reference, weights = tables.signed_reference[place], tables.signed_weight[place]
        signed_weight = np.concatenate(
            [self._dense(reference, weights[:, index]) for index in range(SLOPES)], axis=1)
        reference, weights = tables.magnitude_reference[place], tables.magnitude_weight[place]
        near, around = (self._dense(reference, weights[:, index]) for index in range(2))
        signed_mean = tables.signed_mean[self.quantizer, earlier].astype(np.float64)
        magnitude_mean = tables.magnitude_mean[self.quantizer, earlier].astype(np.float64)
        signed_origin = (signed_weight[:, :self.done] @ signed_mean)[:, None]
        near_origin = (near @ magnitude_mean)[:, None]
        around_origin = (around @ magnitude_mean)[:, None]
        columns = self.shape[1]
        rows = max(_FAR_CHUNK // columns, 1)
        grid = self.symbols[done].reshape(self.done, *self.shape)
        if before is not None:
            earlier_grid = self.before[done].reshape(self.done, *self.shape)
        for top in range(0, self.shape[0], rows):
            bottom = min(top + rows, self.shape[0])
            flat = np.s_[top * columns:bottom * columns]
            above, below = max(top - 1, 0), min(bottom + 1, self.shape[0])
            band, inner = np.s_[:, above:below], np.s_[:, top - above:bottom - above]
            values = grid[band].astype(np.float64)
            sloped = _slopes(values, inner)
            signed[:, flat] = _whole(signed_weight @ sloped * ONE - signed_origin)
            sizes = np.abs(values)
            nearby = sum_around(sizes)[inner].reshape(self.done, -1)
            sizes = sizes[inner].reshape(self.done, -1)
            magnitude[:, flat] = _whole(
                (near @ sizes + around @ nearby) * ONE - near_origin
                - around_origin * self.borders[flat])
            if before is not None:
                sloped = _slopes(earlier_grid[band].astype(np.float64), inner)
                before[:, flat] = _whole(signed_weight @ sloped - signed_origin)
        return signed, magnitude, before

    def _dense(self, reference: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return weights ``[n, done]`` for all slots done from those of the channels named."""
        dense = np.zeros((len(reference), self.done + 1))
        np.put_along_axis(dense, self.slot[reference], weight.astype(np.float64), axis=1)
        return dense[:, :-1]

    def close(self, slots: np.ndarray, kinds: np.ndarray, repeated: np.ndarray | None) -> None:
        """Take the channels of a group for known."""
        if repeated is not None:
            same = kinds == AS_BEFORE
            self.symbols[slots[same]] = repeated[same]
        sizes = np.abs(self.symbols[slots]).sum(axis=0, dtype=np.int64) << 8
        self.activity[self.inside] += sizes
        if self.previous is not None:
            fixed = self.symbols[slots].astype(np.int32) << FRACTION_BITS
            change = np.abs(fixed - self.before[slots]).sum(axis=0, dtype=np.int64)
            before = np.abs(self.before[slots]).sum(axis=0, dtype=np.int64)
            self.innovation[self.inside] += change >> FRACTION_BITS - 8
            self.both[self.inside] += sizes + (before >> FRACTION_BITS - 8)
            alike = (kinds == AS_BEFORE) | (kinds == SILENT) & self.was_silent[slots]
            self.trend = int(2 * np.count_nonzero(alike) >= len(slots))
        self.slot[self.channels[slots]] = slots
        self.done = int(slots[-1]) + 1

    def repeated(self, slots: np.ndarray, symbol_max: int) -> np.ndarray:
        """Return the symbols of channels that are as in the previous frame, int16."""
        rounded = (self.before[slots] + ONE // 2) >> FRACTION_BITS
        return np.clip(rounded, -symbol_max, symbol_max).astype(np.int16)


class _Group:
    """
    Channels that are coded together.

    :param frame: the frame.
    :param slots: their slots.
    """

    def __init__(self, frame: _Frame, slots: np.ndarray):
        tables, quantizer = frame.tables, frame.quantizer
        channels = frame.channels[slots]
        place = (quantizer, channels)
        self._frame = frame
        self._signed_mean = tables.signed_mean[place].astype(np.int64)[:, None]
        self._magnitude_mean = tables.magnitude_mean[place].astype(np.int64)[:, None]
        self._magnitude_bias = tables.magnitude_bias[place].astype(np.int64)
        self._signed_near = tables.signed_neighbor[place].astype(np.int64)
        self._magnitude_near = tables.magnitude_neighbor[place].astype(np.int64)
        self._signed_far, self._magnitude_far, self._before_far = frame.far(slots)
        self.values = np.zeros((len(slots), frame.symbols.shape[1]), np.int16)
        shape = (len(slots), frame.padded_size)
        self._signed = np.zeros(shape, np.int32)
        self._magnitude = np.zeros(shape, np.int32)
        # Sum of the magnitudes of all channels of the group, 8 fractional bits.
        self._activity = np.zeros(frame.padded_size, np.int64)
        # Running means of magnitudes, of errors and of differences from the frame before.
        self._count = PRIOR_COUNT
        self._size_mean, self._error_mean, self._change_mean = (
            self._magnitude_mean, self._magnitude_bias[:, :1], self._magnitude_bias[:, :1])
        self._totals = np.stack(
            [self._size_mean, self._error_mean, self._change_mean]) * PRIOR_COUNT
        positions = frame.symbols.shape[1]
        self._mean_activity = int(frame.activity.sum()) // positions
        self._around_activity = sum_around(
            frame.activity.reshape((1,) + frame.padded_shape))[0].ravel()
        if frame.previous is not None:
            weights = tables.stream_weight[place].astype(np.int64)
            self._stream = np.ascontiguousarray(weights.transpose(3, 0, 1, 2))
            self._before = np.zeros(shape, np.int32)
            before = frame.before[slots]
            self._before[:, frame.inside] = before - self._signed_mean
            self._before_around = sum_around(
                self._before.reshape((-1,) + frame.padded_shape)).reshape(shape)
            self._innovation = np.zeros(frame.padded_size, np.int64)
            self._both = np.zeros(frame.padded_size, np.int64)
            self._evidence = tuple(
                4 * known + sum_around(known.reshape((1,) + frame.padded_shape))[0].ravel()
                + int(known.sum()) // positions for known in (frame.innovation, frame.both))

    def look(
        self, index: int, part: Pass, limit: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Return prediction, features, likeness and inputs of the second prediction."""
        frame = self._frame
        around = self._signed[:, part.neighbors].astype(np.int64)
        sizes = self._magnitude[:, part.neighbors].astype(np.int64)
        near = self._signed_near[:, index, None, :]
        far = self._signed_far[:, part.positions]
        still = ((near @ around)[:, 0] >> FRACTION_BITS) + far
        near = self._magnitude_near[:, index, None, :]
        spreads = spread(around)
        magnitude = (near[..., :NEIGHBORS] @ sizes)[:, 0] + near[..., NEIGHBORS] * spreads
        magnitude = (magnitude >> FRACTION_BITS) + self._magnitude_far[:, part.positions]
        magnitude += self._magnitude_bias[:, index, None]
        sizes_near = (sizes.sum(axis=1) >> 2) + self._magnitude_mean
        measures = [
            magnitude, sizes_near, spreads, self._size_mean, self._error_mean,
            frame.activity[part.padded], self._around_activity[part.padded],
            self._activity[part.neighbors].sum(axis=0), self._magnitude_mean, self._mean_activity]
        if frame.previous is None:
            return (np.clip(still + self._signed_mean, -limit, limit), log_features(measures),
                    None, None)
        co_located = self._before[:, part.padded].astype(np.int64)
        neighbors = self._before[:, part.neighbors].astype(np.int64)
        nearby = self._before_around[:, part.padded].astype(np.int64) >> 2
        still_before = (self._signed_near[:, index, None, :] @ neighbors)[:, 0] >> FRACTION_BITS
        still_before += self._before_far[:, part.positions]
        inputs = np.stack([still, co_located, still_before, nearby])
        innovation = self._evidence[0][part.padded] + self._innovation[part.neighbors].sum(axis=0)
        both = self._evidence[1][part.padded] + self._both[part.neighbors].sum(axis=0)
        likeness = np.minimum(4 * innovation // np.maximum(both, 1), 3) + 1
        likeness[both < 64] = 0
        weights = self._stream[:, :, int(index > 0)].take(likeness, axis=2)
        signed = (weights * inputs).sum(axis=0) >> FRACTION_BITS
        measures += [
            np.abs(co_located), np.abs(neighbors).sum(axis=1) >> 2,
            np.abs(around - neighbors).sum(axis=1) >> 2, innovation, both, np.abs(signed - still),
            self._change_mean, np.abs(nearby)]
        return (np.clip(signed + self._signed_mean, -limit, limit), log_features(measures),
                likeness, inputs)

    def learn(self, part: Pass, signed: np.ndarray, values: np.ndarray) -> None:
        """Take symbols ``[n, p]`` for known."""
        self.values[:, part.positions] = values
        fixed = values.astype(np.int64) << FRACTION_BITS
        sizes = np.abs(fixed)
        self._signed[:, part.padded] = fixed - self._signed_mean
        self._magnitude[:, part.padded] = sizes - self._magnitude_mean
        total = sizes.sum(axis=0) >> FRACTION_BITS - 8
        self._activity[part.padded] = total
        self._count += values.shape[1]
        self._totals[0] += sizes.sum(axis=1, keepdims=True)
        self._totals[1] += np.abs(fixed - signed).sum(axis=1, keepdims=True)
        if self._frame.previous is not None:
            before = self._before[:, part.padded] + self._signed_mean
            changes = np.abs(fixed - before)
            self._innovation[part.padded] = changes.sum(axis=0) >> FRACTION_BITS - 8
            self._both[part.padded] = total + (np.abs(before).sum(axis=0) >> FRACTION_BITS - 8)
            self._totals[2] += changes.sum(axis=1, keepdims=True)

    def settle(self) -> None:
        """End a pass: the running means change only now, however the pass was split up."""
        self._size_mean, self._error_mean, self._change_mean = self._totals // self._count


def kinds_of(known: np.ndarray, repeated: np.ndarray | None) -> np.ndarray:
    """
    Return the kind that an encoder gives each channel.

    :param known: symbols of the channels, ``[n, positions]``.
    :param repeated: those of the frame before, or None where there is none.
    """
    silent = ~known.any(axis=1)
    kinds = np.where(silent, SILENT, CODED)
    if repeated is not None:
        kinds[(known == repeated).all(axis=1) & ~silent] = AS_BEFORE
    return kinds


class _Known:
    """
    A coder of symbols that are known.

    :param kinds: tables of the kinds.
    :param residuals: code of the residuals.
    :param symbols: integers ``[n, h, w]``.
    """

    def __init__(self, kinds: FrequencyTables, residuals: ResidualCode, symbols: np.ndarray):
        self._kinds = kinds
        self._residuals = residuals
        self._known = symbols.reshape(len(symbols), -1)

    def kinds(self, slots: slice, rows: np.ndarray, repeated: np.ndarray | None) -> np.ndarray:
        """See :class:`Coder`."""
        kinds = kinds_of(self._known[slots], repeated)
        self._write_kinds(slots, rows, kinds)
        return kinds

    def symbols(self, slots: np.ndarray, visit: Visit) -> np.ndarray:
        """See :class:`Coder`."""
        values = self._known[slots[:, None], visit.positions]
        residuals = mirrored(values - visit.center, visit)
        self._write_residuals(slots, visit.rows, residuals)
        return values


class _Writer(_Known):
    """
    Writes symbols to a stream.

    :param encoder: the stream.
    """

    def __init__(
        self, kinds: FrequencyTables, residuals: ResidualCode, symbols: np.ndarray,
        encoder: SymbolEncoder,
    ):
        super().__init__(kinds, residuals, symbols)
        self._encoder = encoder

    def _write_kinds(self, slots: slice, rows: np.ndarray, kinds: np.ndarray) -> None:
        self._encoder.encode(self._kinds, rows, kinds)

    def _write_residuals(
        self, slots: np.ndarray, rows: np.ndarray, residuals: np.ndarray,
    ) -> None:
        self._residuals.encode(self._encoder, rows.ravel(), residuals.ravel())


class _Meter(_Known):
    """Measures the information in symbols, float64 ``bits`` ``[n]``."""

    def __init__(self, kinds: FrequencyTables, residuals: ResidualCode, symbols: np.ndarray):
        super().__init__(kinds, residuals, symbols)
        self.bits = np.zeros(len(symbols))

    def _write_kinds(self, slots: slice, rows: np.ndarray, kinds: np.ndarray) -> None:
        self.bits[slots] += self._kinds.information(rows, kinds)

    def _write_residuals(
        self, slots: np.ndarray, rows: np.ndarray, residuals: np.ndarray,
    ) -> None:
        bits = self._residuals.information(rows.ravel(), residuals.ravel())
        self.bits[slots] += bits.reshape(rows.shape).sum(axis=1)


class _Reader:
    """
    Reads symbols from a stream.

    :param kinds: tables of the kinds.
    :param residuals: code of the residuals.
    :param symbols: int16 ``[n, h, w]``, zeros, that the symbols are written to.
    :param decoder: the stream.
    :param symbol_max: largest magnitude of a symbol.
    """

    def __init__(
        self, kinds: FrequencyTables, residuals: ResidualCode, symbols: np.ndarray,
        decoder: SymbolDecoder, symbol_max: int,
    ):
        self._kinds = kinds
        self._residuals = residuals
        self._found = symbols.reshape(len(symbols), -1)
        self._decoder = decoder
        self._symbol_max = symbol_max

    def kinds(self, slots: slice, rows: np.ndarray, repeated: np.ndarray | None) -> np.ndarray:
        """See :class:`Coder`."""
        kinds = self._decoder.decode(self._kinds, rows)
        same = kinds == AS_BEFORE
        if same.any():
            if repeated is None:
                raise PacketError('the stream is damaged: there is no frame before')
            self._found[slots][same] = repeated[same]
        return kinds

    def symbols(self, slots: np.ndarray, visit: Visit) -> np.ndarray:
        """See :class:`Coder`."""
        residuals = self._residuals.decode(self._decoder, visit.rows.ravel())
        values = visit.center + mirrored(residuals.reshape(visit.rows.shape), visit)
        if np.abs(values).max() > self._symbol_max:
            raise PacketError('the stream is damaged: a symbol is out of range')
        self._found[slots[:, None], visit.positions] = values
        return values


def mirrored(residuals: np.ndarray, visit: Visit) -> np.ndarray:
    """Return residuals for predictions that lie above a whole number, or back again."""
    # Tables are for predictions that lie above; the others are their mirror image.
    return np.where(visit.signed < visit.center << FRACTION_BITS, -residuals, residuals)


def _slopes(values: np.ndarray, inner: tuple[slice, slice]) -> np.ndarray:
    """Return maps' values and changes ``[3 n, p]`` in a part of them."""
    parts = (values, *slopes(values))
    return np.concatenate([part[inner].reshape(len(values), -1) for part in parts])


def _whole(values: np.ndarray) -> np.ndarray:
    """Return whole numbers of 24 fractional bits with 12, int64."""
    return np.floor(values * 2.0 ** -FRACTION_BITS).astype(np.int64)
