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
from functools import lru_cache
from typing import Protocol

from gsc_ros.codec.entropy import Coded, FrequencyTables, SymbolDecoder, SymbolEncoder
from gsc_ros.codec.error import PacketError, ProfileError
from gsc_ros.codec.packet import LATENT_CHANNELS, layer_counts
from gsc_ros.codec.residual import OFFSETS, ResidualCode, RESIDUALS
import numpy as np

FRACTION_BITS = 12
ONE = 1 << FRACTION_BITS
PASSES = 5
NEIGHBORS = 4
# Inputs of the magnitude form from the channel itself: neighbours and their spread.
OWN = NEIGHBORS + 1
PAD = 2
# Inputs of the signed form from another channel: the symbol and its changes along rows and columns.
SLOPES = 3
NO_CHANNEL = -1
MAX_SYMBOL = 1 << 14
MAX_REFERENCES = 64

# What a channel of a frame is.
CODED, SILENT, AS_BEFORE = range(3)
KINDS = 3
# Kinds are coded by what the channel was in the previous frame (unknown, silent, not silent), by
# whether most channels of the group before are as in the previous frame, and by how many symbols
# other than zero the channel should hold.
KIND_STATES, KIND_TRENDS, KIND_LEVELS = 3, 2, 48
# How well the previous frame predicts: not known, or by the ratio of errors to magnitudes.
LIKENESSES = 5
# Inputs of the second prediction, and of the networks.
STREAM_INPUTS = 4
STILL_FEATURES = 11
STREAM_FEATURES = STILL_FEATURES + 8
# Running means start from the mean over the training data, worth so many symbols.
_PRIOR_COUNT = 16
_OFFSET_SHIFT = FRACTION_BITS - 3
_FEATURE_MAX = 256
# Symbols visited at once, for the memory they take.
_CHUNK = 1 << 16
_FAR_CHUNK = 1 << 12

_AXIS = ((-1, 0), (1, 0), (0, -1), (0, 1))
_DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))


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


@dataclass(frozen=True)
class Pass:
    """
    One pass over a grid.

    :param positions: int64 ``[n]``, indices into the grid, row by row.
    :param padded: int64 ``[n]``, the same as indices into the grid with a border of 2.
    :param neighbors: int64 ``[4, n]``, indices of the neighbours in the padded grid.
    """

    positions: np.ndarray
    padded: np.ndarray
    neighbors: np.ndarray


