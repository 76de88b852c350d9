# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The quantization steps of a region model, from what a teacher notices.

At high rates the best step of a transform coefficient goes with one over the root of how much an
error there matters. How much it matters is measured: noise is added to one channel at a time, and
the teacher is asked how far off the picture is.
"""

from __future__ import annotations

from gsc_ros.training.region.model import RegionModel
from gsc_ros.training.region.teacher import Teacher
import torch
from torch import Tensor

COARSEST, FINEST = 0.15, 1.7
"""Symbols per unit of latent of the first and the last level, on the average channel."""
SPREAD = 1.6
"""No channel's step is finer than the average by more than this factor, and none is coarser: a
teacher minds colours little, but a brake light must not turn amber."""
_NOISE = 0.35
_REFERENCE = 48


@torch.no_grad()
def set_gains(model: RegionModel, images: Tensor, teacher: Teacher | None) -> None:
    """
    Set the gains of a model's ladder of levels.

    :param images: [B, 3, h, w] in [0, 1].
    :param teacher: None for the same step on all channels.
    """
    levels = model.config.quantizers
    ladder = torch.logspace(0, 1, levels, base=FINEST / COARSEST) * COARSEST
    factor = torch.ones(model.config.latent)
    if teacher is not None:
        matters = sensitivity(model, images, teacher)
        mean = matters[:_REFERENCE].log().mean().exp()
        factor = (matters / mean).sqrt().clamp(1, SPREAD)
    model.log_gain.copy_((ladder[:, None] * factor).log())


@torch.no_grad()
def sensitivity(model: RegionModel, images: Tensor, teacher: Teacher) -> Tensor:
    """Return how far off the teacher finds pictures with noise in one channel, positive [C]."""
    reference = teacher.features(images)
    transform = model.g_a.transform.weight
    rows, columns = (side // 8 for side in images.shape[-2:])
    torch.manual_seed(0)
    noise = torch.randn(len(images), 1, rows, columns) * _NOISE
    result = torch.full((model.config.latent,), 1e-6)
    for channel in range(model.config.latent):
        if not transform[channel].any():
            continue
        # Half: the transform works on pictures in -1..1.
        change = torch.nn.functional.conv_transpose2d(
            noise, transform[channel:channel + 1], stride=8) / 2
        noticed = teacher.distance(images + change, reference).mean()
        result[channel] = noticed.clamp_min(1e-6)
    return result
