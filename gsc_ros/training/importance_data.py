# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Crops with targets for the importance network.

Pictures are labelled once, see `importance_label`, then cropped at random: scaled about the size at
which the network looks at a whole picture, stretched, mirrored, in other colors. Things cut from
one scene are put into others, so that a car is not known by its street.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
import math
from pathlib import Path
import zipfile

import cv2
from gsc_ros.training.data import Archive, augment, Augmentation, DataError
from gsc_ros.training.importance_label import CONTRAST_TRUST, Labels
import numpy as np
import numpy.typing as npt

#: Pixels at which the network looks at a whole picture: 1242 x 375 becomes 512 x 160.
PIXELS = 80_000
#: Pixels of that picture by cell of the answer.
STRIDE = 8
#: Height and width of a crop.
CROP = (128, 192)
#: Cells whose target is at least this learn the box, too.
BOX_HEAT = 0.3
# What a teacher trusts less, or is large and not quite sure, is as often wrong as right: it is not
# learned. What stands out by contrast is faint, but right.
_LEAST_TRUST = 0.6
_LARGE = 0.15
_LARGE_TRUST = 0.8
# Width of the bell of a thing's target, as a share of its sides.
_BELL = 0.25
# Sizes of things against those in a whole picture, and how much wider or taller they may become.
_ZOOM = (0.6, 1.8)
_STRETCH = 0.3
# How often a crop is laid over a thing instead of anywhere.
_AIMED = 0.6
# A thing of which less is in the crop, or that is smaller, pixels, is not looked for.
_SEEN = 0.4
_LEAST_SIDE = 5
# Things put into a crop at most, how trusted and large (pixels) those are that are cut out, what is
# cut with them, as a share of their sides, and how high they become.
_PASTED = 4
_PASTED_TRUST = 0.8
_PASTED_SIDE = 28
_RIM = 0.1
_PASTED_HEIGHT = (14, 100)


@dataclass(frozen=True)
class Labelled:
    """The pictures of an archive, uint8 [H, W, 3], and the labels of each."""

    name: str
    images: tuple[npt.NDArray[np.uint8], ...]
    labels: tuple[Labels, ...]


@dataclass(frozen=True)
class Batch:
    """
    What one step learns from, h and w being those of the crop.

    :param images: float32 [N, 3, h, w] RGB in 0..1.
    :param heat: float32 [N, 1, h / 8, w / 8]: the score to answer.
    :param boxes: float32 [N, 4, h / 8, w / 8]: left, top, right, bottom, pixels of the crop.
    """

    images: npt.NDArray[np.float32]
    heat: npt.NDArray[np.float32]
    boxes: npt.NDArray[np.float32]


def thinned(archive: Archive, most: int) -> Archive:
    """Return an archive with at most so many of its pictures, evenly spread."""
    count = len(archive.images)
    chosen = np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
    return Archive(archive.name, tuple(archive.images[index] for index in chosen))


def label_archives(archives: Sequence[Archive], look: Callable[[npt.NDArray[np.uint8]], Labels],
                   track: Callable[[Iterable], Iterable] = iter) -> tuple[Labelled, ...]:
    """
    Label every picture.

    :param look: the teachers: labels of a picture, uint8 [H, W, 3].
    :param track: shows progress over an iterable.
    """
    images = [image for archive in archives for image in archive.images]
    labels = [look(image) for image in track(images)]
    return _together(archives, labels)


def save_labels(labelled: Sequence[Labelled], path: Path) -> None:
    """Write labels: an array float32 [N, 5] (box, trust) a picture, in the order of pictures."""
    arrays = [np.column_stack([labels.boxes, labels.trust])
              for archive in labelled for labels in archive.labels]
    np.savez_compressed(path, **{str(index): array for index, array in enumerate(arrays)})


