# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
From words to sources: `importance`, `detector:FILE_OR_DIR`, `zones:...`.

What others tell the rover (topics, requests) is a `told.Told`, which its owner makes.
"""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path

from gsc_ros.perception.network.network import NetworkError, NetworkSettings, Task
from gsc_ros.perception.network.opening import networks, open_network
from gsc_ros.perception.source.detector import DetectorSource
from gsc_ros.perception.source.importance import ImportanceSource
from gsc_ros.perception.source.merge import Merged
from gsc_ros.perception.source.source import MAX_REGIONS, RegionSource, SourceError
from gsc_ros.perception.source.zones import parse_zones

#: How a source is written, for help texts.
SYNTAX = ('importance (the network that comes with the package), detector:FILE_OR_DIR (.onnx, '
          '.tflite, or a directory of transformers) or zones:LEFT,TOP,RIGHT,BOTTOM[;...] '
          '(shares of the picture)')
# A config.json has some ten kilobytes, with a thousand names of classes a hundred.
_MOST_CONFIG = 1_000_000


def open_source(words: str, threads: int = 1, min_score: float | None = None,
                most: int = MAX_REGIONS, names: Path | None = None) -> RegionSource:
    """
    Open a source.

    :param words: see `SYNTAX`.
    :param threads: CPU threads for one picture.
    :param min_score: of a detector, 0..1; None is its own.
    :param most: regions of an answer.
    :param names: file with the names of a detector's classes, one a line.
    :raises SourceError: there is no such source, or it cannot be opened.
    """
    kind, _, rest = words.partition(':')
    if words == 'importance':
        return ImportanceSource(threads=threads, most=most)
    if kind == 'zones' and rest:
        return parse_zones(rest)
    if kind == 'detector' and rest:
        return _detector(rest, threads, min_score, most, names)
    raise SourceError(f'{words!r} is no source of regions: {SYNTAX}')


def open_sources(words: Sequence[str], threads: int = 1, min_score: float | None = None,
                 most: int = MAX_REGIONS, names: Path | None = None) -> Merged:
    """
    Open several sources as one; see `open_source`.

    :raises SourceError: one of them cannot be opened.
    """
    return Merged([open_source(each, threads, min_score, most, names) for each in words], most)


def _detector(model: str, threads: int, min_score: float | None, most: int,
              names: Path | None) -> DetectorSource:
    """Open a network by what its file is, or by the name that another package gave it."""
    path = Path(model).expanduser()
    try:
        settings = NetworkSettings(str(path), names, threads=threads, min_score=min_score)
        if model in {entry.name for entry in networks() if entry.task is None}:
            network = open_network(model, NetworkSettings(
                None, names, threads=threads, min_score=min_score))
        elif path.is_dir():
            network = open_network(_of_transformers(path), settings)
        elif path.suffix == '.tflite':
            network = open_network('deeplab', settings, Task.SEGMENTATION)
        else:
            network = open_network('onnx-detector', settings, Task.DETECTION)
    except NetworkError as error:
        raise SourceError(str(error)) from error
    except Exception as error:  # a file of anybody, tried on a first picture
        raise SourceError(f'{model}: cannot be opened: {error!r}') from error
    return DetectorSource(network, most)


def _of_transformers(folder: Path) -> str:
    """Return which network opens a model of transformers: what its own settings say it is for."""
    try:
        with (folder / 'config.json').open('rb') as file:
            config = json.loads(file.read(_MOST_CONFIG))
        kinds = ' '.join(map(str, config['architectures']))
    except (OSError, ValueError, RecursionError, TypeError, KeyError) as error:
        raise SourceError(f'{folder}: holds no model of transformers: {error}') from error
    if 'Detection' in kinds:
        return 'rt-detr'
    if 'Segmentation' in kinds:
        return 'segmentation'
    raise SourceError(f'{folder}: {kinds} is neither a detector nor a segmenter')
