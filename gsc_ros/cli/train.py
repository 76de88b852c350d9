# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Train models: ``gsc train structure --data DIR --output DIR``."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train``."""
    kinds = parser.add_subparsers(dest='kind', required=True)
    add_structure_arguments(kinds.add_parser(
        'structure', help='train the structure codec',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter))


def add_structure_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train structure``."""
    parser.add_argument('--data', nargs='+', type=Path, required=True,
                        help='folders of tar packs, tar packs or folders of images')
    parser.add_argument('--output', type=Path, required=True,
                        help='directory for best.safetensors, the state and the logs')
    parser.add_argument('--resume', action='store_true', help='go on from the state in --output')
    parser.add_argument('--start', type=Path, default=None,
                        help='checkpoint whose weights a new run starts from')
    parser.add_argument('--seed', type=int, default=1, help='seed of everything random')
    parser.add_argument('--steps', type=int, default=100_000, help='updates at most')
    parser.add_argument('--minutes', type=float, default=float('inf'),
                        help='minutes of training at most')
    parser.add_argument('--batch', type=int, default=16, help='crops per update')
    parser.add_argument('--crop', type=int, default=64, help='side of a crop at work scale')
    parser.add_argument('--rate', type=float, default=8e-4, help='learning rate')
    parser.add_argument('--precision', choices=('no', 'bf16', 'fp16'), default='no',
                        help='mixed precision')
    parser.add_argument('--lambda-low', type=float, default=5e-5,
                        help='trade-off of the coarsest quantizer')
    parser.add_argument('--lambda-high', type=float, default=2.4e-3,
                        help='trade-off of the finest quantizer')
    parser.add_argument('--weight', action='append', default=[], metavar='ARCHIVE=W',
                        help='how often an archive is drawn; default: cube root of its size')
    parser.add_argument('--hold-out', nargs='*', default=[], metavar='ARCHIVE',
                        help='archives kept for validation, beside the last run of each')
    parser.add_argument('--save-minutes', type=float, default=5.0,
                        help='minutes between checkpoints')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads, 0: as torch decides')


def run(args: argparse.Namespace) -> int:
    """Train as told; return 0, or 1 when the data cannot be used."""
    try:
        from gsc_ros.training.data import DataError, load_archives, split_archives
        from gsc_ros.training.model import StructureConfig
        from gsc_ros.training.trainer import load_weights, StructureTrainer, TrainingSettings
        import rich.progress
        import torch
    except ImportError as error:
        print(f'gsc train needs the "train" extra ({error.name} is missing): '
              'pip install gsc_ros[train]', file=sys.stderr)
        return 1
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        weights = {name: float(value) for name, value in
                   (entry.split('=', 1) for entry in args.weight)}
        settings = TrainingSettings(
            steps=args.steps, minutes=args.minutes, batch=args.batch, crop=args.crop,
            rate=args.rate, lambda_low=args.lambda_low, lambda_high=args.lambda_high,
            seed=args.seed, precision=args.precision, save_minutes=args.save_minutes)
    except ValueError as error:
        print(f'gsc train: {error}', file=sys.stderr)
        return 2
    try:
        split = split_archives(load_archives(args.data), args.hold_out)
        for archive in split.training:
            print(f'{archive.name}: {len(archive.images)} images', file=sys.stderr)
        start = load_weights(args.start) if args.start else None
        trainer = StructureTrainer(
            split, settings, start.config if start else StructureConfig(), args.output, weights)
        if start:
            trainer.start_from(start)
        if args.resume and not trainer.resume():
            print(f'nothing to resume in {args.output}: starting afresh', file=sys.stderr)
    except (DataError, ValueError, OSError) as error:
        print(f'gsc train: {error}', file=sys.stderr)
        return 1
    with rich.progress.Progress(
            *rich.progress.Progress.get_default_columns(),
            rich.progress.TextColumn('{task.fields[figures]}'),
            console=rich.console.Console(stderr=True)) as progress:
        task = progress.add_task('training', total=1.0, figures='')

        def report(trainer: StructureTrainer, figures: dict[str, float]) -> None:
            text = ' '.join(f'{name} {value:.4f}' for name, value in figures.items())
            progress.update(task, completed=trainer.progress(), figures=text)
            if not progress.console.is_terminal:
                print(f'{trainer.step} {trainer.seconds:.0f}s {text}', file=sys.stderr, flush=True)

        result = trainer.run(report)
    print(f'{result.steps} steps, {result.seconds:.0f} s, validation {result.loss:.5f}, '
          f'best {result.best:.5f}: {args.output / "best.safetensors"}', file=sys.stderr)
    return 0
