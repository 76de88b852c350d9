# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the embedded generator is trained on: half-size crops, and what a packet tells of each.

A *view* is an augmented crop at half the camera's size with a caption, the symbols that the
structure profile sends of it at a random quantizer and number of channels, and the picture that
its decoder makes of them. Captions are put together from what the archive shows and from how
bright and colourful the crop is. A list of objects is what a detector finds in the crop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from gsc_ros.codec.profile import Profile
from gsc_ros.codec.region.object_list import ObjectBox
from gsc_ros.codec.structure import Analysis, dequantize, quantize, Synthesis
from gsc_ros.training.data import Archive, augment, Augmentation, DataError
from gsc_ros.training.generator.found import as_rows, Finder, from_rows
import numpy as np

ROWS, COLUMNS = 10, 14
"""Image tokens of a view, each of 16x16 pixels of the half-size picture."""
TOKEN = 16
SHARP = Augmentation(gray=0.05, blur=0.0, noise=0.0, tone=0.6, max_zoom_out=1.8)
"""What may happen to a view: nothing that a generator would learn to blur from."""
SCENES: Mapping[str, tuple[str, ...]] = {
    'highway': ('a road with cars', 'a highway with cars and trees', 'a car driving on a road'),
    'street': ('a street with houses', 'a street with parked cars and buildings',
               'a road with buildings'),
    'robot_field': ('robots on a field', 'a sports field with robots and people',
                    'a robot and a ball on a green field'),
    'robot_indoor': ('a room with furniture', 'a room seen by a robot', 'a person in a room'),
    'rover': ('a simulated rover on sand', 'sand and rocks', 'a canyon with sand and rocks'),
    'indoor': ('a corridor with doors', 'a corridor in a building', 'an indoor corridor'),
    'aerial': ('an aerial view of land', 'trees and fields from above', 'a village from above'),
    'photo': ('a photo', 'a landscape', 'a photo of nature')}


@dataclass(frozen=True)
class Views:
    """
    A set of views of one size.

    :param images: uint8 [N, h, w, 3] RGB at half the camera's size.
    :param structures: uint8 [N, h, w, 3], the structure decoder's pictures at that size.
    :param symbols: int8 [N, 320, h/16, w/16], 0 where a channel was not sent.
    :param levels: int64 [N], quantizers.
    :param captions: N texts.
    :param objects: what a detector finds in each; empty for nothing.
    """

    images: np.ndarray
    structures: np.ndarray
    symbols: np.ndarray
    levels: np.ndarray
    captions: tuple[str, ...]
    objects: tuple[tuple[ObjectBox, ...], ...]

    def save(self, path: Path) -> None:
        """Write the views to an .npz file."""
        np.savez(path, images=self.images, structures=self.structures, symbols=self.symbols,
                 levels=self.levels, captions=np.array(self.captions),
                 objects=np.concatenate([as_rows(()), *map(as_rows, self.objects)]),
                 counts=np.array([len(found) for found in self.objects], np.int64))

    @classmethod
    def load(cls, path: Path) -> Views:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file['images'], file['structures'], file['symbols'], file['levels'],
                       tuple(map(str, file['captions'])),
                       tuple(map(from_rows, np.split(
                           file['objects'], np.cumsum(file['counts'])[:-1]))))


def crop(archive: Archive, generator: np.random.Generator, height: int, width: int,
         augmentation: Augmentation = SHARP) -> np.ndarray:
    """Return one augmented crop, uint8 [height, width, 3]; a picture too small is enlarged."""
    image = archive.images[generator.integers(len(archive.images))]
    limit = min(image.shape[0] / height, image.shape[1] / width)
    zoom = min(float(np.exp(generator.uniform(0, np.log(augmentation.max_zoom_out)))), limit)
    aspect = float(np.exp(generator.uniform(-0.08, 0.08)))
    tall = min(image.shape[0], max(1, round(height * zoom * aspect)))
    wide = min(image.shape[1], max(1, round(width * zoom / aspect)))
    top = generator.integers(image.shape[0] - tall + 1)
    left = generator.integers(image.shape[1] - wide + 1)
    patch = image[top:top + tall, left:left + wide]
    shrinking = tall >= height and wide >= width
    patch = cv2.resize(patch, (width, height),
                       interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)
    if generator.random() < 0.5:
        patch = patch[:, ::-1]
    patch = augment(patch.astype(np.float32) / 255, augmentation, generator)
    return np.round(patch * 255).astype(np.uint8)


