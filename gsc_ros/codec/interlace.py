# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The order in which the symbols of a grid are coded, and measures of what lies around a position.

Five interlaced passes: the positions on a lattice of stride 4, the midpoints of its diagonals, the
midpoints of its edges, and the same again at stride 2. From the second pass on, every position has
four neighbours of earlier passes around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

# Of predictions, magnitudes and weights.
FRACTION_BITS = 12
ONE = 1 << FRACTION_BITS
PASSES = 5
NEIGHBORS = 4
PAD = 2

# Larger measures count as this one: their successor is exact as a float32.
_LOG_MAX = (1 << 24) - 2
# Symbols up to which measures are worth stacking before their logarithms are taken.
_SMALL = 1 << 12

_AXIS = ((-1, 0), (1, 0), (0, -1), (0, 1))
_DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))


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


@lru_cache(maxsize=8)
def inside(height: int, width: int) -> np.ndarray:
    """Return the indices of a grid's positions in the grid with a border of 2."""
    index = np.arange((height + 2 * PAD) * (width + 2 * PAD))
    return index.reshape(height + 2 * PAD, -1)[PAD:-PAD, PAD:-PAD].ravel()


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
    return _steps((np.minimum(np.maximum(values, 0), _LOG_MAX) + 1).astype(np.float32))


def log_features(measures: Sequence[np.ndarray | int]) -> np.ndarray:
    """
    Return the logarithms of measures as features of a network, int32 ``[1 + len, n, p]``.

    :param measures: integers that broadcast to the shape of the first one, ``[n, p]``.
    :return: with the first feature left open.
    """
    shape = (1 + len(measures),) + measures[0].shape
    if measures[0].size > _SMALL:
        features = np.empty(shape, np.int32)
        for feature, measure in zip(features[1:], measures):
            feature[:] = log_steps(np.asarray(measure))
        return features
    # All at once: on small grids it is the calls that cost.
    values = np.zeros(shape, np.float32)
    for value, measure in zip(values[1:], measures):
        value[:] = np.minimum(measure, _LOG_MAX)
    np.maximum(values, 0, out=values)
    values += 1
    return _steps(values)


def _steps(successors: np.ndarray) -> np.ndarray:
    """Return the logarithms of float32 that are whole numbers plus one; takes their memory."""
    steps = successors.view(np.int32)
    steps >>= 20
    steps -= 127 << 3
    return steps
