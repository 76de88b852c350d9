# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Time and memory of a generator of FLUX's size, with random weights: nothing is downloaded.

    python benchmarks/gpu.py [--output FILE.md] [--json]
    python benchmarks/gpu.py --tiny --device cpu

The weights are made on the device, block by block, so that quantised ones need no more room than
they take. Prints a table with the name of the device. `--tiny` takes a model of the same classes
with a few thousand weights, which shows that the way is clear, and nothing about speed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
import gc
import json
import math
from pathlib import Path
import platform
import resource
import statistics
import sys
import tempfile
import time

from diffusers.utils import logging
from gsc_ros.codec.generator.flow import FlowGenerator, Geometry
from gsc_ros.codec.generator.flux.config import FLUX_DEV, FLUX_SCHNELL, GeneratorConfig
from gsc_ros.codec.generator.flux.control import make_control
from gsc_ros.codec.generator.flux.control_file import ControlInfo
from gsc_ros.codec.generator.flux.networks import FluxNetworks
from gsc_ros.codec.generator.flux.parts import build, Parts
from gsc_ros.codec.generator.flux.quantise import quantise
from gsc_ros.codec.generator.generator import Condition, GenerationSettings
from gsc_ros.codec.generator.source import Precision
from gsc_ros.codec.packet import LATENT_CHANNELS
import numpy as np
import torch
from torch import nn

GIB = 1 << 30
PITCH = 16
CAPTION = 'A quiet residential street with parked cars on both sides and tall trees in full leaf.'
SMALL = replace(
    FLUX_DEV, name='small',
    transformer=FLUX_DEV.transformer | {
        'num_layers': 5, 'num_single_layers': 3, 'attention_head_dim': 24,
        'num_attention_heads': 2, 'joint_attention_dim': 32, 'pooled_projection_dim': 16,
        'axes_dims_rope': (8, 8, 8)},
    autoencoder=FLUX_DEV.autoencoder | {
        'block_out_channels': (8, 8, 8, 8), 'layers_per_block': 1, 'norm_num_groups': 4},
    t5=FLUX_DEV.t5 | {'vocab_size': 384, 'd_model': 32, 'd_kv': 8, 'd_ff': 32, 'num_layers': 1,
                      'num_heads': 2},
    clip=FLUX_DEV.clip | {'vocab_size': 384, 'hidden_size': 16, 'intermediate_size': 32,
                          'num_hidden_layers': 1, 'num_attention_heads': 2, 'projection_dim': 16,
                          'pad_token_id': 0, 'bos_token_id': 0, 'eos_token_id': 1},
    text_tokens=16)
CONFIGS = {config.name: config for config in (FLUX_DEV, FLUX_SCHNELL)}


@dataclass(frozen=True)
class Row:
    """
    One measurement.

    :param what: what was done.
    :param precision: of the weights.
    :param seconds: for one frame, or one step; NaN when it did not fit.
    :param memory_gib: largest memory of the device, of the process on a CPU.
    :param note: what else there is to say.
    """

    what: str
    precision: str
    seconds: float
    memory_gib: float
    note: str = ''


class Meter:
    """
    Times work on a device.

    :param device: where it is done.
    :param repeat: how often, after once that does not count.
    """

    def __init__(self, device: torch.device, repeat: int) -> None:
        self.device, self.repeat = device, repeat

    def begin(self) -> None:
        """Free what is not used any more, and forget the peak of memory."""
        gc.collect()
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def seconds(self, work: Callable[[], object]) -> float:
        """Return the median time of doing something."""
        times = []
        for _ in range(self.repeat + 1):
            start = time.perf_counter()
            work()
            if self.device.type == 'cuda':
                torch.cuda.synchronize(self.device)
            times.append(time.perf_counter() - start)
        return statistics.median(times[1:])

    def memory_gib(self) -> float:
        """Return the peak of memory in GiB."""
        if self.device.type == 'cuda':
            return torch.cuda.max_memory_reserved(self.device) / GIB
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB

    @property
    def name(self) -> str:
        """Return the name of the device."""
        if self.device.type == 'cuda':
            return torch.cuda.get_device_name(self.device)
        lines = Path('/proc/cpuinfo').read_text().splitlines() if sys.platform == 'linux' else []
        model = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
        return f'{model[0] if model else platform.machine()}, {torch.get_num_threads()} threads'


