# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sample pictures of a training: made as the receiver makes them, beside what they should be.

Original, structure decoder's picture and generated one stand side by side, in TensorBoard and as
``samples/<step>-<number>.png``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accelerate import Accelerator
import cv2
from gsc_ros.codec.generator.flow import FlowGenerator
from gsc_ros.codec.generator.generator import Condition, GenerationSettings
from gsc_ros.codec.generator.sampler import VelocityField
from gsc_ros.training.generator.batch import Batch, PictureCoder
from gsc_ros.training.generator.control import ControlTrainer
from gsc_ros.training.generator.structure import StructureSource
import numpy as np
import torch
from torch import Tensor

FOLDER = 'samples'
Embed = Callable[[str], tuple[Tensor, Tensor]]
"""Returns the embedded text [L, D] and pooled text [P] of a caption."""


@dataclass(frozen=True)
class Sample:
    """An image uint8 [H, W, 3], and what the receiver would know of it."""

    image: np.ndarray
    condition: Condition


def make_sample(
        image: np.ndarray, caption: str, structure: StructureSource, seed: int) -> Sample:
    """Return a sample of an image uint8 [H, W, 3]; what is sent is drawn with the seed."""
    sent = structure.send(structure.measure(image), np.random.default_rng(seed))
    return Sample(image, Condition(
        text=caption, latent=sent.latent, channels=sent.channels,
        structure=structure.picture(sent)[:image.shape[0], :image.shape[1]], level=sent.level,
        seed=seed % 256, objects=sent.objects))


class TrainingNetworks:
    """The networks of a training as a generator runs them; see codec.generator.flow.Networks."""

    def __init__(self, trainer: ControlTrainer, pictures: PictureCoder, embed: Embed) -> None:
        """Run the model of ``trainer``, as it is whenever it is called."""
        self._trainer, self._pictures, self._embed = trainer, pictures, embed
        self.in_channels = int(trainer.bare.transformer.config.in_channels)

    def embed(self, text: str) -> tuple[Tensor, Tensor]:
        """Return a caption embedded."""
        return self._embed(text)

    @torch.no_grad()
    def encode(self, images: np.ndarray) -> np.ndarray:
        """Return the latents of pictures."""
        return self._pictures.encode(self._tensor(images)).float().cpu().numpy()

    @torch.no_grad()
    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Return the pictures of latents."""
        return self._pictures.decode(self._tensor(latents)).float().cpu().numpy()

    def field(
            self, texts: Sequence[tuple[Tensor, Tensor]], condition: np.ndarray | None, rows: int,
            columns: int, guidance: float | None) -> VelocityField:
        """Return the velocity; the guidance scale is that of the training."""
        batch = Batch(
            torch.empty(0), torch.from_numpy(condition),
            torch.stack([text for text, _ in texts]), torch.stack([pooled for _, pooled in texts]),
            rows, columns)

        @torch.no_grad()
        def velocity(z: np.ndarray, sigma: float) -> np.ndarray:
            levels = torch.full((len(z),), sigma, device=self._trainer.accelerator.device)
            return self._trainer.velocity(batch, self._tensor(z), levels).float().cpu().numpy()

        return velocity

    def close(self) -> None:
        """Leave the models to the trainer."""

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._trainer.accelerator.device)


@dataclass(frozen=True)
class SampleWriter:
    """
    Makes and writes pictures; `ControlTrainer.run` calls it.

    :param generator: runs the networks of the trainer.
    """

    generator: FlowGenerator
    samples: tuple[Sample, ...]
    settings: GenerationSettings = GenerationSettings()

    def pictures(self) -> list[np.ndarray]:
        """Return what the model makes of the samples now, uint8 [H, W, 3] each."""
        return [self.generator.generate([sample.condition], self.settings)[0]
                for sample in self.samples]

    def __call__(self, trainer: ControlTrainer) -> None:
        """Make the pictures, in every process because weights may be shared out; write them."""
        made = self.pictures()
        if not trainer.accelerator.is_main_process:
            return
        folder = trainer.output / FOLDER
        folder.mkdir(exist_ok=True)
        for number, (sample, picture) in enumerate(zip(self.samples, made)):
            row = np.concatenate([sample.image, sample.condition.structure, picture], axis=1)
            cv2.imwrite(str(folder / f'{trainer.step:06d}-{number}.png'), row[..., ::-1])
            show(trainer.accelerator, f'sample/{number}', row, trainer.step)


def show(accelerator: Accelerator, name: str, image: np.ndarray, step: int) -> None:
    """Give TensorBoard an image uint8 [H, W, 3], if there is a TensorBoard."""
    for tracker in accelerator.trackers:
        if tracker.name == 'tensorboard':
            tracker.writer.add_image(name, image, step, dataformats='HWC')
