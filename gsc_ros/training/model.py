# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The structure model: one network for every rate.

::

              image [B, 3, h, w] in [0, 1], the work scale (a quarter of the camera's size)
                │ PixelUnshuffle(4)
                ▼
            ┌───────┐ y   ┌───┐ y*gain[q]   ┌───────┐ symbols   ┌───┐ y_hat  ┌───────┐ image
            │  g_a  ├────►│ × ├────────────►│ round ├──────────►│ ÷ ├───────►│  g_s  ├─────►
            └───────┘     └───┘      │      └───────┘           └───┘        └───┬───┘ error
         [B, C, h/8, w/8]            │ + noise                channels kept      │ (detached)
                                     ▼                                           ▼
                            EntropyBottleneck[q] -> bits                expected |error|

A *quantizer level* ``q`` is a vector of positive gains, one for every channel, trained with its own
trade-off between rate and distortion ("Gained VAE", Cui et al. 2021). Channels are dropped at
random while training (nested dropout, Rippel et al. 2014), so any prefix of the channels decodes.
The entropy bottlenecks are only the rate's proxy in training: a profile codes symbols with integer
tables that are fitted afterwards.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from compressai.entropy_models import EntropyBottleneck
from compressai.layers import conv3x3, subpel_conv3x3
from compressai.models import CompressionModel
import torch
from torch import nn, Tensor
from torch.nn import functional

STRIDE = 8
"""Work-scale pixels per latent position, along each axis."""


@dataclass(frozen=True)
class StructureConfig:
    """
    Sizes of a structure model.

    ``latent`` channels of y; ``analysis``/``synthesis`` (width, residual blocks) of each stage,
    fine to coarse and coarse to fine; ``quantizers`` levels, whose first gains are spaced by
    ``gain_step`` up to ``gain_top``.
    """

    latent: int = 320
    analysis: tuple[tuple[int, int], ...] = ((112, 2), (192, 2))
    synthesis: tuple[tuple[int, int], ...] = ((192, 3), (112, 2), (48, 1))
    quantizers: int = 6
    gain_top: float = 3.0
    gain_step: float = 1.45

    def __post_init__(self) -> None:
        """Raise ValueError when the stages do not add up to the stride."""
        if len(self.analysis) != 2 or len(self.synthesis) != 3:
            raise ValueError('analysis has two stages, synthesis three')
        if self.latent < 1 or self.quantizers < 1:
            raise ValueError('latent and quantizers must be positive')

    def to_dict(self) -> dict[str, object]:
        """Return the fields as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, object]) -> StructureConfig:
        """Build a configuration from what :meth:`to_dict` gave, lists taken as tuples."""
        values = dict(fields)
        for name in ('analysis', 'synthesis'):
            if name in values:
                values[name] = tuple((int(w), int(d)) for w, d in values[name])
        return cls(**values)


@dataclass(frozen=True)
class StructureOutput:
    """
    What one pass of the model gives.

    ``image`` [B, 3, h, w] (not clipped), ``error`` [B, 1, h, w] expected absolute error >= 0,
    ``bits`` [B] of the channels kept, ``symbols`` [B, C, h/8, w/8] integers as floats.
    """

    image: Tensor
    error: Tensor
    bits: Tensor
    symbols: Tensor


class PreactivatedResidual(nn.Module):
    """Two 3x3 convolutions around a skip; starts as the identity, so depth is free at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv3x3(width, width)
        self.second = conv3x3(width, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, width, h, w] to the same shape."""
        hidden = self.first(functional.leaky_relu(x, 0.1))
        return x + self.second(functional.leaky_relu(hidden, 0.1))


def residual_stage(width: int, depth: int) -> list[nn.Module]:
    """Return ``depth`` residual blocks of ``width`` channels."""
    return [PreactivatedResidual(width) for _ in range(depth)]


class Analysis(nn.Module):
    """Image [B, 3, h, w] in [0, 1] -> y [B, C, h/8, w/8]; h and w are multiples of 8."""

    def __init__(self, config: StructureConfig) -> None:
        super().__init__()
        (fine, fine_depth), (coarse, coarse_depth) = config.analysis
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(4),
            conv3x3(48, fine),
            *residual_stage(fine, fine_depth),
            nn.LeakyReLU(0.1),
            conv3x3(fine, coarse, stride=2),
            *residual_stage(coarse, coarse_depth),
            nn.LeakyReLU(0.1),
            nn.Conv2d(coarse, config.latent, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Centre the image around zero and transform it."""
        return self.layers(image * 2 - 1)


class Synthesis(nn.Module):
    """y_hat [B, C, h, w] -> image [B, 3, 8h, 8w] and expected absolute error [B, 1, 8h, 8w]."""

    def __init__(self, config: StructureConfig) -> None:
        super().__init__()
        (coarse, coarse_depth), (middle, middle_depth), (fine, fine_depth) = config.synthesis
        self.layers = nn.Sequential(
            conv3x3(config.latent, coarse),
            *residual_stage(coarse, coarse_depth),
            nn.LeakyReLU(0.1),
            subpel_conv3x3(coarse, middle, 2),
            *residual_stage(middle, middle_depth),
            nn.LeakyReLU(0.1),
            subpel_conv3x3(middle, fine, 2),
            *residual_stage(fine, fine_depth),
            nn.LeakyReLU(0.1))
        self.image_head = subpel_conv3x3(fine, 3, 2)
        self.error_head = subpel_conv3x3(fine, 1, 2)

    def forward(self, y_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct; the error head learns from the features and never changes them."""
        features = self.layers(y_hat)
        image = self.image_head(features) * 0.5 + 0.5
        error = functional.softplus(self.error_head(features.detach()) - 3.0)
        return image, error


class StructureModel(CompressionModel):
    """Analysis, gains, rate proxies and synthesis in one trainable module."""

    def __init__(self, config: StructureConfig | None = None) -> None:
        super().__init__()
        self.config = config or StructureConfig()
        self.g_a = Analysis(self.config)
        self.g_s = Synthesis(self.config)
        steps = torch.arange(self.config.quantizers, dtype=torch.float32)
        level = self.config.gain_top * self.config.gain_step ** (steps - steps[-1])
        self.log_gain = nn.Parameter(level.log()[:, None].repeat(1, self.config.latent))
        self.rate = nn.ModuleList(
            EntropyBottleneck(self.config.latent, init_scale=1)
            for _ in range(self.config.quantizers))

    @property
    def gains(self) -> Tensor:
        """Positive gains [Q, C]: symbol = round(y * gain)."""
        return self.log_gain.exp()

    def forward(
            self, image: Tensor, level: Tensor, keep: Tensor, noisy: Tensor | None = None
            ) -> StructureOutput:
        """
        Code and decode a batch.

        :param image: [B, 3, h, w] in [0, 1], h and w multiples of 8.
        :param level: int64 [B], the quantizer of each sample; sorted samples are fastest.
        :param keep: float [B, C], 1 for channels that are sent and 0 for the others.
        :param noisy: bool [B]; these samples are decoded from latents with uniform noise instead
            of rounded ones, by which a channel that always rounds to zero can come back to life.
        :raises ValueError: when the image's size is no multiple of 8.
        """
        if image.shape[-1] % STRIDE or image.shape[-2] % STRIDE:
            raise ValueError(f'image size {tuple(image.shape[-2:])} is no multiple of {STRIDE}')
        y = self.g_a(image).float()
        mask = keep[:, :, None, None]
        gain = self.gains[level][:, :, None, None]
        scaled = y * gain
        # The decoder sees true rounding; its gradient is passed straight through.
        symbols = scaled + (scaled.round() - scaled).detach()
        if noisy is not None:
            noise = scaled + torch.rand_like(scaled) - 0.5
            symbols = torch.where(noisy[:, None, None, None], noise, symbols)
        decoded, error = self.g_s(symbols / gain * mask)
        bits = torch.cat([
            self.bits(scaled[level == q], int(q), mask[level == q])
            for q in torch.unique_consecutive(level)]) if self.is_sorted(level) else torch.stack([
                self.bits(scaled[i:i + 1], int(q), mask[i:i + 1])[0]
                for i, q in enumerate(level)])
        return StructureOutput(decoded.float(), error.float(), bits, scaled.detach().round())

    @staticmethod
    def is_sorted(level: Tensor) -> bool:
        """Return whether the quantizer levels never fall along the batch."""
        return bool((level[1:] >= level[:-1]).all())

    def bits(self, scaled: Tensor, level: int, mask: Tensor) -> Tensor:
        """Return the bits [B] of scaled latents [B, C, h, w] at one level, of kept channels."""
        with torch.autocast(scaled.device.type, enabled=False):
            _, likelihood = self.rate[level](scaled.float(), training=True)
        return -(likelihood.log2() * mask).sum(dim=(1, 2, 3))