def load_labels(archives: Sequence[Archive], path: Path) -> tuple[Labelled, ...]:
    """
    Read what `save_labels` wrote for the same archives.

    :raises DataError: it is something else, or for another number of pictures.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = [file[str(index)] for index in range(len(file.files))]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f'{path}: holds no labels: {error}') from error
    count = sum(len(archive.images) for archive in archives)
    if len(arrays) != count:
        raise DataError(f'{path}: has labels of {len(arrays)} pictures, not of {count}')
    if any(array.ndim != 2 or array.shape[1] != 5 for array in arrays):
        raise DataError(f'{path}: holds no labels')
    return _together(archives, [Labels(array[:, :4].astype(np.float32),
                                       array[:, 4].astype(np.float32)) for array in arrays])


def _together(archives: Sequence[Archive], labels: list[Labels]) -> tuple[Labelled, ...]:
    ends = np.cumsum([len(archive.images) for archive in archives])
    return tuple(
        Labelled(archive.name, archive.images, tuple(labels[end - len(archive.images):end]))
        for archive, end in zip(archives, ends))


class CropMaker:
    """
    Draw crops with their targets; everything random comes from the generator it is given.

    :param archives: labelled pictures, drawn by the cube root of their number unless weighted.
    :param weights: how often an archive is drawn, by name.
    :raises DataError: a weight is negative, or all are zero.
    """

    def __init__(self, archives: Sequence[Labelled],
                 weights: Mapping[str, float] | None = None) -> None:
        self._archives = tuple(Labelled(
            archive.name, archive.images, tuple(map(_believed, archive.labels)))
            for archive in archives)
        raw = np.array([(weights or {}).get(archive.name, len(archive.images) ** (1 / 3))
                        for archive in archives], np.float64)
        if (raw < 0).any() or raw.sum() <= 0:
            raise DataError('archive weights must be >= 0 with a positive sum')
        self._probabilities = raw / raw.sum()
        self._augmentation = Augmentation()
        self._things = [thing for archive in archives for thing in _things(archive)]

    def batch(self, size: int, generator: np.random.Generator) -> Batch:
        """Return a batch of augmented crops."""
        crops = [self._one(generator) for _ in range(size)]
        targets = [target(boxes, trust) for _, boxes, trust in crops]
        images = np.stack([image for image, _, _ in crops]).transpose(0, 3, 1, 2)
        return Batch(np.ascontiguousarray(images), np.stack([heat for heat, _ in targets]),
                     np.stack([sides for _, sides in targets]))

    def _one(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a crop float32 [h, w, 3], boxes float32 [N, 4] in pixels, and trust [N]."""
        archive = self._archives[generator.choice(len(self._archives), p=self._probabilities)]
        at = generator.integers(len(archive.images))
        image, labels = archive.images[at], archive.labels[at]
        crop, boxes = _cut(image, labels, generator)
        trust = labels.trust
        crop = crop.astype(np.float32)
        for _ in range(generator.integers(_PASTED + 1) if self._things else 0):
            thing = self._things[generator.integers(len(self._things))]
            box = _paste(crop, thing, generator)
            # What is covered is no longer there.
            hidden = _covered(boxes, box) > 1 - _SEEN
            boxes = np.concatenate([boxes[~hidden], box[None]])
            trust = np.concatenate([trust[~hidden], [1.0]])
        boxes, trust = _visible(boxes, trust)
        if generator.random() < 0.5:
            crop = crop[:, ::-1]
            boxes = boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [CROP[1], 0, CROP[1], 0]
        image = augment(np.ascontiguousarray(crop) / 255, self._augmentation, generator)
        return image, boxes.astype(np.float32), trust