@dataclass(frozen=True)
class ContextTables:
    """
    The integers of the model; Q quantizers, C = 320 channels, H hidden units.

    :param frequency: uint32 ``[S * 5, 25]``: of residuals, by scale and offset.
    :param kind_frequency: uint32 ``[288, 3]``: of the kinds of channels.
    :param symbol_max: int32 ``[1]``, largest magnitude of a symbol.
    :param gain: int32 ``[Q, C]``, symbols per unit of latent, in any common unit.
    :param signed_mean: int32 ``[Q, C]``, mean symbol.
    :param signed_reference: int16 ``[Q, C, J]``, channels of earlier groups that predict the
        symbol; -1: none.
    :param signed_weight: int16 ``[Q, C, 3, J]``, weights of the co-located symbol and of its
        changes along a row and along a column.
    :param signed_neighbor: int16 ``[Q, C, 5, 4]``, weights of the neighbours by pass.
    :param magnitude_mean: int32 ``[Q, C]``, mean magnitude of a symbol.
    :param magnitude_bias: int32 ``[Q, C, 5]``, mean error of the prediction by pass.
    :param magnitude_reference: int16 ``[Q, C, K]``, channels of earlier groups that predict the
        magnitude.
    :param magnitude_weight: int16 ``[Q, C, 2, K]``, weights of the co-located symbol and of the
        four symbols around it.
    :param magnitude_neighbor: int16 ``[Q, C, 5, 5]``, weights by pass of the neighbours and of
        their spread.
    :param still_input: int32 ``[H, 11]``, the network's first matrix.
    :param still_bias: int32 ``[H, 5]``, its bias by pass.
    :param still_output: int32 ``[H + 11 + 5]``, weights of the hidden units and of the inputs, and
        the bias by pass.
    :param stream_weight: int16 ``[Q, C, 2, 5, 4]``, weights of the second prediction in the first
        and in later passes, by likeness; no quantizers when the profile has no stream mode.
    :param stream_input: as ``still_input`` with 19 features, for stream mode.
    :param stream_bias: likewise.
    :param stream_output: likewise.
    """

    frequency: np.ndarray
    kind_frequency: np.ndarray
    symbol_max: np.ndarray
    gain: np.ndarray
    signed_mean: np.ndarray
    signed_reference: np.ndarray
    signed_weight: np.ndarray
    signed_neighbor: np.ndarray
    magnitude_mean: np.ndarray
    magnitude_bias: np.ndarray
    magnitude_reference: np.ndarray
    magnitude_weight: np.ndarray
    magnitude_neighbor: np.ndarray
    still_input: np.ndarray
    still_bias: np.ndarray
    still_output: np.ndarray
    stream_weight: np.ndarray
    stream_input: np.ndarray
    stream_bias: np.ndarray
    stream_output: np.ndarray

    def validate(self) -> None:
        """Raise a ProfileError unless shapes, types and ranges fit together."""
        quantizers, signed, magnitude, still, stream, modes = (
            _side(self.signed_mean, 0), _side(self.signed_reference, 2),
            _side(self.magnitude_reference, 2), _side(self.still_input, 0),
            _side(self.stream_input, 0), _side(self.stream_weight, 0))
        pair = (quantizers, LATENT_CHANNELS)
        expected = {
            'kind_frequency': (np.uint32, (KIND_STATES * KIND_TRENDS * KIND_LEVELS, KINDS)),
            'symbol_max': (np.int32, (1,)),
            'gain': (np.int32, pair),
            'signed_mean': (np.int32, pair),
            'signed_reference': (np.int16, pair + (signed,)),
            'signed_weight': (np.int16, pair + (SLOPES, signed)),
            'signed_neighbor': (np.int16, pair + (PASSES, NEIGHBORS)),
            'magnitude_mean': (np.int32, pair),
            'magnitude_bias': (np.int32, pair + (PASSES,)),
            'magnitude_reference': (np.int16, pair + (magnitude,)),
            'magnitude_weight': (np.int16, pair + (2, magnitude)),
            'magnitude_neighbor': (np.int16, pair + (PASSES, OWN)),
            'still_input': (np.int32, (still, STILL_FEATURES)),
            'still_bias': (np.int32, (still, PASSES)),
            'still_output': (np.int32, (still + STILL_FEATURES + PASSES,)),
            'stream_weight': (
                np.int16, (modes, LATENT_CHANNELS, 2, LIKENESSES, STREAM_INPUTS)),
            'stream_input': (np.int32, (stream, STREAM_FEATURES)),
            'stream_bias': (np.int32, (stream, PASSES)),
            'stream_output': (np.int32, (stream + STREAM_FEATURES + PASSES,)),
        }
        for name, (dtype, shape) in expected.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape:
                raise ProfileError(
                    f'entropy model: {name} must be {np.dtype(dtype).name} {list(shape)}')
        if modes not in (0, quantizers):
            raise ProfileError('entropy model: stream_weight is of other quantizers')
        rows = len(self.frequency)
        if self.frequency.shape != (rows, RESIDUALS) or rows < OFFSETS or rows % OFFSETS:
            raise ProfileError(
                f'entropy model: frequency must be [{OFFSETS} * scales, {RESIDUALS}]')
        if not 1 <= self.symbol_max[0] <= MAX_SYMBOL:
            raise ProfileError(f'entropy model: symbol_max must be in 1..{MAX_SYMBOL}')
        limit = MAX_SYMBOL << FRACTION_BITS
        for name in ('signed_mean', 'magnitude_mean', 'magnitude_bias'):
            if (np.abs(getattr(self, name).astype(np.int64)) > limit).any():
                raise ProfileError(f'entropy model: {name} is out of range')
        if max(signed, magnitude) > MAX_REFERENCES:
            raise ProfileError(f'entropy model: more than {MAX_REFERENCES} references')
        if (self.gain < 1).any():
            raise ProfileError('entropy model: gain must be positive')
        first = np.array([_group_start(channel) for channel in range(LATENT_CHANNELS)])
        for reference in (self.signed_reference, self.magnitude_reference):
            if (reference < NO_CHANNEL).any() or (reference >= first[None, :, None]).any():
                raise ProfileError('entropy model: a reference is not to an earlier group')


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
    :raises ProfileError: when they do not fit together.
    """

    def __init__(self, tables: ContextTables):
        tables.validate()
        self.tables = tables
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
        counts: Sequence[int], previous: PreviousSymbols | None = None,
    ) -> Coded:
        """
        Return the stream of symbols.

        :param symbols: integers ``[n, h, w]`` in -L..L.
        :param channels: their channels, ascending, ``[n]``.
        :param quantizer: the quantizer they were made with.
        :param counts: channel counts after which the stream may be cut: some of
            :func:`gsc_ros.codec.packet.layer_counts` of n, the last one n.
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
        for end in layer_counts(len(channels)):
            slots = np.arange(start, end)
            repeated = None if previous is None else frame.repeated(slots, self.symbol_max)
            kinds = coder.kinds(np.s_[start:end], frame.kind_rows(slots), repeated)
            coded = slots[kinds == CODED]
            if len(coded):
                self._visit_group(frame, coded, coder)
            frame.close(slots, kinds, repeated)
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
                step = (offset + (1 << _OFFSET_SHIFT - 1)) >> _OFFSET_SHIFT
                features[0] = step << 4
                rows = network.scales(index, features) * OFFSETS + step
                visit = Visit(piece.positions, index, signed, rows, features, likeness, inputs)
                group.learn(piece, signed, coder.symbols(slots, visit))
            group.settle()
        frame.symbols[slots] = group.values


