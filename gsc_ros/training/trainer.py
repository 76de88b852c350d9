# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Train a structure model: resumable, seeded, on a CPU or a GPU through accelerate.

The objective of a sample at quantizer level q is ``w_q * (lambda_q * D + R)`` with
``D = 255^2 * MSE + s * (1 - MS-SSIM)`` and R in bits per work-scale pixel; ``w_q`` evens out how
much every level pulls at the shared weights. R is left out when the synthesis alone is
trained: it is a constant then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
import json
import math
from pathlib import Path
import time
import warnings

from accelerate import Accelerator
from gsc_ros.training.data import Archive, CropSampler, Split
from gsc_ros.training.klt import start_from_blocks
from gsc_ros.training.model import StructureConfig, StructureModel
import numpy as np
from safetensors import safe_open
from safetensors.torch import load_file, save_file
import torch
from torch import nn, Tensor

CHECKPOINT_LIMIT = 16_000_000
MS_SSIM_WEIGHTS = (0.45, 0.31, 0.24)
"""Weights of scales 1, 1/2, 1/4 of the work image: scales 1/4 to 1/16 of the camera's image."""


@dataclass(frozen=True)
class TrainingSettings:
    """
    Everything that shapes a run except the model and the data.

    The run ends after ``steps`` updates or ``minutes`` of training, whichever is first; the
    learning rate follows the larger of the two fractions.

    :param batch: crops per update.
    :param crop: side of a crop in work-scale pixels, a multiple of 32.
    :param rate: learning rate of the networks; ``linear_factor``, ``gain_factor`` and
        ``entropy_factor`` times that for the linear transforms, the gains and the rate model.
    :param warmup: steps over which the learning rate rises.
    :param lambda_low: trade-off of the first quantizer level, ``lambda_high`` of the last.
    :param similarity: weight of 1 - MS-SSIM beside the squared error of 8-bit pixels.
    :param prefix: share of the crops that keep a random prefix of the channels.
    :param subset: share of the crops that keep a random subset of the channels.
    :param synthesis_only: leave analysis, gains and rate as they are: the symbols stay the same.
    :param basis: crops that the block transform is computed from.
    :param average: decay of the averaged weights.
    :param clip: largest norm of a gradient.
    :param precision: mixed precision as accelerate names it: ``no``, ``bf16`` or ``fp16``.
    :param save_minutes: minutes between validations and checkpoints.
    :param log_steps: steps between two reports.
    """

    steps: int = 100_000
    minutes: float = math.inf
    batch: int = 8
    crop: int = 96
    rate: float = 8e-4
    warmup: int = 200
    linear_factor: float = 0.1
    gain_factor: float = 2.0
    entropy_factor: float = 5.0
    lambda_low: float = 7e-6
    lambda_high: float = 1e-3
    similarity: float = 1000.0
    prefix: float = 0.1
    subset: float = 0.05
    synthesis_only: bool = False
    basis: int = 1000
    average: float = 0.999
    clip: float = 1.0
    seed: int = 1
    precision: str = 'no'
    save_minutes: float = 5.0
    log_steps: int = 50

    def __post_init__(self) -> None:
        """Raise ValueError when a value is out of its range."""
        if self.steps < 1 or self.batch < 1 or self.minutes <= 0:
            raise ValueError('steps, batch and minutes must be positive')
        if self.crop % 32:
            raise ValueError('crop must be a multiple of 32')
        if not 0 < self.lambda_low <= self.lambda_high:
            raise ValueError('need 0 < lambda_low <= lambda_high')

    def lambdas(self, quantizers: int) -> np.ndarray:
        """Return the geometric ladder of trade-offs, float32 [quantizers]."""
        return np.geomspace(self.lambda_low, self.lambda_high, quantizers).astype(np.float32)


@dataclass(frozen=True)
class TrainingReport:
    """
    How a run ended: updates done, seconds trained, last and best validation objective.

    ``best`` is infinite when no validation was finite.
    """

    steps: int
    seconds: float
    loss: float
    best: float


def gaussian_operator(size: int, window: int = 11, sigma: float = 1.5) -> Tensor:
    """Return the matrix [size, size - window + 1] of a valid Gaussian filter along one axis."""
    offsets = np.arange(window) - (window - 1) / 2
    kernel = np.exp(-offsets ** 2 / (2 * sigma ** 2))
    kernel /= kernel.sum()
    matrix = np.zeros((size, size - window + 1), np.float32)
    for column in range(matrix.shape[1]):
        matrix[column:column + window, column] = kernel
    return torch.from_numpy(matrix)


