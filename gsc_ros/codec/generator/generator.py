# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a generator is given and what it makes: the contract of every backend.

::

    packet ─FrameDecoder─> Condition ─Generator─> image
             (structure)   text, y_sel, picture,   (generate)
                           objects

See docs/generator.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.packet import LATENT_CHANNELS
from gsc_ros.codec.region.object_list import MAX_OBJECTS, ObjectBox
import numpy as np


@dataclass(frozen=True, eq=False)
class Condition:
    """
    What guides the generation of one picture.

    :param text: the caption; empty for none.
    :param latent: float32 ``[320, h, w]``: y_sel dequantised; channels that were not sent are 0.
        One position covers ``pitch x pitch`` pixels, as the structure profile has it.
    :param channels: the channels that were sent, ascending.
    :param structure: uint8 ``[H, W, 3]`` RGB, the picture of the structure decoder. The generated
        one gets its size.
    :param level: how fine the latent was quantised, 0 (coarsest) to 1 (finest).
    :param seed: seed of the noise, 0..255, as the packet carries it.
    :param start: uint8 ``[H, W, 3]`` RGB to start from instead of noise alone, as
        `GenerationSettings.strength` says: the picture generated before, say. None for noise.
    :param objects: what stands where, as the rover's detector has it; empty for unknown. Looked at
        by generators that were trained with it alone.
    """

    text: str
    latent: np.ndarray
    channels: tuple[int, ...]
    structure: np.ndarray
    level: float
    seed: int
    start: np.ndarray | None = None
    objects: tuple[ObjectBox, ...] = ()


@dataclass(frozen=True)
class GenerationSettings:
    """
    How to generate.

    :param steps: steps N of the sampler, 1..1000; None for the profile's default.
    :param guidance: guidance scale of a guidance-distilled model (FLUX.1-dev); None for the
        profile's default.
    :param strength: share of the path that is run from `Condition.start`, over 0 to 1. With 1 the
        start is not looked at.
    :param use_text: False takes every caption for an empty one.
    :param use_structure: False leaves the control branch out: the caption alone guides.
    :param use_objects: False takes every list of objects for an empty one.
    """

    steps: int | None = None
    guidance: float | None = None
    strength: float = 1.0
    use_text: bool = True
    use_structure: bool = True
    use_objects: bool = True


DEFAULT_SETTINGS = GenerationSettings()


class Generator(Protocol):
    """
    Makes pictures of conditions.

    Use it from one thread at a time; any thread will do.

    :ivar name: name of its profile.
    :ivar identity: names the weights, too, for what caches results.
    :ivar steps: steps that are run unless the settings say how many.
    """

    name: str
    identity: str
    steps: int

    def generate(
        self, conditions: Sequence[Condition], settings: GenerationSettings = DEFAULT_SETTINGS,
    ) -> list[np.ndarray]:
        """
        Return a picture uint8 ``[H, W, 3]`` RGB for every condition, each of its own size.

        The same condition gives the same picture on the same machine. In another batch the last
        bits of the arithmetic may differ, the noise and the way do not.

        :raises GeneratorError: when a condition or a setting is out of range, or the model fails.
        """

    def close(self) -> None:
        """Free what the models hold; nothing is generated afterwards."""


def check_condition(condition: Condition) -> None:
    """
    Raise a GeneratorError unless a condition is well-formed.

    The grid of the latent against the size of the picture is for the generator to check, which
    knows the pitch.
    """
    _check_picture(condition.structure, 'the structure picture')
    if condition.start is not None:
        _check_picture(condition.start, 'the picture to start from')
        if condition.start.shape != condition.structure.shape:
            raise GeneratorError(
                f'the picture to start from is {list(condition.start.shape)}, the structure '
                f'picture {list(condition.structure.shape)}')
    latent = condition.latent
    if latent.ndim != 3 or latent.shape[0] != LATENT_CHANNELS or latent.dtype != np.float32:
        raise GeneratorError(
            f'a latent is float32 [{LATENT_CHANNELS}, h, w], not {latent.dtype} '
            f'{list(latent.shape)}')
    if not np.isfinite(latent).all():
        raise GeneratorError('the latent is not finite')
    if not 0 <= condition.level <= 1:
        raise GeneratorError(f'level {condition.level} is not in 0..1')
    if not isinstance(condition.seed, (int, np.integer)) or not (
            0 <= condition.seed < 1 << 64):
        raise GeneratorError(f'seed {condition.seed} is not an integer in 0..2^64 - 1')
    _check_objects(condition.objects)
    try:
        condition.text.encode()
    except UnicodeError as error:
        raise GeneratorError(f'the caption is no Unicode text: {error.reason}') from error


def check_settings(settings: GenerationSettings) -> None:
    """Raise a GeneratorError unless settings are in range."""
    steps = settings.steps
    if steps is not None and (not isinstance(steps, int) or not 1 <= steps <= 1000):
        raise GeneratorError(f'{steps} steps are not an integer in 1..1000')
    if settings.guidance is not None and not 0 <= settings.guidance <= 100:
        raise GeneratorError(f'guidance {settings.guidance} is not in 0..100')
    if not 0 < settings.strength <= 1:
        raise GeneratorError(f'strength {settings.strength} is not over 0 to 1')


def _check_objects(objects: Sequence[ObjectBox]) -> None:
    if len(objects) > MAX_OBJECTS:
        raise GeneratorError(f'{len(objects)} objects are more than {MAX_OBJECTS}')
    for one in objects:
        left, top, right, bottom = one.box
        if not (np.isfinite(one.box).all() and left <= right and top <= bottom):
            raise GeneratorError(f'{one.box} is not the box of an object')
        if not 0 <= one.class_id <= 255 or not 0 <= one.score <= 1:
            raise GeneratorError(
                f'an object of class {one.class_id} and score {one.score} is out of range')


def _check_picture(image: np.ndarray, what: str) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise GeneratorError(f'{what} is uint8 [H, W, 3], not {image.dtype} {list(image.shape)}')