class ScaleNetwork:
    """
    A network of integers with one hidden layer: features to scales.

    :param weight: int32 ``[H, F]``, 12 fractional bits like all others.
    :param bias: int32 ``[H, 5]``, by pass.
    :param output: int32 ``[H + F + 5]``: of the hidden units, of the features, bias by pass.
    :param scales: how many scales there are.
    :raises ProfileError: when its sums may not be exact.
    """

    def __init__(self, weight: np.ndarray, bias: np.ndarray, output: np.ndarray, scales: int):
        hidden, inputs = weight.shape
        self._weight = weight.astype(np.float64)
        self._bias = bias.astype(np.float64)
        self._hidden_output = output[:hidden].astype(np.float64)
        self._feature_output = output[hidden:hidden + inputs].astype(np.float64) * ONE
        self._output_bias = output[hidden + inputs:].astype(np.float64) * ONE
        self._last = scales - 1
        largest = np.abs(self._weight).sum(axis=1) * _FEATURE_MAX + np.abs(self._bias).max(axis=1)
        total = np.abs(self._hidden_output) @ largest
        total += np.abs(self._feature_output).sum() * _FEATURE_MAX
        if total + np.abs(self._output_bias).max() >= 1 << 52:
            raise ProfileError('entropy model: the weights of a network are too large')

    def scales(self, pass_index: int, features: np.ndarray) -> np.ndarray:
        """Return scales ``[n, p]`` for features ``[F, n, p]``, integers in -256..256."""
        values = features.reshape(len(features), -1).astype(np.float64)
        hidden = self._weight @ values
        hidden += self._bias[:, pass_index, None]
        np.maximum(hidden, 0, out=hidden)
        out = self._hidden_output @ hidden
        out += self._feature_output @ values
        out += self._output_bias[pass_index]
        out *= 2.0 ** (-2 * FRACTION_BITS)
        np.clip(out, 0, self._last, out=out)
        return out.astype(np.int64).reshape(features.shape[1:])


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
        self.inside = _inside(height, width)
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
        mean = self.tables.magnitude_mean[self.quantizer, self.channels[slots]].astype(np.int64)
        level = np.minimum(log_steps(mean * self.symbols.shape[1]) >> 2, KIND_LEVELS - 1)
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
        self._count = _PRIOR_COUNT
        self._size_mean, self._error_mean, self._change_mean = (
            self._magnitude_mean, self._magnitude_bias[:, :1], self._magnitude_bias[:, :1])
        self._totals = np.stack(
            [self._size_mean, self._error_mean, self._change_mean]) * _PRIOR_COUNT
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
        neighbors = np.zeros((NEIGHBORS, len(positions)), np.int64)
        if step is not None:
            shifts, distance = step
            offsets = [distance * (dy * (width + 2 * PAD) + dx) for dy, dx in shifts]
            neighbors = padded + np.array(offsets)[:, None]
        passes.append(Pass(positions, padded, neighbors))
    return tuple(passes)


