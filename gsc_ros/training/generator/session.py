# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A whole training of a control branch: models read, data cached or cropped, samples, the run itself.

::

    base/ ─read─> transformer, autoencoder, text encoders ─┐
    images, captions ─────────────────────────────────────cache─> batches ─> trainer ─> output/
    structure profile ─────────────────────────────────────┘        text encoders are freed here
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import gc
import hashlib
from pathlib import Path
from typing import Protocol

from accelerate import Accelerator
from gsc_ros.codec.generator import flow
from gsc_ros.codec.generator.flux.config import CONFIGS, ControlConfig, GeneratorConfig
from gsc_ros.codec.generator.flux.control_file import ControlInfo, LoraShape
from gsc_ros.codec.generator.flux.load import load
from gsc_ros.codec.generator.flux.parts import Parts
from gsc_ros.codec.generator.manifest import structure_hash
from gsc_ros.codec.generator.source import Offload, Precision, Source
from gsc_ros.codec.profile import find_profile, load_profile, Profile
from gsc_ros.training.data import CropSampler, load_archives, split_archives
from gsc_ros.training.generator.batch import (
    BatchSettings,
    BatchSource,
    CacheBuilder,
    CachedSource,
    CropSource,
    text_key,
    validation_settings,
)
from gsc_ros.training.generator.cache import TensorCache
from gsc_ros.training.generator.control import (
    ControlSettings,
    ControlTrainer,
    make_accelerator,
    STATE_FILE,
)
from gsc_ros.training.generator.data import (
    CaptionedImage,
    Geometry,
    load_image,
    MAX_CAPTION,
    read_images,
)
from gsc_ros.training.generator.found import open_finder
from gsc_ros.training.generator.guard import check_fresh
from gsc_ros.training.generator.sample import (
    Embed,
    make_sample,
    Sample,
    SampleWriter,
    TrainingNetworks,
)
from gsc_ros.training.generator.structure import StructureSettings, StructureSource
import numpy as np
import torch
from torch import Tensor

PRECISIONS = {'no': Precision.FP32, 'bf16': Precision.BF16}
MARKED_BYTES = 1 << 20
"""Of a file of weights, what is looked at to tell it from another one."""


@dataclass(frozen=True)
class BranchPlan:
    """
    What is trained.

    :param base: frozen generator, in the layout of the Hugging Face hub.
    :param config: name of its configuration.
    :param multi: multi-stream blocks to copy; None for those of the configuration, as below.
    :param single: single-stream blocks to copy.
    :param picture: whether the structure decoder's picture guides, too.
    :param level: whether the quantizer's level does.
    :param detector: ONNX file of the detector whose objects guide, too; None for none.
    :param lora: shape of adapters; None for a full copy.
    :param profile: name or folder of the structure profile.
    :param structure: what is sent of an image.
    """

    base: Path
    config: str
    multi: int | None
    single: int | None
    picture: bool | None
    level: bool | None
    detector: Path | None
    lora: LoraShape | None
    profile: str
    structure: StructureSettings

    @property
    def generator(self) -> GeneratorConfig:
        """Return the configuration of the frozen generator."""
        return CONFIGS[self.config]

    def control(self) -> ControlConfig:
        """
        Return the branch.

        :raises ValueError: when it would copy nothing.
        """
        given = {'multi': self.multi, 'single': self.single, 'picture': self.picture,
                 'level': self.level, 'objects': self.detector is not None}
        chosen = {name: value for name, value in given.items() if value is not None}
        return ControlConfig.from_dict(replace(self.generator.control, **chosen).to_dict())


@dataclass(frozen=True)
class DataPlan:
    """
    What it is trained on.

    :param paths: folders and captions files, or folders and tar packs for crops.
    :param captions: further captions files.
    :param template: caption of an image without one.
    :param cache: where latents and embedded captions are kept.
    :param max_pixels: larger images are scaled down to this area.
    :param crop: side of crops made on the fly, in pixels of the camera; 0 for whole images.
    :param hold_out: images to validate on; of crops, any but 0 holds some images out.
    :param batches: how batches are drawn.
    """

    paths: tuple[Path, ...]
    captions: tuple[Path, ...]
    template: str
    cache: Path
    max_pixels: int
    crop: int
    hold_out: int
    batches: BatchSettings


