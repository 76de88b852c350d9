# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of frames for stream mode: alike, of one size, real where images follow each other."""

from __future__ import annotations

import cv2
from gsc_ros.training.data import Archive, Split
from gsc_ros.training.pair import consecutive, likeness, training_pairs
import numpy as np
import pytest


def scene(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    """Return a smooth random picture."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (9, 12, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(name='split')
def split_of_a_run_and_stills() -> Split:
    """Return training images: a run that pans, and unrelated stills."""
    wide = scene(1, 120, 240)
    run = tuple(wide[:, 3 * step:160 + 3 * step] for step in range(10))
    stills = tuple(scene(seed) for seed in range(20, 30))
    return Split((Archive('run', run), Archive('stills', stills)), ())


def test_pairs_are_two_frames_of_one_size_that_look_alike(split):
    pairs = training_pairs(split, 24, side=64, seed=3)
    assert len(pairs) == 24
    for before, after in pairs:
        assert before.shape == after.shape == (64, 64, 3)
        assert before.dtype == after.dtype == np.uint8
        assert likeness(before, after) > 0.3


def test_pairs_repeat_with_the_seed(split):
    first, again = (training_pairs(split, 4, side=64, seed=5) for _ in range(2))
    assert all((a == b).all() for one, two in zip(first, again) for a, b in zip(one, two))


def test_only_images_that_follow_each_other_make_a_real_pair(split):
    run, stills = split.training
    rng = np.random.default_rng(0)
    assert all(consecutive(run.images, 64, rng) is not None for _ in range(8))
    assert all(consecutive(stills.images, 64, rng) is None for _ in range(8))


def test_an_image_is_like_itself_and_unlike_another():
    assert likeness(scene(1), scene(1)) == pytest.approx(1)
    assert likeness(scene(1), scene(2)) < 0.7
    assert likeness(np.zeros((20, 20, 3), np.uint8), scene(2, 20, 20)) == 0
