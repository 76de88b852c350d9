# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Image messages to RGB pictures and back.

What is no picture is refused with a reason, above all depth: scaled to gray it would look
plausible, and be wrong. cv_bridge converts the common encodings, `sources.pixel` the rest.
"""

from __future__ import annotations

from array import array
import struct

import cv2
from cv_bridge import CvBridge
from gsc_ros.nodes.diagnostic import brief
from gsc_ros.sources import pixel
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

MIN_SIDE = 16
MAX_SIDE = 8192

_PNG_START = b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR'
# Markers of a frame header; 0xC4, 0xC8 and 0xCC mean other things.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Encodings that every cv_bridge converts, with their bytes per pixel. Some ignore row padding.
_CV_BRIDGE_PIXEL_BYTES = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1}
_cv_bridge = CvBridge()


class ImageError(ValueError):
    """The message holds no picture that can be coded; the text says why."""


def to_rgb(message: Image | CompressedImage, max_pixels: int = MAX_SIDE ** 2) -> np.ndarray:
    """
    Return the picture of an image message, uint8 [H, W, 3], RGB.

    :param max_pixels: larger pictures are refused before anything is allocated for them.
    :raises ImageError: depth or an unknown encoding, too little data, a side that is not within
        16..8192 pixels, or too many pixels.
    """
    if isinstance(message, CompressedImage):
        return _decompress(message, max_pixels)
    _check_size(message.width, message.height, max_pixels)
    row_bytes = message.width * _CV_BRIDGE_PIXEL_BYTES.get(message.encoding, 0)
    if row_bytes == message.step and len(message.data) == row_bytes * message.height:
        return _cv_bridge.imgmsg_to_cv2(message, 'rgb8')
    try:
        return pixel.to_rgb(
            np.frombuffer(message.data, np.uint8), message.width, message.height, message.step,
            brief(message.encoding), bool(message.is_bigendian))
    except pixel.PixelError as error:
        raise ImageError(str(error)) from None


def to_message(image: np.ndarray, header: Header) -> Image:
    """
    Return a message of encoding rgb8 or mono8.

    :param image: uint8 [H, W, 3] RGB, or uint8 [H, W].
    """
    height, width = image.shape[:2]
    data = array('B')
    data.frombytes(np.ascontiguousarray(image).data)
    return Image(
        header=header, height=height, width=width, encoding='rgb8' if image.ndim == 3 else 'mono8',
        step=image.size // height, data=data)


def fit_width(image: np.ndarray, width: int) -> np.ndarray:
    """Return the image scaled to `width` columns, in proportion; 0 leaves it as it is."""
    if width in (0, image.shape[1]):
        return image
    smaller = width < image.shape[1]
    return cv2.resize(image, fitted_size(image.shape[1], image.shape[0], width),
                      interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def fitted_size(image_width: int, image_height: int, width: int) -> tuple[int, int]:
    """Return width and height of an image scaled to `width` columns; 0 leaves it as it is."""
    if width == 0:
        return image_width, image_height
    return width, max(1, round(image_height * width / image_width))


def shrink(image: np.ndarray, max_width: int) -> np.ndarray:
    """
    Return the image no wider than `max_width` columns; 0 is no limit.

    :raises ImageError: a side would be less than 16 pixels then.
    """
    if max_width == 0 or image.shape[1] <= max_width:
        return image
    shrunk = fit_width(image, max_width)
    _check_size(shrunk.shape[1], shrunk.shape[0])
    return shrunk


def _check_size(width: int, height: int, max_pixels: int = MAX_SIDE ** 2) -> None:
    if not (MIN_SIDE <= width <= MAX_SIDE and MIN_SIDE <= height <= MAX_SIDE):
        raise ImageError(
            f'bad image: {width} x {height} pixels, not within {MIN_SIDE} to {MAX_SIDE}')
    if width * height > max_pixels:
        raise ImageError(
            f'bad image: {width} x {height} pixels, more than {max_pixels} (max_pixels)')


def _decompress(message: CompressedImage, max_pixels: int) -> np.ndarray:
    kind = brief(message.format)
    if any(word in kind.lower() for word in ('compresseddepth', '16uc1', '32fc1')):
        raise ImageError(f'unsupported encoding: {kind} is depth, not a picture')
    data = bytes(message.data)
    width, height, bits = _announced(data)
    _check_size(width, height, max_pixels)
    if bits > 8 and not kind.lower().startswith('mono16'):
        raise ImageError(f'unsupported encoding: {bits}-bit samples in {kind!r} may be depth')
    # Orientation tags are ignored: calibration and frame_id belong to the sensor's own rows.
    image = cv2.imdecode(np.frombuffer(data, np.uint8),
                         cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None or image.shape[:2] != (height, width):
        raise ImageError(f'bad image: damaged {kind!r} data')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _announced(data: bytes) -> tuple[int, int, int]:
    """Return width, height and bits per sample that a JPEG or PNG announces; decodes nothing."""
    if data.startswith(_PNG_START) and len(data) >= 26:
        width, height, bits = struct.unpack_from('>IIB', data, 16)
        return width, height, bits
    if data.startswith(b'\xff\xd8'):
        place = 2
        while place + 9 <= len(data) and data[place] == 0xFF:
            marker, length = struct.unpack_from('>BH', data, place + 1)
            if marker in _JPEG_FRAMES:
                bits, height, width = struct.unpack_from('>BHH', data, place + 4)
                return width, height, bits
            place += 1 if marker == 0xFF else 2 + length  # a marker may be padded with 0xFF
    raise ImageError('bad image: neither JPEG nor PNG data')
