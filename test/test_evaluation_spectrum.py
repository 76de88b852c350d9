# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The spectrum tells a blurred picture, and a noisy one, from its original."""

from __future__ import annotations

import cv2
from gsc_ros.evaluation.spectrum import RINGS, spectrum, spectrum_distance, spectrum_gap
import numpy as np
import pytest


def noise(height: int = 128, width: int = 192, seed: int = 0, sigma: float = 20) -> np.ndarray:
    """Return gray noise about 128, uint8 [height, width, 3]."""
    values = np.random.default_rng(seed).normal(128, sigma, (height, width, 1))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8).repeat(3, axis=2)


def test_equal_pictures_are_at_no_distance():
    assert spectrum_distance(noise(), noise()) == 0


@pytest.mark.parametrize('size', ((128, 192), (65, 301), (352, 128)))
def test_white_noise_has_its_variance_at_every_frequency(size):
    found = spectrum(noise(*size, sigma=12))
    # The lowest rings hold few coefficients.
    assert found[6:] == pytest.approx(np.full(RINGS - 6, 144), rel=0.2)


def test_where_the_detail_lies_does_not_matter():
    assert spectrum_distance(noise(seed=0), noise(seed=1)) < 1.0


def test_blur_takes_power_off_the_high_frequencies_alone():
    gap = spectrum_gap(noise(), cv2.GaussianBlur(noise(), (0, 0), 1.5))
    assert abs(gap[0]) < 0.7
    assert gap[-1] < -20
    assert (np.diff(gap[3:]) < 0.5).all()


def test_more_blur_is_further_away_and_so_is_noise():
    original = cv2.GaussianBlur(noise(), (0, 0), 1)
    distances = [spectrum_distance(original, cv2.GaussianBlur(original, (0, 0), sigma))
                 for sigma in (0.5, 1, 2)]
    assert 0 < distances[0] < distances[1] < distances[2]
    grainy = np.clip(original + np.random.default_rng(1).normal(0, 10, original.shape), 0, 255)
    assert spectrum_distance(original, grainy.astype(np.uint8)) > 1


def test_one_wave_is_found_in_its_ring():
    columns = np.arange(256)
    rows = 128 + 60 * np.cos(2 * np.pi * columns / 4)  # a quarter of a cycle per pixel
    wave = np.tile(np.rint(rows).astype(np.uint8)[None, :, None], (128, 1, 3))
    found = spectrum(wave)
    assert found.argmax() == int(RINGS * np.log(8) / np.log(16))
    assert found[-1] < found.max() / 100


@pytest.mark.parametrize('image', (
    np.zeros((63, 100, 3), np.uint8), np.zeros((100, 100), np.uint8),
    np.zeros((100, 100, 3), np.float32)))
def test_what_is_no_picture_of_some_size_is_refused(image):
    with pytest.raises(ValueError, match='spectrum needs'):
        spectrum(image)


def test_pictures_of_two_sizes_have_no_distance():
    with pytest.raises(ValueError, match='differ in size'):
        spectrum_distance(noise(64, 64), noise(64, 65))


def test_a_flat_picture_has_a_spectrum():
    flat = np.full((64, 64, 3), 7, np.uint8)
    assert np.isfinite(spectrum_distance(noise(64, 64), flat))
