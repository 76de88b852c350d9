# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The embedded generator's autoencoder: half-size pictures to latents of stride 8 and back.

::

    image [B, 3, h, w] in [0, 1] ─unshuffle 8─> [B, 192, h/8, w/8] ─linear─> z [B, 24, h/8, w/8]
    z ─AutoencoderTiny's decoder─> [B, 192, h/8, w/8] ─shuffle 8─> image

It is diffusers' ``AutoencoderTiny`` behind a fixed rearrangement of 8x8 pixels. The encoder is the
Karhunen-Loève transform of 8x8 blocks and stays so, as the structure codec's does; latents are
known before anything is trained. The decoder starts as the inverse transform: for any h,
``relu(h) - relu(-h) = h``, so pairs of its channels carry the linear part through, and its
residual blocks start at zero. It then learns to hide the blocks and to add what they leave out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from diffusers import AutoencoderTiny
from gsc_ros.training.data import Augmentation, CropSampler, DataError, Split
from gsc_ros.training.generator.guard import reading
from gsc_ros.training.generator.loop import load_weights, Loop, LoopSettings
from gsc_ros.training.trainer import ms_ssim
import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional

STRIDE = 8
"""Pixels of the half-size picture per latent position, along each axis."""
SPREAD = 0.3
"""Standard deviation of the autoencoder's own latents: its decoder clips softly at 3."""
SILENCE = 1e-5
"""Power below which nobody misses detail: noise of a third of a percent of the full range."""
SHARP = Augmentation(gray=0.05, blur=0.0, noise=0.0, max_zoom_out=1.8)
"""What may happen to training pictures: nothing that a decoder would learn to blur from."""


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes of an autoencoder: ``latent`` channels, decoder ``width`` and residual ``blocks``."""

    latent: int = 24
    width: int = 192
    blocks: int = 3

    def __post_init__(self) -> None:
        """Raise ValueError unless the linear part fits into the decoder."""
        if not 1 <= self.latent <= self.width // 2:
            raise ValueError('latent must be 1 to half the width')

    def to_dict(self) -> dict[str, object]:
        """Return the fields as JSON-ready values."""
        return asdict(self)

    def arguments(self) -> dict[str, object]:
        """Return the arguments of AutoencoderTiny."""
        values = 3 * STRIDE ** 2
        return {
            'in_channels': values, 'out_channels': values, 'latent_channels': self.latent,
            'encoder_block_out_channels': (self.latent,), 'num_encoder_blocks': (0,),
            'decoder_block_out_channels': (self.width,), 'num_decoder_blocks': (self.blocks,)}


@dataclass(frozen=True)
class AutoencoderObjective:
    """
    Weights of the parts of the objective beside the absolute error of pixels.

    :param gradient: absolute error of horizontal and vertical differences, at two scales.
    :param similarity: 1 - MS-SSIM.
    :param spectrum: absolute error of the logarithm of local power by frequency: keeps texture
        whose phase the latent cannot carry from fading.
    :param made_spectrum: the same, for latents that a flow has made.
    :param noise: largest standard deviation of noise added to the latents, of which each crop
        gets a random share: what a generator makes is never exact.
    """

    gradient: float = 0.5
    similarity: float = 0.1
    spectrum: float = 0.02
    made_spectrum: float = 0.06
    noise: float = 0.25


@dataclass(frozen=True)
class Made:
    """
    Latents that a flow made of packets, and the pictures that the packets were made of.

    :param latents: float16 [N, C, h/8, w/8].
    :param images: uint8 [N, h, w, 3].
    """

    latents: np.ndarray
    images: np.ndarray


class PictureAutoencoder(nn.Module):
    """AutoencoderTiny between rearranged pixels and scaled latents."""

    def __init__(self, config: AutoencoderConfig | None = None) -> None:
        super().__init__()
        self.config = config or AutoencoderConfig()
        self.tiny = AutoencoderTiny(**self.config.arguments())
        self.register_buffer('scale', torch.ones(self.config.latent))

    def encode(self, image: Tensor) -> Tensor:
        """Map [B, 3, h, w] in [0, 1], multiples of 8, to scaled latents [B, C, h/8, w/8]."""
        blocks = functional.pixel_unshuffle(image * 2 - 1, STRIDE)
        return self.tiny.encode(blocks).latents * self.scale[:, None, None]

    def decode(self, latent: Tensor) -> Tensor:
        """Map scaled latents to a picture [B, 3, h, w], about [0, 1]."""
        blocks = self.tiny.decode(latent / self.scale[:, None, None]).sample
        return functional.pixel_shuffle(blocks, STRIDE) * 0.5 + 0.5


@torch.no_grad()
def start_from_blocks(model: PictureAutoencoder, images: Tensor) -> None:
    """
    Make the model the Karhunen-Loève transform of 8x8 blocks of ``images`` [B, 3, h, w].

    Scaled latents get the square root of each component's standard deviation as theirs, times one
    factor: coarse components stand out of the noise earlier and count for more, but not as much
    more as their energy would have it.
    """
    count = model.config.latent
    blocks = functional.pixel_unshuffle(images * 2 - 1, STRIDE)
    samples = blocks.permute(0, 2, 3, 1).reshape(-1, blocks.shape[1]).double()
    mean = samples.mean(dim=0)
    energy, basis = torch.linalg.eigh(torch.cov(samples.T))
    deviation = energy.flip(0)[:count].clamp_min(1e-12).sqrt()
    basis = basis.flip(1)[:, :count]
    enter, leave = model.tiny.encoder.layers
    for layer in (enter, leave):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    # AutoencoderTiny's encoder sees (x + 1) / 2, its decoder's output becomes 2 x - 1.
    forward = basis / deviation * SPREAD
    enter.weight[:, :, 1, 1] = (2 * forward).T.float()
    enter.bias.copy_((-(mean + 1) @ forward).float())
    leave.weight[:, :, 1, 1] = torch.eye(count)
    layers = list(model.tiny.decoder.layers)
    first, blocks_, last = layers[0], layers[2:-1], layers[-1]
    back = (basis * deviation / SPREAD / 2).float()
    for index, sign in enumerate((1.0, -1.0)):
        part = slice(index * count, (index + 1) * count)
        first.weight[part] = 0
        first.weight[part, :, 1, 1] = sign * torch.eye(count)
        first.bias[part] = 0
    for block in blocks_:
        nn.init.zeros_(block.conv[-1].weight)
        nn.init.zeros_(block.conv[-1].bias)
    nn.init.zeros_(last.weight)
    last.weight[:, :count, 1, 1] = back
    last.weight[:, count:2 * count, 1, 1] = -back
    last.bias.copy_(((mean + 1) / 2).float())
    model.scale.copy_(1.3 / SPREAD * deviation.sqrt().float())


def differences(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the horizontal and vertical differences of neighbouring pixels."""
    return image[..., 1:] - image[..., :-1], image[..., 1:, :] - image[..., :-1, :]


