# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pixels of a `sensor_msgs/Image` to RGB, from plain bytes, without ROS.

Depth and encodings without a defined colour are refused: scaled to gray they would look plausible,
and be wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np


class PixelError(ValueError):
    """The bytes are not the picture that they are said to be; the text says why."""


class UnsupportedEncodingError(PixelError):
    """The encoding is depth, unknown, or says nothing about colour."""


def _same(pixels: np.ndarray) -> np.ndarray:
    return pixels.copy()


def _from_16_bit(pixels: np.ndarray) -> np.ndarray:
    # 65535 / 255 is 257; the sum stays within 32 bits.
    return cv2.cvtColor(((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8),
                        cv2.COLOR_GRAY2RGB)


def _by(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: cv2.cvtColor(pixels, code)


@dataclass(frozen=True)
class _Layout:
    """How one encoding stores pixels: samples of a pixel, bytes of a sample, and the way to RGB."""

    channels: int
    convert: Callable[[np.ndarray], np.ndarray]
    sample_bytes: int = 1
    # Colour is shared by this many neighbouring pixels of a row (YUV), so rows hold whole groups.
    group: int = 1
    # Demosaicing looks at neighbours.
    least_side: int = 1


_UYVY = _Layout(2, _by(cv2.COLOR_YUV2RGB_UYVY), group=2)
_YUYV = _Layout(2, _by(cv2.COLOR_YUV2RGB_YUY2), group=2)

_LAYOUTS = {
    'rgb8': _Layout(3, _same),
    'bgr8': _Layout(3, _by(cv2.COLOR_BGR2RGB)),
    'rgba8': _Layout(4, _by(cv2.COLOR_RGBA2RGB)),
    'bgra8': _Layout(4, _by(cv2.COLOR_BGRA2RGB)),
    'mono8': _Layout(1, _by(cv2.COLOR_GRAY2RGB)),
    'mono16': _Layout(1, _from_16_bit, sample_bytes=2),
    # ROS names a mosaic by its first two rows, OpenCV's short names by rows and columns 1 and 2.
    'bayer_rggb8': _Layout(1, _by(cv2.COLOR_BayerBG2RGB), least_side=4),
    'bayer_bggr8': _Layout(1, _by(cv2.COLOR_BayerRG2RGB), least_side=4),
    'bayer_gbrg8': _Layout(1, _by(cv2.COLOR_BayerGR2RGB), least_side=4),
    'bayer_grbg8': _Layout(1, _by(cv2.COLOR_BayerGB2RGB), least_side=4),
    'yuv422': _UYVY,
    'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV,
    'yuyv': _YUYV,
}

SUPPORTED_ENCODINGS = tuple(_LAYOUTS)

_DEPTH = frozenset({'16UC1', '32FC1', '64FC1', '16SC1', '32SC1'})


def to_rgb(data: bytes | np.ndarray, width: int, height: int, step: int, encoding: str,
           is_bigendian: bool = False) -> np.ndarray:
    """
    Return the picture, uint8 [H, W, 3], RGB, in memory of its own.

    :param data: the bytes of the message, or the same as a one-dimensional uint8 array.
    :param width: pixels in a row.
    :param height: rows.
    :param step: bytes from one row to the next, padding included.
    :param encoding: a name of `sensor_msgs/image_encodings`; 16-bit gray is scaled from its full
        range to 8 bits.
    :param is_bigendian: byte order of 16-bit samples.
    :raises UnsupportedEncodingError: depth or an unknown encoding.
    :raises PixelError: sizes that make no sense, or less data than they need.
    """
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise UnsupportedEncodingError(f'unsupported encoding: {_refusal(encoding)}')
    row_bytes = width * layout.channels * layout.sample_bytes
    _check(layout, len(data), width, height, step, row_bytes, encoding)
    row_starts = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data
    # The last row may come without its padding.
    rows = np.lib.stride_tricks.as_strided(
        row_starts, (height, row_bytes), (step, 1), writeable=False)
    rows = np.ascontiguousarray(rows)
    if layout.sample_bytes == 2:
        rows = rows.view('>u2' if is_bigendian else '<u2')
    if layout.channels > 1:
        rows = rows.reshape(height, width, layout.channels)
    return layout.convert(rows)


def _check(layout: _Layout, size: int, width: int, height: int, step: int, row_bytes: int,
           encoding: str) -> None:
    if min(width, height) < layout.least_side or width % layout.group:
        raise PixelError(f'bad image: {width} x {height} pixels cannot be {encoding}')
    if step < row_bytes:
        raise PixelError(f'bad image: step {step}, but a row of {width} pixels of {encoding} '
                         f'has {row_bytes} bytes')
    needed = step * (height - 1) + row_bytes
    if size < needed:
        raise PixelError(f'bad image: {size} bytes of data, but {width} x {height} {encoding} '
                         f'with step {step} has {needed}')


def _refusal(encoding: str) -> str:
    if encoding in _DEPTH:
        return f'{encoding} is depth or raw measurement, not a picture'
    return f'{encoding!r}, not one of {", ".join(SUPPORTED_ENCODINGS)}'
