# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Where perception looks, on the command line: named sources, or a JSON file.

The file holds a list of regions for every picture, or an object that has one list for each name of
a picture::

    [{"box": [left, top, right, bottom], "weight": 32, "class_id": 2, "score": 0.9}, ...]
    {"0000000000.png": [...], "0000000001.png": [...]}

A box is in pixels. All but the box may be left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
from pathlib import Path
import sys
from typing import Any

from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.cli.file import read_bytes
from gsc_ros.cli.number import bounded
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.packet import MAX_REGIONS
from gsc_ros.codec.region.region import FULL_WEIGHT, KeyRegion
from gsc_ros.codec.region.setting import RegionSettings
from gsc_ros.codec.region.trial import Judge
import numpy as np

DEFAULTS = RegionSettings()
# Enough for some ten thousand pictures.
_MOST_JSON = 1 << 26
# Arguments that say nothing without a source, and what they are when nobody gives them.
_NEED_REGIONS = {
    'max_regions': DEFAULTS.most, 'alpha': DEFAULTS.alpha, 'beta': DEFAULTS.beta,
    'base_share': DEFAULTS.base_share, 'thrift': DEFAULTS.thrift, 'agreement': False,
    'no_objects': False}
_KEYS = frozenset({'box', 'weight', 'source', 'class_id', 'score'})


