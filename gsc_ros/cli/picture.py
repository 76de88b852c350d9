# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images as files, and which files a call means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
import sys

import cv2
from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.cli.file import read_bytes, write_bytes
from gsc_ros.sources.folder import natural_key
import numpy as np
import numpy.typing as npt

IMAGE_SUFFIXES = frozenset({
    '.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp'})
# What is taken from a folder; a file that is named may have any suffix.
READABLE_SUFFIXES = IMAGE_SUFFIXES | {
    '.avif', '.dib', '.gif', '.jp2', '.jpe', '.pbm', '.pnm', '.pxm', '.ras', '.sr'}
# Twice what the largest picture takes with four numbers of 16 bits a pixel, uncompressed.
MAX_IMAGE_BYTES = 1 << 30


@dataclass(frozen=True)
class Job:
    """One file to read and the file to make of it."""

    source: Path
    target: Path


def plan_jobs(source: Path, output: Path, suffixes: Iterable[str], target_suffix: str) -> list[Job]:
    """
    Pair inputs with outputs: a file with a file, or every file of a folder with one in a folder.

    Files of a folder are in natural order: 2 before 10.

    :param source: a file, or a folder of which the files with one of `suffixes` are taken.
    :param output: where to write; a folder if `source` is one, and it may be one if not.
    :param target_suffix: suffix of the files made in a folder.
    :raises DataError: when there is nothing to read, or the folder cannot be made.
    :raises UsageError: when a folder is to be written to a file, an input over itself or another
        input, or two inputs to one output.
    """
    if not source.exists():
        raise DataError(f'{source}: no such file or folder')
    if not source.is_dir():
        target = output / f'{source.stem}{target_suffix}' if output.is_dir() else output
        return _without_overwriting([Job(source, target)])
    wanted = frozenset(suffixes)
    # By stem, so that the packets of a stream are decoded in the order of their pictures.
    files = sorted(
        (path for path in source.iterdir() if path.suffix.lower() in wanted and path.is_file()),
        key=lambda path: (natural_key(path.stem), path.name))
    if not files:
        raise DataError(f'{source}: holds no {", ".join(sorted(wanted))} file')
    if output.exists() and not output.is_dir():
        raise UsageError(f'{output} is a file, but {source} is a folder: name a folder with -o')
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f'{output}: {error.strerror}') from error
    jobs = [Job(path, output / f'{path.stem}{target_suffix}') for path in files]
    sources: dict[Path, Path] = {}
    for job in jobs:
        other = sources.setdefault(job.target, job.source)
        if other != job.source:
            raise UsageError(f'{other} and {job.source} would both become {job.target}: '
                             'rename one')
    return _without_overwriting(jobs)


def _without_overwriting(jobs: list[Job]) -> list[Job]:
    # Files, not names: links and ./ lead to the same one by another name.
    sources = {(state.st_dev, state.st_ino) for state in (job.source.stat() for job in jobs)}
    for job in jobs:
        if job.target.exists():
            state = job.target.stat()
            if (state.st_dev, state.st_ino) in sources:
                raise UsageError(f'{job.target}: would overwrite an input; name another output')
    return jobs


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """
    Read a colour or gray picture, turned as its EXIF orientation says.

    16 bits become 8. As 16-bit gray is depth as often as light, that is told on stderr.

    :return: uint8 [H, W, 3], RGB; gray as three equal channels, alpha dropped.
    :raises DataError: when the file is no picture, or its numbers have no known range.
    """
    content = np.frombuffer(read_bytes(path, MAX_IMAGE_BYTES), np.uint8)
    image = _decode(content, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    if image is None:
        raise DataError(f'{path}: not a picture that OpenCV can read')
    if image.dtype == np.uint16:
        if image.ndim == 2:
            print(f'{path}: 16-bit gray is taken for a picture; is it depth?', file=sys.stderr)
        image = (image >> 8).astype(np.uint8)
    if image.dtype != np.uint8:
        raise DataError(f'{path}: numbers of type {image.dtype} have no known range; '
                        'convert it to 8 or 16 bits')
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB)


def _decode(content: npt.NDArray[np.uint8], flags: int) -> npt.NDArray | None:
    try:
        return cv2.imdecode(content, flags)
    except cv2.error:  # an empty file, or a header that promises too much
        return None


def write_image(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """
    Write a picture in the format that the file name's suffix says.

    :param image: uint8 [H, W, 3] RGB or [H, W].
    :raises UsageError: when the suffix names no picture format, or one without colour.
    :raises DataError: when the file cannot be written.
    """
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise UsageError(f'{path}: the suffix must be one of {", ".join(sorted(IMAGE_SUFFIXES))}')
    if image.ndim == 3 and path.suffix.lower() == '.pgm':
        raise UsageError(f'{path}: .pgm holds gray pictures only; .ppm holds colour')
    coloured = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(path.suffix, coloured)
    write_bytes(path, content.tobytes())
