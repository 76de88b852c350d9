# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Channels chosen by measured error: better than those that look like the image."""

from __future__ import annotations

from codec_image import picture
import cv2
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.rate_distortion import SAMPLE, windows
from gsc_ros.codec.selection import Selection
import numpy as np
import pytest
from shared_data import kitti_drive

PROFILE = load_profile('tiny')
ENCODER = FrameEncoder(PROFILE)
DECODER = FrameDecoder(PROFILE)
COUNTS = (1, 2, 4, 8)


def soft_picture(seed: int) -> np.ndarray:
    """Return a picture with structure at several scales, uint8 ``[352, 608, 3]``."""
    generator = np.random.default_rng(seed)
    image = picture(352, 608, seed).astype(np.float32)
    for size in (3, 9, 30):
        noise = generator.normal(0, 20, (size, 2 * size, 3)).astype(np.float32)
        image += cv2.resize(noise, (608, 352), interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


def curve(images: list[np.ndarray], selection: Selection) -> tuple[list[float], list[float]]:
    """Return mean bytes and mean PSNR by number of channels."""
    sizes, qualities = [], []
    for count in COUNTS:
        frames = [ENCODER.encode(image, EncoderSettings(channels=count, selection=selection))
                  for image in images]
        sizes.append(np.mean([len(frame.payload) for frame in frames]))
        qualities.append(np.mean([
            cv2.PSNR(image, DECODER.decode(frame.payload).image)
            for image, frame in zip(images, frames)]))
    return sizes, qualities


def advantage(images: list[np.ndarray]) -> float:
    """Return by how many dB it beats the selection by likeness, on average at equal bytes."""
    sizes, qualities = curve(images, Selection.RATE_DISTORTION)
    other_sizes, others = curve(images, Selection.SSIM)
    common = np.linspace(max(sizes[0], other_sizes[0]), min(sizes[-1], other_sizes[-1]), 50)
    return float(np.mean(
        np.interp(common, sizes, qualities) - np.interp(common, other_sizes, others)))


def test_it_beats_likeness_at_equal_bytes():
    assert advantage([soft_picture(seed) for seed in range(2)]) > 0


@pytest.mark.skipif(kitti_drive() is None, reason='the shared KITTI drive is not here')
def test_it_beats_likeness_at_equal_bytes_on_a_drive():
    paths = sorted((kitti_drive() / 'image_02' / 'data').iterdir())[::40]
    assert advantage([cv2.imread(str(path))[:352, :1216, ::-1].copy() for path in paths]) > 0


def test_within_a_limit_it_is_no_worse_than_the_first_channels():
    image = soft_picture(5)
    error = {}
    for selection in (Selection.ORDERED, Selection.RATE_DISTORTION):
        frame = ENCODER.encode(image, EncoderSettings(
            channels=320, selection=selection, max_bytes=250))
        assert len(frame.payload) <= 250
        error[selection] = np.square(
            DECODER.decode(frame.payload).image.astype(float) - image).mean()
    # Measured on the reduced picture or a sample of it, so not exactly the same error.
    assert error[Selection.RATE_DISTORTION] <= 1.03 * error[Selection.ORDERED]


def test_no_more_channels_are_sent_than_asked_for():
    for count in (1, 3, 40):
        frame = ENCODER.encode(soft_picture(1), EncoderSettings(
            channels=count, selection=Selection.RATE_DISTORTION))
        assert len(frame.channels) <= count


@pytest.mark.parametrize('grid', [
    (1, 1), (1, 256), (256, 1), (11, 38), (12, 39), (34, 60), (256, 256), (3, 200)])
def test_what_is_measured_lies_within_the_grid_and_is_bounded(grid):
    found = windows(*grid)
    assert all(0 <= top < bottom <= grid[0] and 0 <= left < right <= grid[1]
               for top, bottom, left, right in found)
    assert sum((bottom - top) * (right - left) for top, bottom, left, right in found) <= SAMPLE
    assert len(set(found)) == len(found)
