# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Train the model that codes key regions, and add it to a profile.

    gsc train region --data DIR --base CHECKPOINT --teacher NET.tflite --output DIR
    gsc train export-region CHECKPOINT --base CHECKPOINT --data DIR --profile DIR
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
import sys

from gsc_ros.cli.error import DataError as CommandDataError
from gsc_ros.cli.error import UsageError
from gsc_ros.cli.key_value import key_values
from gsc_ros.cli.number import bounded
from gsc_ros.cli.train_progress import run_with_progress


def add_region_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train region``."""
    _add_data(parser)
    parser.add_argument('--teacher', type=Path, default=None,
                        help='TFLite network whose features are to survive; none: errors alone')
    parser.add_argument('--teacher-weight', type=bounded(float, 0, 1000), default=4.0,
                        help='weight of how far off the teacher finds a picture')
    parser.add_argument('--output', type=Path, required=True,
                        help='directory for best.safetensors, the state and the logs')
    parser.add_argument('--resume', action='store_true', help='go on from the state in --output')
    parser.add_argument('--seed', type=int, default=1, help='seed of everything random')
    parser.add_argument('--steps', type=bounded(int, 1, 10 ** 9), default=100_000,
                        help='updates at most')
    parser.add_argument('--minutes', type=float, default=float('inf'),
                        help='minutes of training at most')
    parser.add_argument('--batch', type=bounded(int, 1, 4096), default=6, help='crops per update')
    parser.add_argument('--crop', type=int, default=96,
                        help='side of a crop in pixels at the scale of the region')
    parser.add_argument('--rate', type=float, default=4e-4, help='learning rate')
    parser.add_argument('--precision', choices=('no', 'bf16', 'fp16'), default='no',
                        help='mixed precision')
    parser.add_argument('--weight', action='append', default=[], metavar='ARCHIVE=W',
                        help='how often an archive is drawn; default: cube root of its size')
    parser.add_argument('--save-minutes', type=float, default=5.0,
                        help='minutes between checkpoints')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads, 0: as torch decides')


def add_export_region_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train export-region``."""
    parser.add_argument('checkpoint', type=Path,
                        help='best.safetensors of a training, or state.safetensors: the average')
    _add_data(parser)
    parser.add_argument('--profile', type=Path, required=True,
                        help='directory of the profile that gets the model')
    parser.add_argument('--quantizer', type=bounded(int, 0, 15), default=11,
                        help='default quantizer of regions')
    parser.add_argument('--boxes', type=bounded(int, 1, 100_000), default=600,
                        help='boxes to fit the tables on')
    parser.add_argument('--weights', type=Path, default=None,
                        help='also write the weights here, to train on from')
    parser.add_argument('--note', action='append', default=[], metavar='KEY=VALUE',
                        help='an entry for the "training" part of the manifest')


def run_region(args: argparse.Namespace) -> int:
    """Train; return 0."""
    return _checked(_train, args)


def run_export_region(args: argparse.Namespace) -> int:
    """Add a trained model to a profile; return 0."""
    return _checked(_export, args)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--data', nargs='+', type=Path, required=True,
                        help='folders of tar packs, tar packs or folders of images')
    parser.add_argument('--hold-out', nargs='*', default=[], metavar='ARCHIVE',
                        help='archives kept for validation, beside the last run of each')
    parser.add_argument('--base', type=Path, required=True,
                        help='checkpoint of the structure model that codes the base')


def _checked(work: object, args: argparse.Namespace) -> int:
    """Run a command, its errors made those of the command line."""
    try:
        data, exporter, teacher = (import_module(f'gsc_ros.training.{name}')
                                   for name in ('data', 'export', 'region.teacher'))
    except ModuleNotFoundError as error:
        raise UsageError(f"needs {error.name}, which is not installed; try: "
                         "pip install 'gsc_ros[train]'") from error
    try:
        return work(args)
    except ModuleNotFoundError as error:
        raise UsageError(f"needs {error.name}, which is not installed; try: "
                         "pip install 'gsc_ros[eval]'") from error
    except (data.DataError, exporter.ExportError, teacher.TeacherError, OSError) as error:
        raise CommandDataError(str(error)) from error
    except ValueError as error:
        raise UsageError(str(error)) from error


def _train(args: argparse.Namespace) -> int:
    from gsc_ros.training.data import load_archives, split_archives
    from gsc_ros.training.region.teacher import Teacher
    from gsc_ros.training.region.trainer import RegionTrainer
    from gsc_ros.training.trainer import load_weights, TrainingSettings
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    settings = TrainingSettings(
        steps=args.steps, minutes=args.minutes, batch=args.batch, crop=args.crop, rate=args.rate,
        seed=args.seed, precision=args.precision, save_minutes=args.save_minutes,
        synthesis_only=True)
    trainer = RegionTrainer(
        split_archives(load_archives(args.data), args.hold_out), settings,
        load_weights(args.base), Teacher(args.teacher) if args.teacher else None, args.output,
        {name: float(value) for name, value in key_values(args.weight).items()},
        args.teacher_weight)
    if args.resume and not trainer.resume():
        print(f'nothing to resume in {args.output}: starting afresh', file=sys.stderr)
    run_with_progress(trainer)
    return 0


def _export(args: argparse.Namespace) -> int:
    from gsc_ros.training.data import load_archives, split_archives
    from gsc_ros.training.region.export import add_to_profile, region_symbols
    from gsc_ros.training.region.model import RegionModel
    from gsc_ros.training.trainer import load_weights, save_weights

    model = load_weights(args.checkpoint, RegionModel)
    split = split_archives(load_archives(args.data), args.hold_out)
    boxes = region_symbols(model, load_weights(args.base), split, args.boxes)
    add_to_profile(model, boxes, args.profile, args.quantizer, key_values(args.note))
    if args.weights:
        save_weights(model, args.weights)
    print(f'{args.profile}: can code regions', file=sys.stderr)
    return 0
