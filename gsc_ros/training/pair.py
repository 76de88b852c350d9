# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of consecutive frames, real and made, to fit stream mode on."""

from __future__ import annotations

from dataclasses import replace

import cv2
from gsc_ros.training.data import augment, Augmentation, CropSampler, Split
import numpy as np

MAX_STEP = 3
MIN_LIKENESS = 0.7
MAX_SHIFT = 6.0
MAX_ZOOM = 0.05
MAX_NOISE = 0.015
# Work pixels around a made frame, which motion brings into view.
_MARGIN = 16

Pair = tuple[np.ndarray, np.ndarray]
"""A frame and the frame after it, uint8 [H, W, 3] RGB at work scale."""


def training_pairs(split: Split, count: int, side: int = 128, seed: int = 0) -> list[Pair]:
    """
    Return pairs of frames: one half of the archives' consecutive images, one half made of stills.

    Images follow each other when they look alike; archives of which no two do are only used for
    stills. Both frames of a pair get the same tone, and noise of their own.

    :param count: how many pairs.
    :param side: height and width of a frame; less where images are smaller.
    """
    rng = np.random.default_rng(seed)
    sampler = CropSampler(split.training, side)
    quiet = replace(Augmentation(), noise=0.0)
    pairs = []
    for turn in range(count):
        archive = sampler.archives[rng.choice(len(sampler.archives), p=sampler.probabilities)]
        pair = consecutive(archive.images, side, rng) if turn % 2 else None
        if pair is None:
            pair = moved(archive.images[rng.integers(len(archive.images))], side, rng)
        tone = int(rng.integers(1 << 31))
        noise = rng.uniform(0, MAX_NOISE)
        toned = (augment(frame, quiet, np.random.default_rng(tone)) for frame in pair)
        before, after = (
            np.clip(frame + rng.normal(0, noise, frame.shape), 0, 1) for frame in toned)
        pairs.append((np.uint8(np.round(before * 255)), np.uint8(np.round(after * 255))))
    return pairs


def consecutive(
        images: tuple[np.ndarray, ...], side: int, rng: np.random.Generator) -> Pair | None:
    """Return crops of two images of a run, float32 in [0, 1], or None when they are not alike."""
    if len(images) < 2:
        return None
    first = int(rng.integers(len(images) - 1))
    second = min(first + int(rng.integers(1, MAX_STEP + 1)), len(images) - 1)
    before, after = images[first], images[second]
    if before.shape != after.shape or likeness(before, after) < MIN_LIKENESS:
        return None
    height, width = (min(side, length) for length in before.shape[:2])
    top = rng.integers(before.shape[0] - height + 1)
    left = rng.integers(before.shape[1] - width + 1)
    window = np.s_[top:top + height, left:left + width]
    return before[window].astype(np.float32) / 255, after[window].astype(np.float32) / 255


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Return the correlation of two images of the same size, seen from afar."""
    small = [cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
             for image in (first, second)]
    small = [values - values.mean() for values in small]
    norm = np.sqrt((small[0] ** 2).sum() * (small[1] ** 2).sum())
    return float(small[0] @ small[1] / norm) if norm > 0 else 0.0


def moved(image: np.ndarray, side: int, rng: np.random.Generator) -> Pair:
    """Return an image's crop and the same shifted, zoomed and exposed anew, float32 in [0, 1]."""
    least = min(image.shape[:2]) / (side + _MARGIN)
    scale = min(float(np.exp(rng.uniform(0, 0.8))), least)
    if scale > 1:
        image = cv2.resize(
            image, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
    before = image.astype(np.float32) / 255
    height, width = before.shape[:2]
    # Some cameras stand still.
    length = rng.uniform(0, MAX_SHIFT) * (rng.random() > 0.25)
    angle = rng.uniform(0, 2 * np.pi)
    zoom = 1 + rng.uniform(0, MAX_ZOOM) * (rng.random() > 0.4)
    matrix = np.float32([
        [zoom, 0, (1 - zoom) * width / 2 + length * np.cos(angle)],
        [0, zoom, (1 - zoom) * height / 2 + length * np.sin(angle)]])
    after = cv2.warpAffine(
        before, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    if rng.random() < 0.5:
        after = after * np.float32(np.exp(rng.normal(0, 0.03)))
    rows, columns = min(side, height), min(side, width)
    top, left = (height - rows) // 2, (width - columns) // 2
    window = np.s_[top:top + rows, left:left + columns]
    return np.clip(before[window], 0, 1), np.clip(after[window], 0, 1)
