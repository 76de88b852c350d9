# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pictures with captions for the training of a generator: which there are, and how they are cut.

Captions come, in this order, from a captions file, from a text file beside the picture
(``street.jpg``, ``street.txt``), or from a template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import csv
from dataclasses import dataclass
import json
import math
from pathlib import Path

import cv2
from gsc_ros.codec.caption.captioner import CaptionerSettings
from gsc_ros.codec.caption.line import one_line
from gsc_ros.training.data import DataError, IMAGE_SUFFIXES, MAX_ENCODED_BYTES
import numpy as np

TABLE_SUFFIXES = ('.jsonl', '.csv')
MAX_CAPTION = CaptionerSettings().max_characters
"""Characters of a caption, as a sender would cut it."""


@dataclass(frozen=True)
class CaptionedImage:
    """An image file and what it shows, in one line; the caption may be empty."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Geometry:
    """
    How an image is cut for training.

    :param max_pixels: larger ones are scaled down to this area, by averaging. The default is that
        of the paper's KITTI pictures, 1216x352.
    :param multiple: sides are cut to a multiple of this, about the middle: what both the structure
        codec and the generator divide without a rest.
    :param scale: the generator works at ``1 / scale`` of the camera's size.
    """

    max_pixels: int = 1216 * 352
    multiple: int = 32
    scale: int = 1


def read_images(
        paths: Sequence[Path], captions: Sequence[Path] = (), template: str = '',
        ) -> tuple[CaptionedImage, ...]:
    """
    Return the images of folders and captions files, each once, in a fixed order.

    :param paths: folders of images, or captions files that name the images (what `gsc train mix`
        writes is one).
    :param captions: further captions files, for images of the folders.
    :param template: caption of an image that has none; ``{folder}`` is the name of its folder.
    :raises DataError: when a file is missing or not what it should be, or there is no image.
    """
    written: dict[Path, str] = {}
    files: dict[Path, None] = {}
    folders = [path for path in paths if path.is_dir()]
    for path in paths:
        if path.is_dir():
            found = (f for f in path.rglob('*') if f.suffix.lower() in IMAGE_SUFFIXES)
            files.update(dict.fromkeys(sorted(f.resolve() for f in found)))
        elif path.suffix.lower() in TABLE_SUFFIXES:
            named = read_captions(path, ())
            written.update({image: text for image, text in named.items() if text})
            files.update(dict.fromkeys(named))
        else:
            raise DataError(f'{path}: neither a folder of images nor a captions file '
                            f'({" or ".join(TABLE_SUFFIXES)})')
    for path in captions:
        written.update(read_captions(path, folders))
    if not files:
        raise DataError(f'no images in {", ".join(map(str, paths))}')
    return tuple(CaptionedImage(file, caption_of(file, written, template)) for file in files)


def caption_of(file: Path, written: Mapping[Path, str], template: str) -> str:
    """Return the caption of an image: written, beside it, or by the template."""
    if file in written:
        return one_line(written[file], MAX_CAPTION)
    beside = file.with_suffix('.txt')
    if beside.is_file():
        try:
            return one_line(beside.read_text(encoding='utf-8'), MAX_CAPTION)
        except UnicodeDecodeError as error:
            raise DataError(f'{beside}: not UTF-8') from error
    return one_line(template.replace('{folder}', file.parent.name), MAX_CAPTION)


def read_captions(table: Path, folders: Sequence[Path]) -> dict[Path, str]:
    """
    Return the captions of a JSON Lines or CSV file with ``image`` and ``caption``, by image.

    A relative name is looked up beside the file, then in ``folders``.

    :raises DataError: when the file is missing or malformed, or names an image that is not there.
    """
    captions: dict[Path, str] = {}
    for number, image, caption in rows(table):
        places = [table.parent / image, *(folder / image for folder in folders)]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            raise DataError(f'{table}:{number}: no such image: {image}')
        captions[file.resolve()] = caption
    return captions


def rows(table: Path) -> Iterator[tuple[int, str, str]]:
    """
    Yield line number, image and caption of a captions file.

    :raises DataError: when the file is missing or malformed.
    """
    try:
        with table.open(encoding='utf-8', newline='') as file:
            if table.suffix.lower() == '.csv':
                reader = csv.DictReader(file)
                entries = ((reader.line_num, row) for row in reader)
            else:
                entries = ((number, json.loads(line))
                           for number, line in enumerate(file, start=1) if line.strip())
            for number, row in entries:
                image, caption = row['image'], row.get('caption') or ''
                if not isinstance(image, str) or not isinstance(caption, str):
                    raise DataError(f'{table}:{number}: image and caption must be text')
                yield number, image, caption
    except OSError as error:
        raise DataError(f'{table}: {error.strerror}') from error
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f'{table}: expected "image" and "caption" in every row') from error
    except (ValueError, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f'{table}: {error}') from error


def load_image(file: Path, geometry: Geometry) -> np.ndarray:
    """
    Return an image as it is trained on, uint8 [H, W, 3] RGB with sides that fit the geometry.

    :raises DataError: when it cannot be read, or is too small to cut.
    """
    try:
        if file.stat().st_size > MAX_ENCODED_BYTES:
            raise DataError(f'{file}: more than {MAX_ENCODED_BYTES} bytes')
        raw = file.read_bytes()
    except OSError as error:
        raise DataError(f'{file}: {error.strerror}') from error
    image = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR) if raw else None
    if image is None:
        raise DataError(f'{file}: not an image')
    return fit(np.ascontiguousarray(image[..., ::-1]), geometry, str(file))


def fit(image: np.ndarray, geometry: Geometry, name: str = 'image') -> np.ndarray:
    """
    Return the middle of an image, scaled down to the largest area: uint8 [H, W, 3].

    :raises DataError: when a side is shorter than the geometry's multiple.
    """
    height, width = image.shape[:2]
    factor = min(1.0, math.sqrt(geometry.max_pixels / (height * width)))
    if factor < 1:
        height, width = round(height * factor), round(width * factor)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    tall, wide = (side - side % geometry.multiple for side in (height, width))
    if not tall or not wide:
        raise DataError(f'{name}: {width}x{height} is smaller than {geometry.multiple} pixels')
    top, left = (height - tall) // 2, (width - wide) // 2
    return np.ascontiguousarray(image[top:top + tall, left:left + wide])


def reduce(image: np.ndarray, scale: int) -> np.ndarray:
    """Return an image uint8 [H, W, 3] at the generator's size, averaged down by ``scale``."""
    if scale == 1:
        return image
    size = (image.shape[1] // scale, image.shape[0] // scale)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
