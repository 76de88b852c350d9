# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
PSNR, SSIM and MS-SSIM of 8-bit images, in numpy and OpenCV.

Colour: each metric is taken over the red, green and blue channels alike. PSNR comes from the mean
squared error of all samples; SSIM and MS-SSIM are computed per channel and averaged, as
`pytorch_msssim` does (and with it the literature of learned compression). Nothing is converted to
luma, so the numbers are comparable with those papers and not with luma-only video figures.

Definitions: SSIM of Wang et al. 2004 (Gaussian window of 11 x 11, sigma 1.5, no border; K1 = 0.01,
K2 = 0.03; dynamic range 255), MS-SSIM of Wang et al. 2003 (five scales, the paper's weights,
2 x 2 average pooling in between; odd sizes are padded with one row or column of zeros first, as
`pytorch_msssim` does; negative terms count as zero).
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

WINDOW = 11
SIGMA = 1.5
DATA_RANGE = 255.0
K1, K2 = 0.01, 0.03
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# The smallest side for which the window still fits on the coarsest scale; pytorch_msssim's bound.
MS_SSIM_MIN_SIDE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1

Image = npt.NDArray[np.uint8]
_Plane = npt.NDArray[np.float32]

# Intensities are shifted by half the range before they are squared: variances do not change, and
# float32 keeps two more digits.
_SHIFT = 128.0


def psnr(reference: Image, image: Image) -> float:
    """
    Return the peak signal-to-noise ratio.

    :param reference: uint8 [H, W, 3], RGB.
    :param image: uint8 [H, W, 3], RGB.
    :return: decibels; infinity for equal images, 0 for black against white.
    :raises TypeError: when an image is not uint8.
    :raises ValueError: when the shapes differ or are not [H, W, 3].
    """
    _check(reference, image)
    squared = cv2.norm(reference, image, cv2.NORM_L2SQR)
    if squared == 0:
        return math.inf
    return 10 * math.log10(DATA_RANGE ** 2 * reference.size / squared)


def ssim(reference: Image, image: Image) -> float:
    """
    Return the mean structural similarity.

    :param reference: uint8 [H, W, 3], RGB, both sides >= 11.
    :param image: uint8 [H, W, 3], RGB.
    :return: -1..1, 1 for equal images.
    :raises TypeError: when an image is not uint8.
    :raises ValueError: when the shapes differ, are not [H, W, 3], or are smaller than the window.
    """
    _check(reference, image, min_side=WINDOW)
    similarity, _ = _similarity(_shifted(reference), _shifted(image))
    return float(similarity.mean())


def ms_ssim(reference: Image, image: Image) -> float:
    """
    Return the multi-scale structural similarity.

    :param reference: uint8 [H, W, 3], RGB, both sides >= 161.
    :param image: uint8 [H, W, 3], RGB.
    :return: 0..1, 1 for equal images.
    :raises TypeError: when an image is not uint8.
    :raises ValueError: when the shapes differ, are not [H, W, 3], or are too small for five scales.
    """
    return both_ssim(reference, image)[1]


def both_ssim(reference: Image, image: Image) -> tuple[float, float]:
    """
    Return SSIM and MS-SSIM in little more time than one of them: the finest scale is shared.

    :param reference: uint8 [H, W, 3], RGB, both sides >= 161.
    :param image: uint8 [H, W, 3], RGB.
    :raises TypeError: when an image is not uint8.
    :raises ValueError: when the shapes differ, are not [H, W, 3], or are too small for five scales.
    """
    _check(reference, image, min_side=MS_SSIM_MIN_SIDE)
    x, y = _shifted(reference), _shifted(image)
    single = 0.0
    product = np.ones(3)
    for scale, weight in enumerate(SCALE_WEIGHTS):
        last = scale == len(SCALE_WEIGHTS) - 1
        similarity, contrast = _similarity(x, y)
        if not scale:
            single = float(similarity.mean())
        product *= np.maximum(similarity if last else contrast, 0) ** weight
        if not last:
            x, y = _halved(x), _halved(y)
    return single, float(product.mean())


def _check(reference: Image, image: Image, min_side: int = 1) -> None:
    for name, array in (('reference', reference), ('image', image)):
        if array.dtype != np.uint8:
            raise TypeError(f'{name} must be uint8, not {array.dtype}')
        if array.ndim != 3 or array.shape[2] != 3:
            raise ValueError(f'{name} must have the shape [H, W, 3], not {list(array.shape)}')
    if reference.shape != image.shape:
        raise ValueError(f'images differ in size: {list(reference.shape)} and {list(image.shape)}')
    if min(reference.shape[:2]) < min_side:
        raise ValueError(f'image of {reference.shape[1]} x {reference.shape[0]} pixels is too '
                         f'small: this metric needs at least {min_side} on each side')


def _shifted(image: Image) -> _Plane:
    return image.astype(np.float32) - np.float32(_SHIFT)


def _window() -> npt.NDArray[np.float64]:
    offset = np.arange(WINDOW) - WINDOW // 2
    weight = np.exp(-offset ** 2 / (2 * SIGMA ** 2))
    return weight / weight.sum()


_KERNEL = _window()


def _blurred(plane: _Plane) -> _Plane:
    """Filter with the window and keep the positions where it lies fully inside."""
    edge = WINDOW // 2
    full = cv2.sepFilter2D(plane, -1, _KERNEL, _KERNEL, borderType=cv2.BORDER_CONSTANT)
    return full[edge:-edge, edge:-edge]


def _similarity(x: _Plane, y: _Plane) -> tuple[npt.NDArray, npt.NDArray]:
    """
    Return the mean SSIM and its contrast-structure part by channel.

    :param x: float32 [H, W, 3], intensities minus the shift.
    :param y: float32 [H, W, 3].
    :return: two arrays, float64 [3].
    """
    c1, c2 = (K1 * DATA_RANGE) ** 2, (K2 * DATA_RANGE) ** 2
    mean_x, mean_y = _blurred(x), _blurred(y)
    covariance = _blurred(x * y) - mean_x * mean_y
    # The two variances are only ever needed as a sum: one filter pass instead of two.
    variance = _blurred(x * x + y * y) - mean_x * mean_x - mean_y * mean_y
    contrast = (2 * covariance + c2) / (variance + c2)
    light_x, light_y = mean_x + _SHIFT, mean_y + _SHIFT
    luminance = (2 * light_x * light_y + c1) / (light_x * light_x + light_y * light_y + c1)
    axes = (0, 1)
    return ((luminance * contrast).mean(axis=axes, dtype=np.float64),
            contrast.mean(axis=axes, dtype=np.float64))


def _halved(plane: _Plane) -> _Plane:
    """Average 2 x 2 samples; an odd side gets one row or column of zero intensity in front."""
    height, width = plane.shape[:2]
    padded = cv2.copyMakeBorder(plane, height % 2, 0, width % 2, 0, cv2.BORDER_CONSTANT,
                                value=(-_SHIFT,) * 3)
    return cv2.resize(padded, (padded.shape[1] // 2, padded.shape[0] // 2),
                      interpolation=cv2.INTER_AREA)