@dataclass(frozen=True)
class RunPlan:
    """
    How, and where the results go.

    :param resume: go on from the state in ``output``.
    :param start: control file to start from.
    :param samples: how many sample pictures to make.
    """

    settings: ControlSettings
    output: Path
    resume: bool
    start: Path | None
    samples: int


class Progress(Protocol):
    """Shows how far a training is; called in the first process alone."""

    def caching(self, done: int, total: int) -> None:
        """Show how many of the images and captions that were missing are cached."""

    def training(self, trainer: ControlTrainer, figures: dict[str, float]) -> None:
        """Show figures after some steps more."""

    def note(self, text: str) -> None:
        """Tell the user something."""


@dataclass(frozen=True)
class Data:
    """Batches to train on, those to validate on, and images with captions for samples."""

    training: BatchSource
    validation: BatchSource | None
    examples: tuple[tuple[np.ndarray, str], ...]
    embed: Embed


def train(branch: BranchPlan, data: DataPlan, run: RunPlan, progress: Progress) -> ControlTrainer:
    """
    Train to the end and return the trainer.

    :raises DataError: when images, captions or a state are not as they should be, or the gradient
        is not finite and stays so.
    :raises GeneratorError: when the frozen generator is missing or damaged.
    :raises ProfileError: when the structure profile is.
    :raises ValueError: when the plans do not fit together, or would overwrite a run.
    """
    if not run.resume:
        check_fresh(run.output / STATE_FILE)
    control, profile = branch.control(), load_profile(find_profile(branch.profile))
    check_grid(profile, branch.generator.scale)
    accelerator = make_accelerator(run.settings.precision, run.output)
    find = None if branch.detector is None else open_finder(branch.detector)
    structure = StructureSource(profile, branch.structure, find=find)
    source = Source.from_layout(
        branch.base, precision=PRECISIONS[run.settings.precision],
        text_precision=PRECISIONS[run.settings.precision],
        text_tokens=branch.generator.text_tokens, offload=Offload.MODEL)
    parts = load(source, accelerator.device)[0]
    for part in (parts.autoencoder, parts.text.t5, parts.text.clip):
        part.to(accelerator.device)
    prepare = crop_data if data.crop else cached_data
    found = prepare(parts, source, structure, control, branch.generator, data, run, accelerator,
                    progress)
    if not data.crop:
        # What is cached needs no text encoders any more: ten gigabytes of FLUX's.
        del parts.text
        free(accelerator)
    info = ControlInfo(
        control, structure_hash(profile), profile.pitch, branch.structure.label,
        branch.config, branch.lora)
    trainer = ControlTrainer(
        parts.transformer, found.training, info, run.settings, run.output, found.validation,
        accelerator)
    if run.start:
        trainer.start_from(run.start)
    if run.resume and not trainer.resume() and accelerator.is_main_process:
        progress.note(f'nothing to resume in {run.output}: starting afresh')
    trainer.run(progress.training, sample_writer(
        trainer, parts, found, structure, branch.generator, control) if found.examples else None)
    return trainer


def check_grid(profile: Profile, scale: int) -> None:
    """Raise ValueError unless a structure latent covers whole image tokens."""
    if profile.pitch % (flow.TOKEN * scale):
        raise ValueError(
            f'profile {profile.name} has a latent every {profile.pitch} pixels, which are not '
            f'whole tokens of {flow.TOKEN * scale}')


def cached_data(
        parts: Parts, source: Source, structure: StructureSource, control: ControlConfig,
        generator: GeneratorConfig, data: DataPlan, run: RunPlan, accelerator: Accelerator,
        progress: Progress) -> Data:
    """Return batches of whole images, once everything about them is cached."""
    if control.picture:
        raise ValueError('a branch that takes the structure picture needs --crop')
    geometry = Geometry(data.max_pixels, structure.profile.pitch, generator.scale)
    images = read_images(data.paths, data.captions, data.template)
    if data.hold_out >= len(images):
        raise ValueError(f'{data.hold_out} of {len(images)} images cannot be held out')
    origin = cache_origin(source, structure, geometry)
    with accelerator.main_process_first():
        cache = TensorCache(data.cache, origin, accelerator.process_index)
    CacheBuilder(cache, parts, parts, structure, geometry, accelerator.device).build(
        images, accelerator.process_index, accelerator.num_processes,
        progress.caching if accelerator.is_main_process else None)
    accelerator.wait_for_everyone()
    cache.refresh()
    order = np.random.default_rng(data.batches.seed).permutation(len(images))
    held_out = [images[i] for i in sorted(order[:data.hold_out])]
    training = [images[i] for i in sorted(order[data.hold_out:])]
    shown = spread(held_out or training, run.samples)

    def embed(caption: str) -> tuple[Tensor, Tensor]:
        return cache.get(text_key(caption), 'text'), cache.get(text_key(caption), 'pooled')

    return Data(
        CachedSource(cache, training, structure, control, data.batches),
        CachedSource(cache, held_out, structure, control, validation_settings(data.batches))
        if held_out else None,
        tuple((load_image(image.path, geometry), image.caption) for image in shown), embed)