def fill(model: nn.Module, precision: Precision, device: torch.device) -> nn.Module:
    """Give a model that is on the meta device random weights, block by block, and quantise it."""
    model.to(getattr(torch, precision.dtype_name))
    blocks: list[tuple[nn.Module, str]] = []
    for name, child in model.named_children():
        inside = list(child.named_children()) if isinstance(child, nn.ModuleList) else ()
        blocks += [(child, inner) for inner, _ in inside] or [(model, name)]
    for parent, name in blocks:
        block = getattr(parent, name).to_empty(device=device)
        with torch.no_grad():
            for weight in block.parameters():
                # Matrices keep the size of what passes them, about.
                weight.normal_(0, 1 / math.sqrt(weight.shape[-1])) if weight.ndim > 1 else (
                    weight.fill_(1.0))
            for values in block.buffers():
                values.fill_(1)
        # A layer knows its name only by its parent.
        holder = nn.ModuleDict({'block': block})
        if precision.quantised:
            holder = quantise(holder.requires_grad_(False), precision, device, device)
        setattr(parent, name, holder['block'])
    return model.eval().requires_grad_(False)


def random_generator(
        config: GeneratorConfig, precision: Precision, device: torch.device) -> FlowGenerator:
    """Return a generator with random weights, the text encoder in the same precision."""
    kind = getattr(torch, precision.dtype_name)
    transformer, control = _on_meta(config)
    with device:
        small = build(replace(config, transformer=SMALL.transformer, t5=SMALL.t5))
    for module in small.modules().values():
        module.to(kind)
    with torch.device('meta'):
        t5 = type(small.text.t5)(type(small.text.t5.config)(**config.t5))
    small.text.t5 = fill(t5, precision, device)
    small.text.t5.set_input_embeddings(small.text.t5.shared)
    parts = Parts(fill(transformer, precision, device), small.autoencoder, small.text)
    # As it is loaded: the branch is not quantised.
    whole = Precision.FP32 if precision is Precision.FP32 else Precision.BF16
    networks = FluxNetworks(parts, fill(control, whole, device), device)
    return FlowGenerator(
        config.name, networks, Geometry(scale=1, pitch=PITCH), config.schedule, config.steps,
        config.guidance)


