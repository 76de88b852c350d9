# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loop that the stages of the embedded generator share: schedule, average, files, resume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import json
import math
from pathlib import Path
import time

from accelerate import Accelerator
from gsc_ros.training.data import DataError
from gsc_ros.training.generator.guard import check_fresh, reading, UpdateGuard
import numpy as np
from safetensors import safe_open
from safetensors.torch import load_file, save_file
import torch
from torch import nn, Tensor

WEIGHTS_FILE = 'weights.safetensors'
STATE_FILE = 'state.safetensors'
SCALE = '.scale_of_8_bits'

Loss = Callable[[np.random.Generator], tuple[Tensor, dict[str, Tensor]]]
"""Draws a batch with the generator; returns what to minimise and figures to report."""


@dataclass(frozen=True)
class LoopSettings:
    """
    Everything that shapes a run except model, data and objective.

    :param steps: updates at most.
    :param minutes: minutes of training at most; the learning rate follows whichever is nearer.
    :param rate: learning rate, after ``warmup`` steps, before half a cosine.
    :param average: decay of the averaged weights.
    :param clip: largest norm of a gradient.
    :param precision: mixed precision as accelerate names it: ``no``, ``bf16`` or ``fp16``.
    :param save_minutes: minutes between two writes of weights and state.
    :param log_steps: steps between two reports.
    """

    steps: int = 100_000
    minutes: float = math.inf
    rate: float = 1e-3
    warmup: int = 100
    weight_decay: float = 1e-4
    average: float = 0.998
    clip: float = 1.0
    seed: int = 1
    precision: str = 'no'
    save_minutes: float = 3.0
    log_steps: int = 50

    def __post_init__(self) -> None:
        """Raise ValueError when a value is out of its range."""
        if self.steps < 1 or self.minutes <= 0 or self.rate <= 0:
            raise ValueError('steps, minutes and rate must be positive')


