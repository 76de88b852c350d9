# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The generator but for its networks, which are ONNX graphs or torch modules.

::

    structure picture ─reduce─> encode ─┐
    y_sel, level, object map ───────────┴─> condition tokens ─┐
    caption ─embed (kept while it stays)──────────────────────┤
    seed ─> noise ─> z at sigma 1 ─Euler's loop, N velocities─┴─> z at 0 ─decode─> enlarge ─> image
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import cv2
from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator import noise, token
from gsc_ros.codec.generator.generator import (
    check_condition,
    check_settings,
    Condition,
    DEFAULT_SETTINGS,
    GenerationSettings,
)
from gsc_ros.codec.generator.object_map import object_map
from gsc_ros.codec.generator.sampler import integrate, mix, VelocityField
from gsc_ros.codec.generator.schedule import Schedule
from gsc_ros.codec.generator.tile import split, tiled
import numpy as np

# Pixels of the reduced picture that one image token covers a side.
TOKEN = 16
# Captions whose embeddings are kept: a few cameras, and the captions before the last ones.
KEPT_CAPTIONS = 32


class Networks(Protocol):
    """
    The networks of a generator.

    :ivar in_channels: of an image token; its latent has a quarter of them.
    """

    in_channels: int

    def embed(self, text: str) -> Any:
        """Return a text embedded, for :meth:`field` alone to understand."""

    def encode(self, images: np.ndarray) -> np.ndarray:
        """
        Return the latents of pictures, scaled as the flow has them.

        :param images: float32 ``[B, 3, H, W]`` in [0, 1], sides multiples of 16.
        :return: float32 ``[B, in_channels / 4, H / 8, W / 8]``.
        """

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Return the pictures of latents; shapes and ranges as in :meth:`encode`."""

    def field(
        self, texts: Sequence[Any], condition: np.ndarray | None, rows: int, columns: int,
        guidance: float | None,
    ) -> VelocityField:
        """
        Return the velocity of a batch under its conditions.

        :param texts: B embedded texts.
        :param condition: condition tokens float32 ``[B, rows columns, K]``; None for the
            transformer without its control branch.
        :param rows: rows of image tokens.
        :param columns: columns of image tokens.
        :param guidance: guidance scale; None where the model has none.
        """

    def close(self) -> None:
        """Free the networks."""


@dataclass(frozen=True)
class Geometry:
    """
    How pictures, structure latents and image tokens lie over each other, and what guides.

    :param scale: factor by which a picture is reduced before it is encoded.
    :param pitch: pixels a side of a structure latent's position: whole image tokens.
    :param picture: whether the structure decoder's picture is among the condition tokens.
    :param level: whether the quantizer's level is.
    :param objects: whether the map of the object list is.
    :param tile: image tokens a side that are generated at once; larger pictures are tiled.
    """

    scale: int
    pitch: int
    picture: bool = False
    level: bool = False
    objects: bool = False
    tile: int = 128

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return rows and columns of image tokens of a picture."""
        side = TOKEN * self.scale
        return -(-height // side), -(-width // side)

    def objects_map(self, condition: Condition) -> np.ndarray:
        """Return the map of a condition's objects, float32 ``[K, rows, columns]``."""
        height, width = condition.structure.shape[:2]
        side = TOKEN * self.scale
        return object_map(
            condition.objects, *self.grid(height, width), height / side, width / side)


class FlowGenerator:
    """
    A generator; see :class:`~gsc_ros.codec.generator.generator.Generator`.

    :param name: name of the profile.
    :param networks: what it computes with.
    :param geometry: sizes.
    :param schedule: noise levels.
    :param steps: default number of steps.
    :param guidance: default guidance scale; None where the model has none.
    :param identity: names the weights, too, for what caches results.
    """

    def __init__(
        self, name: str, networks: Networks, geometry: Geometry, schedule: Schedule, steps: int,
        guidance: float | None = None, identity: str = '',
    ):
        self.name = name
        self.identity = identity or name
        self._networks = networks
        self._geometry = geometry
        self._schedule = schedule
        self.steps = steps
        self._guidance = guidance
        self._texts: OrderedDict[str, Any] = OrderedDict()

    def generate(
        self, conditions: Sequence[Condition], settings: GenerationSettings = DEFAULT_SETTINGS,
    ) -> list[np.ndarray]:
        """Return a picture for every condition; see Generator."""
        check_settings(settings)
        if settings.guidance is not None and self._guidance is None:
            raise GeneratorError(f'{self.name} takes no guidance')
        batches: dict[tuple, list[int]] = {}
        for index, condition in enumerate(conditions):
            check_condition(condition)
            self._check_grid(condition)
            started = condition.start is not None and settings.strength < 1
            grid = self._geometry.grid(*condition.structure.shape[:2])
            batches.setdefault((grid, started), []).append(index)
        pictures: list[np.ndarray] = [np.empty(0)] * len(conditions)
        for ((rows, columns), started), indices in batches.items():
            batch = [conditions[index] for index in indices]
            made = self._generate(batch, settings, rows, columns, started)
            for index, planes in zip(indices, made):
                height, width = conditions[index].structure.shape[:2]
                pictures[index] = enlarge(planes, self._geometry.scale)[:height, :width]
        return pictures

    def close(self) -> None:
        """Free the networks."""
        self._texts.clear()
        self._networks.close()

    def _generate(
        self, batch: list[Condition], settings: GenerationSettings, rows: int, columns: int,
        started: bool,
    ) -> np.ndarray:
        """Return the reduced pictures of conditions of one grid, float32 ``[B, 3, h, w]``."""
        channels = self._networks.in_channels // 4
        z = token.pack(np.stack([
            noise.draw(one.seed, (channels, rows * 2, columns * 2)) for one in batch]))
        sigmas = self._schedule.sigmas(
            settings.steps or self.steps, rows * columns, settings.strength if started else 1.0)
        if started:
            data = token.pack(self._encode([one.start for one in batch], rows, columns))
            z = mix(data, z, float(sigmas[0]))
        if not settings.use_objects:
            batch = [replace(one, objects=()) for one in batch]
        condition = self._condition(batch, rows, columns) if settings.use_structure else None
        texts = [self._embed(one.text if settings.use_text else '') for one in batch]
        guidance = self._guidance if settings.guidance is None else settings.guidance
        side = self._geometry.tile

        def field(part: np.ndarray | None, height: int, width: int) -> VelocityField:
            return self._networks.field(texts, part, height, width, guidance)

        if rows <= side and columns <= side:
            velocity = field(condition, rows, columns)
        else:
            velocity = tiled(field, condition, rows, columns, split(rows, columns, side))
        z = integrate(velocity, z, sigmas)
        planes = self._networks.decode(token.unpack(z, rows, columns))
        # As bytes, values that are no numbers would be a black picture.
        if not np.isfinite(planes).all():
            raise GeneratorError(
                f"{self.name}: the autoencoder's picture is not finite; its weights or their "
                'precision are bad')
        return planes

    def _condition(self, batch: list[Condition], rows: int, columns: int) -> np.ndarray:
        """Return condition tokens float32 ``[B, rows columns, K]``."""
        latents = [None] * len(batch)
        if self._geometry.picture:
            latents = self._encode([one.structure for one in batch], rows, columns)
        return np.stack([
            condition_tokens(one.latent, rows, columns, latent,
                             one.level if self._geometry.level else None,
                             self._geometry.objects_map(one) if self._geometry.objects else None)
            for one, latent in zip(batch, latents)])

    def _encode(self, images: Sequence[np.ndarray], rows: int, columns: int) -> np.ndarray:
        """Return the latents of pictures uint8 ``[H, W, 3]``, reduced and padded to the grid."""
        scale = self._geometry.scale
        latents = self._networks.encode(np.stack([
            reduce(image, rows * TOKEN, columns * TOKEN, scale) for image in images]))
        if not np.isfinite(latents).all():
            raise GeneratorError(
                f"{self.name}: the autoencoder's latent is not finite; its weights or their "
                'precision are bad')
        return latents

    def _embed(self, text: str) -> Any:
        """Return a caption embedded: anew, or as it was when it was last seen."""
        if text not in self._texts:
            self._texts[text] = self._networks.embed(text)
            if len(self._texts) > KEPT_CAPTIONS:
                self._texts.popitem(last=False)
        self._texts.move_to_end(text)
        return self._texts[text]

    def _check_grid(self, condition: Condition) -> None:
        """Raise a GeneratorError when a latent is not of the pitch the generator knows."""
        height, width = condition.structure.shape[:2]
        pitch = self._geometry.pitch
        expected = (-(-height // pitch), -(-width // pitch))
        if condition.latent.shape[1:] != expected:
            raise GeneratorError(
                f'{self.name} takes latents of {pitch} pixels a side: {list(expected)} for a '
                f'picture of {width}x{height}, not {list(condition.latent.shape[1:])}; it was '
                'trained for another structure profile')


def condition_tokens(
    latent: np.ndarray, rows: int, columns: int, picture: np.ndarray | None = None,
    level: float | None = None, objects: np.ndarray | None = None,
) -> np.ndarray:
    """
    Return what guides each image token.

    :param latent: y_sel, float32 ``[C, h, w]``, on the grid of the tokens or a coarser one.
    :param rows: rows of image tokens.
    :param columns: columns of image tokens.
    :param picture: latent of the structure decoder's picture,
        float32 ``[c, 2 rows, 2 columns]``, where the model takes it.
    :param level: quantizer's level 0..1, where the model takes it.
    :param objects: map of the objects, float32 ``[K, rows, columns]``, where the model takes it.
    :return: float32 ``[rows columns, C (+ 4 c) (+ 1) (+ K)]``.
    """
    parts = [token.latent_tokens(latent, rows, columns)]
    if picture is not None:
        parts.append(token.pack(picture[None])[0])
    if level is not None:
        parts.append(np.full((rows * columns, 1), level, np.float32))
    if objects is not None:
        parts.append(token.latent_tokens(objects, rows, columns))
    return np.concatenate(parts, axis=1)


def reduce(image: np.ndarray, height: int, width: int, scale: int) -> np.ndarray:
    """
    Return a picture padded by replicated edges and averaged down.

    :param image: uint8 ``[H, W, 3]`` RGB.
    :param height: height to reach, which times `scale` is H or more.
    :param width: width to reach.
    :return: float32 ``[3, height, width]`` in [0, 1].
    """
    padded = cv2.copyMakeBorder(
        image, 0, height * scale - image.shape[0], 0, width * scale - image.shape[1],
        cv2.BORDER_REPLICATE)
    small = padded.astype(np.float32)
    if scale > 1:
        small = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small.transpose(2, 0, 1)) / 255


def enlarge(planes: np.ndarray, scale: int) -> np.ndarray:
    """
    Return planes as a picture, enlarged.

    :param planes: float32 ``[3, h, w]``, about [0, 1].
    :return: uint8 ``[h scale, w scale, 3]`` RGB.
    """
    small = np.ascontiguousarray(np.clip(planes, 0, 1).transpose(1, 2, 0)) * np.float32(255)
    if scale > 1:
        size = (small.shape[1] * scale, small.shape[0] * scale)
        small = np.clip(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), 0, 255)
    return np.rint(small).astype(np.uint8)