def target(boxes: npt.NDArray, trust: npt.NDArray) -> tuple[npt.NDArray, npt.NDArray]:
    """
    Return what the network should answer to a crop.

    :param boxes: float [N, 4] in pixels; `trust`: float [N].
    :return: heat, float32 [1, h / 8, w / 8]: a bell on each thing, as high as its trust; and the
        box of the thing whose bell is highest there, float32 [4, h / 8, w / 8].
    """
    rows, columns = (side // STRIDE for side in CROP)
    heat = np.zeros((rows, columns), np.float32)
    sides = np.zeros((4, rows, columns), np.float32)
    x = (np.arange(columns) + 0.5) * STRIDE
    y = (np.arange(rows) + 0.5) * STRIDE
    for box, height in zip(boxes, trust):
        left, top, right, bottom = box
        across = np.exp(-0.5 * ((x - (left + right) / 2) / max(
            _BELL * (right - left), STRIDE / 2)) ** 2)
        down = np.exp(-0.5 * ((y - (top + bottom) / 2) / max(
            _BELL * (bottom - top), STRIDE / 2)) ** 2)
        # The nearest cell has the full height, wherever the middle lies in it.
        bell = height * np.outer(down / down.max(), across / across.max())
        higher = bell > heat
        heat[higher] = bell[higher]
        sides[:, higher] = np.asarray(box, np.float32)[:, None]
    return heat[None], sides


def _believed(labels: Labels) -> Labels:
    """Return the labels that are worth learning."""
    area = np.prod(labels.boxes[:, 2:] - labels.boxes[:, :2], axis=1)
    sure = (labels.trust >= _LEAST_TRUST) & ((area < _LARGE) | (labels.trust >= _LARGE_TRUST))
    sure |= labels.trust <= CONTRAST_TRUST
    return Labels(labels.boxes[sure], labels.trust[sure])


def _cut(image: np.ndarray, labels: Labels,
         generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a random crop, uint8, and the boxes of its picture in pixels of the crop."""
    height, width = image.shape[:2]
    scale = math.sqrt(PIXELS / (width * height)) * np.exp(generator.uniform(*np.log(_ZOOM)))
    stretch = np.exp(generator.uniform(-_STRETCH, _STRETCH))
    wide = min(CROP[1] / (scale * stretch), width)
    tall = min(CROP[0] / scale * stretch, height)
    boxes = labels.boxes * np.array([width, height, width, height], np.float32)
    if len(boxes) and generator.random() < _AIMED:
        chosen = boxes[generator.choice(len(boxes), p=labels.trust / labels.trust.sum())]
        middle = (chosen[:2] + chosen[2:]) / 2
        left = middle[0] - wide * generator.uniform(0.1, 0.9)
        top = middle[1] - tall * generator.uniform(0.1, 0.9)
    else:
        left = generator.uniform(0, 1) * (width - wide)
        top = generator.uniform(0, 1) * (height - tall)
    left, top = int(np.clip(left, 0, width - wide)), int(np.clip(top, 0, height - tall))
    wide, tall = int(wide), int(tall)
    crop = cv2.resize(image[top:top + tall, left:left + wide], CROP[::-1],
                      interpolation=cv2.INTER_AREA if wide >= CROP[1] else cv2.INTER_LINEAR)
    factor = np.array([CROP[1] / wide, CROP[0] / tall] * 2)
    return crop, (boxes - [left, top, left, top]) * factor


def _things(archive: Labelled) -> list[np.ndarray]:
    """Return cut-outs of what is surely a thing, with a rim, uint8."""
    found = []
    for image, labels in zip(archive.images, archive.labels):
        height, width = image.shape[:2]
        for box in labels.boxes[labels.trust >= _PASTED_TRUST]:
            left, top, right, bottom = box * [width, height, width, height]
            rim_x, rim_y = _RIM * (right - left), _RIM * (bottom - top)
            if min(right - left, bottom - top) < _PASTED_SIDE or not (
                    left >= rim_x and right <= width - rim_x
                    and top >= rim_y and bottom <= height - rim_y):
                continue
            found.append(image[int(top - rim_y):int(bottom + rim_y),
                               int(left - rim_x):int(right + rim_x)])
    return found


def _paste(crop: np.ndarray, thing: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Put a thing into a crop, float32 in 0..255, in place; return its box, pixels."""
    tall = int(np.exp(generator.uniform(*np.log(_PASTED_HEIGHT))))
    wide = round(tall * thing.shape[1] / thing.shape[0] * np.exp(generator.uniform(-0.25, 0.25)))
    wide = int(np.clip(wide, 8, CROP[1] - 2))
    piece = cv2.resize(thing, (wide, tall), interpolation=cv2.INTER_AREA).astype(np.float32)
    # The rim fades, so that no edge tells what was put there.
    fade = [np.clip(np.minimum(np.arange(side) + 0.5, side - 0.5 - np.arange(side))
                    / (side * _RIM / (1 + 2 * _RIM)), 0, 1) for side in (tall, wide)]
    alpha = np.outer(*fade)[..., None].astype(np.float32)
    top = int(generator.integers(CROP[0] - tall))
    left = int(generator.integers(CROP[1] - wide))
    under = crop[top:top + tall, left:left + wide]
    under += alpha * (piece - under)
    rim_x, rim_y = (side * _RIM / (1 + 2 * _RIM) for side in (wide, tall))
    return np.array([left + rim_x, top + rim_y, left + wide - rim_x, top + tall - rim_y])


def _covered(boxes: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Return which share of each box another one covers."""
    sides = np.minimum(boxes[:, 2:], cover[2:]) - np.maximum(boxes[:, :2], cover[:2])
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return np.prod(np.maximum(sides, 0), axis=1) / np.maximum(areas, 1e-6)


def _visible(boxes: np.ndarray, trust: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the parts of boxes within the crop, of those that are seen well enough."""
    frame = np.array([0, 0, CROP[1], CROP[0]])
    seen = _covered(boxes, frame) >= _SEEN
    boxes = np.clip(boxes[seen], 0, [CROP[1], CROP[0]] * 2)
    large = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=1e9) >= _LEAST_SIDE
    return boxes[large], trust[seen][large]
