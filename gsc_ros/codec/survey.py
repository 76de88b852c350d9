# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The entropy model evaluated for a whole still frame at once, as an encoder can.

:mod:`gsc_ros.codec.context` visits symbols group by group and pass by pass, since a decoder knows
no others. Who knows them all gets the same integers out of one evaluation for all channels and
positions: many times faster on small grids, where each visit costs more than its arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gsc_ros.codec.context_tables import (
    ContextTables,
    OFFSET_SHIFT,
    PRIOR_COUNT,
    ScaleNetwork,
    SLOPES,
)
from gsc_ros.codec.interlace import (
    FRACTION_BITS,
    inside,
    interlace,
    log_features,
    NEIGHBORS,
    ONE,
    PAD,
    PASSES,
    slopes,
    spread,
    sum_around,
)
from gsc_ros.codec.packet import LATENT_CHANNELS
from gsc_ros.codec.residual import OFFSETS
import numpy as np


@dataclass(frozen=True)
class Layout:
    """
    The positions of a grid in the order in which they are visited.

    :param positions: int64 ``[p]``, indices into the grid, row by row.
    :param padded: int64 ``[p]``, the same as indices into the grid with a border of 2.
    :param neighbors: int64 ``[4, p]``, indices of the neighbours in the padded grid.
    :param passes: int64 ``[p]``, the pass of each.
    :param starts: int64 ``[6]``, where each pass begins, and the end.
    """

    positions: np.ndarray
    padded: np.ndarray
    neighbors: np.ndarray
    passes: np.ndarray
    starts: np.ndarray


@dataclass(frozen=True)
class Survey:
    """
    What is coded of the symbols of some channels.

    :param slots: int64 ``[c]``, the channels that have symbols.
    :param rows: int64 ``[c, p]``, frequency tables, positions in the order of :class:`Layout`.
    :param residuals: int64 ``[c, p]``, likewise.
    :param starts: int64 ``[6]``, where each pass begins, and the end.
    """

    slots: np.ndarray
    rows: np.ndarray
    residuals: np.ndarray
    starts: np.ndarray


@lru_cache(maxsize=64)
def layout(height: int, width: int) -> Layout:
    """Return the order of visits to a grid."""
    passes = interlace(height, width)
    sizes = [len(part.positions) for part in passes]
    return Layout(
        np.concatenate([part.positions for part in passes]),
        np.concatenate([part.padded for part in passes]),
        np.concatenate([part.neighbors for part in passes], axis=1),
        np.repeat(np.arange(PASSES), sizes), np.concatenate([[0], np.cumsum(sizes)]))


