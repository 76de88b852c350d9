# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Which latent channels of a frame are sent."""

from __future__ import annotations

from enum import Enum

import cv2
from gsc_ros.codec.error import CodecError
import numpy as np

_WINDOW = (11, 11)
_SIGMA = 1.5
_C1 = 0.01 ** 2
_C2 = 0.03 ** 2
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Channels scored at once; bounds the memory.
_GROUP = 32


class Selection(Enum):
    """
    How the channels are chosen.

    ``ORDERED`` sends the first channels of the profile, which costs no index. ``SSIM`` sends those
    that resemble the image most (GSC paper, y_sel in eq. 2), ``RATE_DISTORTION`` those that lessen
    the measured error most per bit (see codec.rate_distortion); both name their set in the packet.
    """

    ORDERED = 'ordered'
    SSIM = 'ssim'
    RATE_DISTORTION = 'rate-distortion'


def most_similar(count: int, latent: np.ndarray, image: np.ndarray) -> list[int]:
    """
    Return the ``count`` channels that resemble the image most, the most similar first.

    :param count: channels wanted, 1..C.
    :param latent: numbers ``[C, h, w]``.
    :param image: the picture the latent was made from, float32 ``[H, W, 3]`` RGB in [0, 1].
    :raises CodecError: when ``count`` is out of range.
    """
    if not 1 <= count <= len(latent):
        raise CodecError(f'{count} channels are not in 1..{len(latent)}')
    # A stable sort prefers the more important channel among equals.
    best = np.argsort(-score_channels(latent, image), kind='stable')
    return [int(channel) for channel in best[:count]]


def score_channels(latent: np.ndarray, image: np.ndarray) -> np.ndarray:
    """
    Return how much each channel looks like the image.

    The luma of the image is area-averaged to the grid of the latent; a channel is scaled to
    [0, 1]. Its score is the larger SSIM of the channel and of its negative, as the sign of a
    latent is arbitrary. A constant channel scores -1.

    :param latent: numbers ``[C, h, w]``.
    :param image: float32 ``[H, W, 3]`` RGB in [0, 1].
    :return: float64 ``[C]`` in [-1, 1].
    """
    height, width = latent.shape[1:]
    luma = cv2.resize(image @ _LUMA, (width, height), interpolation=cv2.INTER_AREA)
    reference = luma.astype(np.float64)[:, :, None]
    scores = np.full(len(latent), -1.0)
    for start in range(0, len(latent), _GROUP):
        channels = latent[start:start + _GROUP].transpose(1, 2, 0).astype(np.float64)
        low, high = channels.min(axis=(0, 1)), channels.max(axis=(0, 1))
        varied = high > low
        scaled = (channels - low) / np.where(varied, high - low, 1)
        both = np.maximum(ssim(scaled, reference), ssim(1 - scaled, reference))
        scores[start:start + _GROUP] = np.where(varied, both, -1.0)
    return scores


def ssim(maps: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """
    Return the mean structural similarity of maps to a reference.

    An 11x11 Gaussian window of sigma 1.5, edges replicated so that maps smaller than the window
    have a value too; data range 1.

    :param maps: float64 ``[h, w, n]`` in [0, 1].
    :param reference: float64 ``[h, w, 1]`` in [0, 1].
    :return: float64 ``[n]`` in [-1, 1].
    """
    mean_1, mean_2 = _blur(maps), _blur(reference)
    variance_1 = _blur(maps * maps) - mean_1 * mean_1
    variance_2 = _blur(reference * reference) - mean_2 * mean_2
    covariance = _blur(maps * reference) - mean_1 * mean_2
    luminance = (2 * mean_1 * mean_2 + _C1) / (mean_1 ** 2 + mean_2 ** 2 + _C1)
    structure = (2 * covariance + _C2) / (variance_1 + variance_2 + _C2)
    return (luminance * structure).mean(axis=(0, 1))


def _blur(values: np.ndarray) -> np.ndarray:
    """Return the local Gaussian average of each map, ``[h, w, n]``."""
    blurred = cv2.GaussianBlur(values, _WINDOW, _SIGMA, borderType=cv2.BORDER_REPLICATE)
    return blurred.reshape(values.shape)
