# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Selection by likeness: the channels that look like the image."""

from __future__ import annotations

import cv2
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.selection import most_similar, score_channels, ssim
import numpy as np
import pytest


@pytest.fixture(name='image')
def smooth_image() -> np.ndarray:
    """Return a smooth colour picture, float32 ``[88, 120, 3]``."""
    noise = np.random.default_rng(0).random((12, 16, 3), np.float32)
    return np.clip(cv2.resize(noise, (120, 88), interpolation=cv2.INTER_LINEAR), 0, 1)


@pytest.fixture(name='latent')
def latent_with_two_pictures(image) -> np.ndarray:
    """Return noise, where channel 7 is the picture, 3 its negative, and 5 constant."""
    latent = np.random.default_rng(1).normal(size=(12, 11, 15)).astype(np.float32)
    gray = cv2.resize(image @ np.float32([0.299, 0.587, 0.114]), (15, 11),
                      interpolation=cv2.INTER_AREA)
    latent[7], latent[3], latent[5] = 40 * gray - 3, -2 * gray, 4
    return latent


def test_ssim_selection_takes_what_looks_like_the_image_whatever_its_sign(latent, image):
    assert sorted(most_similar(2, latent, image)) == [3, 7]


def test_a_constant_channel_comes_last(latent, image):
    scores = score_channels(latent, image)
    assert scores[5] == -1 == scores.min()
    assert scores.max() <= 1
    assert 5 not in most_similar(11, latent, image)


def test_a_channel_and_its_negative_have_the_same_score(latent, image):
    assert score_channels(-latent, image) == pytest.approx(score_channels(latent, image))


@pytest.mark.parametrize('count', [0, 13])
def test_a_count_out_of_range_is_refused(latent, image, count):
    with pytest.raises(CodecError):
        most_similar(count, latent, image)


def test_a_map_is_wholly_similar_to_itself_and_less_to_others():
    maps = np.random.default_rng(2).random((20, 30, 3))
    assert ssim(maps, maps[:, :, :1])[0] == pytest.approx(1)
    assert (ssim(maps, maps[:, :, :1])[1:] < 0.5).all()


@pytest.mark.parametrize('shape', [(1, 1), (1, 5), (3, 2)])
def test_grids_smaller_than_the_window_have_scores(shape):
    latent = np.random.default_rng(3).normal(size=(320, *shape)).astype(np.float32)
    image = np.random.default_rng(4).random((8 * shape[0], 8 * shape[1], 3), np.float32)
    scores = score_channels(latent, image)
    assert np.isfinite(scores).all()
    assert len(most_similar(16, latent, image)) == 16
