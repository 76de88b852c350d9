# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The structure model: one network for every rate.

::

              image [B, 3, h, w] in [0, 1], the work scale (a quarter of the camera's size)
                │
        ┌───────┴───────┐
        │ linear  │ net │ g_a
        └───────┬───────┘
                ▼ y [B, C, h/8, w/8]
              × gain[q] ──► round ──► symbols ──┬──► ÷ gain[q] ──► y_hat, channels kept
                │ + noise                       │                         │
                ▼                               │                 ┌───────┴───────┐
        ContextRate ◄───── neighbours, earlier channels           │ linear  │ net │ g_s ◄─ q
                │                                                 └───────┬───────┘
                ▼ bits                                 image, expected |error| (detached)

Both transforms are a linear block transform, which starts as the Karhunen-Loève transform of the
training images (:mod:`gsc_ros.training.klt`), plus a convolutional network that starts at zero.
The channels are therefore ordered by energy from the first step on, and every one of them is alive.

A *quantizer level* ``q`` is a vector of positive gains, one for every channel, trained with its own
trade-off between rate and distortion ("Gained VAE", Cui et al. 2021); the logarithms of the gains
are interpolated between a few *knots* along the ladder of levels. Channels are dropped at random
while training (nested dropout, Rippel et al. 2014), so any prefix of the channels decodes.

The rate is that of CompressAI's Gaussian conditional model (Minnen et al. 2018), whose means and
scales come from the contexts that the integer model of :mod:`gsc_ros.codec.context` uses, so that
the transforms are trained for the coder they will meet. A profile does not contain this model: its
integer tables are fitted to the exported symbols.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from compressai.entropy_models import GaussianConditional
from compressai.layers import conv3x3, subpel_conv3x3
from compressai.models import CompressionModel
import torch
from torch import nn, Tensor
from torch.nn import functional

STRIDE = 8
"""Work-scale pixels per latent position, along each axis."""

# Where the four neighbours of a symbol lie in each interlaced pass after the first: see
# gsc_ros.codec.context. (row, column) steps and their distance.
_DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))
_AXIS = ((-1, 0), (1, 0), (0, -1), (0, 1))
_PASSES = ((_DIAGONAL, 2), (_AXIS, 2), (_DIAGONAL, 1), (_AXIS, 1))
_REACH = 2