def ms_ssim(first: Tensor, second: Tensor, weights: Sequence[float] = MS_SSIM_WEIGHTS) -> Tensor:
    """
    Return the multi-scale SSIM [B] of images [B, C, h, w] in [0, 1], over fewer scales than five.

    Filters are matrix products: on a CPU that is far faster than depth-wise convolutions. The
    window shrinks where a scale is smaller than 11 pixels.
    """
    constant_mean, constant_spread = 0.01 ** 2, 0.03 ** 2
    result = torch.ones(first.shape[0], device=first.device)
    for scale, weight in enumerate(weights):
        if scale:
            first = torch.nn.functional.avg_pool2d(first, 2)
            second = torch.nn.functional.avg_pool2d(second, 2)
        window = min(11, min(first.shape[-2:]) // 2 * 2 - 1)
        rows = gaussian_operator(first.shape[-2], window).to(first).T
        columns = gaussian_operator(first.shape[-1], window).to(first)
        stack = torch.stack([first, second, first * first, second * second, first * second])
        mean_a, mean_b, square_a, square_b, cross = rows @ (stack @ columns)
        variance = square_a - mean_a ** 2 + square_b - mean_b ** 2
        covariance = cross - mean_a * mean_b
        similarity = (2 * covariance + constant_spread) / (variance + constant_spread)
        if scale == len(weights) - 1:
            similarity = similarity * (2 * mean_a * mean_b + constant_mean) / (
                mean_a ** 2 + mean_b ** 2 + constant_mean)
        result = result * similarity.mean(dim=(1, 2, 3)).clamp_min(1e-4) ** weight
    return result


def draw_levels(batch: int, quantizers: int, generator: np.random.Generator) -> np.ndarray:
    """Return sorted quantizer levels int64 [batch], at most four different ones."""
    few = generator.permutation(quantizers)[:4]
    return np.sort(np.resize(few, batch)).astype(np.int64)


def draw_channels(
        batch: int, channels: int, settings: TrainingSettings,
        generator: np.random.Generator) -> np.ndarray:
    """
    Return which channels each sample keeps, float32 [batch, channels] of 0 and 1.

    A prefix of log-uniform length, a random subset that favours early channels, or all of them.
    """
    keep = np.ones((batch, channels), np.float32)
    for row in keep:
        chance = generator.random()
        if chance < settings.prefix:
            row[int(np.exp(generator.uniform(0, np.log(channels + 1)))):] = 0
        elif chance < settings.prefix + settings.subset:
            reach = np.exp(generator.uniform(np.log(4), np.log(4 * channels)))
            odds = 1 / (1 + np.arange(channels) / reach)
            row[:] = generator.random(channels) < odds
    return keep


class StructureTrainer:
    """Holds model, optimizer, average and counters of a run, and writes them to a directory."""

    def __init__(
            self, split: Split, settings: TrainingSettings, config: StructureConfig,
            output: Path, weights: dict[str, float] | None = None) -> None:
        self.settings, self.output = settings, output
        output.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(settings.seed)
        self.accelerator = Accelerator(
            mixed_precision=settings.precision, log_with='tensorboard', project_dir=str(output))
        self.sampler = CropSampler(split.training, settings.crop, weights)
        model = self.build(config).to(memory_format=torch.channels_last)
        self.model, self.optimizer = self.accelerator.prepare(
            model, torch.optim.AdamW(self.groups(model), lr=settings.rate, betas=(0.9, 0.98),
                                     weight_decay=1e-5))
        self.bare = self.accelerator.unwrap_model(self.model)
        self.average = {n: p.detach().clone() for n, p in self.bare.state_dict().items()}
        self.validation = validation_batch(split.validation or split.training, settings.crop)
        self.lambdas = torch.from_numpy(settings.lambdas(config.quantizers)).to(
            self.accelerator.device)
        self.step, self.seconds, self.best = 0, 0.0, math.inf

    def build(self, config: StructureConfig) -> nn.Module:
        """Return the model to train, with the weights that a new run starts from."""
        model = StructureModel(config)
        start_from_blocks(model, self.sampler.batch(
            self.settings.basis, np.random.default_rng(self.settings.seed)))
        if self.settings.synthesis_only:
            model.requires_grad_(False)
            model.g_s.requires_grad_(True)
        return model

    def groups(self, model: nn.Module) -> list[dict[str, object]]:
        """Return the optimizer's groups: the rate must learn far faster than the transforms."""
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        kinds = {
            'linear': ('g_a.linear.', 'g_s.linear.'), 'gain': ('log_gain',), 'rate': ('rate.',)}
        factors = {
            'linear': self.settings.linear_factor, 'gain': self.settings.gain_factor,
            'rate': self.settings.entropy_factor}
        groups = []
        taken: set[str] = set()
        for kind, prefixes in kinds.items():
            names = [n for n, _ in named if n.startswith(prefixes)]
            taken.update(names)
            groups.append({
                'params': [p for n, p in named if n in names], 'weight_decay': 0.0,
                'base': self.settings.rate * factors[kind]})
        rest = [p for n, p in named if n not in taken]
        return [{'params': rest, 'base': self.settings.rate}, *groups]

    def progress(self) -> float:
        """Return how much of the run is behind us, in [0, 1]."""
        return min(1.0, max(self.step / self.settings.steps,
                            self.seconds / 60 / self.settings.minutes))

    def schedule(self) -> float:
        """Set and return the learning rate's factor: linear warm-up, then half a cosine."""
        factor = min(1.0, (self.step + 1) / self.settings.warmup)
        factor *= 0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * self.progress()))
        for group in self.optimizer.param_groups:
            group['lr'] = group['base'] * factor
        return factor

    def loss(
            self, image: Tensor, level: Tensor, keep: Tensor,
            ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what to minimise, and the objective and its parts averaged over the batch."""
        with self.accelerator.autocast():
            result = self.model(image, level, keep)
        pixels = image.shape[-1] * image.shape[-2]
        rate = result.bits / pixels
        squared = (result.image - image).square().mean(dim=(1, 2, 3)) * 255 ** 2
        similarity = ms_ssim(result.image, image)
        distortion = squared + self.settings.similarity * (1 - similarity)
        strength = self.lambdas[level]
        even = (self.lambdas.mean() / strength).sqrt()
        actual = (result.image.detach().clamp(0, 1) - image).abs().mean(dim=1, keepdim=True)
        error = (result.error - actual).square().mean() + (result.error - actual).abs().mean()
        cost = strength * distortion
        if not self.settings.synthesis_only:
            cost = cost + rate
        objective = (even * cost).mean()
        parts = {
            'objective': objective, 'rate': rate.mean(), 'mse': squared.mean(),
            'ms_ssim': similarity.mean(), 'error': error}
        return objective + error, {name: part.detach() for name, part in parts.items()}

    def update(self) -> dict[str, Tensor]:
        """Do one optimizer step; the batch depends only on the seed and the step's number."""
        generator = np.random.default_rng((self.settings.seed, self.step))
        torch.manual_seed(int(generator.integers(2 ** 62)))
        device = self.accelerator.device
        image = torch.from_numpy(self.sampler.batch(self.settings.batch, generator))
        config = self.bare.config
        level = draw_levels(self.settings.batch, config.quantizers, generator)
        keep = draw_channels(self.settings.batch, config.latent, self.settings, generator)
        self.schedule()
        loss, parts = self.loss(
            image.to(device).contiguous(memory_format=torch.channels_last),
            torch.from_numpy(level).to(device), torch.from_numpy(keep).to(device))
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.bare.parameters(), self.settings.clip)
        # One overflowing batch must not spoil an hour of work.
        if torch.isfinite(norm):
            self.optimizer.step()
        self.step += 1
        self.follow()
        return parts

    def follow(self) -> None:
        """Move the average towards the weights."""
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.bare.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value.to(self.average[name]), 1 - decay)
                else:
                    self.average[name] = value.clone()

    def averaged(self) -> nn.Module:
        """Return a copy of the model that carries the averaged weights."""
        model = type(self.bare)(self.bare.config)
        model.load_state_dict({n: v.cpu() for n, v in self.average.items()})
        return model.eval()

    @torch.no_grad()
    def validate(self) -> float:
        """Return the objective of the averaged weights on held-out crops, all channels kept."""
        live = {n: v.clone() for n, v in self.bare.state_dict().items()}
        self.bare.load_state_dict(self.average)
        torch.manual_seed(0)
        images = torch.from_numpy(self.validation).to(self.accelerator.device)
        quantizers = self.bare.config.quantizers
        values = []
        for level in range(quantizers):
            levels = torch.full((len(images),), level, device=images.device)
            keep = torch.ones(len(images), self.bare.config.latent, device=images.device)
            values.append(self.loss(images, levels, keep)[1])
        self.bare.load_state_dict(live)
        for level, parts in enumerate(values):
            self.accelerator.log({f'validation/{level}/{n}': float(v) for n, v in parts.items()},
                                 step=self.step)
        return float(np.mean([float(parts['objective']) for parts in values]))

    def save(self, score: float) -> None:
        """
        Write the state (with optimizer) and, when ``score`` is the best so far, ``best``.

        A score that is not finite is never the best: it is warned of.
        """
        if not math.isfinite(score):
            warnings.warn(f'the validation after {self.step} steps is {score}: best.safetensors '
                          'is left as it is', stacklevel=2)
        elif score <= self.best:
            self.best = score
            save_weights(self.averaged(), self.output / 'best.safetensors')
        state = {f'model.{n}': v for n, v in self.bare.state_dict().items()}
        state |= {f'average.{n}': v for n, v in self.average.items()}
        for index, slot in self.optimizer.state_dict()['state'].items():
            state |= {f'optimizer.{index}.{n}': torch.as_tensor(v) for n, v in slot.items()}
        counters = {'step': self.step, 'seconds': self.seconds, 'best': self.best,
                    'config': self.bare.config.to_dict(), 'settings': asdict(self.settings)}
        temporary = self.output / 'state.safetensors.part'
        save_file({n: v.detach().cpu().contiguous() for n, v in state.items()}, temporary,
                  metadata={'run': json.dumps(counters)})
        temporary.replace(self.output / 'state.safetensors')

    def resume(self) -> bool:
        """Take up the run that ``output`` holds; return False when it holds none."""
        path = self.output / 'state.safetensors'
        if not path.exists():
            return False
        with safe_open(path, 'pt') as handle:
            run = json.loads(handle.metadata()['run'])
        state = load_file(path)
        self.bare.load_state_dict(under(state, 'model.'))
        self.average = under(state, 'average.')
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in under(state, 'optimizer.').items():
            index, key = name.split('.')
            slots.setdefault(int(index), {})[key] = value
        fresh = self.optimizer.state_dict()
        self.optimizer.load_state_dict({'state': slots, 'param_groups': fresh['param_groups']})
        self.step, self.seconds, self.best = run['step'], run['seconds'], run['best']
        return True

    def start_from(self, model: StructureModel) -> None:
        """Take the weights of another run of the same configuration."""
        self.bare.load_state_dict(model.state_dict())
        self.average = {n: v.detach().clone() for n, v in self.bare.state_dict().items()}

    def run(self, report: Callable[[StructureTrainer, dict[str, float]], None] | None = None
            ) -> TrainingReport:
        """Train to the end, saving and validating on the way; ``report`` hears of each step."""
        self.accelerator.init_trackers('structure')
        saved, score = time.monotonic(), math.inf
        while self.progress() < 1:
            began = time.monotonic()
            parts = self.update()
            self.seconds += time.monotonic() - began
            if self.step % self.settings.log_steps == 0:
                figures = {n: float(v) for n, v in parts.items()}
                self.accelerator.log({f'training/{n}': v for n, v in figures.items()},
                                     step=self.step)
                if report:
                    report(self, figures)
            if time.monotonic() - saved > self.settings.save_minutes * 60:
                score = self.validate()
                self.save(score)
                saved = time.monotonic()
        score = self.validate()
        self.save(score)
        self.accelerator.end_training()
        return TrainingReport(self.step, self.seconds, score, self.best)