def spread(neighbors: np.ndarray) -> np.ndarray:
    """Return the mean distance of four neighbours from their mean, ``[n, 4, p]`` to ``[n, p]``."""
    total = neighbors.sum(axis=1, keepdims=True)
    return np.abs(NEIGHBORS * neighbors - total).sum(axis=1) >> 4


def sum_around(values: np.ndarray) -> np.ndarray:
    """Return the sums of the four neighbours in maps ``[n, h, w]``; zeros lie beyond the border."""
    total = np.zeros_like(values)
    total[:, 1:] += values[:, :-1]
    total[:, :-1] += values[:, 1:]
    total[:, :, 1:] += values[:, :, :-1]
    total[:, :, :-1] += values[:, :, 1:]
    return total


def slopes(values: np.ndarray) -> np.ndarray:
    """
    Return the changes of maps ``[n, h, w]`` along rows and along columns, ``[2, n, h, w]``.

    These are the differences of the two neighbours; a missing one is taken to equal the middle.
    """
    change = np.zeros((2,) + values.shape, values.dtype)
    step = values[:, :, 1:] - values[:, :, :-1]
    change[0, :, :, :-1] = step
    change[0, :, :, 1:] += step
    step = values[:, 1:] - values[:, :-1]
    change[1, :, :-1] = step
    change[1, :, 1:] += step
    return change


def log_steps(values: np.ndarray) -> np.ndarray:
    """
    Return about eight times the binary logarithm of integers, 0 for 0 and less, at most 192.

    These are the upper bits of a float32 that holds the integer exactly: its exponent and the
    first three bits of its fraction.
    """
    exact = np.minimum(np.maximum(values, 0), (1 << 24) - 2) + 1
    steps = exact.astype(np.float32).view(np.int32)
    steps >>= 20
    steps -= 127 << 3
    return steps


def log_features(measures: Sequence[np.ndarray | int]) -> np.ndarray:
    """
    Return the logarithms of measures as features of a network, int32 ``[1 + len, n, p]``.

    :param measures: integers that broadcast to the shape of the first one, ``[n, p]``.
    :return: with the first feature left open.
    """
    features = np.empty((1 + len(measures),) + measures[0].shape, np.int32)
    for feature, measure in zip(features[1:], measures):
        feature[:] = log_steps(np.asarray(measure))
    return features


def _slopes(values: np.ndarray, inner: tuple[slice, slice]) -> np.ndarray:
    """Return maps' values and changes ``[3 n, p]`` in a part of them."""
    parts = (values, *slopes(values))
    return np.concatenate([part[inner].reshape(len(values), -1) for part in parts])


def _whole(values: np.ndarray) -> np.ndarray:
    """Return whole numbers of 24 fractional bits with 12, int64."""
    return np.floor(values * 2.0 ** -FRACTION_BITS).astype(np.int64)


def _side(array: np.ndarray, axis: int) -> int:
    """Return the length of an axis that may be missing."""
    return array.shape[axis] if array.ndim > axis else 0


@lru_cache(maxsize=8)
def _inside(height: int, width: int) -> np.ndarray:
    """Return the indices of a grid's positions in the grid with a border of 2."""
    index = np.arange((height + 2 * PAD) * (width + 2 * PAD))
    return index.reshape(height + 2 * PAD, -1)[PAD:-PAD, PAD:-PAD].ravel()


def _group_start(channel: int) -> int:
    """Return the first channel of a channel's group when all channels are coded."""
    return max(count for count in (0,) + layer_counts(LATENT_CHANNELS) if count <= channel)
