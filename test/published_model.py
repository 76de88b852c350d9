# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models of CompressAI with random weights, whose channels differ in energy as trained ones do."""

from __future__ import annotations

from compressai.models import CompressionModel
import torch


def random_model(kind: type[CompressionModel], width: int = 192, latent: int = 320,
                 ) -> CompressionModel:
    """Return a model of which some channels carry large symbols at a step of 1, and some none."""
    torch.manual_seed(0)
    model = kind(width, latent).eval()
    loudness = torch.logspace(3.5, -1, latent)[torch.randperm(latent)]
    with torch.no_grad():
        model.g_a[6].weight.mul_(loudness[:, None, None, None])
        model.g_s[0].weight.div_(loudness[:, None, None, None])
        # As trained ones, these layers look across channels.
        for layer in (1, 3, 5):
            for transform in (model.g_a, model.g_s):
                transform[layer].gamma.add_(0.01 * torch.rand_like(transform[layer].gamma))
                transform[layer].beta.mul_(1 + torch.rand_like(transform[layer].beta))
        if not hasattr(model, 'h_a'):
            model.entropy_bottleneck.quantiles[:, 0, 1] = torch.randn(latent)
    return model
