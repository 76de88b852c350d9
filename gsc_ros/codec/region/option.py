# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The ways in which one region can be sent: at which scale, how finely, and with which symbols.

The transform is close to orthonormal and an average over s x s pixels a projection, so what symbols
take off the squared error of the full picture follows from the symbols alone; nothing is
synthesised to compare. The bits are estimated, too, until a region is coded for good.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
from gsc_ros.codec.packet import LAYERS
from gsc_ros.codec.region.bitstream import CodedRegion
from gsc_ros.codec.region.grid import Grid, SCALES
from gsc_ros.codec.region.spot import Spot
from gsc_ros.codec.region.transform import Cells, RegionTransform
import numpy as np

# Pixels of the largest spot that is coded at the finest scale: in what is larger, nothing that
# perception needs is that small, and the graphs take their time.
_FINEST_AREA = 128.0 ** 2
# Bits for an estimated bit, about.
_USUAL_RATIO = 1.2
# Errors are told in squares of 8-bit values.
_FULL_SCALE = 255.0 ** 2
# Bits of a sign and of a magnitude that is one larger.
_SIGN_BITS, _STEP_BITS = 1.0, 1.3
# Bits of saying that a channel is there.
_KIND_BITS = 0.5


@dataclass(frozen=True)
class Option:
    """
    One way to send a region.

    :param cells: its box on the grid.
    :param level: quantizer.
    :param symbols: int16 ``[channels, h, w]``; no channels for a region without symbols.
    :param gain: by how much less the weighted squared error will be, in squares of 8-bit values.
    :param bits: about how many bits the symbols take.
    """

    cells: Cells
    level: int
    symbols: np.ndarray
    gain: float
    bits: float

    def coded(self, track: int | None, motion: tuple[int, int, int]) -> CodedRegion:
        """Return the region as it crosses the link."""
        cells = self.cells
        return CodedRegion(
            cells.scale, cells.left, cells.top, cells.width, cells.height, self.level, track,
            motion, len(self.symbols), self.symbols)


@dataclass(frozen=True)
class _Scaled:
    """
    A spot at one scale.

    :param cells: its box on the grid.
    :param latent: float32 ``[C, h, w]``, in units of the transform.
    :param unit: squared 8-bit values of the full picture for a square of that unit.
    :param weights: float32 ``[h, w]``, how often an error in a cell counts.
    """

    cells: Cells
    latent: np.ndarray
    unit: float
    weights: np.ndarray


