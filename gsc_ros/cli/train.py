# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Train a structure model, and export it as a profile.

    gsc train structure --data DIR --output DIR      train, writing checkpoints
    gsc train export CHECKPOINT --data DIR --output DIR    fit the tables and write a profile
    gsc train text CAPTIONS --output FILE            make the language model of captions
    gsc train mix --kitti DIR ... --output FILE      choose the images of the paper
    gsc train control --base DIR --data FILE --output DIR    train what steers a generator
    gsc train importance --data DIR --teacher FILE --output DIR    train where to look
    gsc train region --data DIR --base CHECKPOINT --output DIR    train what codes key regions
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
import sys

from gsc_ros.cli.error import DataError as CommandDataError
from gsc_ros.cli.error import UsageError
from gsc_ros.cli.key_value import key_values
from gsc_ros.cli.train_control import (
    add_control_arguments,
    add_mix_arguments,
    run_control,
    run_mix,
)
from gsc_ros.cli.train_generator import (
    add_autoencoder_arguments,
    add_export_generator_arguments,
    add_generator_arguments,
    run_autoencoder,
    run_export_generator,
    run_generator,
)
from gsc_ros.cli.train_importance import add_importance_arguments, run_importance
from gsc_ros.cli.train_progress import run_with_progress
from gsc_ros.cli.train_region import (
    add_export_region_arguments,
    add_region_arguments,
    run_export_region,
    run_region,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train``."""
    kinds = parser.add_subparsers(dest='kind', required=True)
    add_structure_arguments(kinds.add_parser(
        'structure', help='train the structure codec',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter))
    add_export_arguments(kinds.add_parser(
        'export', help='write a profile from a checkpoint',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter))
    text = kinds.add_parser('text', help='make the language model that codes captions')
    text.add_argument('captions', type=Path, help='text file in UTF-8, one caption a line')
    text.add_argument('--output', type=Path, required=True, help='the file to write, .npz')
    add_mix_arguments(kinds.add_parser(
        'mix', help="choose the images of the paper's training from four datasets",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter))
    add_control_arguments(kinds.add_parser(
        'control', help='train the branch that steers a generator',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter))
    for name, words, add in (
            ('autoencoder', "train the embedded generator's autoencoder",
             add_autoencoder_arguments),
            ('generator', 'train the embedded generator', add_generator_arguments),
            ('export-generator', 'write a generator profile from checkpoints',
             add_export_generator_arguments),
            ('importance', 'train the network that says where perception looks',
             add_importance_arguments),
            ('region', 'train the model that codes key regions', add_region_arguments),
            ('export-region', 'add a model of key regions to a profile',
             add_export_region_arguments)):
        add(kinds.add_parser(
            name, help=words, formatter_class=argparse.ArgumentDefaultsHelpFormatter))


def add_structure_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train structure``."""
    parser.add_argument('--data', nargs='+', type=Path, required=True,
                        help='folders of tar packs, tar packs or folders of images')
    parser.add_argument('--output', type=Path, required=True,
                        help='directory for best.safetensors, the state and the logs')
    parser.add_argument('--resume', action='store_true', help='go on from the state in --output')
    parser.add_argument('--start', type=Path, default=None,
                        help='checkpoint whose weights a new run starts from')
    parser.add_argument('--synthesis-only', action='store_true',
                        help='train the decoder for the symbols as they are, with --start')
    parser.add_argument('--seed', type=int, default=1, help='seed of everything random')
    parser.add_argument('--steps', type=int, default=100_000, help='updates at most')
    parser.add_argument('--minutes', type=float, default=float('inf'),
                        help='minutes of training at most')
    parser.add_argument('--batch', type=int, default=8, help='crops per update')
    parser.add_argument('--crop', type=int, default=96, help='side of a crop at work scale')
    parser.add_argument('--rate', type=float, default=8e-4, help='learning rate')
    parser.add_argument('--precision', choices=('no', 'bf16', 'fp16'), default='no',
                        help='mixed precision')
    parser.add_argument('--lambda-low', type=float, default=7e-6,
                        help='trade-off of the coarsest quantizer')
    parser.add_argument('--lambda-high', type=float, default=1e-3,
                        help='trade-off of the finest quantizer')
    parser.add_argument('--weight', action='append', default=[], metavar='ARCHIVE=W',
                        help='how often an archive is drawn; default: cube root of its size')
    parser.add_argument('--hold-out', nargs='*', default=[], metavar='ARCHIVE',
                        help='archives kept for validation, beside the last run of each')
    parser.add_argument('--save-minutes', type=float, default=5.0,
                        help='minutes between checkpoints')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads, 0: as torch decides')


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train export``."""
    parser.add_argument('checkpoint', type=Path, help='best.safetensors of a training')
    parser.add_argument('--data', nargs='+', type=Path, required=True,
                        help='the training data: the entropy model is fitted to it')
    parser.add_argument('--output', type=Path, required=True, help='directory of the profile')
    parser.add_argument('--name', default='tiny', help='name of the profile')
    parser.add_argument('--quantizer', type=int, default=3, help='default quantizer')
    parser.add_argument('--views', type=int, default=192, help='images to fit the tables on')
    parser.add_argument('--hold-out', nargs='*', default=[], metavar='ARCHIVE',
                        help='archives that were kept for validation')
    parser.add_argument('--weights', type=Path, default=None,
                        help='also write the renumbered weights here, to train on from')
    parser.add_argument('--note', action='append', default=[], metavar='KEY=VALUE',
                        help='an entry for the "training" part of the manifest')


def run(args: argparse.Namespace) -> int:
    """Train or export; return 0, 1 when the data is bad, 2 when the call makes no sense."""
    others = {
        'text': train_text, 'mix': run_mix, 'control': run_control,
        'autoencoder': run_autoencoder, 'generator': run_generator,
        'export-generator': run_export_generator, 'importance': run_importance,
        'region': run_region, 'export-region': run_export_region}
    if args.kind in others:
        return others[args.kind](args)
    try:
        data, exporter, _ = (import_module(f'gsc_ros.training.{name}')
                             for name in ('data', 'export', 'trainer'))
    except ModuleNotFoundError as error:
        raise UsageError(f"needs {error.name}, which is not installed; try: "
                         "pip install 'gsc_ros[train]'") from error
    try:
        return train_structure(args) if args.kind == 'structure' else export(args)
    except (data.DataError, exporter.ExportError, OSError) as error:
        raise CommandDataError(str(error)) from error
    except ValueError as error:
        raise UsageError(str(error)) from error


def train_text(args: argparse.Namespace) -> int:
    """Make the language model of captions; report its cost on those held out."""
    from gsc_ros.codec.language import LanguageModel
    from gsc_ros.training.language import (
        bits_per_character,
        save_language,
        split_captions,
        train_language,
    )

    try:
        captions, held_out = split_captions(args.captions)
        save_language(train_language(captions), args.output)
    except (OSError, ValueError) as error:
        raise CommandDataError(str(error)) from error
    cost = bits_per_character(LanguageModel.load(args.output), held_out)
    print(f'{args.output}: {args.output.stat().st_size} bytes, {cost:.3f} bits per character on '
          f'{len(held_out)} captions held out', file=sys.stderr)
    return 0


def export(args: argparse.Namespace) -> int:
    """Write a profile from a checkpoint."""
    from gsc_ros.training.data import load_archives, split_archives
    from gsc_ros.training.export import export_profile, training_views
    from gsc_ros.training.pair import training_pairs
    from gsc_ros.training.trainer import load_weights, save_weights

    model = load_weights(args.checkpoint)
    split = split_archives(load_archives(args.data), args.hold_out)
    content = export_profile(
        model, training_views(split, args.views), training_pairs(split, args.views),
        args.output, args.name, args.quantizer, key_values(args.note))
    if args.weights:
        save_weights(model, args.weights)
    print(f'{args.output}: profile {args.name}, {content[:16]}', file=sys.stderr)
    return 0


def train_structure(args: argparse.Namespace) -> int:
    """Train, showing progress on stderr."""
    from gsc_ros.training.data import load_archives, split_archives
    from gsc_ros.training.model import StructureConfig
    from gsc_ros.training.trainer import load_weights, StructureTrainer, TrainingSettings
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    weights = {name: float(value) for name, value in key_values(args.weight).items()}
    settings = TrainingSettings(
        steps=args.steps, minutes=args.minutes, batch=args.batch, crop=args.crop, rate=args.rate,
        lambda_low=args.lambda_low, lambda_high=args.lambda_high, seed=args.seed,
        precision=args.precision, save_minutes=args.save_minutes,
        synthesis_only=args.synthesis_only)
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
    run_with_progress(trainer)
    return 0
