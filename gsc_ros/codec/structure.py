# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The structure codec around its two graphs: image to latent, latent to image and confidence.

::

    image [H, W, 3] ─pad─> multiple of 32 ─area average/4─> work image ─analysis─> y [320, h, w]
    y_hat [320, h, w] ─synthesis─> work image, error ─cubic x4─> crop ─> image, confidence

The numbers are those of a profile of scale 4 and stride 8.

Large images pass the graphs in tiles that overlap, so that memory does not grow with the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import cv2
from gsc_ros.codec.error import CodecError, ProfileError
from gsc_ros.codec.packet import LATENT_CHANNELS, MAX_SIDE, MIN_SIDE
from gsc_ros.codec.profile import ANALYSIS_FILE, Profile, SYNTHESIS_FILE
import numpy as np
import onnxruntime

# An expected error of a quarter of full scale means no confidence at all.
ERROR_OF_NO_CONFIDENCE = 0.25
# Pixels of the work image, which is what the memory of the graphs goes with: the side of the tiles,
# what they see beyond it, and the largest whole image.
TILE = 512
HALO = 128
WHOLE = 768 * 768
# Channels quantised at once.
_GROUP = 32


@dataclass(frozen=True)
class Picture:
    """
    The output of the synthesis.

    :param image: uint8 ``[H, W, 3]`` RGB.
    :param confidence: uint8 ``[H, W]``.
    """

    image: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class Tile:
    """
    One tile along one axis, in latent positions.

    :param start: first position that the graph sees.
    :param stop: end of what it sees.
    :param keep_start: first position that is kept.
    :param keep_stop: end of what is kept.
    """

    start: int
    stop: int
    keep_start: int
    keep_stop: int


class _Transform:
    """
    One ONNX graph of a profile, opened when it is first needed.

    :param profile: the profile.
    :param threads: threads of ONNX Runtime.
    """

    graph: ClassVar[str]

    def __init__(self, profile: Profile, threads: int = 1):
        self._profile = profile
        self._threads = threads

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        return open_session(self._profile, self.graph, self._threads)

    def load(self) -> None:
        """Create the session now rather than with the first image."""
        _ = self._session

    def _infer(
        self, inputs: dict[str, np.ndarray], outputs: dict[str, tuple[int, ...]],
    ) -> list[np.ndarray]:
        """
        Run the graph.

        :param outputs: those wanted, with the shapes that the manifest promises.
        :raises ProfileError: when the graph does not keep the promise.
        """
        return run_graph(self._session, self._profile, self.graph, inputs, outputs)


