# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a receiver has of a region before it comes.

The base of a structure model at a random level, one, two or four times enlarged; or an earlier
decoding of the region, moved by a pixel or so.
"""

from __future__ import annotations

from gsc_ros.training.model import STRIDE, StructureModel
from gsc_ros.training.region.model import RegionModel
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

SCALES, SHARES = (4, 2, 1), (0.25, 0.5, 0.25)
"""By how much the base may be coarser than the region, and how often it is."""
# Base levels that a packet with regions has: the finest ones leave no bits for regions.
BASE_LEVELS = 13
EARLIER = 0.25
"""Share of the batches whose prediction is an earlier decoding."""
PARTLY = 0.3
"""Share of the crops of which only a part is coded, as at the edge of a region."""


@torch.no_grad()
def predict(
        base: StructureModel, model: RegionModel, image: Tensor, generator: np.random.Generator,
        ) -> Tensor:
    """
    Return a prediction of each picture.

    :param base: codes the base.
    :param model: codes what is taken for an earlier decoding.
    :param image: [B, 3, h, w] in [0, 1], h and w multiples of 32.
    :return: likewise.
    """
    ratio = int(generator.choice(SCALES, p=SHARES))
    level = _levels(image, BASE_LEVELS, generator)
    small = functional.avg_pool2d(image, ratio) if ratio > 1 else image
    gain = base.gains[level][:, :, None, None]
    y_hat = (base.g_a(small).float() * gain).round() / gain
    shown = base.g_s(y_hat, base.fraction(level))[0].float().clamp(0, 1)
    if ratio > 1:
        shown = functional.interpolate(
            shown, scale_factor=ratio, mode='bicubic', align_corners=False).clamp(0, 1)
    if generator.random() < EARLIER:
        levels = _levels(image, model.config.quantizers, generator)
        shown = model(image, shown, levels, coded_part(image, generator))[0].clamp(0, 1)
        shown = torch.roll(shown, tuple(generator.integers(-1, 2, 2).tolist()), (2, 3))
    # Pictures are kept with eight bits.
    return (shown * 255).round() / 255


def coded_part(image: Tensor, generator: np.random.Generator) -> Tensor:
    """Return masks [B, 1, h/8, w/8] of what is coded: all of it, or a random box."""
    rows, columns = (side // STRIDE for side in image.shape[-2:])
    masks = torch.ones(len(image), 1, rows, columns, device=image.device)
    for mask in masks:
        if generator.random() < PARTLY:
            top, bottom = sorted(generator.integers(rows + 1, size=2).tolist())
            left, right = sorted(generator.integers(columns + 1, size=2).tolist())
            mask.zero_()
            mask[:, top:bottom, left:right] = 1
    return masks


def _levels(image: Tensor, count: int, generator: np.random.Generator) -> Tensor:
    """Return a random level below ``count`` for each sample, int64 [B]."""
    return torch.from_numpy(generator.integers(count, size=len(image))).to(image.device)
