# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The straight path between noise and data, and the loss of flow matching (GSC paper, eq. 4-6).

Everything here counts noise with ``sigma``, as diffusers and the sampler do: 0 is data, 1 is
noise. The path is ``z = (1 - sigma) x + sigma noise`` and its velocity ``dz/dsigma = noise - x``.
The paper writes the path of eq. 4-6 as ``Z_t = t Z_1 + (1 - t) Z_0`` with noise at t = 0, so its t
is ``1 - sigma`` and its velocity the negative of ours: the squared distance of eq. 6 is the same.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from torch import Tensor


class Times(Enum):
    """
    How the noise levels of training are drawn.

    ``UNIFORM`` is eq. 6 of the paper. ``LOGIT_NORMAL`` favours the middle of the path, where the
    velocity is hardest to predict (Stable Diffusion 3).
    """

    UNIFORM = 'uniform'
    LOGIT_NORMAL = 'logit-normal'


def draw_sigmas(
        count: int, generator: np.random.Generator, times: Times = Times.UNIFORM,
        shift: float = 1.0) -> np.ndarray:
    """
    Return noise levels, float32 [count] in [0, 1].

    :param shift: pushes the levels towards noise, as the sampler's schedule does for large
        pictures: ``shift * s / (1 + (shift - 1) * s)``. 1 leaves them.
    """
    if times is Times.UNIFORM:
        levels = generator.random(count)
    else:
        levels = 1 / (1 + np.exp(-generator.standard_normal(count)))
    return (shift * levels / (1 + (shift - 1) * levels)).astype(np.float32)


def on_path(data: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """Return the points of the path for data and noise [B, ...] at levels [B]."""
    level = sigma.reshape(-1, *[1] * (data.ndim - 1)).to(data)
    return (1 - level) * data + level * noise


def velocity(data: Tensor, noise: Tensor) -> Tensor:
    """Return the velocity along the path, which is the same at every level."""
    return noise - data


def flow_loss(predicted: Tensor, data: Tensor, noise: Tensor) -> Tensor:
    """
    Return the loss of each sample, float32 [B]: the mean square of what the velocity misses.

    :param predicted: velocity [B, ...], which the network gave for points of the path.
    """
    missed = predicted.float() - velocity(data, noise).float()
    return missed.square().flatten(1).mean(dim=1)
