# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Other codecs as methods: the classical ones, and any whose reconstructions lie in a folder.

A classical codec gets a budget in bits per pixel. It codes the picture at several downscales, at
each with the highest quality that keeps the budget, of those that `evaluation.still_peer` tries,
and the best PSNR of these is taken. Its bytes are counted as is said there.
"""

from __future__ import annotations

from collections.abc import Sequence
import csv
from functools import lru_cache
import math
from pathlib import Path
from typing import Any

import cv2
from gsc_ros.evaluation import ffmpeg
from gsc_ros.evaluation.dataset.dataset import Sample
from gsc_ros.evaluation.metric import psnr
from gsc_ros.evaluation.resampling import Picture, reduced, resized
from gsc_ros.evaluation.run.digest import digest_of_file
from gsc_ros.evaluation.run.method import (
    Group,
    MethodError,
    MethodSpec,
    MethodUnavailable,
    Reconstructed,
    RunError,
    Scalar,
)
from gsc_ros.evaluation.still_peer import PeerError, STILL_PEERS, StillPeer
import numpy as np

PEER_OPTIONS: dict[str, Scalar] = {'codec': 'webp', 'bpp': 0.01, 'downscales': '1 2 3 4 6 8'}
EXTERNAL_OPTIONS: dict[str, Scalar] = {'name': None, 'folder': None}
#: The table of real byte counts in a folder of reconstructions.
BYTES_FILE = 'bytes.csv'
SUFFIXES = ('.png', '.webp', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff')
# Streams of one picture, kept for the next budget.
_KEPT = 256


class PeerMethod:
    """
    A classical codec within a budget.

    :param spec: of kind 'peer', see PEER_OPTIONS.
    :raises RunError: there is no such codec, or an option is malformed.
    :raises MethodUnavailable: the codec is not installed.
    """

    group = Group.PEER

    def __init__(self, spec: MethodSpec) -> None:
        options = dict(PEER_OPTIONS) | dict(spec.options)
        named = {peer.name: peer for peer in STILL_PEERS}
        if options['codec'] not in named:
            raise RunError(f'codec {options["codec"]!r}: there are {", ".join(named)}')
        self._peer = named[str(options['codec'])]
        try:
            self._bpp = float(options['bpp'])
            self._downscales = [float(word) for word in str(options['downscales']).split()]
        except ValueError as error:
            raise RunError(f'peer {self._peer.name}: {error}') from error
        if missing := self._peer.missing():
            raise MethodUnavailable(f'{self._peer.title}: {missing}')
        self.title = f'{self._peer.title}, at most {self._bpp:g} bpp'
        self.series = self._peer.title

    def identity(self, index: int, sample: Sample) -> dict[str, Any]:
        """Return codec, its version and the options; see `Method`."""
        return {'kind': 'peer', 'codec': self._peer.name, 'settings': self._peer.settings,
                'version': self._peer.version(), 'bpp': self._bpp,
                'downscales': self._downscales, 'qualities': list(self._peer.qualities)}

    def reconstruct(self, index: int, sample: Sample) -> Reconstructed:
        """Code and decode one picture; see `Method`."""
        height, width = sample.image.shape[:2]
        limit = self._bpp * width * height / 8
        coder = _coder(self._peer.name, sample.name, _Key(sample.image))
        best: tuple[float, int, Picture] | None = None
        try:
            for factor in self._downscales:
                quality = coder.highest(factor, limit)
                if quality is None:
                    continue
                size, image = coder.coded(factor, quality)
                found = (min(psnr(sample.image, image), 100.0), size, image)
                if best is None or found[0] > best[0]:
                    best = found
        except (PeerError, ffmpeg.FFmpegError) as error:
            raise MethodError(str(error)) from error
        if best is None:
            raise MethodError(f'{self._peer.title} does not get down to {self._bpp:g} bpp')
        return Reconstructed(best[2], best[1])


class _Key:
    """Lets a cache tell pictures apart without looking at every pixel each time."""

    def __init__(self, image: Picture) -> None:
        self.image = image
        self._hash = hash(image.tobytes())

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and np.array_equal(self.image, other.image)


class _Coder:
    """One codec and one picture at all sizes and qualities; remembers what it has coded."""

    def __init__(self, peer: StillPeer, image: Picture) -> None:
        self._peer = peer
        self._image = image
        self._small = lru_cache(_KEPT)(lambda factor: reduced(image, factor))
        self._stream = lru_cache(_KEPT)(
            lambda factor, quality: peer.encode(self._small(factor), quality))
        self.coded = lru_cache(_KEPT)(self._coded)

    def highest(self, factor: float, limit: float) -> float | None:
        """Return the highest quality whose stream has at most `limit` bytes, if one has."""
        qualities: Sequence[float] = self._peer.qualities
        low, high = 0, len(qualities)
        while low < high:  # sizes ascend with the quality
            middle = (low + high) // 2
            if self._peer.size(self._stream(factor, qualities[middle])) <= limit:
                low = middle + 1
            else:
                high = middle
        return qualities[low - 1] if low else None

    def _coded(self, factor: float, quality: float) -> tuple[int, Picture]:
        stream = self._stream(factor, quality)
        small = self._small(factor)
        image = self._peer.decode(stream, small.shape[1], small.shape[0])
        height, width = self._image.shape[:2]
        return self._peer.size(stream), resized(image, width, height)


@lru_cache(2)
def _coder(codec: str, name: str, key: _Key) -> _Coder:
    return _Coder(next(peer for peer in STILL_PEERS if peer.name == codec), key.image)


class ExternalMethod:
    """
    A codec that was run elsewhere: a folder of reconstructions and a table of real byte counts.

    The folder holds a picture for every sample, named as the sample is (`munster/munster_000000`
    as a path, or by its last part), and `bytes.csv` with the columns `name` and `bytes`.

    :param spec: of kind 'external', see EXTERNAL_OPTIONS.
    :raises RunError: the folder or the table is not there or malformed.
    """

    group = Group.EXTERNAL

    def __init__(self, spec: MethodSpec) -> None:
        if not spec['name'] or not spec['folder']:
            raise RunError('external: needs `name` and `folder`')
        self.title = self.series = str(spec['name'])
        self._folder = Path(str(spec['folder']))
        self._bytes = _read_bytes(self._folder / BYTES_FILE)

    def identity(self, index: int, sample: Sample) -> dict[str, Any]:
        """Return the content of the reconstruction and its bytes; see `Method`."""
        try:
            return {'kind': 'external', 'bytes': self._size(sample),
                    'content': digest_of_file(self._path(sample))}
        except OSError as error:
            raise MethodError(str(error)) from error

    def reconstruct(self, index: int, sample: Sample) -> Reconstructed:
        """Read one picture; see `Method`."""
        path = self._path(sample)
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise MethodError(f'{path}: not a picture')
        if image.shape != sample.image.shape:
            have, want = image.shape[1::-1], sample.image.shape[1::-1]
            raise MethodError(f'{path}: is {have[0]}x{have[1]}, the sample {want[0]}x{want[1]}')
        return Reconstructed(np.ascontiguousarray(image[..., ::-1]), self._size(sample))

    def _path(self, sample: Sample) -> Path:
        for name in _names(sample):
            for suffix in (*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES)):
                # Not with_suffix: names may have dots.
                path = self._folder / f'{name}{suffix}'
                if path.is_file():
                    return path
        raise MethodError(f'{self._folder / sample.name}: no such picture '
                          f'({", ".join(SUFFIXES)})')

    def _size(self, sample: Sample) -> int:
        for name in _names(sample):
            if name in self._bytes:
                return self._bytes[name]
        raise MethodError(f'{self._folder / BYTES_FILE}: has no line for {sample.name}')


def _names(sample: Sample) -> tuple[str, ...]:
    return sample.name, sample.name.rpartition('/')[2]


def _number(word: str | None) -> float:
    try:
        return float(word or 'nan')
    except ValueError:
        return math.nan


def _read_bytes(path: Path) -> dict[str, int]:
    """Return the byte counts by name of the sample, with and without a suffix in the table."""
    sizes: dict[str, int] = {}
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:  # spreadsheets write a mark
            reader = csv.DictReader(file, skipinitialspace=True)
            if not {'name', 'bytes'} <= set(reader.fieldnames or ()):
                raise RunError(f'{path}: the first line must name the columns `name` and `bytes`')
            for row in reader:
                size = _number(row['bytes'])
                if not (math.isfinite(size) and size >= 1 and size == int(size)):
                    raise RunError(f'{path}, line {reader.line_num}: {row["bytes"]!r} is no number '
                                   'of bytes')
                name = row['name'] or ''
                stem = name.rpartition('.')[0] if name.lower().endswith(SUFFIXES) else name
                if stem in sizes:
                    raise RunError(f'{path}, line {reader.line_num}: {name} a second time')
                sizes[stem] = int(size)
    except OSError as error:
        raise RunError(f'{path}: {error.strerror}: real byte counts are expected there') from error
    except (ValueError, csv.Error) as error:
        raise RunError(str(error) if isinstance(error, RunError) else f'{path}: {error}') from error
    return sizes
