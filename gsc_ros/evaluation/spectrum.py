# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sharpness by the power spectrum: how much detail of every size a picture has.

A blurred picture lacks power at high frequencies, a noisy one has too much. Where the detail lies
is not asked: PSNR and MS-SSIM are for that. The measure:

1. luma (ITU-R BT.601), its mean taken off, under a Hann window; the 2-D power spectrum;
2. the mean power in 12 rings of a third of an octave, from 1/32 to 1/2 cycles per pixel, plus that
   of rounding to whole gray levels (1/12), which no 8-bit picture is below;
3. in decibels; the distance is the mean over the rings of the absolute difference from the
   original's, in dB. 0 is equal power everywhere, 3 is half or twice the power on average.
"""

from __future__ import annotations

import cv2
import numpy as np

RINGS = 12
LOWEST, HIGHEST = 1 / 32, 1 / 2
# Variance of rounding to whole numbers.
ROUNDING = 1 / 12
# Below, the lowest ring may hold no frequency of the transform.
MIN_SIDE = 64


def spectrum(image: np.ndarray) -> np.ndarray:
    """
    Return the power of a picture by frequency.

    :param image: uint8 ``[H, W, 3]`` RGB, both sides at least 64.
    :return: float64 ``[12]``: mean power of a coefficient in each ring, in squared gray levels
        (the variance of white noise), from the lowest frequency to the highest.
    :raises ValueError: when it is no such picture.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or (
            min(image.shape[:2]) < MIN_SIDE):
        raise ValueError(f'a spectrum needs uint8 [H, W, 3] with sides of {MIN_SIDE} at least, not '
                         f'{image.dtype} {list(image.shape)}')
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    luma -= luma.mean()
    height, width = luma.shape
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    power = np.abs(np.fft.rfft2(luma * window)) ** 2 / float((window ** 2).sum())
    ring = _ring(height, width)
    inside = (ring >= 0) & (ring < RINGS)
    count = np.bincount(ring[inside], minlength=RINGS)
    total = np.bincount(ring[inside], power[inside], minlength=RINGS)
    return total / count + ROUNDING


def spectrum_gap(reference: np.ndarray, image: np.ndarray) -> np.ndarray:
    """
    Return by how much a picture has more power than its original.

    :param reference: uint8 ``[H, W, 3]`` RGB.
    :param image: likewise, of the same size.
    :return: float64 ``[12]`` in dB, from the lowest frequency to the highest; negative where detail
        is missing.
    :raises ValueError: when the sizes differ, or see :func:`spectrum`.
    """
    if reference.shape != image.shape:
        raise ValueError(f'images differ in size: {list(reference.shape)} and {list(image.shape)}')
    return 10 * np.log10(spectrum(image) / spectrum(reference))


def spectrum_distance(reference: np.ndarray, image: np.ndarray) -> float:
    """
    Return how far the spectrum of a picture is from that of its original.

    :return: decibels, 0 for equal pictures; see the top of this module.
    :raises ValueError: as :func:`spectrum_gap` does.
    """
    return float(np.abs(spectrum_gap(reference, image)).mean())


def _ring(height: int, width: int) -> np.ndarray:
    """Return the ring of every coefficient of a real transform; others are out of 0..11."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    place = RINGS * np.log(np.maximum(frequency, 1e-9) / LOWEST) / np.log(HIGHEST / LOWEST)
    # The highest frequency itself belongs to the last ring.
    return np.where(np.isclose(frequency, HIGHEST), RINGS - 1, np.floor(place)).astype(int)