def survey(
    tables: ContextTables, network: ScaleNetwork, channels: np.ndarray, quantizer: int,
    symbols: np.ndarray, symbol_max: int, starts: np.ndarray,
) -> Survey:
    """
    Evaluate the model.

    :param tables: its integers.
    :param network: its network for frames that stand alone.
    :param channels: int64 ``[n]``, ascending.
    :param quantizer: the quantizer.
    :param symbols: integers ``[n, h, w]``.
    :param symbol_max: largest magnitude of a symbol.
    :param starts: int64 ``[g + 1]``, where each group of channels begins, and the end.
    """
    height, width = symbols.shape[1:]
    places = layout(height, width)
    known = symbols.reshape(len(symbols), -1).astype(np.int64)
    slots = np.flatnonzero(known.any(axis=1))
    if not len(slots):
        nothing = np.zeros((0, known.shape[1]), np.int64)
        return Survey(slots, nothing, nothing, places.starts)
    group = np.searchsorted(starts, slots, side='right') - 1
    signed_far, magnitude_far = _far(tables, channels, quantizer, symbols, slots, starts[group])

    place = (quantizer, channels[slots])
    signed_mean = tables.signed_mean[place].astype(np.int64)[:, None]
    magnitude_mean = tables.magnitude_mean[place].astype(np.int64)[:, None]
    bias = tables.magnitude_bias[place].astype(np.int64)
    fixed = known[slots] << FRACTION_BITS
    sizes = np.abs(fixed)
    padded = np.zeros((2, len(slots), (height + 2 * PAD) * (width + 2 * PAD)), np.int64)
    padded[0][:, inside(height, width)] = fixed - signed_mean
    padded[1][:, inside(height, width)] = sizes - magnitude_mean
    around, sizes_around = padded[:, :, places.neighbors]

    near = tables.signed_neighbor[place].astype(np.int64)[:, places.passes]
    signed = (np.einsum('npk,nkp->np', near, around) >> FRACTION_BITS)
    limit = symbol_max << FRACTION_BITS
    signed = np.clip(signed + signed_far[:, places.positions] + signed_mean, -limit, limit)
    center = (signed + ONE // 2) >> FRACTION_BITS
    above = signed >= center << FRACTION_BITS
    offset = np.abs(signed - (center << FRACTION_BITS))
    step = (offset + (1 << OFFSET_SHIFT - 1)) >> OFFSET_SHIFT

    near = tables.magnitude_neighbor[place].astype(np.int64)[:, places.passes]
    spreads = spread(around)
    magnitude = np.einsum('npk,nkp->np', near[..., :NEIGHBORS], sizes_around)
    magnitude += near[..., NEIGHBORS] * spreads
    magnitude = (magnitude >> FRACTION_BITS) + magnitude_far[:, places.positions]
    magnitude += bias[:, places.passes]

    fixed, sizes = fixed[:, places.positions], sizes[:, places.positions]
    errors = np.abs(fixed - signed)
    size_mean = _running_mean(magnitude_mean, sizes, places)
    error_mean = _running_mean(bias[:, :1], errors, places)
    activity = _Activity.of(known, starts, height, width)
    measures = [
        magnitude, (sizes_around.sum(axis=1) >> 2) + magnitude_mean, spreads, size_mean,
        error_mean, activity.before[:, places.padded][group],
        activity.around[:, places.padded][group],
        activity.own[:, places.neighbors].sum(axis=1)[group], magnitude_mean,
        activity.mean[group]]
    features = log_features(measures)
    features[0] = step << 4
    rows = network.scales(places.passes, features) * OFFSETS + step
    residuals = known[slots][:, places.positions] - center
    return Survey(slots, rows, np.where(above, residuals, -residuals), places.starts)


@dataclass(frozen=True)
class _Activity:
    """
    Sums of the magnitudes of channels by group, in the padded grid, with 8 fractional bits.

    :param own: int64 ``[g, padded]``, of the group.
    :param before: int64 ``[g, padded]``, of all groups before.
    :param around: int64 ``[g, padded]``, the latter of the four positions around.
    :param mean: int64 ``[g, 1]``, its mean over all positions.
    """

    own: np.ndarray
    before: np.ndarray
    around: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(cls, known: np.ndarray, starts: np.ndarray, height: int, width: int) -> _Activity:
        """Return the activity of symbols ``[n, h * w]`` in groups."""
        shape = (len(starts) - 1, height + 2 * PAD, width + 2 * PAD)
        own = np.zeros((shape[0], shape[1] * shape[2]), np.int64)
        own[:, inside(height, width)] = np.add.reduceat(np.abs(known), starts[:-1], axis=0) << 8
        before = np.cumsum(own, axis=0) - own
        around = sum_around(before.reshape(shape)).reshape(own.shape)
        return cls(own, before, around, before.sum(axis=1, keepdims=True) // known.shape[1])


def _running_mean(prior: np.ndarray, values: np.ndarray, places: Layout) -> np.ndarray:
    """Return the mean of values ``[c, p]`` of all passes before, beginning with ``[c, 1]``."""
    total = np.zeros((len(values), values.shape[1] + 1), np.int64)
    np.cumsum(values, axis=1, out=total[:, 1:])
    means = (total[:, places.starts[:-1]] + prior * PRIOR_COUNT) // (
        places.starts[:-1] + PRIOR_COUNT)
    return means[:, places.passes]


def _far(
    tables: ContextTables, channels: np.ndarray, quantizer: int, symbols: np.ndarray,
    slots: np.ndarray, done: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return what channels of earlier groups contribute to the two forms, int64 ``[c, h * w]`` each.

    :param slots: int64 ``[c]``, whose forms.
    :param done: int64 ``[c]``, how many slots lie in groups before.
    """
    count = len(channels)
    place = (quantizer, channels[slots])
    slot = np.full(LATENT_CHANNELS + 1, count)
    slot[channels] = np.arange(count)

    def dense(reference: np.ndarray, weight: np.ndarray) -> np.ndarray:
        known = slot[reference]
        matrix = np.zeros((len(slots), weight.shape[1], count + 1))
        at = np.where(known < done[:, None], known, count)
        np.put_along_axis(matrix, at[:, None], weight.astype(np.float64), axis=2)
        return matrix[..., :-1]

    signed_weight = dense(tables.signed_reference[place], tables.signed_weight[place])
    near, around = dense(
        tables.magnitude_reference[place], tables.magnitude_weight[place]).swapaxes(0, 1)
    signed_mean = tables.signed_mean[quantizer, channels].astype(np.float64)
    magnitude_mean = tables.magnitude_mean[quantizer, channels].astype(np.float64)
    values = symbols.astype(np.float64)
    sizes = np.abs(values)
    sloped = np.concatenate([values[None], slopes(values)]).reshape(SLOPES * count, -1)
    signed = signed_weight.reshape(len(slots), -1) @ sloped * ONE
    signed -= (signed_weight[:, 0] @ signed_mean)[:, None]
    borders = sum_around(np.ones((1,) + symbols.shape[1:]))[0].ravel()
    magnitude = (near @ sizes.reshape(count, -1)
                 + around @ sum_around(sizes).reshape(count, -1)) * ONE
    magnitude -= (near @ magnitude_mean)[:, None] + (around @ magnitude_mean)[:, None] * borders
    scale = 2.0 ** -FRACTION_BITS
    return (np.floor(signed * scale).astype(np.int64), np.floor(magnitude * scale).astype(np.int64))
