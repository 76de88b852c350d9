# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The region model around its two graphs: what a box is more than its prediction, and back.

::

    image [H, W, 3]      ─box, area average/s─> image [3, 8h, 8w] ─┐
    prediction [H, W, 3] ─box, area average/s─> prediction ────────┴analysis─> y [320, h, w]
    y_hat [320, h + 2, w + 2] ─┐
    prediction ────────────────┴synthesis─> image - prediction ─cubic x s─> change of the box

A cell of the grid is 8 pixels at the scale s of the region. The transform is close to orthonormal:
a squared error of y is one of the pixels at that scale. What comes back is added to what lay below,
so that details of the prediction that are finer than the scale stay. The synthesis sees one cell
more on each side, where nothing was coded, and the change fades out there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
from gsc_ros.codec.packet import LATENT_CHANNELS
from gsc_ros.codec.profile import Profile, REGION_ANALYSIS_FILE, REGION_SYNTHESIS_FILE
from gsc_ros.codec.region.bitstream import CodedRegion
from gsc_ros.codec.region.grid import CELL
from gsc_ros.codec.structure import dequantize, ERROR_OF_NO_CONFIDENCE, open_session, run_graph
import numpy as np
import onnxruntime

# Cells that the synthesis sees beyond the region.
HALO = 1


