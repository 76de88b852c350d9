# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages to RGB pictures and back."""

from __future__ import annotations

from array import array
import struct

import cv2
from gsc_ros.nodes import conversion
from gsc_ros.nodes.conversion import ImageError
from hypothesis import given, strategies
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

WIDTH, HEIGHT = 40, 24


def colours(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


def message(pixels: np.ndarray, encoding: str, padding: int = 0) -> Image:
    rows = pixels.reshape(pixels.shape[0], -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    return Image(
        height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=rows.shape[1],
        data=array('B', rows.tobytes()))


def compressed(pixels: np.ndarray, extension: str, kind: str) -> CompressedImage:
    return CompressedImage(
        format=kind, data=array('B', cv2.imencode(extension, pixels)[1].tobytes()))


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding, order', [
    ('rgb8', [0, 1, 2]), ('bgr8', [2, 1, 0]), ('rgba8', [0, 1, 2, 0]), ('bgra8', [2, 1, 0, 0])])
def test_colours_come_out_in_order_with_and_without_row_padding(encoding, order, padding):
    image = colours()
    found = conversion.to_rgb(message(np.ascontiguousarray(image[:, :, order]), encoding, padding))
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize('padding', [0, 5])
def test_gray_becomes_three_equal_channels(padding):
    gray = colours()[:, :, 0]
    found = conversion.to_rgb(message(np.ascontiguousarray(gray), 'mono8', padding))
    np.testing.assert_array_equal(found, np.dstack([gray] * 3))


def test_encodings_that_cv_bridge_lacks_are_converted_too():
    gray = np.full((HEIGHT, WIDTH), 0x8080, np.uint16)
    np.testing.assert_array_equal(
        conversion.to_rgb(message(gray, 'mono16')), np.full((HEIGHT, WIDTH, 3), 0x80))


@pytest.mark.parametrize('encoding, dtype', [('16UC1', np.uint16), ('32FC1', np.float32)])
def test_depth_is_refused_with_a_reason(encoding, dtype):
    with pytest.raises(ImageError, match=f'unsupported encoding: {encoding} is depth'):
        conversion.to_rgb(message(np.ones((HEIGHT, WIDTH), dtype), encoding))


@pytest.mark.parametrize('change', [
    {'data': array('B', b'short')}, {'width': 0}, {'height': 0}, {'width': 8193}, {'height': 15},
    {'step': 3}, {'encoding': 'no such thing'}, {'encoding': ''},
])
def test_bad_image_is_refused_with_a_reason(change):
    image = message(colours(), 'rgb8')
    for field, value in change.items():
        setattr(image, field, value)
    with pytest.raises(ImageError, match='bad image|unsupported encoding'):
        conversion.to_rgb(image)


def test_picture_survives_its_own_message():
    image = colours()
    sent = conversion.to_message(image, Header(frame_id='front'))
    assert (sent.encoding, sent.step, sent.header.frame_id) == ('rgb8', 3 * WIDTH, 'front')
    np.testing.assert_array_equal(conversion.to_rgb(sent), image)


def test_confidence_is_sent_as_mono8():
    sent = conversion.to_message(colours()[:, :, 1], Header())
    assert (sent.encoding, sent.step, len(sent.data)) == ('mono8', WIDTH, WIDTH * HEIGHT)
    assert sent.data.tobytes() == colours()[:, :, 1].tobytes()


def test_png_is_decompressed_exactly():
    image = colours()
    found = conversion.to_rgb(compressed(image[:, :, ::-1], '.png', 'rgb8; png compressed bgr8'))
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize('gray', [True, False])
def test_jpeg_is_decompressed(gray):
    image = np.full((HEIGHT, WIDTH) if gray else (HEIGHT, WIDTH, 3), 77, np.uint8)
    found = conversion.to_rgb(compressed(image, '.jpg', 'jpeg'))
    assert found.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(found.astype(int) - 77).max() < 4


@pytest.mark.parametrize('kind', ['16UC1; compressedDepth', '32FC1; compressedDepth png', 'png'])
def test_compressed_depth_is_refused(kind):
    depth = np.full((HEIGHT, WIDTH), 1000, np.uint16)
    with pytest.raises(ImageError, match='depth'):
        conversion.to_rgb(compressed(depth, '.png', kind))


def test_compressed_16_bit_gray_is_taken_when_it_says_so():
    gray = np.full((HEIGHT, WIDTH), 0x8080, np.uint16)
    found = conversion.to_rgb(compressed(gray, '.png', 'mono16; png compressed'))
    np.testing.assert_array_equal(found, np.full((HEIGHT, WIDTH, 3), 0x80))


def test_announced_size_is_checked_before_anything_is_allocated():
    data = bytearray(cv2.imencode('.png', colours())[1].tobytes())
    data[16:24] = struct.pack('>II', 2 ** 20, 2 ** 20)
    with pytest.raises(ImageError, match='1048576 x 1048576'):
        conversion.to_rgb(CompressedImage(format='png', data=array('B', data)))


def test_picture_of_too_many_pixels_is_refused_before_it_is_read():
    with pytest.raises(ImageError, match='40 x 24 pixels, more than 959'):
        conversion.to_rgb(message(colours(), 'rgb8'), 959)
    jpeg = compressed(colours(), '.jpg', 'jpeg')
    jpeg.data = jpeg.data[:200] + jpeg.data[-2:]  # enough for the size, not for a picture
    with pytest.raises(ImageError, match='more than 959'):
        conversion.to_rgb(jpeg, 959)
    assert conversion.to_rgb(message(colours(), 'rgb8'), 960).shape == (HEIGHT, WIDTH, 3)


def test_foreign_encoding_is_not_repeated_in_full():
    image = message(colours(), 'rgb8')
    image.encoding = 'x' * 10_000
    with pytest.raises(ImageError) as raised:
        conversion.to_rgb(image)
    assert len(str(raised.value)) < 600


@given(strategies.binary(max_size=200), strategies.sampled_from([b'', b'\xff\xd8', b'\xff\xd8\xff',
                                                                  b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR']))
def test_any_bytes_are_a_picture_or_refused(data: bytes, start: bytes):
    try:
        conversion.to_rgb(CompressedImage(format='jpeg', data=array('B', start + data)))
    except ImageError:
        pass


@given(strategies.data())
def test_damaged_jpeg_is_a_picture_or_refused(data):
    jpeg = bytearray(cv2.imencode('.jpg', colours())[1].tobytes())
    for _ in range(data.draw(strategies.integers(1, 5))):
        jpeg[data.draw(strategies.integers(2, len(jpeg) - 1))] = data.draw(
            strategies.integers(0, 255))
    try:
        conversion.to_rgb(CompressedImage(format='jpeg', data=array('B', jpeg)))
    except ImageError:
        pass


def test_wide_image_is_shrunk_in_proportion_and_others_are_left():
    image = colours(80, 40)
    assert conversion.shrink(image, 40).shape == (20, 40, 3)
    assert conversion.shrink(image, 80) is image
    assert conversion.shrink(image, 0) is image


def test_image_that_would_become_too_small_is_refused():
    with pytest.raises(ImageError, match='20 x 10'):
        conversion.shrink(colours(80, 40), 20)


def test_width_is_fitted_in_both_directions():
    image = colours(80, 40)
    assert conversion.fit_width(image, 160).shape == (80, 160, 3)
    assert conversion.fit_width(image[:, :, 0], 40).shape == (20, 40)
    assert conversion.fit_width(image, 0) is image
