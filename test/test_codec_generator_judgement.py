# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Confidence and flicker of generated pictures."""

from __future__ import annotations

import math

import cv2
from gsc_ros.codec.generator.confidence import generated_confidence
from gsc_ros.codec.generator.flicker import FlickerMeter
import numpy as np
import pytest

HEIGHT, WIDTH = 96, 160


def scene(shift: int = 0) -> np.ndarray:
    """Return a soft picture, uint8 [HEIGHT, WIDTH, 3], that moves to the left with `shift`."""
    coarse = np.random.default_rng(0).integers(0, 256, (14, 26, 3), np.uint8)
    large = cv2.resize(coarse, (WIDTH + 32, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large[:, shift:shift + WIDTH])


def noisy(image: np.ndarray, seed: int, sigma: float = 8) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_a_picture_that_was_not_changed_is_trusted_as_before():
    confidence = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    np.testing.assert_array_equal(
        generated_confidence(scene(), confidence, scene()), confidence)


@pytest.mark.parametrize(('change', 'expected'), ((10, 160), (50, 0), (100, 0)))
def test_every_level_of_change_takes_four_off_and_a_quarter_of_full_scale_takes_all(
        change, expected):
    before = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    confidence = np.full((HEIGHT, WIDTH), 200, np.uint8)
    found = generated_confidence(before, confidence, before + np.uint8(change))
    assert (found == expected).all()


def test_what_was_invented_is_trusted_less_than_what_was_left():
    invented = scene()
    invented[20:50, 30:70] = noisy(invented[20:50, 30:70], 1, 60)
    confidence = np.full((HEIGHT, WIDTH), 230, np.uint8)
    found = generated_confidence(scene(), confidence, invented)
    assert found[25:45, 35:65].mean() < 120
    assert (found[60:, 80:] == 230).all()
    assert (found <= confidence).all()


def test_a_sequence_as_steady_as_its_structure_does_not_flicker():
    meter = FlickerMeter()
    assert math.isnan(meter.measure(scene(), scene()))
    for shift in (3, 6, 9):
        assert meter.measure(scene(shift), scene(shift)) == 0
        # Detail that moves along with the scene is no flicker.
    meter = FlickerMeter()
    sharp = [cv2.addWeighted(scene(shift), 1.3, cv2.GaussianBlur(scene(shift), (0, 0), 3), -0.3, 0)
             for shift in (0, 3)]
    meter.measure(scene(), sharp[0])
    assert abs(meter.measure(scene(3), sharp[1])) < 1.0


def test_the_last_picture_is_moved_along_with_the_scene():
    meter = FlickerMeter()
    assert meter.moved_to(scene()) is None
    meter.measure(scene(), scene())
    moved = meter.moved_to(scene(6))
    inside = np.s_[8:-8, 8:-16]  # what comes into view was not there before
    left = np.abs(moved[inside].astype(int) - scene(6)[inside]).mean()
    assert left < 0.2 * np.abs(scene()[inside].astype(int) - scene(6)[inside]).mean()
    np.testing.assert_array_equal(meter.moved_to(scene()), scene())
    assert meter.moved_to(np.zeros((64, 64, 3), np.uint8)) is None


def test_noise_that_is_new_in_every_picture_flickers():
    steady, restless = FlickerMeter(), FlickerMeter()
    for meter, seeds in ((steady, (1, 1)), (restless, (1, 2))):
        meter.measure(scene(), noisy(scene(), seeds[0]))
    assert abs(steady.measure(scene(), noisy(scene(), 1))) < 0.2
    # The mean absolute difference of two normal variables is 2 sigma over the root of pi.
    assert restless.measure(scene(), noisy(scene(), 2)) == pytest.approx(
        2 * 8 / math.sqrt(math.pi), rel=0.1)


def test_change_that_the_structure_shows_too_is_none_of_the_generator():
    meter = FlickerMeter()
    meter.measure(noisy(scene(), 1), noisy(scene(), 1))
    assert meter.measure(noisy(scene(), 2), noisy(scene(), 2)) == 0


@pytest.mark.parametrize('size', ((16, 16), (16, 700), (700, 16)))
def test_any_size_can_be_measured(size):
    meter = FlickerMeter()
    image = np.zeros((*size, 3), np.uint8)
    assert math.isnan(meter.measure(image, image))
    assert meter.measure(image, image) == 0
    assert math.isnan(meter.measure(scene(), scene()))