@dataclass(frozen=True)
class Cells:
    """
    A box on the grid of a scale.

    :param scale: 1, 2 or 4.
    :param left: first column.
    :param top: first row.
    :param width: columns.
    :param height: rows.
    """

    scale: int
    left: int
    top: int
    width: int
    height: int

    @classmethod
    def of(cls, region: CodedRegion) -> Cells:
        """Return the box of a region."""
        return cls(region.scale, region.left, region.top, region.width, region.height)

    @property
    def pixels(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom in pixels of the image; may reach beyond it."""
        pitch = CELL * self.scale
        return (self.left * pitch, self.top * pitch,
                (self.left + self.width) * pitch, (self.top + self.height) * pitch)

    def grown(self, cells: int) -> Cells:
        """Return the box with so many cells more on each side."""
        return Cells(self.scale, self.left - cells, self.top - cells, self.width + 2 * cells,
                     self.height + 2 * cells)


@dataclass(frozen=True)
class Change:
    """
    What a region changes in the picture below.

    :param left: first column of pixels, which may lie outside of the image.
    :param top: first row.
    :param delta: float32 ``[h, w, 3]``, to be added, in 0..255.
    :param confidence: float32 ``[h, w]``, 0..255, of the pixels that result.
    :param mask: float32 ``[h, w]``, 1 in the region, falling to 0 around it.
    """

    left: int
    top: int
    delta: np.ndarray
    confidence: np.ndarray
    mask: np.ndarray


class RegionTransform:
    """
    The graphs of a region model, opened when first needed.

    :param profile: a profile that has one.
    :param threads: threads of each graph.
    """

    def __init__(self, profile: Profile, threads: int = 1):
        self._profile = profile
        self._threads = threads

    def load_analysis(self) -> None:
        """Open now what encoding takes; a stream takes the synthesis, too, once it has begun."""
        _ = self._analysis, self.gains, self._profile.region_context

    def load_synthesis(self) -> None:
        """Open now what decoding takes."""
        _ = self._synthesis, self.gains, self._profile.region_context

    @property
    def gains(self) -> np.ndarray:
        """Symbols per unit of y by level, float32 ``[Q, 320]``."""
        return self._profile.region_gains

    @property
    def symbol_max(self) -> int:
        """The largest magnitude of a symbol."""
        return self._profile.manifest.regions.symbol_max

    def analyse(
        self, image: np.ndarray, prediction: np.ndarray, cells: Cells,
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Return the latent of a box, and what it is more than its prediction.

        :param image: uint8 ``[H, W, 3]`` RGB.
        :param prediction: uint8 ``[H, W, 3]``, valid in the box.
        :param cells: the box.
        :return: y, float32 ``[320, h, w]``, and the squared residual of each cell at the scale of
            the region, float32 ``[h, w]``, in pixels of 0..1.
        """
        ours, theirs = _planes(image, cells), _planes(prediction, cells)
        y = run_graph(
            self._analysis, self._profile, REGION_ANALYSIS_FILE,
            {'image': ours, 'prediction': theirs},
            {'y': (1, LATENT_CHANNELS, cells.height, cells.width)})[0][0]
        squares = np.square(ours - theirs).sum(axis=(0, 1))
        energy = squares.reshape(cells.height, CELL, cells.width, CELL).sum(axis=(1, 3))
        return y, energy

    def synthesise(self, region: CodedRegion, prediction: np.ndarray) -> Change:
        """
        Return what a region changes.

        :param region: with its symbols.
        :param prediction: uint8 ``[H, W, 3]``, valid in the box and a cell around it.
        """
        cells = Cells.of(region).grown(HALO)
        below = _planes(prediction, cells)
        latent = np.zeros((1, LATENT_CHANNELS, cells.height, cells.width), np.float32)
        latent[0, :region.channels, HALO:-HALO, HALO:-HALO] = dequantize(
            region.symbols, self.gains[region.level][:region.channels])
        finest = max(len(self.gains) - 1, 1)
        picture, error = run_graph(
            self._synthesis, self._profile, REGION_SYNTHESIS_FILE,
            {'y_hat': latent, 'prediction': below,
             'level': np.array([region.level / finest], np.float32)},
            {'image': below.shape, 'error': (1, 1, *below.shape[2:])})
        delta = (np.clip(picture, 0, 1) - below)[0].transpose(1, 2, 0) * np.float32(255)
        certain = 255 * np.clip(1 - error[0, 0] / ERROR_OF_NO_CONFIDENCE, 0, 1)
        left, top, right, bottom = cells.pixels
        size = (right - left, bottom - top)
        return Change(
            left, top, _sharply(delta, size),
            _enlarge(certain.astype(np.float32), size, cv2.INTER_LINEAR),
            feather(size[1], size[0], HALO * CELL * cells.scale))

    @cached_property
    def _analysis(self) -> onnxruntime.InferenceSession:
        return open_session(self._profile, REGION_ANALYSIS_FILE, self._threads)

    @cached_property
    def _synthesis(self) -> onnxruntime.InferenceSession:
        return open_session(self._profile, REGION_SYNTHESIS_FILE, self._threads)


def feather(
    height: int, width: int, edge: int, sides: tuple[bool, bool, bool, bool] = (True,) * 4,
) -> np.ndarray:
    """
    Return float32 ``[height, width]``: 1, and within ``edge`` of the border falling to 0.

    :param sides: whether it falls on the left, at the top, on the right and at the bottom.
    """
    left, top, right, bottom = sides
    return np.minimum.outer(_ramp(height, edge, top, bottom), _ramp(width, edge, left, right))


def _ramp(length: int, edge: int, first: bool, last: bool) -> np.ndarray:
    """Return float32 ``[length]`` that rises from 0 to 1 over ``edge`` and falls again."""
    steps = (np.arange(length, dtype=np.float32) + np.float32(0.5)) / np.float32(max(edge, 1))
    ramp = np.ones(length, np.float32)
    if first:
        np.minimum(ramp, steps, out=ramp)
    if last:
        np.minimum(ramp, steps[::-1], out=ramp)
    return ramp


def _planes(picture: np.ndarray, cells: Cells) -> np.ndarray:
    """Return a box at the scale of its grid, float32 ``[1, 3, 8h, 8w]`` in 0..1."""
    part = padded(picture, cells.pixels)
    if cells.scale > 1:
        size = (cells.width * CELL, cells.height * CELL)
        part = cv2.resize(part.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(part.transpose(2, 0, 1), np.float32)[None] / np.float32(255)


def padded(picture: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """
    Return a box of a picture, its edges repeated where the box reaches beyond it.

    :param picture: ``[H, W, ...]``.
    :param box: left, top, right, bottom in pixels.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    inside = picture[max(top, 0):min(bottom, height), max(left, 0):min(right, width)]
    beyond = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    if not any(beyond):
        return inside
    return cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE)


def _sharply(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a float32 picture enlarged so that its averages are about the pixels it was."""
    large = _enlarge(picture, size, cv2.INTER_CUBIC)
    if large.shape == picture.shape:
        return large
    # The cubic kernel alone loses contrast, which would be sent again with the next frame.
    again = cv2.resize(large, picture.shape[1::-1], interpolation=cv2.INTER_AREA)
    return _enlarge(2 * picture - again, size, cv2.INTER_CUBIC)


def _enlarge(picture: np.ndarray, size: tuple[int, int], method: int) -> np.ndarray:
    """Return a float32 picture enlarged to a size of width and height."""
    if picture.shape[1::-1] == size:
        return np.ascontiguousarray(picture)
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=method)