class Choices:
    """
    All options of one spot, worked out as they are asked for.

    :param transform: the region model.
    :param image: uint8 ``[H, W, 3]``.
    :param picture: uint8 ``[H, W, 3]``, what lies there already; valid in and around the spot.
    :param spot: the spot.
    :param taken: bool ``[H, W]``, pixels that other spots take care of.
    :param thrift: what a bit must save of the squared error, in squares of the step.
    """

    def __init__(
        self, transform: RegionTransform, image: np.ndarray, picture: np.ndarray, spot: Spot,
        taken: np.ndarray, thrift: float,
    ):
        self.spot = spot
        self._thrift = thrift
        self._transform = transform
        self._image = image
        self._picture = picture
        self._taken = taken
        # The first channels carry nearly all that is sent.
        self._steps = 1 / transform.gains[:, :16].mean(axis=1)
        self._scaled: dict[int, _Scaled] = {}
        self._options: dict[tuple[int, int], Option | None] = {}
        # Bits for an estimated bit, once an option has been coded.
        self._ratio = _USUAL_RATIO

    def best(self, price: float, floor: float = 0.0) -> Option | None:
        """
        Return the option whose gain less the price of its bits is largest.

        :param price: squares of 8-bit values for a bit.
        :param floor: what it must be worth at least.
        :return: None when no option is worth its bits.
        """
        scales = [scale for scale in SCALES if scale > 1 or self.spot.area <= _FINEST_AREA]
        options = [self.option(scale, self.level_at(scale, price)) for scale in scales]
        worth = [(option.gain - price * self.bits(option), index)
                 for index, option in enumerate(options) if option is not None]
        value, index = max(worth, default=(floor, -1))
        return options[index] if value > floor else None

    def level_at(self, scale: int, price: float) -> int:
        """Return the level of which a step is the right one at a price."""
        scaled = self._at(scale)
        # What is dearer than estimated is bought more coarsely.
        step = np.sqrt(self._ratio * price / (self._thrift * self.spot.weight * scaled.unit))
        return int(np.argmin(np.abs(np.log(self._steps) - np.log(step))))

    def price_of(self, scale: int, level: int) -> float:
        """Return the price at which a level is the right one."""
        step = self._steps[level]
        return float(self._thrift * self.spot.weight * self._at(scale).unit * step ** 2)

    def bits(self, option: Option) -> float:
        """Return about how many bits an option takes, going by those that were coded."""
        return option.bits * self._ratio

    def learn(self, option: Option, bits: float) -> None:
        """Take note of how many bits an option takes."""
        self._ratio = max(bits, 1.0) / max(option.bits, 1.0)

    def finer(self, option: Option) -> Option | None:
        """Return the option of the next level; None after the last one."""
        if option.level + 1 == len(self._steps):
            return None
        return self.option(option.cells.scale, option.level + 1)

    @property
    def options(self) -> list[Option]:
        """What has been worked out so far."""
        return [option for option in self._options.values() if option is not None]

    def option(self, scale: int, level: int) -> Option | None:
        """Return the option of a scale and level; None when nothing of it is left."""
        key = scale, level
        if key not in self._options:
            self._options[key] = self._make(self._at(scale), level)
        return self._options[key]

    def _at(self, scale: int) -> _Scaled:
        if scale not in self._scaled:
            height, width = self._taken.shape
            cells = self.spot.cells(Grid.of(scale, width, height))
            latent, energy = self._transform.analyse(self._image, self._picture, cells)
            squares = np.square(latent).sum(axis=0)
            # How large the unit of the transform is, is its own business.
            unit = float(energy.sum() / max(squares.sum(), 1e-12)) or 1.0
            self._scaled[scale] = _Scaled(
                cells, latent, unit * scale ** 2 * _FULL_SCALE, self._weights(cells))
        return self._scaled[scale]

    def _weights(self, cells: Cells) -> np.ndarray:
        """Return the mean weight of the pixels of each cell, float32 ``[h, w]``."""
        left, top, right, bottom = cells.pixels
        weights = np.zeros((bottom - top, right - left), np.float32)
        free = ~self._taken[top:bottom, left:right]
        part = weights[:free.shape[0], :free.shape[1]]
        part[free] = 1
        inside = [max(round(edge) - origin, 0)
                  for edge, origin in zip(self.spot.box, (left, top, left, top))]
        part[inside[1]:inside[3], inside[0]:inside[2]] *= np.float32(self.spot.weight)
        return cv2.resize(weights, (cells.width, cells.height), interpolation=cv2.INTER_AREA)

    def _make(self, scaled: _Scaled, level: int) -> Option | None:
        gains = self._transform.gains[level]
        sizes = np.abs(scaled.latent).max(axis=(1, 2)) * gains
        loud = np.flatnonzero(sizes > 0.5)
        if not len(loud):
            return None
        latent = scaled.latent[:loud[-1] + 1]
        gains = gains[:len(latent), None, None]
        exact = latent * gains
        relative = self.spot.weight / np.maximum(scaled.weights, 1e-3)
        symbols, bits = _symbols(
            exact, self._thrift * relative, self._transform.symbol_max)
        rows, columns = np.flatnonzero(symbols.any(axis=(0, 2))), np.flatnonzero(
            symbols.any(axis=(0, 1)))
        if not len(rows):
            return None
        saved = ((np.square(exact) - np.square(exact - symbols)) / np.square(gains)).sum(axis=0)
        # Rows and columns of cells in which nothing is sent are left out.
        part = np.s_[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
        cells = Cells(scaled.cells.scale, scaled.cells.left + int(columns[0]),
                      scaled.cells.top + int(rows[0]), int(columns[-1] - columns[0]) + 1,
                      int(rows[-1] - rows[0]) + 1)
        loud = np.flatnonzero(symbols.any(axis=(1, 2)))
        count = next(count for count in LAYERS if count > loud[-1])
        sent = np.zeros((count, cells.height, cells.width), np.int16)
        sent[:len(symbols)] = symbols[:count, part[0], part[1]]
        return Option(
            cells, level, sent, float((saved * scaled.weights).sum()) * scaled.unit,
            float(bits[:, part[0], part[1]].sum()) + _KIND_BITS * count)


def _symbols(
    exact: np.ndarray, thrift: np.ndarray, symbol_max: int,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the symbols that are worth their bits.

    :param exact: float32 ``[C, h, w]``, the latent in steps.
    :param thrift: float32 ``[h, w]``, what a bit must save there, in squares of the step.
    :param symbol_max: their largest magnitude.
    :return: int16 ``[C, h, w]``, and about the bits of each, float32 ``[C, h, w]``.
    """
    sizes = np.abs(exact)
    nearest = np.minimum(np.rint(sizes), symbol_max)
    rarity = _rarity(nearest > 0)
    # A one in place of a zero saves 2 z - 1 squares of a step, one more of a magnitude
    # 2 (z - q) + 1.
    ones = 2 * sizes - 1 < thrift * (rarity + _SIGN_BITS)
    more = 2 * (sizes - nearest) + 1 < thrift * _STEP_BITS
    nearest -= np.where(nearest == 1, ones, more & (nearest > 1))
    rarity = _rarity(nearest > 0)
    here = nearest > 0
    # Of a probability p, rarity is log2((1 - p) / p); a zero takes -log2(1 - p) bits.
    bits = np.log2(1 + np.exp2(-rarity))
    bits[here] += rarity[here] + _SIGN_BITS + _STEP_BITS * (nearest[here] - 1)
    return np.copysign(nearest, exact).astype(np.int16), bits


def _rarity(there: np.ndarray) -> np.ndarray:
    """Return how many bits more than a zero a one takes, by channel and by cell, float32."""
    cells = there[0].size
    by_channel = (there.sum(axis=(1, 2)) + np.float32(0.1)) / np.float32(cells + 1)
    by_cell = (there.sum(axis=0) + np.float32(0.5)) / np.float32(by_channel.sum() + 0.5)
    share = np.clip(by_channel[:, None, None] * by_cell, 1e-3, 0.8).astype(np.float32)
    return np.log2((1 - share) / share)