class Loop:
    """
    Optimizes a module's trainable weights and keeps their average.

    A step's batch depends on the seed and the step's number alone, so a resumed run sees what an
    unbroken one would have seen.

    :param module: what is trained; parameters that want no gradient are left alone.
    :param settings: see :class:`LoopSettings`.
    :param output: directory for weights, state and TensorBoard logs.
    :param config: written into the weights' metadata, JSON-ready.
    """

    def __init__(self, module: nn.Module, settings: LoopSettings, output: Path,
                 config: dict[str, object]) -> None:
        self.settings, self.output, self.config = settings, output, config
        output.mkdir(parents=True, exist_ok=True)
        self.accelerator = Accelerator(
            mixed_precision=settings.precision, log_with='tensorboard', project_dir=str(output))
        self.module = module.to(self.accelerator.device)
        self.parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.optimizer = self.accelerator.prepare(torch.optim.AdamW(
            self.parameters.values(), lr=settings.rate, betas=(0.9, 0.98),
            weight_decay=settings.weight_decay))
        self.average = {n: p.detach().clone() for n, p in self.parameters.items()}
        self.step, self.seconds = 0, 0.0
        self._guard = UpdateGuard()

    def progress(self) -> float:
        """Return how much of the run is behind us, in [0, 1]."""
        return min(1.0, max(self.step / self.settings.steps,
                            self.seconds / 60 / self.settings.minutes))

    def update(self, loss: Loss) -> dict[str, Tensor]:
        """Do one optimizer step."""
        factor = min(1.0, (self.step + 1) / self.settings.warmup)
        factor *= 0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * self.progress()))
        for group in self.optimizer.param_groups:
            group['lr'] = self.settings.rate * factor
        generator = np.random.default_rng((self.settings.seed, self.step))
        torch.manual_seed(int(generator.integers(2 ** 62)))
        value, figures = loss(generator)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(value)
        norm = self.accelerator.clip_grad_norm_(self.parameters.values(), self.settings.clip)
        # One overflowing batch must not spoil a run. The scaler of float16 looks after that itself,
        # and must see it.
        finite = bool(torch.isfinite(norm))
        if finite or self.accelerator.scaler is not None:
            self.optimizer.step()
        self._guard.note(finite)
        self.step += 1
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                self.average[name].lerp_(parameter, 1 - decay)
        return {n: v.detach() for n, v in figures.items()}

    def run(self, loss: Loss,
            report: Callable[[Loop, dict[str, float]], None] | None = None) -> int:
        """
        Train to the end and return the number of updates; ``report`` hears every few steps.

        :raises DataError: when the gradient is not finite, and stays so.
        """
        self.accelerator.init_trackers('generator')
        saved = time.monotonic()
        while self.progress() < 1:
            began = time.monotonic()
            figures = self.update(loss)
            self.seconds += time.monotonic() - began
            if self.step % self.settings.log_steps == 0:
                values = {n: float(v) for n, v in figures.items()}
                self.accelerator.log(values, step=self.step)
                if report:
                    report(self, values)
            if time.monotonic() - saved > self.settings.save_minutes * 60:
                self.save()
                saved = time.monotonic()
        self._guard.check()
        self.save()
        self.accelerator.end_training()
        return self.step

    def averaged(self) -> dict[str, Tensor]:
        """Return the module's whole state with the averaged weights in it."""
        return {**self.module.state_dict(), **self.average}

    def save(self) -> None:
        """Write the averaged weights (float16) and the state to go on from."""
        save_weights(self.averaged(), self.output / WEIGHTS_FILE, self.config)
        tensors = {f'average.{n}': v.contiguous() for n, v in self.average.items()}
        for index, (name, parameter) in enumerate(self.parameters.items()):
            tensors[f'live.{name}'] = parameter.detach().contiguous()
            for key, value in self.optimizer.state_dict()['state'].get(index, {}).items():
                tensors[f'optimizer.{key}.{name}'] = torch.as_tensor(value).contiguous()
        counters = {'step': self.step, 'seconds': self.seconds}
        partial = self.output / f'{STATE_FILE}.part'
        save_file(tensors, partial, metadata={'counters': json.dumps(counters)})
        partial.replace(self.output / STATE_FILE)

    def begin(self, resume: bool) -> None:
        """
        Begin a run, or go on from the state in the output directory if there is one.

        :raises DataError: when that state is damaged, or of another model.
        :raises ValueError: when a new run would overwrite it.
        """
        path = self.output / STATE_FILE
        if not resume:
            check_fresh(path)
        elif path.exists():
            with reading(path):
                self._resume(path)

    def _resume(self, path: Path) -> None:
        with safe_open(path, 'pt') as handle:
            counters = json.loads(handle.metadata()['counters'])
        tensors = load_file(path)
        state: dict[int, dict[str, Tensor]] = {}
        with torch.no_grad():
            for index, (name, parameter) in enumerate(self.parameters.items()):
                parameter.copy_(tensors[f'live.{name}'])
                self.average[name].copy_(tensors[f'average.{name}'])
                state[index] = {
                    key: tensors[f'optimizer.{key}.{name}']
                    for key in ('step', 'exp_avg', 'exp_avg_sq')
                    if f'optimizer.{key}.{name}' in tensors}
        whole = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**whole, 'state': state})
        self.step, self.seconds = counters['step'], counters['seconds']


def save_weights(state: dict[str, Tensor], path: Path, config: dict[str, object],
                 compact: bool = False) -> None:
    """
    Write weights with their configuration, in one move.

    :param compact: 8-bit integers with a scale for each output in the place of float16, for all
        but small tensors: half the bytes, to begin a new run from.
    """
    tensors = {}
    for name, value in state.items():
        value = value.detach().cpu()
        if compact and value.is_floating_point() and value.ndim > 1 and value.numel() >= 4096:
            scale = value.flatten(1).abs().amax(dim=1).clamp_min(1e-12) / 127
            shaped = scale.reshape(-1, *[1] * (value.ndim - 1))
            tensors[name] = (value / shaped).round().to(torch.int8).contiguous()
            tensors[name + SCALE] = scale.contiguous()
        else:
            tensors[name] = (value.half() if value.is_floating_point() else value).contiguous()
    partial = path.with_name(path.name + '.part')
    save_file(tensors, partial, metadata={'config': json.dumps(config)})
    partial.replace(path)


def load_weights(path: Path | str) -> tuple[dict[str, Tensor], dict[str, object]]:
    """
    Return the weights (float32) and the configuration of :func:`save_weights`.

    :raises DataError: when the file is damaged, or has no configuration.
    """
    with reading(path):
        with safe_open(path, 'pt') as handle:
            metadata = handle.metadata() or {}
        stored = load_file(path)
        config = json.loads(metadata.get('config', 'null'))
    if not isinstance(config, dict):
        raise DataError(f'{path}: not a checkpoint of a generator')
    tensors = {}
    for name, value in stored.items():
        if name.endswith(SCALE):
            continue
        if name + SCALE in stored:
            value = value * stored[name + SCALE].reshape(-1, *[1] * (value.ndim - 1))
        tensors[name] = value.float() if value.is_floating_point() else value
    return tensors, config
