# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pictures larger than a model was made for: the velocity of overlapping tiles, blended.

The noise and the path are those of the whole picture, and at every step the tiles agree where they
overlap, so there are no seams.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gsc_ros.codec.generator.sampler import VelocityField
import numpy as np


@dataclass(frozen=True)
class Tile:
    """A rectangle of image tokens: rows `top` up to `bottom`, columns `left` up to `right`."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def inside(self) -> tuple[slice, slice, slice]:
        """Return the index of the tile in an array ``[B, rows, columns, ...]``."""
        return np.s_[:, self.top:self.bottom, self.left:self.right]


def split(rows: int, columns: int, side: int) -> list[Tile]:
    """Return tiles of at most `side` tokens a side, overlapping by a quarter or more."""
    return [Tile(top, min(top + side, rows), left, min(left + side, columns))
            for top in _starts(rows, side) for left in _starts(columns, side)]


def tiled(
    field: Callable[[np.ndarray | None, int, int], VelocityField],
    condition: np.ndarray | None, rows: int, columns: int, tiles: list[Tile],
) -> VelocityField:
    """
    Return the velocity of a picture, computed by tiles.

    :param field: gives the velocity of condition tokens ``[B, h w, K]`` (or None) of a tile
        of h by w tokens.
    :param condition: condition tokens of the whole picture ``[B, rows columns, K]``, or None.
    """
    def cut(tokens: np.ndarray, tile: Tile) -> np.ndarray:
        grid = tokens.reshape(len(tokens), rows, columns, -1)[tile.inside]
        return np.ascontiguousarray(grid).reshape(len(tokens), -1, tokens.shape[-1])

    fields = [
        field(None if condition is None else cut(condition, tile),
              tile.bottom - tile.top, tile.right - tile.left) for tile in tiles]
    weights = [_weight(tile)[None] for tile in tiles]

    def velocity(z: np.ndarray, sigma: float) -> np.ndarray:
        total = np.zeros((len(z), rows, columns, z.shape[-1]), np.float32)
        weight = np.zeros((1, rows, columns, 1), np.float32)
        for tile, one, share in zip(tiles, fields, weights):
            found = one(cut(z, tile), sigma)
            total[tile.inside] += share * found.reshape(
                len(z), tile.bottom - tile.top, tile.right - tile.left, -1)
            weight[tile.inside] += share
        return (total / weight).reshape(z.shape)

    return velocity


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles start along one axis, evenly spread."""
    if length <= side:
        return [0]
    count = -(-(length - side) // max(side * 3 // 4, 1)) + 1
    return [round(index * (length - side) / (count - 1)) for index in range(count)]


def _weight(tile: Tile) -> np.ndarray:
    """Return float32 ``[h, w, 1]``, highest in the middle and over 0 at the edge."""
    def ramp(length: int) -> np.ndarray:
        return np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).astype(np.float32)

    return np.outer(ramp(tile.bottom - tile.top), ramp(tile.right - tile.left))[..., None]
