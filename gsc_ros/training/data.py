# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training images: archives decoded once, split without leaks, sampled by weight, augmented."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
import tarfile

import cv2
import numpy as np

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp', '.bmp', '.tif', '.tiff')
MAX_ENCODED_BYTES = 64 << 20
MAX_SIDE = 960
"""Longest side of a cached image, already downscaled: more detail is never asked for."""


class DataError(ValueError):
    """The training data is missing or cannot be used; the message says which."""


@dataclass(frozen=True)
class Archive:
    """
    One scene: consecutive or similar pictures that must never straddle the split.

    ``images`` are uint8 [H, W, 3] RGB of any sizes, in the order of their names.
    """

    name: str
    images: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Split:
    """Archives to train on and archives to validate on; no image is in both."""

    training: tuple[Archive, ...]
    validation: tuple[Archive, ...]


@dataclass(frozen=True)
class Augmentation:
    """Probabilities and ranges of what may happen to a crop."""

    gray: float = 0.08
    blur: float = 0.15
    noise: float = 0.2
    tone: float = 0.8
    max_zoom_out: float = 2.2


def load_archives(paths: Sequence[Path | str], downscale: int = 2) -> tuple[Archive, ...]:
    """
    Decode tar packs and folders of images.

    A directory that holds tar files contributes each of them, else every sub-folder with images
    (and itself) as one archive. Images are area-downsampled by ``downscale`` to hide what an
    earlier codec did to them.

    :raises DataError: when a path has no usable image.
    """
    archives: list[Archive] = []
    for path in map(Path, paths):
        if not path.exists():
            raise DataError(f'{path}: no such file or directory')
        packs = sorted(path.glob('*.tar')) if path.is_dir() else [path]
        for pack in packs or image_folders(path):
            images = tuple(
                image for image in (decode(raw, downscale) for raw in encoded_images(pack))
                if image is not None)
            if images:
                archives.append(Archive(pack.stem if pack.suffix == '.tar' else pack.name, images))
    if not archives:
        raise DataError(f'no images in {", ".join(map(str, paths))}')
    return tuple(archives)


def image_folders(root: Path) -> list[Path]:
    """Return ``root`` and the folders under it that directly hold images."""
    folders = {file.parent for file in root.rglob('*') if file.suffix.lower() in IMAGE_SUFFIXES}
    return sorted(folders)


def encoded_images(pack: Path) -> Iterator[bytes]:
    """Yield the bytes of every image of a tar file or folder, by name; nothing is unpacked."""
    if pack.is_dir():
        for file in sorted(pack.iterdir()):
            if file.suffix.lower() in IMAGE_SUFFIXES:
                yield file.read_bytes()
        return
    try:
        with tarfile.open(pack) as tar:
            members = [m for m in tar.getmembers()
                       if m.isfile() and m.name.lower().endswith(IMAGE_SUFFIXES)
                       and m.size <= MAX_ENCODED_BYTES]
            for member in sorted(members, key=lambda m: m.name):
                handle = tar.extractfile(member)
                if handle is not None:
                    yield handle.read()
    except tarfile.TarError as error:
        raise DataError(f'{pack}: not a tar file ({error})') from error


def decode(raw: bytes, downscale: int) -> np.ndarray | None:
    """Return uint8 [H, W, 3] RGB, smaller by at least ``downscale``; None when undecodable."""
    image = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return None
    factor = max(float(downscale), max(image.shape[:2]) / MAX_SIDE)
    height, width = (max(16, round(side / factor)) for side in image.shape[:2])
    if (height, width) != image.shape[:2]:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image[..., ::-1])


def split_archives(
        archives: Sequence[Archive], validation_names: Sequence[str] = (),
        fraction: float = 0.06, gap: int = 3) -> Split:
    """
    Hold out whole archives by name, and the last run of every other archive.

    ``gap`` images between the two runs go unused, because neighbours in a video are near copies.
    Archives of fewer than 8 images are used for training only.

    :raises DataError: when a held-out name does not exist or nothing is left to train on.
    """
    unknown = set(validation_names) - {archive.name for archive in archives}
    if unknown:
        raise DataError(f'no archive named {", ".join(sorted(unknown))}')
    training, validation = [], []
    for archive in archives:
        count = len(archive.images)
        held = max(1, round(count * fraction)) if fraction > 0 and count >= 8 else 0
        if archive.name in validation_names:
            validation.append(archive)
        elif held:
            training.append(Archive(archive.name, archive.images[:count - held - gap]))
            validation.append(Archive(archive.name, archive.images[count - held:]))
        else:
            training.append(archive)
    if not training:
        raise DataError('every archive is held out: nothing to train on')
    return Split(tuple(training), tuple(validation))


