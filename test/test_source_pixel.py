# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image bytes to RGB."""

from __future__ import annotations

from gsc_ros.sources.pixel import (
    PixelError,
    SUPPORTED_ENCODINGS,
    to_rgb,
    UnsupportedEncodingError,
)
from hypothesis import given, strategies
import numpy as np
import pytest

COLOUR = (200, 100, 30)
WIDTH, HEIGHT = 8, 6


def padded(rows: np.ndarray, padding: int) -> tuple[bytes, int]:
    """Return the bytes of [H, N] rows with random padding after each, and the step."""
    junk = np.random.default_rng(0).integers(0, 256, (rows.shape[0], padding), np.uint8)
    return np.hstack([rows, junk]).tobytes(), rows.shape[1] + padding


def random_picture() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize(('encoding', 'order'), [
    ('rgb8', (0, 1, 2)), ('bgr8', (2, 1, 0)), ('rgba8', (0, 1, 2, 0)), ('bgra8', (2, 1, 0, 0))])
def test_colour_orders_come_out_as_rgb_whatever_the_padding(encoding, order, padding):
    picture = random_picture()
    data, step = padded(picture[..., order].reshape(HEIGHT, -1), padding)
    assert np.array_equal(to_rgb(data, WIDTH, HEIGHT, step, encoding), picture)


def test_gray_becomes_three_equal_channels():
    gray = random_picture()[..., 0]
    data, step = padded(gray, 3)
    rgb = to_rgb(data, WIDTH, HEIGHT, step, 'mono8')
    assert np.array_equal(rgb, np.repeat(gray[..., None], 3, 2))


@pytest.mark.parametrize('order', ['<', '>'])
def test_16_bit_gray_is_scaled_from_its_full_range_in_either_byte_order(order):
    wide = np.linspace(0, 65535, WIDTH * HEIGHT).astype(f'{order}u2').reshape(HEIGHT, WIDTH)
    rows = np.frombuffer(wide.tobytes(), np.uint8).reshape(HEIGHT, -1)
    data, step = padded(rows, 2)
    rgb = to_rgb(data, WIDTH, HEIGHT, step, 'mono16', order == '>')
    assert np.array_equal(rgb[..., 1], np.rint(wide.astype(np.float64) / 257).astype(np.uint8))
    assert rgb[0, 0, 0] == 0 and rgb[-1, -1, 0] == 255


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_a_mosaic_of_one_colour_gives_that_colour_back(pattern):
    sample = dict(zip('rgb', COLOUR))
    cell = np.array([sample[letter] for letter in pattern], np.uint8).reshape(2, 2)
    mosaic = np.tile(cell, (HEIGHT // 2, WIDTH // 2))
    data, step = padded(mosaic, 4)
    rgb = to_rgb(data, WIDTH, HEIGHT, step, f'bayer_{pattern}8')
    assert np.array_equal(rgb, np.broadcast_to(COLOUR, rgb.shape))


@pytest.mark.parametrize(('encoding', 'order'), [
    ('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')])
def test_yuv_keeps_colour_and_its_two_lumas_apart(encoding, order):
    # Bright and dark pixels in turn that are clearly red in BT.601.
    parts = {'u': [90], 'v': [200], 'y': [180, 60]}
    cell = [parts[letter].pop(0) for letter in order]
    data, step = padded(np.tile(np.array(cell, np.uint8), (HEIGHT, WIDTH // 2)), 6)
    rgb = to_rgb(data, WIDTH, HEIGHT, step, encoding).astype(int)
    assert (rgb[..., 0] > rgb[..., 1] + 80).all() and (rgb[..., 0] > rgb[..., 2] + 80).all()
    assert (rgb[:, 0::2, 1] > rgb[:, 1::2, 1] + 50).all()


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
def test_depth_is_refused_as_depth(encoding):
    with pytest.raises(UnsupportedEncodingError, match=f'{encoding} is depth'):
        to_rgb(bytes(4 * WIDTH * HEIGHT), WIDTH, HEIGHT, 4 * WIDTH, encoding)


@pytest.mark.parametrize('encoding', ['', 'RGB8', '8UC3', 'nv12'])
def test_an_unknown_encoding_is_refused_by_name(encoding):
    with pytest.raises(UnsupportedEncodingError, match='unsupported encoding'):
        to_rgb(bytes(1000), WIDTH, HEIGHT, 3 * WIDTH, encoding)


def test_too_little_data_is_refused_before_it_is_read():
    with pytest.raises(PixelError, match='143 bytes of data, but .* has 144'):
        to_rgb(bytes(143), WIDTH, HEIGHT, 3 * WIDTH, 'rgb8')


def test_a_step_shorter_than_a_row_is_refused():
    with pytest.raises(PixelError, match='step 23'):
        to_rgb(bytes(1000), WIDTH, HEIGHT, 23, 'rgb8')


def test_an_odd_width_cannot_be_yuv422():
    with pytest.raises(PixelError, match='7 x 6'):
        to_rgb(bytes(1000), 7, HEIGHT, 14, 'yuyv')


def test_the_last_row_may_come_without_its_padding():
    data, step = padded(random_picture().reshape(HEIGHT, -1), 5)
    assert np.array_equal(to_rgb(data[:-5], WIDTH, HEIGHT, step, 'rgb8'), random_picture())


def test_the_picture_does_not_share_the_memory_of_the_message():
    data = np.zeros(WIDTH * HEIGHT * 3, np.uint8)
    picture = to_rgb(data, WIDTH, HEIGHT, 3 * WIDTH, 'rgb8')
    data[:] = 255
    assert picture.max() == 0


@given(strategies.binary(max_size=300), strategies.integers(0, 2 ** 32 - 1) |
       strategies.integers(0, 12), strategies.integers(0, 2 ** 32 - 1) | strategies.integers(0, 12),
       strategies.integers(0, 2 ** 32 - 1) | strategies.integers(0, 40),
       strategies.sampled_from(SUPPORTED_ENCODINGS), strategies.booleans())
def test_any_bytes_are_a_picture_of_the_size_said_or_are_refused(
        data, width, height, step, encoding, big):
    try:
        picture = to_rgb(data, width, height, step, encoding, big)
    except PixelError:
        return
    assert picture.shape == (height, width, 3) and picture.dtype == np.uint8
