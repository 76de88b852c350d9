# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Train the embedded generator, and export it as a profile.

    gsc train autoencoder --data DIR --output RUN [--start FILE --flow FILE]     its decoder
    gsc train generator --data DIR --autoencoder FILE --output RUN [--start FILE]
    gsc train export-generator FLOW --autoencoder FILE --output PROFILE

A run without ``--start`` trains the base: transformer and text encoders. A run that starts from a
base adds the control branch; one that starts from a steered flow goes on with it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from gsc_ros.cli.error import DataError as CommandDataError
from gsc_ros.cli.error import UsageError
from gsc_ros.cli.number import bounded
from gsc_ros.codec.error import ProfileError

if TYPE_CHECKING:
    from gsc_ros.training.data import Split
    from gsc_ros.training.generator.autoencoder import Made, PictureAutoencoder
    from gsc_ros.training.generator.loop import Loop, LoopSettings


def add_autoencoder_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train autoencoder``."""
    _add_run_arguments(parser, rate=5e-4, average=0.99)
    parser.add_argument('--crop', type=bounded(int, 32, 1024), default=128,
                        help='side of a crop at half size, a multiple of 32')
    parser.add_argument('--flow', type=Path, default=None, metavar='FILE',
                        help='with --start: train on what this flow makes of packets, too')
    parser.add_argument('--views', type=bounded(int, 1, 10 ** 6), default=1000,
                        help='crops that the flow makes latents of')
    parser.add_argument('--structure-profile', default='tiny', metavar='NAME|DIR',
                        help='structure profile whose packets guide the flow')


def add_generator_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train generator``."""
    _add_run_arguments(parser, rate=8e-4, average=0.995)
    parser.add_argument('--autoencoder', type=Path, required=True, metavar='FILE',
                        help='weights of `gsc train autoencoder`')
    parser.add_argument('--views', type=bounded(int, 1, 10 ** 6), default=8000,
                        help='crops to make packets of before training')
    parser.add_argument('--structure-profile', default='tiny', metavar='NAME|DIR',
                        help='structure profile whose packets guide')
    parser.add_argument('--detector', type=Path, default=None, metavar='FILE',
                        help='detector (ONNX) whose lists of objects guide; without it they are '
                        'empty')
    parser.add_argument('--only-objects', action='store_true',
                        help='with --start and --detector: train the layer that takes the lists in '
                        'alone; pictures without a list stay what they are')


