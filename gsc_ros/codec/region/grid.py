# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The grids that the boxes of regions lie on, so that a box costs few bits.

At scale s a cell is 8 s image pixels wide and high. The grid begins in the upper left corner of
the image and covers it; the last column and row may reach beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gsc_ros.codec.error import PacketError
from gsc_ros.codec.packet import LATENT_CHANNELS

# Pixels of a picture at the region's scale that a cell covers.
CELL = 8
SCALES = (1, 2, 4)
# All regions of a packet together have at most four times the cells of the image at this scale,
# which is about all of it at the finest one, and the symbols of the image at this scale.
BOUND_SCALE = 2
BOUND_FACTOR = 4


@dataclass(frozen=True)
class Grid:
    """
    The grid of one scale over one image.

    :param scale: 1, 2 or 4.
    :param columns: cells in a row.
    :param rows: cells in a column.
    """

    scale: int
    columns: int
    rows: int

    @classmethod
    def of(cls, scale: int, width: int, height: int) -> Grid:
        """Return the grid of a scale over an image of ``width`` x ``height`` pixels."""
        pitch = CELL * scale
        return cls(scale, -(-width // pitch), -(-height // pitch))

    @property
    def pitch(self) -> int:
        """Image pixels per cell."""
        return CELL * self.scale

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.columns * self.rows


def most_cells(width: int, height: int) -> int:
    """Return how many cells all regions of a packet may have together."""
    return BOUND_FACTOR * Grid.of(BOUND_SCALE, width, height).cells


def most_symbols(width: int, height: int) -> int:
    """Return how many symbols all regions of a packet may have together."""
    return LATENT_CHANNELS * Grid.of(BOUND_SCALE, width, height).cells


def interval_count(cells: int) -> int:
    """Return the number of intervals, of one cell or more, in a row of cells."""
    return cells * (cells + 1) // 2


def rank_interval(first: int, length: int, cells: int) -> int:
    """Return the rank of an interval among those in a row of cells: the short ones come first."""
    return (length - 1) * (2 * cells - length + 2) // 2 + first


def unrank_interval(rank: int, cells: int) -> tuple[int, int]:
    """
    Return the first cell and the length of the interval with this rank.

    :raises PacketError: when there is no such interval.
    """
    if not 0 <= rank < interval_count(cells):
        raise PacketError(f'there is no interval of {cells} cells with the rank sent')
    length = 1
    while rank > cells - length:
        rank -= cells - length + 1
        length += 1
    return rank, length
