# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The metrics agree with the reference implementations and with arithmetic."""

import math

import cv2
from gsc_ros.evaluation.metric import ms_ssim, MS_SSIM_MIN_SIDE, psnr, ssim
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

METRICS = (psnr, ssim, ms_ssim)
# Even and odd sides, and a size whose coarser scales are odd.
SIZES = ((176, 192), (161, 163), (375, 402), (300, 214))


def scene(height, width, seed=0):
    """Return a smooth coloured picture with some texture, uint8 [H, W, 3]."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    texture = generator.normal(0, 6, (height, width, 3))
    return np.clip(smooth + texture, 0, 255).astype(np.uint8)


def degraded(image, strength):
    """Return the image with blur and noise that grow with the strength."""
    blurred = cv2.GaussianBlur(image, (0, 0), 0.3 + strength)
    noise = np.random.default_rng(1).normal(0, 8 * strength, image.shape)
    return np.clip(blurred + noise, 0, 255).astype(np.uint8)


def tensor(image):
    """Return the image as a torch tensor, float64 [1, 3, H, W], 0..255."""
    torch = pytest.importorskip('torch')
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].double()


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('strength', (0.2, 1.0, 3.0))
def test_ssim_and_ms_ssim_are_those_of_pytorch_msssim(size, strength):
    reference = pytest.importorskip('pytorch_msssim')
    x = scene(*size)
    y = degraded(x, strength)
    expected_ssim = reference.ssim(tensor(x), tensor(y), data_range=255).item()
    expected_ms_ssim = reference.ms_ssim(tensor(x), tensor(y), data_range=255).item()
    assert ssim(x, y) == pytest.approx(expected_ssim, abs=1e-4)
    assert ms_ssim(x, y) == pytest.approx(expected_ms_ssim, abs=1e-4)


def test_psnr_and_ssim_are_those_of_piq():
    piq = pytest.importorskip('piq')
    x = scene(200, 240)
    y = degraded(x, 1.0)
    assert psnr(x, y) == pytest.approx(piq.psnr(tensor(x), tensor(y), 255).item(), abs=1e-4)
    # piq downsamples large images by default, which the definition does not ask for.
    expected = piq.ssim(tensor(x), tensor(y), data_range=255, downsample=False).item()
    assert ssim(x, y) == pytest.approx(expected, abs=1e-4)


def test_unlike_images_score_as_in_pytorch_msssim():
    reference = pytest.importorskip('pytorch_msssim')
    x = scene(200, 200)
    y = 255 - x
    assert ssim(x, y) == pytest.approx(
        reference.ssim(tensor(x), tensor(y), data_range=255).item(), abs=1e-4)
    # The reference lets only non-negative terms into the product, and so do we.
    assert ms_ssim(x, y) == pytest.approx(
        reference.ms_ssim(tensor(x), tensor(y), data_range=255).item(), abs=1e-4)


def test_equal_images_score_the_maximum():
    x = scene(180, 180)
    assert psnr(x, x) == math.inf
    assert ssim(x, x) == pytest.approx(1, abs=1e-6)
    assert ms_ssim(x, x) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize('metric', METRICS)
def test_the_order_of_the_images_does_not_matter(metric):
    x = scene(180, 200)
    y = degraded(x, 1.0)
    assert metric(x, y) == pytest.approx(metric(y, x), abs=1e-6)


def test_black_against_white_scores_the_minimum():
    black = np.zeros((180, 180, 3), np.uint8)
    white = np.full_like(black, 255)
    assert psnr(black, white) == pytest.approx(0, abs=1e-9)
    # Flat images have full structure: luminance alone is c1 / (255^2 + c1).
    assert ssim(black, white) == pytest.approx(1e-4, abs=1e-5)


@given(difference=st.integers(1, 255))
@settings(max_examples=20, deadline=None)
def test_psnr_of_a_constant_difference_is_that_difference(difference):
    dark = np.zeros((16, 17, 3), np.uint8)
    light = np.full_like(dark, difference)
    assert psnr(dark, light) == pytest.approx(20 * math.log10(255 / difference), abs=1e-9)


@pytest.mark.parametrize('metric', METRICS)
def test_more_damage_scores_lower(metric):
    x = scene(180, 200)
    scores = [metric(x, degraded(x, strength)) for strength in (0.2, 0.6, 1.5, 3.0)]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize('metric', METRICS)
@pytest.mark.parametrize('dtype', (np.float32, np.int16, np.uint16, bool))
def test_images_that_are_not_uint8_are_refused(metric, dtype):
    x = scene(180, 180)
    with pytest.raises(TypeError, match='must be uint8'):
        metric(x, x.astype(dtype))
    with pytest.raises(TypeError, match='must be uint8'):
        metric(x.astype(dtype), x)


@pytest.mark.parametrize('metric', METRICS)
@pytest.mark.parametrize('shape', ((180, 180), (180, 180, 1), (180, 180, 4), (1, 180, 180, 3)))
def test_arrays_that_are_not_rgb_images_are_refused(metric, shape):
    x = np.zeros(shape, np.uint8)
    with pytest.raises(ValueError, match=r'\[H, W, 3\]'):
        metric(x, x)


@pytest.mark.parametrize('metric', METRICS)
def test_images_of_different_sizes_are_refused(metric):
    with pytest.raises(ValueError, match='differ in size'):
        metric(scene(180, 180), scene(180, 181))


def test_images_smaller_than_the_window_are_refused_with_the_smallest_size():
    small = np.zeros((10, 300, 3), np.uint8)
    with pytest.raises(ValueError, match='at least 11'):
        ssim(small, small)
    small = np.zeros((MS_SSIM_MIN_SIDE - 1, 300, 3), np.uint8)
    with pytest.raises(ValueError, match='at least 161'):
        ms_ssim(small, small)
    assert ssim(np.zeros((11, 11, 3), np.uint8), np.zeros((11, 11, 3), np.uint8)) == 1
    enough = scene(MS_SSIM_MIN_SIDE, MS_SSIM_MIN_SIDE)
    assert ms_ssim(enough, enough) == pytest.approx(1, abs=1e-6)
