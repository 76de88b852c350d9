# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Batches for the training of the control branch: from a cache, or from crops made on the fly.

A batch is a function of its number and the seed alone. So a run that was stopped goes on as if it
had not been, and processes that train together take different batches without speaking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Protocol

from gsc_ros.codec.generator.flow import condition_tokens, reduce
from gsc_ros.codec.generator.flux.config import ControlConfig
from gsc_ros.codec.generator.object_map import object_map
from gsc_ros.codec.generator.token import pack
from gsc_ros.training.data import CropSampler, DataError
from gsc_ros.training.generator.cache import content_key, TensorCache
from gsc_ros.training.generator.data import CaptionedImage, Geometry, load_image
from gsc_ros.training.generator.found import as_rows, from_rows
from gsc_ros.training.generator.structure import Measured, Sent, StructureSource
import numpy as np
import torch
from torch import Tensor

KEPT_TEXTS = 4096
"""Embedded captions that a run on the fly keeps."""
MEASURED = 200
"""Images that the size of the structure's channels is measured on."""


class TextEncoder(Protocol):
    """Embeds captions."""

    def embed(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return embedded texts [B, L, D] and their pooled embeddings [B, P]."""


class PictureCoder(Protocol):
    """Takes pictures to the latents that the flow runs in, and back."""

    def encode(self, images: Tensor) -> Tensor:
        """Return latents [B, c, H/8, W/8] of pictures float32 [B, 3, H, W] in [0, 1]."""

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures of latents; shapes and ranges as in `encode`."""


@dataclass(frozen=True)
class Batch:
    """
    What one forward pass takes, on the CPU.

    :param data: tokens of the pictures, float32 [B, N, c].
    :param condition: condition tokens, float32 [B, N, K].
    :param text: [B, L, D].
    :param pooled: [B, P].
    :param rows: rows of tokens, N / columns.
    :param columns: columns of tokens.
    """

    data: Tensor
    condition: Tensor
    text: Tensor
    pooled: Tensor
    rows: int
    columns: int


class BatchSource(Protocol):
    """Gives batches by number; the same number, the same batch."""

    def batch(self, number: int) -> Batch:
        """Return batch ``number``, 0 or more."""

    def structure_scale(self) -> np.ndarray:
        """Return factors that bring the structure's channels to one size, float32 [320]."""


@dataclass(frozen=True)
class BatchSettings:
    """
    How batches are drawn.

    :param size: pictures of a batch, all of one shape.
    :param drop_text: share of the captions that are left out, so that the branch learns to do
        without one.
    """

    size: int = 1
    drop_text: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError when a value is out of its range."""
        if self.size < 1 or not 0 <= self.drop_text <= 1:
            raise ValueError('a batch needs 1 picture or more, and drop_text is in 0..1')


def collate(
        latents: Sequence[np.ndarray], sents: Sequence[Sent],
        texts: Sequence[tuple[Tensor, Tensor]], config: ControlConfig,
        pictures: Sequence[np.ndarray | None]) -> Batch:
    """
    Return a batch of samples of one shape.

    :param latents: of the pictures, float32 [c, 2 rows, 2 columns].
    :param texts: embedded and pooled text of each.
    :param pictures: latents of the structure decoder's pictures, where the branch takes them.
    """
    rows, columns = (side // 2 for side in latents[0].shape[1:])
    condition = np.stack([
        condition_tokens(
            sent.latent, rows, columns, picture, sent.level if config.level else None,
            object_map(sent.objects, rows, columns, rows, columns) if config.objects else None)
        for sent, picture in zip(sents, pictures)])
    return Batch(
        torch.from_numpy(pack(np.stack(latents))), torch.from_numpy(condition),
        torch.stack([text for text, _ in texts]), torch.stack([pooled for _, pooled in texts]),
        rows, columns)


@dataclass(frozen=True)
class CacheBuilder:
    """
    Fills a cache with what training on images needs.

    :param text: embeds the captions.
    :param pictures: encodes the images.
    :param structure: encodes their structure.
    """

    cache: TensorCache
    text: TextEncoder
    pictures: PictureCoder
    structure: StructureSource
    geometry: Geometry
    device: torch.device

    def build(
            self, images: Sequence[CaptionedImage], process: int = 0, processes: int = 1,
            report: Callable[[int, int], None] | None = None) -> None:
        """
        Make what is missing; of several processes each makes its share.

        :param report: hears how much of how many is done.
        """
        captions = self.cache.missing(
            map(text_key, ['', *(image.caption for image in images)]), 'pooled')
        wanted = {text_key(image.caption): image.caption for image in images} | {text_key(''): ''}
        files = self.cache.missing(map(image_key, images), 'latent')
        paths = {image_key(image): image for image in images}
        share = [*captions[process::processes], *files[process::processes]]
        for done, key in enumerate(share):
            if report:
                report(done, len(share))
            self.cache.add(key, self._of_text(wanted[key]) if key in wanted
                           else self._of_image(paths[key]))
        self.cache.flush()
        if report:
            report(len(share), len(share))

    @torch.no_grad()
    def _of_text(self, caption: str) -> dict[str, Tensor]:
        text, pooled = self.text.embed([caption])
        return {'text': text[0], 'pooled': pooled[0]}

    @torch.no_grad()
    def _of_image(self, image: CaptionedImage) -> dict[str, Tensor]:
        pixels = load_image(image.path, self.geometry)
        measured = self.structure.measure(pixels)
        latent = self.pictures.encode(planes(pixels, self.geometry.scale)[None].to(self.device))[0]
        kept = {'latent': latent.half(), 'structure': torch.from_numpy(measured.latent).half(),
                'thumbnail': torch.from_numpy(measured.thumbnail)}
        if self.structure.find:
            kept['objects'] = torch.from_numpy(as_rows(measured.objects))
        return kept


def planes(image: np.ndarray, scale: int) -> Tensor:
    """Return an image uint8 [H, W, 3] at the generator's size, float32 [3, h, w] in [0, 1]."""
    return torch.from_numpy(reduce(
        image, image.shape[0] // scale, image.shape[1] // scale, scale))


def text_key(caption: str) -> str:
    """Return the cache's key of a caption."""
    return content_key(f'text/{caption}'.encode())


@cache
def image_key(image: CaptionedImage) -> str:
    """
    Return the cache's key of an image: that of its file, whatever its caption.

    :raises DataError: when it cannot be read.
    """
    try:
        return content_key(image.path.read_bytes())
    except OSError as error:
        raise DataError(f'{image.path}: {error.strerror}') from error


class CachedSource:
    """
    Batches of whole images, every image once an epoch.

    The branch that is trained must not take the structure decoder's picture: that depends on what
    is drawn each time, and would have to be encoded anew.
    """

    def __init__(
            self, cache: TensorCache, images: Sequence[CaptionedImage],
            structure: StructureSource, config: ControlConfig,
            settings: BatchSettings = BatchSettings()) -> None:
        """
        Take stock of images that the cache holds.

        :raises ValueError: when the branch takes the structure decoder's picture.
        """
        if config.picture:
            raise ValueError('a branch that takes the structure picture is trained on the fly, '
                             'not from a cache')
        self._cache, self._structure = cache, structure
        self._config, self._settings = config, settings
        self._keys = [(image_key(image), text_key(image.caption)) for image in images]
        self._groups: dict[tuple[int, ...], list[int]] = {}
        for index, (key, _) in enumerate(self._keys):
            self._groups.setdefault(cache.shape(key, 'latent'), []).append(index)
        self.batches = sum(-(-len(g) // settings.size) for g in self._groups.values())
        """Batches of an epoch."""
        self._epoch: tuple[int, list[list[int]]] = (-1, [])

    def batch(self, number: int) -> Batch:
        """Return batch ``number``; see BatchSource."""
        epoch, position = divmod(number, self.batches)
        generator = np.random.default_rng((self._settings.seed, 2, number))
        latents, sents, texts = [], [], []
        for index in self._order(epoch)[position]:
            key, text = self._keys[index]
            sents.append(self._structure.send(self._measured(key), generator, key))
            latents.append(self._cache.get(key, 'latent').float().numpy())
            if generator.random() < self._settings.drop_text:
                text = text_key('')
            texts.append((self._cache.get(text, 'text'), self._cache.get(text, 'pooled')))
        return collate(latents, sents, texts, self._config, [None] * len(latents))

    def structure_scale(self) -> np.ndarray:
        """Return factors measured on some images; see BatchSource."""
        some = self._keys[::-(-len(self._keys) // MEASURED)]
        return self._structure.scale(self._measured(key) for key, _ in some)

    def _measured(self, key: str) -> Measured:
        rows = self._cache.get(key, 'objects').numpy() if self._structure.find else ()
        return Measured(self._cache.get(key, 'structure').float().numpy(),
                        self._cache.get(key, 'thumbnail').numpy(), from_rows(rows))

    def _order(self, epoch: int) -> list[list[int]]:
        """Return the images of each batch of an epoch."""
        if self._epoch[0] != epoch:
            generator = np.random.default_rng((self._settings.seed, 1, epoch))
            batches = []
            for shape in sorted(self._groups):
                mixed = generator.permutation(self._groups[shape])
                # The last batch is filled up from the first ones.
                for start in range(0, len(mixed), self._settings.size):
                    places = np.arange(start, start + self._settings.size) % len(mixed)
                    batches.append([int(index) for index in mixed[places]])
            self._epoch = (epoch, [batches[i] for i in generator.permutation(len(batches))])
        return self._epoch[1]


Captioner = Callable[[str, np.ndarray, np.random.Generator], str]
"""Writes a caption of an archive's name and a crop, float32 [crop, crop, 3] in [0, 1]."""


class CropSource:
    """Batches of augmented crops of images in memory; nothing is kept but captions."""

    def __init__(
            self, sampler: CropSampler, caption: Captioner, text: TextEncoder,
            pictures: PictureCoder, structure: StructureSource, config: ControlConfig,
            scale: int, settings: BatchSettings = BatchSettings(),
            device: torch.device | str = 'cpu') -> None:
        """
        Take crops of ``sampler``, whose side is in pixels of the camera.

        :raises ValueError: when the crop is not whole tokens and structure positions.
        """
        unit = max(16 * scale, structure.profile.pitch)
        if sampler.crop % unit:
            raise ValueError(f'a crop must be a multiple of {unit} pixels')
        self._sampler, self._caption, self._text = sampler, caption, text
        self._pictures, self._structure, self._config = pictures, structure, config
        self._scale, self._settings, self._device = scale, settings, device
        self._embed = lru_cache(maxsize=KEPT_TEXTS)(self._embed_now)

    def batch(self, number: int) -> Batch:
        """Return batch ``number``; see BatchSource."""
        generator = np.random.default_rng((self._settings.seed, 2, number))
        crops, captions = self.draw(self._settings.size, generator)
        sents = [self._structure.send(self._structure.measure(c), generator) for c in crops]
        pictures: list[np.ndarray | None] = [None] * len(crops)
        latents = list(self._encode(crops))
        if self._config.picture:
            pictures = list(self._encode([self._structure.picture(sent) for sent in sents]))
        texts = [self._embed('' if generator.random() < self._settings.drop_text else caption)
                 for caption in captions]
        return collate(latents, sents, texts, self._config, pictures)

    def structure_scale(self) -> np.ndarray:
        """Return factors measured on some crops; see BatchSource."""
        crops, _ = self.draw(MEASURED, np.random.default_rng(self._settings.seed))
        return self._structure.scale(self._structure.measure(crop) for crop in crops)

    def draw(self, count: int, generator: np.random.Generator) -> tuple[list, list[str]]:
        """Return crops uint8 [crop, crop, 3] and their captions."""
        crops, captions = [], []
        choice = generator.choice(
            len(self._sampler.archives), count, p=self._sampler.probabilities)
        for archive in (self._sampler.archives[index] for index in choice):
            crop = self._sampler.one(archive, generator)
            captions.append(self._caption(archive.name, crop, generator))
            crops.append(np.rint(crop * 255).astype(np.uint8))
        return crops, captions

    @torch.no_grad()
    def _encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the latents of images uint8 [H, W, 3], float32 [B, c, h, w]."""
        stack = torch.stack([planes(image, self._scale) for image in images])
        return self._pictures.encode(stack.to(self._device)).float().cpu().numpy()

    @torch.no_grad()
    def _embed_now(self, caption: str) -> tuple[Tensor, Tensor]:
        text, pooled = self._text.embed([caption])
        return text[0].cpu(), pooled[0].cpu()


def validation_settings(settings: BatchSettings) -> BatchSettings:
    """Return how batches for validation are drawn: with every caption, by a seed of their own."""
    return replace(settings, drop_text=0.0, seed=settings.seed + 1)