def add_region_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--regions` and what goes with it."""
    group = parser.add_argument_group('key regions')
    group.add_argument(
        '--regions', action='append', default=[], metavar='SOURCE',
        help='code finer where perception looks: a FILE.json with boxes, importance, '
        'detector:FILE_OR_DIR, or zones:LEFT,TOP,RIGHT,BOTTOM (shares); may be given several times')
    group.add_argument('--max-regions', type=bounded(int, 0, MAX_REGIONS), metavar='N',
                       default=DEFAULTS.most, help='regions at most (%(default)s)')
    group.add_argument('--alpha', type=bounded(float, 1e-9, 1e9), default=DEFAULTS.alpha,
                       metavar='A', help='worth of a squared error taken away (%(default)s)')
    group.add_argument('--beta', type=bounded(float, 0, 1e12), default=DEFAULTS.beta, metavar='B',
                       help='price of a bit of a region (%(default)s)')
    group.add_argument('--base-share', type=_share, default=DEFAULTS.base_share, metavar='auto|X',
                       help='share of the limit of bytes that is kept for the whole picture, over '
                       '0 and up to 1; auto tries several, which takes as many times as long '
                       '(%(default)s)')
    group.add_argument('--thrift', type=bounded(float, 1e-6, 1), default=DEFAULTS.thrift,
                       metavar='T', help='what a bit of a region must save of the squared error, '
                       'in squares of the step (%(default)s)')
    group.add_argument('--agreement', action='store_true',
                       help='of some ways to share the packet, take the one in which the detector '
                       'of --regions finds most of what it finds in the image')
    group.add_argument('--no-objects', action='store_true',
                       help='do not send the list of the objects that a detector has found')


class KeyRegionFinder:
    """
    Finds key regions as the arguments say.

    :param arguments: parsed ones.
    :param pictures: the files that will be asked for.
    :raises DataError: when a source cannot be opened, a file is no list of regions, or has none
        for any of the pictures.
    :raises UsageError: when software that a source needs is not installed, or arguments need a
        source that is not there.
    """

    def __init__(self, arguments: argparse.Namespace, pictures: Sequence[Path]) -> None:
        self.settings = RegionSettings(
            objects=not arguments.no_objects, alpha=arguments.alpha, beta=arguments.beta,
            most=arguments.max_regions, base_share=arguments.base_share, thrift=arguments.thrift,
            explain=bool(arguments.regions) and arguments.json)
        if not arguments.regions:
            needing = [f'--{name.replace("_", "-")}' for name, default in _NEED_REGIONS.items()
                       if getattr(arguments, name) != default]
            if needing:
                raise UsageError(f'{", ".join(needing)} without --regions says nothing')
        files = [Path(words) for words in arguments.regions if words.endswith('.json')]
        named = [words for words in arguments.regions if not words.endswith('.json')]
        self._told = [_read(path) for path in files]
        names = {path.name for path in pictures}
        for path, told in zip(files, self._told):
            if isinstance(told, dict) and not names & told.keys():
                raise DataError(f'{path}: has regions for none of the pictures: it names '
                                f'{", ".join(sorted(told)[:3]) or "none"}')
        self._sources = [_open(words) for words in named]
        detectors = [source for source in self._sources if hasattr(source, 'judge')]
        if arguments.agreement and not detectors:
            raise UsageError('--agreement needs --regions detector:FILE_OR_DIR')
        self._judging = detectors[0] if arguments.agreement else None

    def judge(self, image: np.ndarray) -> Judge | None:
        """
        Return what decides between ways to share the packet; None for the squared error.

        :param image: the picture that :meth:`find` was given last.
        :raises DataError: when the source is no detector, or fails.
        """
        if self._judging is None:
            return None
        from gsc_ros.perception.source.source import SourceError
        try:
            judge = self._judging.judge(image)
        except SourceError as error:
            raise DataError(f'--agreement: {error}') from error

        def agreement(picture: np.ndarray) -> float:
            try:
                return judge(picture)
            except SourceError as error:
                raise DataError(f'--agreement: {error}') from error
        return agreement

    def find(self, image: np.ndarray, path: Path) -> list[KeyRegion]:
        """
        Return the key regions of a picture.

        :param image: uint8 [H, W, 3] RGB.
        :param path: its file.
        :raises DataError: when a source cannot answer.
        """
        # Imported here: without --regions, nothing of perception is needed.
        from gsc_ros.perception.network.network import NetworkError
        from gsc_ros.perception.source.source import SourceError
        found: list[KeyRegion] = []
        for told in self._told:
            found += told if isinstance(told, list) else told.get(path.name, [])
        for source in self._sources:
            try:
                found += source.find(image, 0)
            except (SourceError, NetworkError) as error:
                raise DataError(str(error)) from error
        height, width = image.shape[:2]
        outside = sum(region.within(width, height) is None for region in found)
        if outside:
            print(f'{path}: {outside} of {len(found)} regions lie outside of its '
                  f'{width}x{height} pixels', file=sys.stderr)
        return found


def _share(words: str) -> float | None:
    """Return a share over 0 and up to 1; None for `auto`."""
    return None if words == 'auto' else bounded(float, 1e-6, 1)(words)


def _open(words: str) -> Any:
    try:
        from gsc_ros.perception.source.opening import open_source
        from gsc_ros.perception.source.source import SourceError
        try:
            return open_source(words)
        except SourceError as error:
            raise DataError(str(error)) from error
    except ModuleNotFoundError as error:
        raise UsageError(f'--regions {words} needs {error.name}') from error


def _read(path: Path) -> list[KeyRegion] | dict[str, list[KeyRegion]]:
    try:
        content = json.loads(read_bytes(path, _MOST_JSON))
    except (ValueError, RecursionError) as error:
        raise DataError(f'{path}: not JSON: {error}') from error
    if isinstance(content, dict):
        return {name: _regions(path, entries) for name, entries in content.items()}
    return _regions(path, content)


def _regions(path: Path, entries: Any) -> list[KeyRegion]:
    if not isinstance(entries, list):
        raise DataError(f'{path}: regions must be a list')
    return [_region(path, entry) for entry in entries]


def _region(path: Path, entry: Any) -> KeyRegion:
    if not isinstance(entry, dict) or 'box' not in entry or not _KEYS.issuperset(entry):
        raise DataError(f'{path}: a region has a box and may have {", ".join(sorted(_KEYS))}')
    box, class_id, score = entry['box'], entry.get('class_id'), entry.get('score')
    weight = entry.get('weight', FULL_WEIGHT)
    numbers = [*box, weight, *(() if score is None else (score,))] if isinstance(
        box, list) and len(box) == 4 else [None]
    if not all(isinstance(number, (int, float)) and not isinstance(number, bool)
               for number in numbers):
        raise DataError(f'{path}: a box is left, top, right, bottom; weight and score are numbers')
    if class_id is not None and (not isinstance(class_id, int) or isinstance(class_id, bool)):
        raise DataError(f'{path}: class_id must be a whole number')
    try:
        return KeyRegion(
            tuple(map(float, box)), float(weight), str(entry.get('source', 'told')), class_id,
            score)
    except CodecError as error:
        raise DataError(f'{path}: {error}') from error
