# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What every captioner can do, and how one is chosen by its name.

A captioner may take seconds. It is called on a thread of its own, from one thread at a time; only
`close` may come from another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from gsc_ros.codec.caption.line import one_line
import numpy as np

DEFAULT_PROMPT = (
    "Describe this picture of a robot's camera in two plain sentences: the place, the objects and "
    'where they are, their colours, the light.')


class CaptionerName(Enum):
    """The captioners there are."""

    NONE = 'none'
    FIXED = 'fixed'
    QWEN = 'qwen2.5-vl'
    OPENAI = 'openai'

    @property
    def looks(self) -> bool:
        """Whether it looks at the picture, which takes time and may fail."""
        return self in (CaptionerName.QWEN, CaptionerName.OPENAI)


class Quantization(Enum):
    """Weights of a captioner in process, as bitsandbytes makes them."""

    NONE = 'none'
    EIGHT_BIT = '8bit'
    FOUR_BIT = '4bit'


@dataclass(frozen=True)
class CaptionerSettings:
    """
    What a captioner needs; each takes what concerns it.

    :param text: the caption of `fixed`.
    :param model: directory of the model (`qwen2.5-vl`), or its name at the endpoint (`openai`).
    :param prompt: what the model is told.
    :param max_characters: of a caption, at most, >= 1.
    :param max_tokens: that the model may write, >= 1.
    :param min_pixels: smaller pictures are scaled up for the model, >= 1.
    :param max_pixels: larger pictures are scaled down for the model, >= min_pixels.
    :param quantization: of the weights (`qwen2.5-vl`).
    :param url: where the endpoint's `/chat/completions` is (`openai`).
    :param timeout_s: that one request may take, in seconds, > 0 (`openai`).
    :param attempts: requests for one caption, at most, >= 1 (`openai`).
    """

    text: str = ''
    model: str = ''
    prompt: str = DEFAULT_PROMPT
    max_characters: int = 340
    max_tokens: int = 96
    min_pixels: int = 56 * 56
    max_pixels: int = 512 * 28 * 28
    quantization: Quantization = Quantization.NONE
    url: str = 'http://localhost:8000/v1'
    timeout_s: float = 30.0
    attempts: int = 3


class Captioner(Protocol):
    """Describes pictures."""

    def describe(self, image: np.ndarray) -> str:
        """
        Return a caption in one printable line; empty for none.

        :param image: uint8 ``[H, W, 3]`` RGB.
        :raises CaptionError: when there is no caption to be had.
        """

    def close(self) -> None:
        """End soon what is under way, with a CaptionError, and describe nothing any more."""


class FixedCaptioner:
    """Gives every picture the same caption."""

    def __init__(self, settings: CaptionerSettings):
        self._caption = one_line(settings.text, settings.max_characters)

    def describe(self, image: np.ndarray) -> str:
        """Return the caption, whatever the image."""
        return self._caption

    def close(self) -> None:
        """Nothing is ever under way."""
