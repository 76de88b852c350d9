# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The region model: codes what a prediction lacks, at a finer scale than the base.

::

    image [B, 3, h, w] ──block transform──► (+) y ── × gain[q] ──► round ──► symbols ── ÷ gain[q] ─┐
    prediction ────────block transform──► (-)                                        y_hat │
        └─────────────────block transform──────────────────────────────────► (+) ◄─────────┘
                                                                              ▼
                                                   synthesis ◄─ y_hat, q ──► image, error

The transform is the orthonormal block transform of the structure model, so the latent of a
difference is the difference of the latents, and a squared error of symbols is one of pixels. The
synthesis is that of a structure model, which also sees which part of its latent was coded. It
starts from the structure model's weights, whose pictures are the case of a prediction of nothing.

Predictions are the base reconstruction, enlarged, or what was decoded in an earlier frame.
"""

from __future__ import annotations

from gsc_ros.training.model import (
    precise,
    STRIDE,
    StructureConfig,
    StructureModel,
    Synthesis,
    zero,
)
import torch
from torch import nn, Tensor
from torch.nn import functional

DEAD_ZONE = 0.6
"""Fraction from which a magnitude is rounded up: what is nearly zero is not worth its bits."""


class RegionSynthesis(Synthesis):
    """y_hat [B, C, h, w] of the difference and prediction [B, 3, 8h, 8w] -> image and error."""

    def __init__(self, config: StructureConfig) -> None:
        super().__init__(config)
        coarse = config.synthesis[0][0]
        self.transform = nn.Conv2d(3, config.latent, STRIDE, stride=STRIDE)
        self.known = nn.Conv2d(config.latent, coarse, 1)
        zero(self.known)

    def forward(self, y_hat: Tensor, prediction: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct; the error head learns from the features and never changes them."""
        latent = y_hat + precise(self.transform, prediction * 2 - 1)
        coarseness = self.level(level[:, None] * 2 - 1)
        features = self.layers(
            self.enter(latent) + self.known(y_hat) + coarseness[:, :, None, None])
        image = precise(self.linear, latent) + self.image_head(features)
        error = functional.softplus(self.error_head(features.detach()) - 3.0)
        return image * 0.5 + 0.5, error


class RegionAnalysis(nn.Module):
    """Image and prediction [B, 3, 8h, 8w] in [0, 1] -> y [B, C, h, w] of their difference."""

    def __init__(self, config: StructureConfig) -> None:
        super().__init__()
        self.transform = nn.Conv2d(3, config.latent, STRIDE, stride=STRIDE, bias=False)

    def forward(self, image: Tensor, prediction: Tensor) -> Tensor:
        """Transform the difference."""
        return self.transform((image - prediction) * 2)


class RegionModel(nn.Module):
    """Analysis, gains and synthesis of regions in one trainable module."""

    def __init__(self, config: StructureConfig | None = None) -> None:
        super().__init__()
        self.config = config or StructureConfig()
        self.g_a = RegionAnalysis(self.config)
        self.g_s = RegionSynthesis(self.config)
        self.register_buffer(
            'log_gain', torch.zeros(self.config.quantizers, self.config.latent))

    @classmethod
    def from_structure(cls, model: StructureModel) -> RegionModel:
        """
        Return a new region model with the transform, the synthesis and the gains of another model.

        Channels that its block transform does not make stay without symbols.
        """
        region = cls(model.config)
        with torch.no_grad():
            region.g_a.transform.weight.copy_(model.g_a.linear.weight)
            region.g_s.load_state_dict({
                **region.g_s.state_dict(), **model.g_s.state_dict(),
                'transform.weight': model.g_a.linear.weight,
                'transform.bias': model.g_a.linear.bias})
            region.log_gain.copy_(model.gains.log())
        return region

    @property
    def gains(self) -> Tensor:
        """Positive gains [Q, C]: symbol = round(y * gain)."""
        return self.log_gain.exp()

    def fraction(self, level: Tensor) -> Tensor:
        """Return quantizer levels as what the synthesis wants to know of them, [B] in 0..1."""
        return level.float() / (self.config.quantizers - 1)

    def quantised(self, y: Tensor, level: Tensor) -> Tensor:
        """Return y [B, C, h, w] as the receiver knows it."""
        gain = self.gains[level][:, :, None, None]
        scaled = y * gain
        return torch.sign(scaled) * (scaled.abs() + 1 - DEAD_ZONE).floor() / gain

    def forward(self, image: Tensor, prediction: Tensor, level: Tensor,
                coded: Tensor) -> tuple[Tensor, Tensor]:
        """
        Code and decode a batch.

        :param image: [B, 3, h, w] in [0, 1], h and w multiples of 8.
        :param prediction: likewise.
        :param level: int64 [B], the quantizer of each sample.
        :param coded: [B, 1, h/8, w/8], 1 where a region is and 0 in what surrounds it.
        :return: image [B, 3, h, w], not clipped, and expected absolute error [B, 1, h, w].
        """
        with torch.no_grad():
            y_hat = self.quantised(self.g_a(image, prediction).float(), level) * coded
        decoded, error = self.g_s(y_hat, prediction, self.fraction(level))
        return decoded.float(), error.float()
