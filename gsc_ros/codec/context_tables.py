# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The integers of the entropy model: what a profile holds of it, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gsc_ros.codec.error import ProfileError
from gsc_ros.codec.interlace import FRACTION_BITS, log_steps, NEIGHBORS, ONE, PASSES
from gsc_ros.codec.packet import LATENT_CHANNELS, LAYERS
from gsc_ros.codec.residual import OFFSETS, RESIDUALS
import numpy as np

# Inputs of the magnitude form from the channel itself: neighbours and their spread.
OWN = NEIGHBORS + 1
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
PRIOR_COUNT = 16
# From the distance of a prediction from a whole number to the offset of a frequency table.
OFFSET_SHIFT = FRACTION_BITS - 3
_FEATURE_MAX = 256


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

    def validate(self, groups: Sequence[int] = LAYERS) -> None:
        """
        Raise a ProfileError unless shapes, types and ranges fit together.

        :param groups: channel counts at which groups end when all channels are coded.
        """
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
        ends = np.array((0, *groups))
        first = ends[np.searchsorted(ends, np.arange(LATENT_CHANNELS), side='right') - 1]
        for reference in (self.signed_reference, self.magnitude_reference):
            if (reference < NO_CHANNEL).any() or (reference >= first[None, :, None]).any():
                raise ProfileError('entropy model: a reference is not to an earlier group')

    def kind_levels(self, quantizer: int, channels: np.ndarray, positions: int) -> np.ndarray:
        """Return how many symbols other than zero channels ``[n]`` should hold, as levels."""
        mean = self.magnitude_mean[quantizer, channels].astype(np.int64)
        return np.minimum(log_steps(mean * positions) >> 2, KIND_LEVELS - 1)


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

    def scales(self, pass_index: int | np.ndarray, features: np.ndarray) -> np.ndarray:
        """
        Return scales ``[n, p]``.

        :param pass_index: the pass, or that of each position, ``[p]``.
        :param features: integers ``[F, n, p]`` in -256..256.
        """
        passes = np.atleast_1d(pass_index)
        shape = features.shape[1:]
        values = features.reshape(len(features), -1).astype(np.float64)
        hidden = self._weight @ values
        by_place = hidden.reshape(-1, *shape)
        by_place += self._bias[:, None, passes]
        np.maximum(hidden, 0, out=hidden)
        out = self._hidden_output @ hidden
        out += self._feature_output @ values
        out = out.reshape(shape)
        out += self._output_bias[passes]
        out *= 2.0 ** (-2 * FRACTION_BITS)
        np.clip(out, 0, self._last, out=out)
        return out.astype(np.int64)


def _side(array: np.ndarray, axis: int) -> int:
    """Return the length of an axis that may be missing."""
    return array.shape[axis] if array.ndim > axis else 0