@dataclass(frozen=True)
class StructureConfig:
    """
    Sizes of a structure model.

    ``latent`` channels of y; ``analysis``/``synthesis`` (width, residual blocks) of each stage,
    fine to coarse and coarse to fine; ``quantizers`` levels, whose quantization steps start out
    spaced geometrically from ``step_coarse`` to ``step_fine``, with ``knots`` points of the ladder
    that are trained.
    """

    latent: int = 320
    analysis: tuple[tuple[int, int], ...] = ((112, 2), (192, 2))
    synthesis: tuple[tuple[int, int], ...] = ((192, 3), (112, 2), (48, 1))
    quantizers: int = 16
    knots: int = 6
    step_coarse: float = 12.0
    step_fine: float = 1.2

    def __post_init__(self) -> None:
        """Raise ValueError when the sizes do not fit together."""
        if len(self.analysis) != 2 or len(self.synthesis) != 3:
            raise ValueError('analysis has two stages, synthesis three')
        if self.latent < 1 or self.quantizers < 2 or self.knots < 2:
            raise ValueError('latent must be positive, quantizers and knots at least 2')
        if not 0 < self.step_fine <= self.step_coarse:
            raise ValueError('need 0 < step_fine <= step_coarse')

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
        zero(self.second)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, width, h, w] to the same shape."""
        hidden = self.first(functional.leaky_relu(x, 0.1))
        return x + self.second(functional.leaky_relu(hidden, 0.1))


def residual_stage(width: int, depth: int) -> list[nn.Module]:
    """Return ``depth`` residual blocks of ``width`` channels."""
    return [PreactivatedResidual(width) for _ in range(depth)]


def zero(module: nn.Module) -> None:
    """Set the weights and the bias of a layer to zero."""
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)


def precise(module: nn.Module, x: Tensor) -> Tensor:
    """Apply a module in float32 even under autocast: its output is what gets quantized or shown."""
    if torch.is_autocast_enabled(x.device.type):
        with torch.autocast(x.device.type, enabled=False):
            return module(x.float())
    return module(x)


class Analysis(nn.Module):
    """Image [B, 3, h, w] in [0, 1] -> y [B, C, h/8, w/8]; h and w are multiples of 8."""

    def __init__(self, config: StructureConfig) -> None:
        super().__init__()
        (fine, fine_depth), (coarse, coarse_depth) = config.analysis
        self.linear = nn.Conv2d(3, config.latent, STRIDE, stride=STRIDE)
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(4),
            conv3x3(48, fine),
            *residual_stage(fine, fine_depth),
            nn.LeakyReLU(0.1),
            conv3x3(fine, coarse, stride=2),
            *residual_stage(coarse, coarse_depth),
            nn.LeakyReLU(0.1),
            nn.Conv2d(coarse, config.latent, 1))
        zero(self.layers[-1])

    def forward(self, image: Tensor) -> Tensor:
        """Centre the image around zero and transform it."""
        centered = image * 2 - 1
        return precise(self.linear, centered) + self.layers(centered)


class Synthesis(nn.Module):
    """
    y_hat [B, C, h, w] -> image [B, 3, 8h, 8w] and expected absolute error [B, 1, 8h, 8w].

    ``level`` [B], the quantizer as a fraction of the ladder (0 coarsest, 1 finest), tells the
    network how coarse the quantization was.
    """

    def __init__(self, config: StructureConfig) -> None:
        super().__init__()
        (coarse, coarse_depth), (middle, middle_depth), (fine, fine_depth) = config.synthesis
        self.linear = nn.ConvTranspose2d(config.latent, 3, STRIDE, stride=STRIDE)
        self.enter = conv3x3(config.latent, coarse)
        self.level = nn.Sequential(nn.Linear(1, 32), nn.LeakyReLU(0.1), nn.Linear(32, coarse))
        self.layers = nn.Sequential(
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
        zero(self.image_head[0])

    def forward(self, y_hat: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct; the error head learns from the features and never changes them."""
        coarseness = self.level(level[:, None] * 2 - 1)
        features = self.layers(self.enter(y_hat) + coarseness[:, :, None, None])
        image = precise(self.linear, y_hat) + self.image_head(features)
        error = functional.softplus(self.error_head(features.detach()) - 3.0)
        return image * 0.5 + 0.5, error


class ContextRate(nn.Module):
    """
    Bits of the symbols, given those that the coder knows before each of them.

    Mean and scale of a symbol are linear in its four neighbours of the earlier interlaced passes,
    in their magnitudes, and in the co-located symbols of earlier channels. They are computed on
    dequantized values, so that all levels share their weights.
    """

    def __init__(self, config: StructureConfig) -> None:
        super().__init__()
        latent, passes = config.latent, len(_PASSES)
        self.near = nn.Parameter(torch.zeros(passes, len(_AXIS), latent))
        self.far = nn.Parameter(torch.zeros(latent, latent))
        self.near_size = nn.Parameter(torch.zeros(passes, latent))
        self.near_spread = nn.Parameter(torch.zeros(passes, latent))
        self.far_size = nn.Parameter(torch.zeros(latent, latent))
        self.far_around = nn.Parameter(torch.zeros(latent, latent))
        self.base = nn.Parameter(torch.zeros(passes + 1, config.knots, latent))
        self.conditional = GaussianConditional(None)

    def forward(self, scaled: Tensor, y_hat: Tensor, gain: Tensor, blend: Tensor) -> Tensor:
        """
        Return the bits of each symbol, [B, C, h, w].

        :param scaled: unrounded symbols [B, C, h, w].
        :param y_hat: dequantized symbols [B, C, h, w], zero for channels that are not sent.
        :param gain: symbols per unit of y, [B, C, 1, 1].
        :param blend: each sample's level as weights of the knots, [B, K].
        """
        member = passes_of(*scaled.shape[-2:]).to(scaled.device)
        size = y_hat.abs()
        around = functional.avg_pool2d(size, 3, stride=1, padding=1)
        mean = across(self.far, y_hat)
        spread = across(self.far_size, size) + across(self.far_around, around)
        padded = functional.pad(y_hat, (_REACH,) * 4)
        base = torch.einsum('bk,pkc->bpc', blend, self.base)
        offset = base[:, 0][:, :, None, None] * member[0]
        for index, (steps, distance) in enumerate(_PASSES):
            here = member[index + 1]
            neighbors = torch.stack([
                shifted(padded, distance * row, distance * column) for row, column in steps])
            center = neighbors.mean(dim=0)
            mean = mean + here * (neighbors * self.near[index][:, None, :, None, None]).sum(dim=0)
            sizes = neighbors.abs().mean(dim=0) * self.near_size[index][:, None, None]
            spreads = (neighbors - center).abs().mean(dim=0)
            spread = spread + here * (sizes + spreads * self.near_spread[index][:, None, None])
            offset = offset + base[:, index + 1][:, :, None, None] * here
        scale = functional.softplus(offset + spread * gain)
        _, likelihood = self.conditional(scaled, scale, means=mean * gain, training=True)
        return -likelihood.log2()