class Analysis(_Transform):
    """Image to latent."""

    graph = ANALYSIS_FILE

    def reduce(self, image: np.ndarray) -> np.ndarray:
        """
        Return the work image: padded by replicated edges, averaged down.

        :param image: uint8 ``[H, W, 3]`` RGB.
        :return: float32 ``[h * stride, w * stride, 3]`` in [0, 1].
        """
        scale, pitch = self._profile.manifest.scale, self._profile.pitch
        height, width = image.shape[:2]
        padded = image
        if height % pitch or width % pitch:
            padded = cv2.copyMakeBorder(
                image, 0, -height % pitch, 0, -width % pitch, cv2.BORDER_REPLICATE)
        size = (padded.shape[1] // scale, padded.shape[0] // scale)
        if scale == 1:
            return padded.astype(np.float32) / 255
        # Averaging before the conversion would round to 8 bits; strips bound the memory.
        work = np.empty((size[1], size[0], 3), np.float32)
        rows = 256
        for top in range(0, size[1], rows):
            strip = padded[top * scale:(top + rows) * scale].astype(np.float32)
            work[top:top + rows] = cv2.resize(
                strip, (size[0], len(strip) // scale), interpolation=cv2.INTER_AREA)
        work /= 255
        return work

    def transform(self, work: np.ndarray) -> np.ndarray:
        """
        Return the latent of a work image.

        :param work: float32 ``[h * stride, w * stride, 3]`` in [0, 1].
        :return: float32 ``[320, h, w]``.
        """
        stride = self._profile.manifest.stride
        height, width = work.shape[0] // stride, work.shape[1] // stride
        planes = work.transpose(2, 0, 1)
        latent = np.empty((LATENT_CHANNELS, height, width), np.float32)
        for row, column in _tiles(height, width, stride):
            part = planes[:, row.start * stride:row.stop * stride,
                          column.start * stride:column.stop * stride]
            expected = (1, LATENT_CHANNELS, row.stop - row.start, column.stop - column.start)
            (y,) = self._infer(
                {'image': np.ascontiguousarray(part)[None]}, {'y': expected})
            latent[:, row.keep_start:row.keep_stop, column.keep_start:column.keep_stop] = y[
                0, :, row.keep_start - row.start:row.keep_stop - row.start,
                column.keep_start - column.start:column.keep_stop - column.start]
        return latent


class Synthesis(_Transform):
    """Latent to image and confidence."""

    graph = SYNTHESIS_FILE

    def render(
        self, symbols: np.ndarray, channels: tuple[int, ...], quantizer: int,
        height: int, width: int,
    ) -> Picture:
        """
        Return the picture of a latent whose other channels are not known.

        :param symbols: int16 ``[len(channels), h, w]``.
        :param channels: the latent channels of the symbols.
        :param quantizer: the quantizer they were made with.
        :param height: image height in pixels.
        :param width: image width in pixels.
        """
        stride, scale = self._profile.manifest.stride, self._profile.manifest.scale
        rows, columns = symbols.shape[1:]
        image = np.empty((height, width, 3), np.uint8)
        confidence = np.empty((height, width), np.uint8)
        pitch = stride * scale
        for row, column in _tiles(rows, columns, stride):
            part = symbols[:, row.start:row.stop, column.start:column.stop]
            latent = self.latent(part, channels, quantizer)
            planes, error = self._run(['image', 'error'], latent, quantizer)
            picture = _enlarge(planes[0], error[0, 0], scale)
            top, left = row.keep_start * pitch, column.keep_start * pitch
            bottom = min(row.keep_stop * pitch, height)
            right = min(column.keep_stop * pitch, width)
            inside = np.s_[top - row.start * pitch:bottom - row.start * pitch,
                           left - column.start * pitch:right - column.start * pitch]
            image[top:bottom, left:right] = picture.image[inside]
            confidence[top:bottom, left:right] = picture.confidence[inside]
        return Picture(image, confidence)

    def latent(
        self, symbols: np.ndarray, channels: tuple[int, ...], quantizer: int,
    ) -> np.ndarray:
        """
        Return the latent that symbols stand for, zero where nothing is known.

        :param symbols: int16 ``[len(channels), h, w]``.
        :param channels: the latent channels of the symbols.
        :param quantizer: the quantizer they were made with.
        :return: float32 ``[320, h, w]``.
        """
        latent = np.zeros((LATENT_CHANNELS, *symbols.shape[1:]), np.float32)
        latent[list(channels)] = dequantize(
            symbols, self._profile.gains[quantizer][list(channels)])
        return latent

    def planes(self, latent: np.ndarray, quantizer: int) -> np.ndarray:
        """
        Return the work image of a latent, in one piece.

        :param latent: float32 ``[320, h, w]``, zero where unknown.
        :param quantizer: the quantizer it was made with.
        :return: float32 ``[3, h * stride, w * stride]``, about [0, 1].
        """
        (planes,) = self._run(['image'], latent, quantizer)
        return planes[0]

    def _run(
        self, outputs: list[str], latent: np.ndarray, quantizer: int,
    ) -> list[np.ndarray]:
        """Return outputs of the graph for a latent ``[320, h, w]``."""
        size = tuple(side * self._profile.manifest.stride for side in latent.shape[1:])
        shapes = {'image': (1, 3, *size), 'error': (1, 1, *size)}
        return self._infer(
            {'y_hat': latent[None]} | self._level(quantizer),
            {name: shapes[name] for name in outputs})

    def _level(self, quantizer: int) -> dict[str, np.ndarray]:
        """Return the input that tells the graph how coarse the symbols are, if it wants to know."""
        if all(entry.name != 'level' for entry in self._session.get_inputs()):
            return {}
        finest = max(self._profile.manifest.quantizers - 1, 1)
        return {'level': np.array([quantizer / finest], np.float32)}


def quantize(
    latent: np.ndarray, gains: np.ndarray, symbol_max: int, threshold: float = 0.5,
) -> np.ndarray:
    """
    Return the symbols of a latent.

    :param latent: float32 ``[C, h, w]``.
    :param gains: float32 ``[C]``, symbols per unit of latent.
    :param symbol_max: largest magnitude of a symbol.
    :param threshold: fraction from which a magnitude is rounded up; the nearest by default.
    :return: int16 ``[C, h, w]``.
    """
    symbols = np.empty(latent.shape, np.int16)
    # Some channels at a time, to bound the memory for a large frame.
    for start in range(0, len(latent), _GROUP):
        part = np.s_[start:start + _GROUP]
        scaled = np.nan_to_num(latent[part] * gains[part, None, None])
        magnitude = np.abs(scaled)
        magnitude += np.float32(1 - threshold)
        np.minimum(magnitude, symbol_max, out=magnitude)
        symbols[part] = np.copysign(np.floor(magnitude), scaled)
    return symbols


def dequantize(symbols: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Return the float32 latent ``[C, h, w]`` that symbols stand for."""
    return symbols.astype(np.float32) / gains[:, None, None]


def check_image(image: np.ndarray) -> None:
    """
    Raise a CodecError unless ``image`` can be encoded.

    :param image: should be uint8 ``[H, W, 3]`` with sides of 16..8192.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise CodecError('an image must be a uint8 array')
    if image.ndim != 3 or image.shape[2] != 3:
        raise CodecError(f'an image must be [H, W, 3], not {list(image.shape)}')
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in image.shape[:2]):
        raise CodecError(
            f'an image of {image.shape[1]}x{image.shape[0]} is not within '
            f'{MIN_SIDE}..{MAX_SIDE} pixels a side')


def open_session(
    profile: Profile, file_name: str, threads: int,
) -> onnxruntime.InferenceSession:
    """
    Return an inference session of a graph of the profile, on the CPU.

    :raises ProfileError: when the graph cannot be loaded.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A robot has other things to do than to wait busily, and no memory to keep for the next call.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    try:
        return onnxruntime.InferenceSession(
            profile.graph(file_name), options, providers=['CPUExecutionProvider'])
    except Exception as error:  # ONNX Runtime raises bare exceptions of its own
        raise ProfileError(f'{file_name} of profile {profile.name}: {error}') from error


def run_graph(
    session: onnxruntime.InferenceSession, profile: Profile, file_name: str,
    inputs: dict[str, np.ndarray], outputs: dict[str, tuple[int, ...]],
) -> list[np.ndarray]:
    """
    Run a graph of the profile.

    :param outputs: those wanted, with the shapes that the manifest promises.
    :raises ProfileError: when the graph does not keep the promise.
    """
    try:
        results = session.run(list(outputs), inputs)
    except Exception as error:  # ONNX Runtime raises bare exceptions of its own
        raise ProfileError(f'{file_name} of profile {profile.name}: {error}') from error
    for result, (name, shape) in zip(results, outputs.items()):
        if result.shape != shape or result.dtype != np.float32:
            raise ProfileError(
                f'{file_name} of profile {profile.name}: {name} is '
                f'{result.dtype} {list(result.shape)}, not float32 {list(shape)}')
    return results


def _tiles(height: int, width: int, stride: int) -> Iterator[tuple[Tile, Tile]]:
    """Yield the tiles that a latent grid is processed in: one, unless it is large."""
    if height * width * stride * stride <= WHOLE:
        yield Tile(0, height, 0, height), Tile(0, width, 0, width)
        return
    for row in _split(height, stride):
        for column in _split(width, stride):
            yield row, column


def _split(length: int, stride: int) -> Iterator[Tile]:
    """Yield the tiles along one axis."""
    side, halo = TILE // stride, HALO // stride
    for start in range(0, length, side):
        stop = min(start + side, length)
        yield Tile(max(start - halo, 0), min(stop + halo, length), start, stop)


def _enlarge(planes: np.ndarray, error: np.ndarray, scale: int) -> Picture:
    """Return the picture of float32 ``[3, h, w]`` planes and their ``[h, w]`` error, enlarged."""
    size = (planes.shape[2] * scale, planes.shape[1] * scale)
    small = np.ascontiguousarray(np.clip(planes, 0, 1).transpose(1, 2, 0)) * np.float32(255)
    image = _to_bytes(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC))
    certain = 255 * np.clip(1 - error / ERROR_OF_NO_CONFIDENCE, 0, 1)
    confidence = _to_bytes(cv2.resize(
        certain.astype(np.float32), size, interpolation=cv2.INTER_LINEAR))
    return Picture(image, confidence)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """Return values, which are used up, rounded to uint8."""
    # convertScaleAbs and astype both wrap or fold; saturating is what is wanted. In place: these
    # are the largest arrays of a frame.
    np.rint(values, out=values)
    np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)
