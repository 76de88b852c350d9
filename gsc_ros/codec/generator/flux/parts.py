# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frozen models of a generator, random or loaded, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from diffusers import AutoencoderKL, AutoencoderTiny, FluxTransformer2DModel
from gsc_ros.codec.generator.flux.config import GeneratorConfig
from gsc_ros.codec.generator.flux.embed import TextEncoders
import torch
from torch import nn, Tensor
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

AUTOENCODERS = {'AutoencoderKL': AutoencoderKL, 'AutoencoderTiny': AutoencoderTiny}


@dataclass
class Parts:
    """
    The models of a generator but for the control branch.

    :param transformer: the flow's velocity.
    :param autoencoder: pictures to latents of an eighth of their size, and back.
    :param text: the text encoders.
    """

    transformer: FluxTransformer2DModel
    autoencoder: AutoencoderKL | AutoencoderTiny
    text: TextEncoders

    def modules(self) -> dict[str, nn.Module]:
        """Return the models by name."""
        return {'transformer': self.transformer, 'autoencoder': self.autoencoder,
                't5': self.text.t5, 'clip': self.text.clip}

    def embed(self, texts: Sequence[str], device: torch.device | None = None) -> tuple[
            Tensor, Tensor]:
        """Return the embeddings of texts; see :meth:`TextEncoders.embed`."""
        return self.text.embed(texts, device)

    def encode(self, images: Tensor) -> Tensor:
        """
        Return the latents of pictures as the flow has them: shifted and scaled.

        :param images: ``[B, 3, H, W]`` in [0, 1], sides multiples of 16.
        :return: ``[B, C, H / 8, W / 8]``.
        """
        images = functional.pixel_unshuffle(
            images.to(self.autoencoder.dtype) * 2 - 1, self._block())
        encoded = self.autoencoder.encode(images)
        # The mean rather than a draw: the same picture has the same latent.
        latents = encoded.latents if hasattr(encoded, 'latents') else encoded.latent_dist.mode()
        sizes = self.autoencoder.config
        return (latents - (sizes.shift_factor or 0)) * sizes.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Return the pictures of latents, about [0, 1]; shapes as in :meth:`encode`."""
        sizes = self.autoencoder.config
        latents = latents.to(self.autoencoder.dtype) / sizes.scaling_factor + (
            sizes.shift_factor or 0)
        pixels = self.autoencoder.decode(latents).sample
        return functional.pixel_shuffle(pixels, self._block()) / 2 + 0.5

    def _block(self) -> int:
        """Return the side of the blocks of pixels that the autoencoder takes as channels."""
        return math.isqrt(self.autoencoder.config.in_channels // 3)


def build(config: GeneratorConfig) -> Parts:
    """Return random models of a configuration, on torch's default device, in evaluation mode."""
    return Parts(
        transformer=FluxTransformer2DModel(**config.transformer).eval(),
        autoencoder=AUTOENCODERS[config.autoencoder_class](**config.autoencoder).eval(),
        text=TextEncoders(
            t5=T5EncoderModel(T5Config(**config.t5)).eval(),
            clip=CLIPTextModel(CLIPTextConfig(**config.clip)).eval(),
            text_tokens=config.text_tokens))
