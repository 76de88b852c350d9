# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Train the importance network, which says where perception would look.

    gsc train importance --data DIR --teacher DETECTOR.onnx --output DIR
"""

from __future__ import annotations

import argparse
from importlib import import_module
import math
from pathlib import Path
import sys

from gsc_ros.cli.error import DataError as CommandDataError
from gsc_ros.cli.error import UsageError
from gsc_ros.cli.key_value import key_values
from gsc_ros.cli.number import bounded
from gsc_ros.cli.progress import track


def add_importance_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train importance``."""
    parser.add_argument('--data', nargs='+', type=Path, required=True,
                        help='folders of tar packs, tar packs or folders of images')
    parser.add_argument('--teacher', type=Path, required=True, metavar='FILE',
                        help='detector that labels the pictures, an ONNX file')
    parser.add_argument('--segmenter', type=Path, default=None, metavar='FILE',
                        help='segmenter that labels them, too, a TensorFlow Lite file')
    parser.add_argument('--output', type=Path, required=True, metavar='DIR',
                        help='for labels, weights, the state and the logs; the network for use '
                        'is written to network/ in it')
    parser.add_argument('--resume', action='store_true', help='go on from the state in --output')
    parser.add_argument('--most', type=bounded(int, 1, 10 ** 6), default=100,
                        help='pictures of an archive at most, evenly spread')
    parser.add_argument('--weight', action='append', default=[], metavar='ARCHIVE=W',
                        help='how often an archive is drawn; default: cube root of its size')
    parser.add_argument('--threshold', type=bounded(float, 0.01, 0.99), default=0.2,
                        help='certainty from which there is a thing')
    parser.add_argument('--steps', type=bounded(int, 1, 10 ** 9), default=100_000,
                        help='updates at most')
    parser.add_argument('--minutes', type=bounded(float, 0, math.inf), default=15.0,
                        help='minutes of training at most')
    parser.add_argument('--batch', type=bounded(int, 1, 4096), default=16, help='crops per update')
    parser.add_argument('--rate', type=bounded(float, 1e-8, 1), default=2e-3,
                        help='learning rate')
    parser.add_argument('--seed', type=int, default=1, help='seed of everything random')
    parser.add_argument('--threads', type=bounded(int, 0, 1024), default=0,
                        help='CPU threads, 0: as torch decides')
    parser.add_argument('--note', action='append', default=[], metavar='KEY=VALUE',
                        help='an entry for the "training" part of the manifest')


def run_importance(args: argparse.Namespace) -> int:
    """
    Label, train and export.

    :raises UsageError: a package is missing, or the call makes no sense.
    :raises CommandDataError: a file is bad.
    """
    try:
        importance = import_module('gsc_ros.training.importance')
    except ModuleNotFoundError as error:
        raise UsageError(f"needs {error.name}, which is not installed; try: "
                         "pip install 'gsc_ros[train]'") from error
    from gsc_ros.perception.network.network import NetworkError
    from gsc_ros.training.data import DataError
    from gsc_ros.training.generator.loop import LoopSettings
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        weights = {name: float(value) for name, value in key_values(args.weight).items()}
        notes = key_values(args.note)
        settings = LoopSettings(steps=args.steps, minutes=args.minutes, rate=args.rate,
                                seed=args.seed)
        training, _ = importance.held_out(_labelled(args))
        network = importance.train_importance(
            training, settings, args.batch, args.output, weights, args.resume, _report)
        folder = args.output / 'network'
        size = importance.export_importance(network, folder, args.threshold, notes)
    except (DataError, NetworkError, OSError) as error:
        raise CommandDataError(str(error)) from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    print(f'{folder}: {size} bytes of graph', file=sys.stderr)
    return 0


def _labelled(args: argparse.Namespace) -> tuple:
    """Return the pictures with labels: those of an earlier run, or new ones."""
    from gsc_ros.perception.network.network import NetworkSettings, Task
    from gsc_ros.perception.network.opening import open_network
    from gsc_ros.training.data import load_archives
    from gsc_ros.training.importance_data import (
        label_archives,
        load_labels,
        save_labels,
        thinned,
    )
    from gsc_ros.training.importance_label import label, MIN_SCORE

    archives = [thinned(archive, args.most) for archive in load_archives(args.data, 1)]
    path = args.output / 'labels.npz'
    if path.exists():
        return load_labels(archives, path)
    detector = open_network(
        'onnx-detector', NetworkSettings(str(args.teacher), min_score=MIN_SCORE), Task.DETECTION)
    segmenter = None
    if args.segmenter is not None:
        segmenter = open_network(
            'deeplab', NetworkSettings(str(args.segmenter)), Task.SEGMENTATION)
    count = sum(len(archive.images) for archive in archives)
    labelled = label_archives(archives, lambda image: label(image, detector, segmenter),
                              lambda images: track(images, 'labels', count))
    args.output.mkdir(parents=True, exist_ok=True)
    save_labels(labelled, path)
    return labelled


def _report(loop: object, figures: dict[str, float]) -> None:
    text = ' '.join(f'{name} {value:.4f}' for name, value in figures.items())
    print(f'{loop.step} {loop.seconds:.0f}s {100 * loop.progress():.0f}% {text}', file=sys.stderr,
          flush=True)