def random_condition(width: int, height: int) -> Condition:
    """Return what guides a picture of a size."""
    draw = np.random.default_rng(0)
    grid = -(-height // PITCH), -(-width // PITCH)
    return Condition(
        CAPTION, draw.standard_normal((LATENT_CHANNELS, *grid), np.float32),
        tuple(range(LATENT_CHANNELS)), draw.integers(0, 256, (height, width, 3), np.uint8), 0.5, 0)


def measure_generation(
        meter: Meter, config: GeneratorConfig, precision: Precision, steps: Iterable[int],
        size: tuple[int, int], batch: int) -> list[Row]:
    """Return the time of a frame for each number of steps."""
    meter.begin()
    generator = random_generator(config, precision, meter.device)
    conditions = [random_condition(*size)] * batch
    rows = []
    for count in steps:
        settings = GenerationSettings(steps=count)
        seconds = meter.seconds(lambda s=settings: generator.generate(conditions, s)) / batch
        rows.append(Row(f'frame, {count} steps', precision.value, seconds, meter.memory_gib(),
                        f'{1 / seconds:.2f} frames/s'))
    generator.close()
    return rows


class _Steady:
    """Gives the same random batch again and again; see `training.generator.batch.BatchSource`."""

    def __init__(self, config: GeneratorConfig, size: tuple[int, int]) -> None:
        from gsc_ros.training.generator.batch import Batch
        columns, rows = (-(-side // PITCH) for side in size)
        sizes, tokens = config.transformer, rows * columns
        draw = torch.Generator().manual_seed(0)
        self._batch = Batch(
            torch.randn(1, tokens, sizes['in_channels'], generator=draw),
            torch.randn(1, tokens, config.control.inputs(sizes['in_channels']), generator=draw),
            torch.randn(1, config.text_tokens, sizes['joint_attention_dim'], generator=draw),
            torch.randn(1, sizes['pooled_projection_dim'], generator=draw), rows, columns)

    def batch(self, number: int) -> object:
        """Return the batch."""
        return self._batch

    def structure_scale(self) -> np.ndarray:
        """Return factors of 1."""
        return np.ones(LATENT_CHANNELS, np.float32)


def measure_training(
        meter: Meter, config: GeneratorConfig, size: tuple[int, int]) -> list[Row]:
    """Return the time of a step of the training of the branch, as the paper has it."""
    from gsc_ros.training.generator.control import ControlSettings, ControlTrainer
    meter.begin()
    precision = Precision.BF16
    with torch.device('meta'):
        transformer = _transformer(config)
    transformer = fill(transformer, precision, meter.device)
    info = ControlInfo(config.control, '', PITCH, 'random', config.name)
    settings = ControlSettings(precision='bf16', checkpointing=True)
    with tempfile.TemporaryDirectory() as output:
        trainer = ControlTrainer(
            transformer, _Steady(config, size), info, settings, Path(output))
        seconds = meter.seconds(trainer.update)
        trained = sum(weight.numel() for weight in trainer.trained.values())
    return [Row(f'training step of {settings.accumulation} frames', precision.value, seconds,
                meter.memory_gib(), f'{1 / seconds:.3f} steps/s, {trained:,} weights trained')]


def table(rows: list[Row], title: str) -> str:
    """Return the rows as a table in Markdown."""
    lines = [title, '', '| what | weights | seconds | memory, GiB | |', '|---|---|---|---|---|']
    lines += [f'| {row.what} | {row.precision} | {row.seconds:.3g} | {row.memory_gib:.1f} | '
              f'{row.note} |' for row in rows]
    return '\n'.join(lines)


def main() -> int:
    """Measure and print."""
    options = _parse()
    # Of casting a model as a whole, which here has random weights, there is nothing to be said.
    logging.set_verbosity_error()
    device = torch.device(options.device)
    meter = Meter(device, options.repeat)
    config = SMALL if options.tiny else CONFIGS[options.model]
    rows: list[Row] = []

    def attempt(what: str, precision: Precision, measure: Callable[[], list[Row]]) -> None:
        try:
            rows.extend(measure())
        except torch.OutOfMemoryError:
            rows.append(Row(what, precision.value, math.nan, meter.memory_gib(), 'does not fit'))

    for precision in map(Precision, options.precisions):
        attempt('frame', precision, lambda precision=precision: measure_generation(
            meter, config, precision, options.steps, options.size, options.batch))
    if not options.no_training:
        attempt('training step', Precision.BF16, lambda: measure_training(
            meter, config, options.size))
    width, height = options.size
    title = (f'{config.name}, {width}x{height}, batch {options.batch}, {meter.name}, '
             f'torch {torch.__version__}')
    if options.output:
        options.output.write_text(table(rows, title) + '\n')
    if options.json:
        print(json.dumps({'title': title, 'device': meter.name, 'rows': [
            asdict(row) | {'seconds': None if math.isnan(row.seconds) else row.seconds}
            for row in rows]}))
    else:
        print(table(rows, title))
    return 0


def _transformer(config: GeneratorConfig) -> nn.Module:
    from diffusers import FluxTransformer2DModel
    return FluxTransformer2DModel(**config.transformer)


def _on_meta(config: GeneratorConfig) -> tuple[nn.Module, nn.Module]:
    with torch.device('meta'):
        transformer = _transformer(config)
        return transformer, make_control(transformer, config.control, copy=False)


def _size(words: str) -> tuple[int, int]:
    width, height = map(int, words.split('x'))
    return width, height


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--model', choices=CONFIGS, default='flux-dev')
    parser.add_argument('--tiny', action='store_true', help='a small model of the same classes')
    parser.add_argument('--device', default='cuda', help='cuda, cuda:1, cpu (default: cuda)')
    parser.add_argument('--precisions', nargs='+', default=['bf16', 'int8'],
                        choices=[precision.value for precision in Precision])
    parser.add_argument('--steps', nargs='+', type=int, default=[4, 28])
    parser.add_argument('--size', type=_size, default=(1216, 352), help='default: 1216x352')
    parser.add_argument('--batch', type=int, default=1, help='frames at once (default: 1)')
    parser.add_argument('--repeat', type=int, default=3, help='times each (default: 3)')
    parser.add_argument('--no-training', action='store_true')
    parser.add_argument('--output', type=Path, help='write the table here, too')
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
