# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Train the control branch of a generator: sections 3.3 and 4.1 of the GSC paper.

The transformer is frozen. Trained are the copy of its first blocks, the zero layers after them and
the embedder of the structure, to predict the velocity of the flow (:mod:`.flow`). The same code
trains a few thousand weights on a CPU and the 1.744 billion of FLUX on several machines: accelerate
deals with devices, precision and sharding (FSDP 2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
import json
import math
from pathlib import Path
import time

from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from diffusers import FluxTransformer2DModel
from gsc_ros.codec.generator.flux.control import ControlledTransformer, make_control
from gsc_ros.codec.generator.flux.control_file import ControlInfo, read_control, save_control
from gsc_ros.codec.generator.token import image_ids, text_ids
from gsc_ros.training.generator.batch import Batch, BatchSource
from gsc_ros.training.generator.flow import draw_sigmas, flow_loss, on_path, Times
from gsc_ros.training.generator.guard import reading, UpdateGuard
from gsc_ros.training.generator.lora import add_adapters, file_name
import numpy as np
from safetensors import safe_open
from safetensors.torch import load_file, save_file
import torch
from torch import Tensor
from torch.distributed.tensor import distribute_tensor, DTensor

CONTROL_FILE = 'control.safetensors'
STATE_FILE = 'state.safetensors'


@dataclass(frozen=True)
class ControlSettings:
    """
    Everything that shapes a run except models and data. The defaults are the paper's.

    :param steps: updates of the weights.
    :param minutes: minutes of training at most.
    :param rate: learning rate of AdamW; constant but for the warm-up, unless ``cosine``.
    :param accumulation: batches whose gradients are averaged for an update.
    :param warmup: steps over which the learning rate rises.
    :param cosine: let the learning rate fall to a hundredth, along half a cosine.
    :param average: decay of the averaged weights, which are what the control file gets; 0 for
        none.
    :param clip: largest norm of a gradient.
    :param times: how noise levels are drawn; ``shift`` moves them towards noise.
    :param guidance: guidance scale that a guidance-distilled transformer is told.
    :param precision: ``bf16`` for mixed precision, ``no`` for float32; FLUX overflows in float16.
    :param checkpointing: compute activations again in the backward pass instead of keeping them.
    :param save_steps: steps between two writes of the state and of the control file; also after
        ``save_minutes``.
    :param sample_steps: steps between two sets of sample pictures.
    :param log_steps: steps between two reports.
    """

    steps: int = 15_000
    minutes: float = math.inf
    rate: float = 4e-5
    weight_decay: float = 0.01
    accumulation: int = 4
    warmup: int = 0
    cosine: bool = False
    average: float = 0.999
    clip: float = 1.0
    times: Times = Times.UNIFORM
    shift: float = 1.0
    guidance: float = 3.5
    seed: int = 1
    precision: str = 'no'
    checkpointing: bool = False
    save_steps: int = 1000
    save_minutes: float = 60.0
    sample_steps: int = 1000
    log_steps: int = 10

    def __post_init__(self) -> None:
        """Raise ValueError when a value is out of its range."""
        counts = (self.steps, self.accumulation, self.save_steps, self.sample_steps,
                  self.log_steps)
        if min(counts) < 1 or min(self.minutes, self.rate, self.save_minutes, self.shift) <= 0:
            raise ValueError('steps, accumulation, minutes, rate and shift must be positive')
        if self.precision not in ('no', 'bf16'):
            raise ValueError(f'precision {self.precision!r} is neither bf16 nor no')
        if self.warmup < 0 or not 0 <= self.average < 1:
            raise ValueError('warmup must not be negative, and average in 0..1')


class ControlTrainer:
    """Holds model, optimizer, average and counters of a run, and writes them to a directory."""

    def __init__(
            self, transformer: FluxTransformer2DModel, source: BatchSource, info: ControlInfo,
            settings: ControlSettings, output: Path, validation: BatchSource | None = None,
            accelerator: Accelerator | None = None) -> None:
        """
        Copy the first blocks of ``transformer``, which is frozen, and get ready.

        :param source: what is trained on.
        :param info: what is trained; the control file will say it.
        :param validation: what is not; None for no validation.
        """
        self.settings, self.info, self.output = settings, info, output
        self.accelerator = accelerator or make_accelerator(settings.precision, output)
        output.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(settings.seed)
        control = make_control(transformer, info.config)
        control.controlnet_x_embedder.structure_scale.copy_(
            torch.from_numpy(source.structure_scale()))
        if info.lora:
            add_adapters(control, info.lora)
        model = ControlledTransformer(transformer, control)
        self.lower(model)
        if settings.checkpointing:
            transformer.enable_gradient_checkpointing()
            control.enable_gradient_checkpointing()
        optimizer = torch.optim.AdamW(
            [p for p in model.parameters() if p.requires_grad], lr=settings.rate,
            weight_decay=settings.weight_decay)
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.bare: ControlledTransformer = self.accelerator.unwrap_model(self.model)
        self.trained = {n: p for n, p in self.bare.control.named_parameters() if p.requires_grad}
        self.average = {n: p.detach().clone() for n, p in self.trained.items()}
        self.source, self.validation = source, validation
        self.step, self.seconds = 0, 0.0
        self._reader = ThreadPoolExecutor(1)
        self._guard = UpdateGuard()
        self._next: tuple[int, Future[Batch]] | None = None

    def lower(self, model: ControlledTransformer) -> None:
        """Keep frozen weights in the precision of the computation, trained ones in float32."""
        frozen = torch.bfloat16 if self.settings.precision == 'bf16' else torch.float32
        for parameter in model.parameters():
            parameter.data = parameter.data.to(
                torch.float32 if parameter.requires_grad else frozen)

    def progress(self) -> float:
        """Return how much of the run is behind us, in [0, 1]."""
        return min(1.0, max(self.step / self.settings.steps,
                            self.seconds / 60 / self.settings.minutes))

    def schedule(self) -> float:
        """Set and return the learning rate."""
        rate = self.settings.rate * min(1.0, (self.step + 1) / max(self.settings.warmup, 1))
        if self.settings.cosine:
            rate *= 0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * self.progress()))
        for group in self.optimizer.param_groups:
            group['lr'] = rate
        return rate

    def take(self, number: int) -> Batch:
        """Return a batch of the training data, and let the next one of this process be made."""
        ahead = self._next
        batch = (ahead[1].result() if ahead and ahead[0] == number
                 else self.source.batch(number))
        following = number + self.accelerator.num_processes
        self._next = following, self._reader.submit(self.source.batch, following)
        return batch

    def loss(self, batch: Batch, generator: np.random.Generator) -> Tensor:
        """Return the loss of each picture of a batch, at drawn noise levels: eq. (6), [B]."""
        device = self.accelerator.device
        data = batch.data.to(device)
        noise = torch.from_numpy(generator.standard_normal(data.shape, np.float32)).to(device)
        sigma = torch.from_numpy(draw_sigmas(
            len(data), generator, self.settings.times, self.settings.shift)).to(device)
        predicted = self.velocity(batch, on_path(data, noise, sigma), sigma)
        return flow_loss(predicted, data, noise)

    def velocity(self, batch: Batch, z: Tensor, sigma: Tensor) -> Tensor:
        """Return what the model gives at points [B, N, c] and levels [B] for a batch's guides."""
        device = self.accelerator.device
        guidance = None
        if self.bare.transformer.config.guidance_embeds:
            guidance = torch.full_like(sigma, self.settings.guidance)
        kind = next(self.bare.transformer.parameters()).dtype
        with self.accelerator.autocast():
            return self.model(
                z.to(kind), batch.condition.to(device), batch.text.to(device, kind),
                batch.pooled.to(device, kind), sigma,
                torch.from_numpy(image_ids(batch.rows, batch.columns)).to(device),
                torch.from_numpy(text_ids(batch.text.shape[1])).to(device), guidance)

    def update(self) -> dict[str, float | Tensor]:
        """Do one step of the optimizer; it depends only on the seed and the step's number."""
        rate = self.schedule()
        self.optimizer.zero_grad(set_to_none=True)
        count, processes = self.settings.accumulation, self.accelerator.num_processes
        total = torch.zeros((), device=self.accelerator.device)
        for part in range(count):
            number = (self.step * count + part) * processes + self.accelerator.process_index
            generator = np.random.default_rng((self.settings.seed, 3, number))
            last = part == count - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                loss = self.loss(self.take(number), generator).mean() / count
                self.accelerator.backward(loss)
            total += loss.detach()
        norm = whole(self.accelerator.clip_grad_norm_(
            list(self.trained.values()), self.settings.clip))
        # One overflowing batch must not spoil days of work. The scaler of float16 looks after that
        # itself, and must see it.
        finite = bool(torch.isfinite(norm))
        if finite or self.accelerator.scaler is not None:
            self.optimizer.step()
        self._guard.note(finite)
        self.step += 1
        self.follow()
        return {'loss': total, 'norm': norm, 'rate': rate}

    def follow(self) -> None:
        """Move the average towards the weights."""
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.trained.items():
                self.average[name].lerp_(value, 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the model have the averaged weights within the context."""
        live = {name: value.detach().clone() for name, value in self.trained.items()}
        with torch.no_grad():
            for name, value in self.trained.items():
                value.copy_(self.average[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in self.trained.items():
                    value.copy_(live[name])

    @torch.no_grad()
    def validate(self, batches: int = 16) -> float:
        """Return the loss of the averaged weights on held-out images, always the same draws."""
        losses = []
        with self.averaged():
            for number in range(batches):
                # All processes take the same: the result needs no exchange.
                generator = np.random.default_rng((self.settings.seed, 4, number))
                losses.append(self.loss(self.validation.batch(number), generator).mean())
        return float(torch.stack(losses).mean())

    def save(self) -> None:
        """Write the state, to resume from, and the control file with the averaged weights."""
        average = {n: self.gathered(v) for n, v in self.average.items()}
        state = {f'average.{n}': v for n, v in average.items()}
        for name, parameter in self.trained.items():
            state[f'control.{name}'] = self.gathered(parameter)
            for kind, value in self.optimizer.state.get(parameter, {}).items():
                state[f'optimizer.{kind}.{name}'] = self.gathered(torch.as_tensor(value))
        if self.accelerator.is_main_process:
            counters = {'step': self.step, 'seconds': self.seconds, 'info': self.info.to_json()}
            partial = self.output / f'{STATE_FILE}.part'
            save_file(state, partial, metadata={'run': json.dumps(counters)})
            partial.replace(self.output / STATE_FILE)
            kind = torch.bfloat16 if self.settings.precision == 'bf16' else torch.float32
            tensors = {file_name(n): v.to(kind) for n, v in average.items()}
            tensors |= dict(self.bare.control.named_buffers())
            save_control(self.output / CONTROL_FILE, tensors, self.info)
        self.accelerator.wait_for_everyone()

    def gathered(self, tensor: Tensor) -> Tensor:
        """Return a tensor in one piece in the first process's memory; a call of all processes."""
        tensor = whole(tensor)
        # The others gather one at a time and keep none.
        main = self.accelerator.is_main_process
        return tensor.cpu().contiguous() if main else tensor.new_empty(0)

    def resume(self) -> bool:
        """
        Take up the run that ``output`` holds; return False when it holds none.

        :raises DataError: when its state is damaged.
        :raises ValueError: when that is a run of something else.
        """
        path = self.output / STATE_FILE
        if not path.exists():
            return False
        with reading(path):
            self._resume(path)
        return True

    def _resume(self, path: Path) -> None:
        with safe_open(path, 'pt') as handle:
            run = json.loads(handle.metadata()['run'])
        if run['info'] != self.info.to_json():
            raise ValueError(f'{path}: a run of another branch: {run["info"]}')
        state = load_file(path)
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(shared(state[f'control.{name}'], parameter))
                self.average[name].copy_(shared(state[f'average.{name}'], parameter))
                kinds = ('step', 'exp_avg', 'exp_avg_sq')
                slots = {kind: state[f'optimizer.{kind}.{name}'] for kind in kinds
                         if f'optimizer.{kind}.{name}' in state}
                if slots:
                    self.optimizer.state[parameter] = {
                        kind: value if kind == 'step' else shared(value, parameter)
                        for kind, value in slots.items()}
        self.step, self.seconds = run['step'], run['seconds']

    def start_from(self, path: Path) -> None:
        """
        Take the weights of a control file, merged where it has adapters.

        A branch without the map of the objects can become one with it.

        :raises GeneratorError: when it is none, or of another transformer.
        :raises ValueError: when the run trains adapters, or another kind of branch.
        """
        control, info = read_control(path, self.bare.transformer)
        wanted = self.info.config
        same = replace(info.config, objects=info.config.objects or wanted.objects)
        if self.info.lora or same != wanted:
            raise ValueError(f'{path}: a branch of another kind: {info.to_json()}')
        weights = control.state_dict()
        with torch.no_grad():
            for name, parameter in self.trained.items():
                if name in weights:
                    parameter.copy_(shared(weights[name].to(parameter.dtype), parameter))
                    self.average[name].copy_(parameter)
            self.bare.control.controlnet_x_embedder.structure_scale.copy_(
                weights['controlnet_x_embedder.structure_scale'])

    def run(
            self, report: Callable[[ControlTrainer, dict[str, float]], None] | None = None,
            sample: Callable[[ControlTrainer], None] | None = None) -> float:
        """
        Train to the end, saving on the way, and return the last loss that was logged.

        :param report: hears of every ``log_steps``-th step.
        :param sample: makes pictures; called with the averaged weights in place, in every process.
        :raises DataError: when the gradient is not finite, and stays so.
        """
        self.accelerator.init_trackers('control', trackable(self.settings, self.info))
        saved, last = self.seconds, math.nan
        while self.progress() < 1:
            began = time.monotonic()
            figures = self.update()
            # A clock that all processes share: they must end and save at the same step.
            self.seconds += self.agreed(time.monotonic() - began)
            if self.step % self.settings.log_steps == 0:
                figures['loss'] = self.accelerator.reduce(figures['loss'], 'mean')
                last = self.log({n: float(v) for n, v in figures.items()}, report)
            due = self.seconds - saved > self.settings.save_minutes * 60
            if self.step % self.settings.save_steps == 0 or due:
                self.check_and_save()
                saved = self.seconds
            if sample and self.step % self.settings.sample_steps == 0:
                with self.averaged():
                    sample(self)
        self._guard.check()
        self.check_and_save()
        if sample and self.step % self.settings.sample_steps:
            with self.averaged():
                sample(self)
        self.accelerator.end_training()
        self._reader.shutdown(cancel_futures=True)
        return last

    def agreed(self, value: float) -> float:
        """Return the first process's number in all of them."""
        if self.accelerator.num_processes == 1:
            return value
        number = torch.tensor(value, dtype=torch.float64, device=self.accelerator.device)
        torch.distributed.broadcast(number, 0)
        return float(number)

    def log(
            self, figures: dict[str, float],
            report: Callable[[ControlTrainer, dict[str, float]], None] | None) -> float:
        """Write figures for TensorBoard, tell ``report``, and return the loss."""
        self.accelerator.log({f'training/{n}': v for n, v in figures.items()}, step=self.step)
        if report and self.accelerator.is_main_process:
            report(self, figures)
        return figures['loss']

    def check_and_save(self) -> None:
        """Validate where there is something to, and save."""
        if self.validation:
            self.accelerator.log({'validation/loss': self.validate()}, step=self.step)
        self.save()


def make_accelerator(precision: str, output: Path) -> Accelerator:
    """Return what knows the devices; TensorBoard's logs go to ``output/control``."""
    # While one process still fills its share of a cache, the others wait for longer than usual.
    patience = InitProcessGroupKwargs(timeout=timedelta(hours=6))
    return Accelerator(
        mixed_precision=precision, log_with='tensorboard', project_dir=str(output),
        kwargs_handlers=[patience])


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor that may be sharded in one piece; a call of all processes."""
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shared(value: Tensor, like: Tensor) -> Tensor:
    """Return a whole tensor, equal in all processes, sharded as another is and on its device."""
    value = value.to(like.device)
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def trackable(settings: ControlSettings, info: ControlInfo) -> dict[str, float | str]:
    """Return what TensorBoard shows of the settings: numbers and words."""
    values = asdict(settings) | {'times': settings.times.value, 'branch': info.to_json()}
    return {n: v if isinstance(v, (int, float, str)) else str(v) for n, v in values.items()}