def crop_data(
        parts: Parts, source: Source, structure: StructureSource, control: ControlConfig,
        generator: GeneratorConfig, data: DataPlan, run: RunPlan, accelerator: Accelerator,
        progress: Progress) -> Data:
    """Return batches of crops made on the fly; the caption is the template's."""
    if data.captions:
        raise ValueError('crops take the caption of --caption-template')
    archives = load_archives(data.paths)
    split = split_archives(archives, fraction=0.06 if data.hold_out else 0.0)

    def caption(name: str, crop: np.ndarray, generator: np.random.Generator) -> str:
        return data.template.replace('{folder}', name)[:MAX_CAPTION]

    def crops(archives: Sequence, settings: BatchSettings) -> CropSource:
        return CropSource(
            CropSampler(archives, data.crop), caption, parts, parts, structure, control,
            generator.scale, settings, accelerator.device)

    training = crops(split.training, data.batches)
    validation = (crops(split.validation, validation_settings(data.batches))
                  if split.validation else None)
    examples = (validation or training).draw(
        run.samples, np.random.default_rng(data.batches.seed))

    @torch.no_grad()
    def embed(caption: str) -> tuple[Tensor, Tensor]:
        text, pooled = parts.embed([caption])
        return text[0], pooled[0]

    return Data(training, validation, tuple(zip(*examples)), embed)


def spread(images: Sequence[CaptionedImage], count: int) -> list[CaptionedImage]:
    """Return up to ``count`` images, evenly from all."""
    count = min(count, len(images))
    return [images[number * len(images) // count] for number in range(count)]


def sample_writer(
        trainer: ControlTrainer, parts: Parts, data: Data, structure: StructureSource,
        generator: GeneratorConfig, control: ControlConfig) -> SampleWriter:
    """Return what makes the sample pictures, with the generator's own steps and noise levels."""
    samples: tuple[Sample, ...] = tuple(
        make_sample(image, caption, structure, seed)
        for seed, (image, caption) in enumerate(data.examples))
    geometry = flow.Geometry(
        generator.scale, structure.profile.pitch, control.picture, control.level, control.objects)
    return SampleWriter(flow.FlowGenerator(
        'training', TrainingNetworks(trainer, parts, data.embed), geometry, generator.schedule,
        generator.steps), samples)


def cache_origin(
        source: Source, structure: StructureSource, geometry: Geometry) -> dict[str, object]:
    """Return what the tensors of a cache are made with, for TensorCache to compare."""
    detector = {'detector': structure.find.identity} if structure.find else {}
    return detector | {
        'format': 1, 'autoencoder': weights_mark(source.autoencoder),
        't5': weights_mark(source.t5), 'clip': weights_mark(source.clip),
        'text tokens': source.text_tokens, 'precision': source.precision.value,
        'structure profile': structure_hash(structure.profile),
        'size of images': geometry.max_pixels,
        'multiple': geometry.multiple, 'scale': geometry.scale}


def weights_mark(folder: Path) -> str:
    """Return a hash that tells the weights in a folder from others, without reading them whole."""
    digest = hashlib.sha256()
    for file in (folder / 'config.json', *sorted(folder.glob('*.safetensors'))):
        with file.open('rb') as handle:
            digest.update(f'{file.name} {file.stat().st_size} '.encode())
            digest.update(handle.read(MARKED_BYTES))
    return digest.hexdigest()[:32]


def free(accelerator: Accelerator) -> None:
    """Give back the memory of models that nothing holds any more."""
    gc.collect()
    if accelerator.device.type == 'cuda':
        torch.cuda.empty_cache()