def across(weight: Tensor, values: Tensor) -> Tensor:
    """Return for each channel a weighted sum of the channels before it, [B, C, h, w]."""
    return torch.einsum('ij,bjhw->bihw', weight.tril(-1), values)


def shifted(padded: Tensor, row: int, column: int) -> Tensor:
    """Return the values ``row`` down and ``column`` to the right of each place of the map."""
    height, width = (side - 2 * _REACH for side in padded.shape[-2:])
    return padded[..., _REACH + row:_REACH + row + height, _REACH + column:_REACH + column + width]


def passes_of(height: int, width: int) -> Tensor:
    """Return which places of a grid belong to each of the five passes, float32 [5, h, w]."""
    row, column = torch.arange(height)[:, None], torch.arange(width)[None]
    coarse = (row % 2 == 0) & (column % 2 == 0)
    members = (
        (row % 4 == 0) & (column % 4 == 0),
        (row % 4 == 2) & (column % 4 == 2),
        coarse & (row % 4 != column % 4),
        (row % 2 == 1) & (column % 2 == 1),
        row % 2 != column % 2)
    return torch.stack(members).float()


class StructureModel(CompressionModel):
    """Analysis, gains, rate and synthesis in one trainable module."""

    def __init__(self, config: StructureConfig | None = None) -> None:
        super().__init__()
        self.config = config or StructureConfig()
        self.g_a = Analysis(self.config)
        self.g_s = Synthesis(self.config)
        self.rate = ContextRate(self.config)
        steps = torch.logspace(0, 1, self.config.knots, base=(
            self.config.step_fine / self.config.step_coarse)) * self.config.step_coarse
        self.log_gain = nn.Parameter(-steps.log()[:, None].repeat(1, self.config.latent))
        self.register_buffer(
            'blend', knot_weights(self.config.quantizers, self.config.knots), persistent=False)

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True) -> object:
        """
        Take over weights, but not the bounds of the rate model, which are constants.

        Half precision turns the smallest likelihood, 1e-9, into zero, whose bits are infinite.
        """
        own = {n: v for n, v in self.state_dict().items() if n.endswith('bound')}
        return super().load_state_dict({**state_dict, **own}, strict)

    @property
    def gains(self) -> Tensor:
        """Positive gains [Q, C]: symbol = round(y * gain)."""
        return (self.blend @ self.log_gain).exp()

    def fraction(self, level: Tensor) -> Tensor:
        """Return quantizer levels as what the synthesis wants to know of them, [B] in 0..1."""
        return level.float() / (self.config.quantizers - 1)

    def forward(self, image: Tensor, level: Tensor, keep: Tensor) -> StructureOutput:
        """
        Code and decode a batch.

        :param image: [B, 3, h, w] in [0, 1], h and w multiples of 8.
        :param level: int64 [B], the quantizer of each sample.
        :param keep: float [B, C], 1 for channels that are sent and 0 for the others.
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
        y_hat = symbols / gain * mask
        decoded, error = self.g_s(y_hat, self.fraction(level))
        with torch.autocast(scaled.device.type, enabled=False):
            bits = self.rate(scaled, y_hat, gain, self.blend[level]) * mask
        return StructureOutput(
            decoded.float(), error.float(), bits.sum(dim=(1, 2, 3)), scaled.detach().round())


def knot_weights(levels: int, knots: int) -> Tensor:
    """Return the weights [levels, knots] of linear interpolation between evenly spaced knots."""
    place = torch.linspace(0, knots - 1, levels)
    return (1 - (place[:, None] - torch.arange(knots)).abs()).clamp_min(0)