def add_export_generator_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train export-generator``."""
    parser.add_argument('flow', type=Path, help='weights of a steered `gsc train generator`')
    parser.add_argument('--autoencoder', type=Path, required=True, metavar='FILE',
                        help='weights of `gsc train autoencoder`')
    parser.add_argument('--output', type=Path, required=True, help='directory of the profile')
    parser.add_argument('--name', default='tiny', help='name of the profile')
    parser.add_argument('--steps', type=bounded(int, 1, 1000), default=None,
                        help='default number of steps')
    parser.add_argument('--structure-profile', default='tiny', metavar='NAME|DIR',
                        help='structure profile that it was trained for')
    parser.add_argument('--weights', type=Path, default=None, metavar='DIR',
                        help='also write the weights there in 8 bits, to train on from')
    parser.add_argument('--note', action='append', default=[], metavar='KEY=VALUE',
                        help='an entry for the "training" part of the manifest')


def _add_run_arguments(parser: argparse.ArgumentParser, rate: float, average: float) -> None:
    parser.add_argument('--data', nargs='+', type=Path, required=True,
                        help='folders of tar packs, tar packs or folders of images')
    parser.add_argument('--output', type=Path, required=True,
                        help='directory for weights.safetensors, the state and the logs')
    parser.add_argument('--start', type=Path, default=None, metavar='FILE',
                        help='weights that a new run starts from')
    parser.add_argument('--resume', action='store_true', help='go on from the state in --output')
    parser.add_argument('--downscale', type=bounded(float, 1, 16), default=1.5,
                        help='factor by which training images are reduced')
    parser.add_argument('--weight', action='append', default=[], metavar='ARCHIVE=W',
                        help='how often an archive is drawn; default: cube root of its size')
    parser.add_argument('--batch', type=bounded(int, 1, 4096), default=8, help='crops per update')
    parser.add_argument('--steps', type=bounded(int, 1, 10 ** 9), default=100_000,
                        help='updates at most')
    parser.add_argument('--minutes', type=float, default=float('inf'),
                        help='minutes of training at most')
    parser.add_argument('--rate', type=float, default=rate, help='learning rate')
    parser.add_argument('--average', type=float, default=average,
                        help='decay of the averaged weights')
    parser.add_argument('--precision', choices=('no', 'bf16', 'fp16'), default='no',
                        help='mixed precision')
    parser.add_argument('--seed', type=int, default=1, help='seed of everything random')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads, 0: as torch decides')


def run_autoencoder(args: argparse.Namespace) -> int:
    """Train the decoder of the autoencoder."""
    def train() -> None:
        from gsc_ros.training.data import load_archives, split_archives
        from gsc_ros.training.generator.autoencoder import load_autoencoder, train_autoencoder

        if args.flow and not args.start:
            raise ValueError('--flow needs --start: the autoencoder that the flow was trained for')
        split = split_archives(load_archives(args.data, args.downscale))
        start = load_autoencoder(args.start) if args.start else None
        train_autoencoder(
            split, args.output, _settings(args), start, batch=args.batch, crop=args.crop,
            weights=_weights(args.weight), resume=args.resume, report=_report,
            generated=_made(args, split, start) if args.flow else None)

    return _guarded(args, train)


def run_generator(args: argparse.Namespace) -> int:
    """Train the flow: its base, or all of it with the control branch."""
    def train() -> None:
        from gsc_ros.codec.profile import load_profile
        from gsc_ros.training.data import load_archives, split_archives
        from gsc_ros.training.generator.autoencoder import load_autoencoder
        from gsc_ros.training.generator.base import (
            flow_data,
            FlowSettings,
            load_flow,
            new_flow,
            OBJECTS_WEIGHT,
            train_flow,
        )
        from gsc_ros.training.generator.found import open_finder
        from gsc_ros.training.generator.views import ViewMaker
        import numpy as np

        if args.only_objects and not (args.start and args.detector):
            raise ValueError('--only-objects needs --start and --detector')
        profile = load_profile(args.structure_profile)
        autoencoder = load_autoencoder(args.autoencoder)
        split = split_archives(load_archives(args.data, args.downscale))
        weights = _weights(args.weight)
        find = open_finder(args.detector) if args.detector else None
        data, held_out = (
            flow_data(ViewMaker(profile, archives, weights, find).make(
                count, np.random.default_rng(args.seed + turn)), autoencoder, profile.gains)
            for turn, (archives, count) in enumerate((
                (split.training, args.views),
                (split.validation or split.training, max(1, min(96, args.views // 10))))))
        model = new_flow(data, args.seed)
        if args.start:
            model = load_flow(args.start)
            if model.control is None:
                model.steer(data.rms())
        model.train().requires_grad_(not args.only_objects)
        settings = FlowSettings(batch=args.batch)
        if args.only_objects:
            model.get_parameter(OBJECTS_WEIGHT).requires_grad_(True)
            # Without the branch there would be nothing to learn.
            settings = replace(settings, free=0.0)
        train_flow(model, data, args.output, _settings(args), settings, held_out, args.resume,
                   _report)

    return _guarded(args, train)


def run_export_generator(args: argparse.Namespace) -> int:
    """Write a generator profile."""
    def export() -> None:
        from gsc_ros.codec.profile import load_profile
        from gsc_ros.training.generator.autoencoder import load_autoencoder
        from gsc_ros.training.generator.base import flow_fields, load_flow
        from gsc_ros.training.generator.export import export_generator
        from gsc_ros.training.generator.loop import save_weights

        flow, autoencoder = load_flow(args.flow), load_autoencoder(args.autoencoder)
        export_generator(flow, autoencoder, load_profile(args.structure_profile), args.output,
                         args.name, args.steps, _pairs(args.note, '--note'))
        if args.weights:
            args.weights.mkdir(parents=True, exist_ok=True)
            save_weights(flow.state_dict(), args.weights / 'generator_flow.safetensors',
                         flow_fields(flow), compact=True)
            save_weights(
                autoencoder.state_dict(), args.weights / 'generator_autoencoder.safetensors',
                {'autoencoder': autoencoder.config.to_dict()}, compact=True)
        size = sum(file.stat().st_size for file in args.output.glob('*.onnx'))
        print(f'{args.output}: {size} bytes of graphs', file=sys.stderr)

    return _guarded(args, export)


def _made(args: argparse.Namespace, split: Split, autoencoder: PictureAutoencoder) -> Made:
    """Return what a flow makes of views of the training images."""
    from gsc_ros.codec.profile import load_profile
    from gsc_ros.training.generator.autoencoder import Made
    from gsc_ros.training.generator.base import flow_data, load_flow, made_latents
    from gsc_ros.training.generator.views import ViewMaker
    import numpy as np

    profile = load_profile(args.structure_profile)
    views = ViewMaker(profile, split.training, _weights(args.weight)).make(
        args.views, np.random.default_rng(args.seed))
    data = flow_data(views, autoencoder, profile.gains)
    return Made(made_latents(load_flow(args.flow), data, args.seed), views.images)


def _guarded(args: argparse.Namespace, action: Callable[[], None]) -> int:
    """Run what needs torch; raise the errors of the command line for what goes wrong."""
    try:
        import_module('gsc_ros.training.generator.export')
    except ModuleNotFoundError as error:
        raise UsageError(f"needs {error.name}, which is not installed; try: "
                         "pip install 'gsc_ros[train,flux]'") from error
    from gsc_ros.training.data import DataError
    from safetensors import SafetensorError
    import torch

    if getattr(args, 'threads', 0):
        torch.set_num_threads(args.threads)
    try:
        action()
    except (DataError, ProfileError, OSError, SafetensorError) as error:
        raise CommandDataError(str(error)) from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    return 0


def _settings(args: argparse.Namespace) -> LoopSettings:
    from gsc_ros.training.generator.loop import LoopSettings

    return LoopSettings(steps=args.steps, minutes=args.minutes, rate=args.rate, seed=args.seed,
                        precision=args.precision, average=args.average)


def _pairs(entries: list[str], option: str) -> dict[str, str]:
    """Return KEY=VALUE words as a dictionary."""
    wrong = [entry for entry in entries if '=' not in entry]
    if wrong:
        raise UsageError(f'{option}: {wrong[0]!r} is not of the form KEY=VALUE')
    return dict(entry.split('=', 1) for entry in entries)


def _weights(entries: list[str]) -> dict[str, float]:
    """Return ARCHIVE=W words as a dictionary."""
    try:
        return {name: float(value) for name, value in _pairs(entries, '--weight').items()}
    except ValueError as error:
        raise UsageError('--weight takes ARCHIVE=W, W a number') from error


def _report(loop: Loop, figures: dict[str, float]) -> None:
    text = ' '.join(f'{name} {value:.4f}' for name, value in figures.items())
    print(f'{loop.step} {loop.seconds:.0f}s {100 * loop.progress():.0f}% {text}', file=sys.stderr,
          flush=True)