class CropSampler:
    """
    Draw augmented square crops; everything random comes from the generator it is given.

    Archives are drawn by weight: the given one, else the cube root of their number of images, so
    that long videos do not drown the rest.
    """

    def __init__(
            self, archives: Sequence[Archive], crop: int,
            weights: Mapping[str, float] | None = None,
            augmentation: Augmentation | None = None) -> None:
        if not archives:
            raise DataError('no archives to sample from')
        self.archives = tuple(archives)
        self.crop = crop
        self.augmentation = augmentation or Augmentation()
        raw = np.array([(weights or {}).get(a.name, len(a.images) ** (1 / 3))
                        for a in self.archives], np.float64)
        if (raw < 0).any() or raw.sum() <= 0:
            raise DataError('archive weights must be >= 0 with a positive sum')
        self.probabilities = raw / raw.sum()

    def batch(self, size: int, generator: np.random.Generator) -> np.ndarray:
        """Return float32 [size, 3, crop, crop] in [0, 1]."""
        choice = generator.choice(len(self.archives), size, p=self.probabilities)
        crops = [self.one(self.archives[index], generator) for index in choice]
        return np.stack(crops).transpose(0, 3, 1, 2)

    def one(self, archive: Archive, generator: np.random.Generator) -> np.ndarray:
        """Return one augmented crop of an archive, float32 [crop, crop, 3] in [0, 1]."""
        image = archive.images[generator.integers(len(archive.images))]
        height, width = image.shape[:2]
        limit = min(height, width) / self.crop
        zoom = float(np.exp(generator.uniform(0, np.log(self.augmentation.max_zoom_out))))
        zoom = min(zoom, limit)
        aspect = float(np.exp(generator.uniform(-0.1, 0.1)))
        tall = min(height, max(1, round(self.crop * zoom * aspect)))
        wide = min(width, max(1, round(self.crop * zoom / aspect)))
        top = generator.integers(height - tall + 1)
        left = generator.integers(width - wide + 1)
        patch = image[top:top + tall, left:left + wide]
        shrinking = tall >= self.crop and wide >= self.crop
        patch = cv2.resize(
            patch, (self.crop, self.crop),
            interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
        if generator.random() < 0.5:
            patch = patch[:, ::-1]
        return augment(patch.astype(np.float32) / 255, self.augmentation, generator)


def turned(image: np.ndarray, saturation: float, angle: float) -> np.ndarray:
    """Return an RGB image with its chroma scaled by ``saturation`` and turned by ``angle`` rad."""
    gray = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    # Rotation about the gray axis (Rodrigues), chroma scaled.
    matrix = gray + saturation * (np.cos(angle) * (np.eye(3) - gray) + np.sin(angle) * cross)
    return image @ matrix.T.astype(np.float32)


def augment(
        image: np.ndarray, settings: Augmentation, generator: np.random.Generator) -> np.ndarray:
    """Return ``image`` (float32 [H, W, 3] in [0, 1]) with random tone, colour, blur and noise."""
    if generator.random() < settings.tone:
        gamma = np.exp(generator.uniform(-0.45, 0.45))
        contrast = np.exp(generator.uniform(-0.3, 0.5))
        pivot = float(image.mean())
        offset = generator.uniform(-0.1, 0.1)
        balance = np.exp(generator.uniform(-0.08, 0.08, 3))
        image = np.clip(image, 0, 1) ** gamma
        image = (image - pivot) * contrast * balance + pivot + offset
        image = turned(image, np.exp(generator.uniform(-0.4, 0.5)), generator.normal(0, 0.25))
    if generator.random() < settings.gray:
        image = np.repeat(image @ np.float32([[0.299], [0.587], [0.114]]), 3, axis=2)
    if generator.random() < settings.blur:
        sigma = generator.uniform(0.4, 1.2)
        image = cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), sigma)
    if generator.random() < settings.noise:
        image = image + generator.normal(0, generator.uniform(0.003, 0.02), image.shape)
    return np.clip(image, 0, 1).astype(np.float32)
