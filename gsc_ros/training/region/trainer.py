# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Train the synthesis of a region model.

The symbols are those of the block transform at steps that are set beforehand (:mod:`.gain`), so the
rate is no part of the objective, which is::

    255^2 MSE / 100 + 10 (1 - MS-SSIM) + p * teacher distance

The teacher distance (:mod:`.teacher`) makes the synthesis keep what a perception network looks at.
"""

from __future__ import annotations

from pathlib import Path

from gsc_ros.training.data import Split
from gsc_ros.training.model import StructureConfig, StructureModel
from gsc_ros.training.region.gain import set_gains
from gsc_ros.training.region.model import RegionModel
from gsc_ros.training.region.prediction import coded_part, predict
from gsc_ros.training.region.teacher import Teacher
from gsc_ros.training.trainer import ms_ssim, StructureTrainer, TrainingSettings
import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional

TEACHER_WEIGHT = 4.0
TEACHER_ZOOMS = (1.0, 1.5, 2.0)
"""A detector's objects are larger in its picture than at the scale of a region."""


class RegionTrainer(StructureTrainer):
    """
    Trains the synthesis, as :class:`StructureTrainer` does.

    :param base: the structure model whose pictures are the predictions; the new model starts from
        its weights.
    :param teacher: what the reconstruction is shown to; None for no such term.
    :param teacher_weight: weight of its distance, p.
    """

    def __init__(
            self, split: Split, settings: TrainingSettings, base: StructureModel,
            teacher: Teacher | None, output: Path, weights: dict[str, float] | None = None,
            teacher_weight: float = TEACHER_WEIGHT) -> None:
        self.base, self.teacher = base.eval().requires_grad_(False), teacher
        self.teacher_weight = teacher_weight
        super().__init__(split, settings, base.config, output, weights)
        layout = {'device': self.accelerator.device, 'memory_format': torch.channels_last}
        self.base = self.base.to(**layout)
        if teacher is not None:
            self.teacher = teacher.to(**layout)

    def build(self, config: StructureConfig) -> nn.Module:
        """Return a region model with the base's weights and steps fitted to the teacher."""
        model = RegionModel.from_structure(self.base)
        generator = np.random.default_rng(self.settings.seed)
        set_gains(model, torch.from_numpy(self.sampler.batch(16, generator)), self.teacher)
        model.g_a.requires_grad_(False)
        for fixed in (model.g_s.linear, model.g_s.transform):
            fixed.requires_grad_(False)
        return model

    def loss(
            self, image: Tensor, level: Tensor, keep: Tensor,
            ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what to minimise, and its parts averaged over the batch; ``keep`` is not used."""
        generator = np.random.default_rng(int(torch.randint(2 ** 31, ()).item()))
        with self.accelerator.autocast():
            prediction = predict(self.base, self.bare, image, generator)
            coded = coded_part(image, generator)
            decoded, expected = self.model(image, prediction, level, coded)
            distance = self.distance(decoded.clamp(0, 1), image, generator)
        squared = (decoded - image).square().mean(dim=(1, 2, 3)) * 255 ** 2
        similarity = ms_ssim(decoded, image)
        actual = (decoded.detach().clamp(0, 1) - image).abs().mean(dim=1, keepdim=True)
        error = (expected - actual).square().mean() + (expected - actual).abs().mean()
        objective = squared.mean() / 100 + 10 * (1 - similarity.mean())
        objective = objective + self.teacher_weight * distance
        parts = {
            'objective': objective, 'mse': squared.mean(), 'ms_ssim': similarity.mean(),
            'teacher': distance, 'error': error}
        return objective + error, {name: part.detach() for name, part in parts.items()}

    def distance(self, decoded: Tensor, image: Tensor, generator: np.random.Generator) -> Tensor:
        """Return the mean teacher distance, at one of several sizes."""
        if self.teacher is None:
            return torch.zeros((), device=image.device)
        zoom = float(generator.choice(TEACHER_ZOOMS))
        if zoom > 1:
            decoded, image = (functional.interpolate(
                picture, scale_factor=zoom, mode='bilinear', align_corners=False)
                for picture in (decoded, image))
        with torch.no_grad():
            reference = self.teacher.features(image)
        return self.teacher.distance(decoded, reference).mean()