def ring_powers(image: Tensor, window: int = 16, hop: int = 8) -> Tensor:
    """
    Return the logarithm of the local power in each ring of frequencies.

    :param image: [B, 3, h, w] in [0, 1].
    :return: [B, rows, columns, window / 2]: natural logarithm, for windows every ``hop`` pixels.
    """
    taper = torch.hann_window(window, periodic=False, device=image.device)
    pieces = image.unfold(2, window, hop).unfold(3, window, hop) * taper * taper[:, None]
    spectrum = torch.fft.rfft2(pieces, norm='ortho')
    power = (spectrum.real.square() + spectrum.imag.square()).mean(dim=1)
    radius = torch.hypot(torch.fft.fftfreq(window)[:, None], torch.fft.rfftfreq(window))
    ring = torch.nn.functional.one_hot(
        (radius * window).round().long().clamp(1, window // 2) - 1, window // 2)
    ring = ring.flatten(0, 1).float().to(image.device)
    return (power.flatten(-2) @ (ring / ring.sum(dim=0)) + SILENCE).log()


def reconstruction_loss(
        made: Tensor, image: Tensor, objective: AutoencoderObjective, generated: bool = False,
        ) -> tuple[Tensor, dict[str, Tensor]]:
    """Return what to minimise for pictures [B, 3, h, w] in [0, 1], and its parts."""
    absolute = (made - image).abs().mean()
    gradient = made.new_zeros(())
    one, other = made, image
    for _ in range(2):
        gradient = gradient + sum(
            (a - b).abs().mean() for a, b in zip(differences(one), differences(other)))
        one, other = functional.avg_pool2d(one, 2), functional.avg_pool2d(other, 2)
    similarity = 1 - ms_ssim(made, image).mean()
    spectrum = (ring_powers(made) - ring_powers(image)).abs().mean()
    total = (absolute + objective.gradient * gradient + objective.similarity * similarity
             + (objective.made_spectrum if generated else objective.spectrum) * spectrum)
    psnr = -10 * (made.detach().clamp(0, 1) - image).square().mean(dim=(1, 2, 3)).log10().mean()
    return total, {'absolute': absolute, 'gradient': gradient, 'dissimilarity': similarity,
                   'spectrum': spectrum, 'psnr': psnr}


def train_autoencoder(
        split: Split, output: Path, settings: LoopSettings, model: PictureAutoencoder | None = None,
        objective: AutoencoderObjective | None = None, batch: int = 8, crop: int = 128,
        weights: dict[str, float] | None = None, resume: bool = False,
        report: Callable[[Loop, dict[str, float]], None] | None = None,
        generated: Made | None = None) -> PictureAutoencoder:
    """
    Train the decoder on half-size crops and return the model with its averaged weights.

    :param model: what to go on from; None for a new one, started from the blocks of 1,000 crops.
    :param crop: side of a crop, a multiple of 32.
    :param report: see :meth:`Loop.run`.
    :param generated: latents that two of three steps take instead of those of crops.
    """
    torch.manual_seed(settings.seed)
    objective = objective or AutoencoderObjective()
    sampler = CropSampler(split.training, crop, weights, SHARP)
    if model is None:
        model = PictureAutoencoder()
        start_from_blocks(model, torch.from_numpy(
            sampler.batch(1000, np.random.default_rng(settings.seed))))
    model.requires_grad_(False)
    model.tiny.decoder.requires_grad_(True)
    loop = Loop(model, settings, output, {'autoencoder': model.config.to_dict()})
    loop.begin(resume)
    device = loop.accelerator.device

    def of_flow(generator: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        index = generator.integers(0, len(generated.latents), max(1, batch // 2))
        image = torch.from_numpy(generated.images[index]).to(device).permute(0, 3, 1, 2) / 255
        latent = torch.from_numpy(generated.latents[index].astype(np.float32)).to(device)
        with loop.accelerator.autocast():
            made = model.decode(latent.contiguous(memory_format=torch.channels_last))
        total, figures = reconstruction_loss(made.float(), image, objective, generated=True)
        return total, {f'made_{name}': value for name, value in figures.items()}

    def loss(generator: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        if generated is not None and loop.step % 3:
            return of_flow(generator)
        image = torch.from_numpy(sampler.batch(batch, generator)).to(device)
        latent = model.encode(image)
        share = torch.from_numpy(generator.random((batch, 1, 1, 1)).astype(np.float32)).to(device)
        latent = latent + objective.noise * share * torch.randn_like(latent)
        with loop.accelerator.autocast():
            made = model.decode(latent.contiguous(memory_format=torch.channels_last))
        return reconstruction_loss(made.float(), image, objective)

    loop.run(loss, report)
    model.load_state_dict(loop.averaged())
    return model.eval()


def load_autoencoder(path: Path | str) -> PictureAutoencoder:
    """
    Build the autoencoder that a checkpoint describes, in float32.

    :raises DataError: when the file is no checkpoint of an autoencoder.
    """
    tensors, config = load_weights(path)
    if 'autoencoder' not in config:
        raise DataError(f'{path}: not a checkpoint of an autoencoder')
    with reading(path):
        model = PictureAutoencoder(AutoencoderConfig(**config['autoencoder']))
        model.load_state_dict(tensors)
    return model.eval().requires_grad_(False)