def caption(archive: str, image: np.ndarray, generator: np.random.Generator) -> str:
    """
    Return what a captioner might say of a crop, or nothing.

    :param archive: name of the archive, whose beginning says what it shows.
    :param image: uint8 [h, w, 3].
    """
    if generator.random() < 0.1:
        return ''
    scene = next((texts for name, texts in SCENES.items() if archive.startswith(name)),
                 ('a picture',))
    words = [str(generator.choice(scene))]
    values = image.astype(np.float32) / 255
    brightness = values.mean()
    colour = (values.max(axis=2) - values.min(axis=2)).mean()
    if colour < 0.02:
        words.append('gray')
    elif colour > 0.3:
        words.append('colourful')
    if brightness < 0.3:
        words.append('dark')
    elif brightness > 0.6:
        words.append('bright')
    return ', '.join(words)


class ViewMaker:
    """
    Makes views with the structure profile that the generator will meet.

    :param profile: the structure profile.
    :param archives: training pictures at half the camera's size.
    :param weights: how often an archive is drawn; the cube root of its size where not named.
    :param find: finds the objects of a picture; None leaves the lists empty.
    """

    def __init__(self, profile: Profile, archives: Sequence[Archive],
                 weights: Mapping[str, float] | None = None, find: Finder | None = None,
                 ) -> None:
        raw = np.array([(weights or {}).get(a.name, len(a.images) ** (1 / 3)) for a in archives])
        if not len(archives) or (raw < 0).any() or raw.sum() <= 0:
            raise DataError('archive weights must be >= 0 with a positive sum')
        self.archives, self.probabilities = tuple(archives), raw / raw.sum()
        self.profile, self.find = profile, find
        self.analysis, self.synthesis = Analysis(profile), Synthesis(profile)

    def make(self, count: int, generator: np.random.Generator,
             rows: int = ROWS, columns: int = COLUMNS) -> Views:
        """Return ``count`` views of ``rows x columns`` tokens."""
        height, width = rows * TOKEN, columns * TOKEN
        images = np.empty((count, height, width, 3), np.uint8)
        structures = np.empty_like(images)
        symbols = np.zeros((count, 320, rows, columns), np.int8)
        levels = generator.integers(0, self.profile.manifest.quantizers, count)
        captions, objects = [], []
        for index in range(count):
            archive = self.archives[generator.choice(len(self.archives), p=self.probabilities)]
            images[index] = crop(archive, generator, height, width)
            captions.append(caption(archive.name, images[index], generator))
            objects.append(self.find(images[index]) if self.find else ())
            keep = 320
            if generator.random() < 0.25:
                keep = int(np.exp(generator.uniform(0, np.log(321))))
            symbols[index], structures[index] = self.told(images[index], int(levels[index]), keep)
        return Views(
            images, structures, symbols, levels, tuple(captions), tuple(objects))

    def told(self, image: np.ndarray, level: int, keep: int) -> tuple[np.ndarray, np.ndarray]:
        """
        Return what a packet tells of a half-size picture.

        :param image: uint8 [h, w, 3], sides multiples of 16.
        :param level: quantizer.
        :param keep: channels sent.
        :return: symbols int8 [320, h/16, w/16] and the decoded picture uint8 [h, w, 3].
        """
        height, width = image.shape[:2]
        work = cv2.resize(image.astype(np.float32) / 255, (width // 2, height // 2),
                          interpolation=cv2.INTER_AREA)
        manifest = self.profile.manifest
        sent = quantize(self.analysis.transform(work), self.profile.gains[level],
                        manifest.symbol_max)
        sent[keep:] = 0
        picture = self.synthesis.render(
            sent, tuple(range(320)), level, 2 * height, 2 * width).image
        return sent.astype(np.int8), cv2.resize(
            picture, (width, height), interpolation=cv2.INTER_AREA)


def latents_of(symbols: np.ndarray, levels: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Return y_sel float32 [N, 320, rows, columns] of symbols and their quantizers."""
    return np.stack([dequantize(s, gains[level]) for s, level in zip(symbols, levels)])