def under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the entries whose names start with ``prefix``, without it."""
    return {n[len(prefix):]: v for n, v in state.items() if n.startswith(prefix)}


def validation_batch(archives: Sequence[Archive], crop: int, count: int = 48) -> np.ndarray:
    """Return fixed crops of held-out archives, float32 [count, 3, crop, crop] in [0, 1]."""
    sampler = CropSampler(archives, crop)
    return sampler.batch(count, np.random.default_rng(0))


def save_weights(model: nn.Module, path: Path, half: bool = True) -> None:
    """
    Write a model's weights with its configuration, as float16 unless told otherwise.

    :raises ValueError: when the file would pass the limit of 16 MB.
    """
    tensors = {
        n: (v.half() if half and v.is_floating_point() else v).cpu().contiguous()
        for n, v in model.state_dict().items()}
    size = sum(v.numel() * v.element_size() for v in tensors.values())
    if size > CHECKPOINT_LIMIT:
        raise ValueError(f'checkpoint of {size} bytes is over {CHECKPOINT_LIMIT}')
    save_file(tensors, path, metadata={'config': json.dumps(model.config.to_dict())})


def load_weights(
        path: Path | str, kind: Callable[[StructureConfig], nn.Module] = StructureModel,
        ) -> nn.Module:
    """
    Build the model that a checkpoint of :func:`save_weights` describes, in float32.

    The state of a run is one, too: its averaged weights are taken.

    :param kind: the model's class.
    :raises ValueError: when the file has no configuration or does not fit it.
    """
    with safe_open(path, 'pt') as handle:
        metadata = handle.metadata() or {}
    if not metadata.keys() & {'config', 'run'}:
        raise ValueError(f'{path}: not a checkpoint of a structure model')
    stored = load_file(path)
    if 'run' in metadata:
        config, stored = json.loads(metadata['run'])['config'], under(stored, 'average.')
    else:
        config = json.loads(metadata['config'])
    model = kind(StructureConfig.from_dict(config))
    tensors = {n: v.float() if v.is_floating_point() else v for n, v in stored.items()}
    try:
        model.load_state_dict(tensors)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f'{path}: weights do not fit the configuration') from error
    return model.eval()
