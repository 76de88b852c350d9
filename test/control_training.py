# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A generator of a few thousand weights, and eight pictures to train its control branch on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from accelerate import Accelerator
import cv2
from diffusers import FluxTransformer2DModel
from gsc_ros.codec.generator.flux.config import ControlConfig
from gsc_ros.codec.generator.flux.control_file import ControlInfo, LoraShape
from gsc_ros.codec.generator.manifest import structure_hash
from gsc_ros.codec.profile import load_profile
from gsc_ros.training.generator.batch import BatchSettings, CacheBuilder, CachedSource
from gsc_ros.training.generator.cache import TensorCache
from gsc_ros.training.generator.control import ControlSettings, ControlTrainer
from gsc_ros.training.generator.data import Geometry, read_images
from gsc_ros.training.generator.found import Finder
from gsc_ros.training.generator.structure import StructureSettings, StructureSource
import numpy as np
import torch
from torch import Tensor

GEOMETRY = Geometry(scale=2)
CONFIG = ControlConfig(multi=1, single=1)
SIZES = {
    'patch_size': 1, 'in_channels': 12, 'num_layers': 2, 'num_single_layers': 2,
    'attention_head_dim': 16, 'num_attention_heads': 2, 'joint_attention_dim': 16,
    'pooled_projection_dim': 16, 'axes_dims_rope': (4, 6, 6), 'guidance_embeds': False}


class Averages:
    """An autoencoder of stride 8 without weights: means of blocks, at about unit variance."""

    def encode(self, images: Tensor) -> Tensor:
        """Return the means of 8x8 pixels, [B, 3, H/8, W/8]."""
        return torch.nn.functional.avg_pool2d(images, 8) * 4 - 2

    def decode(self, latents: Tensor) -> Tensor:
        """Return smooth pictures of these means."""
        return torch.nn.functional.interpolate((latents + 2) / 4, scale_factor=8, mode='bilinear')


class Letters:
    """Embeds a text as noise that its letters seed."""

    def embed(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return [B, 4, 16] and [B, 16]."""
        rows = np.stack([np.random.default_rng(list(text.encode()) or 0).standard_normal((5, 16))
                         for text in texts]).astype(np.float32)
        return torch.from_numpy(rows[:, :4]), torch.from_numpy(rows[:, 4])


def write_pictures(folder: Path, count: int = 8, width: int = 128) -> Path:
    """Write smooth coloured pictures of 128 pixels a side, with captions beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (4, 4, 3), np.uint8)
        picture = cv2.resize(pixels, (width, 128), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f'{index}.png'), picture)
        (folder / f'{index}.txt').write_text(f'picture {index}')
    return folder


def structure(find: Finder | None = None, **settings: object) -> StructureSource:
    """Return what encodes structure: four channels by similarity, unless told otherwise."""
    return StructureSource(load_profile('tiny'), StructureSettings(**settings), find=find)


def cached_source(
        folder: Path, size: int = 2, config: ControlConfig = CONFIG, **settings: object,
        ) -> CachedSource:
    """Return batches of the pictures in ``folder``, from a cache in it."""
    images = read_images([folder])
    source = structure(**settings)
    cache = TensorCache(folder / 'cache', {'test': 1})
    CacheBuilder(cache, Letters(), Averages(), source, GEOMETRY, torch.device('cpu')).build(images)
    return CachedSource(cache, images, source, config, BatchSettings(size=size))


def transformer(**sizes: object) -> FluxTransformer2DModel:
    """Return a random transformer, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FluxTransformer2DModel(**SIZES | sizes)


def control_info(config: ControlConfig = CONFIG, lora: LoraShape | None = None) -> ControlInfo:
    """Return what is trained: a branch for the structure profile `tiny`."""
    profile = load_profile('tiny')
    return ControlInfo(config, structure_hash(profile), profile.pitch, '4', 'test', lora)


def trainer(
        source: CachedSource, output: Path, base: FluxTransformer2DModel | None = None,
        info: ControlInfo | None = None, accelerator: Accelerator | None = None,
        **settings: object) -> ControlTrainer:
    """Return a trainer that updates with every two batches."""
    values = replace(ControlSettings(
        steps=1000, rate=1e-3, accumulation=2, log_steps=1, save_steps=1000, sample_steps=1000),
        **settings)
    return ControlTrainer(
        base or transformer(), source, info or control_info(), values, output,
        accelerator=accelerator)
