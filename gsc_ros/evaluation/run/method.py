# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a method is: something that turns a picture into bytes, and the bytes into a picture.

A method is described by a `MethodSpec`, which is data and goes to worker processes and into keys of
the cache; a worker opens the method itself from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
import hashlib
import itertools
from typing import Any, Protocol

from gsc_ros.evaluation.dataset.dataset import Sample
import numpy as np
import numpy.typing as npt

# Of the name of a method, in characters, where it is cut.
MAX_NAME = 80
#: A value of an option: what YAML knows without lists.
Scalar = str | int | float | bool | None


class RunError(ValueError):
    """A run cannot be made as it is described; the message names the setting."""


class MethodError(Exception):
    """A method has nothing for one picture; the message says why, in one line."""


class MethodUnavailable(Exception):
    """A method cannot be used here at all; the message says what is missing."""


class Group(Enum):
    """Where the rows of a table come from."""

    REFERENCE = 'reference'
    KNOWN = 'known'
    OURS = 'ours'
    PEER = 'peer'
    EXTERNAL = 'external'
    PUBLISHED = 'published'


@dataclass(frozen=True, eq=False)
class Reconstructed:
    """
    What a method made of one picture.

    :param image: uint8 [H, W, 3] RGB, of the size of the sample.
    :param bytes: all that goes over the link for it.
    :param sections: its parts in bytes; they add up. Empty where there are no parts.
    :param caption: the text that was sent; empty for none.
    :param depth: float32 [H, W] in metres, where the method tells the depth itself instead of
        leaving it to a network; else None.
    """

    image: npt.NDArray[np.uint8] = field(repr=False)
    bytes: int
    sections: dict[str, int] = field(default_factory=dict)
    caption: str = ''
    depth: npt.NDArray[np.float32] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class MethodSpec:
    """
    A method with all its options.

    :param kind: one of `opening.KINDS`.
    :param options: sorted pairs of name and value.
    """

    kind: str
    options: tuple[tuple[str, Scalar], ...] = ()

    @classmethod
    def of(cls, kind: str, options: Mapping[str, Scalar]) -> MethodSpec:
        """Return the method of a kind with these options."""
        return cls(kind, tuple(sorted(options.items())))

    def __getitem__(self, name: str) -> Scalar:
        """Return the value of an option; None when it is not given."""
        return dict(self.options).get(name)

    def with_options(self, **options: Scalar) -> MethodSpec:
        """Return the same method with other values of some options."""
        return self.of(self.kind, dict(self.options) | options)

    @property
    def name(self) -> str:
        """Return a name that no other method has, fit for a file."""
        words = [self.kind, *(f'{name}={value}' for name, value in self.options)]
        plain = ''.join(letter if letter.isalnum() or letter in '-=.' else '_'
                        for letter in '-'.join(words))
        if plain == '-'.join(words) and len(plain) <= MAX_NAME:
            return plain
        return f'{plain[:MAX_NAME]}-{hashlib.sha256(repr(words).encode()).hexdigest()[:8]}'


class Method(Protocol):
    """
    A method, opened. One thread at a time uses one.

    `title` is its name in tables, `series` the curve that it belongs to.
    """

    title: str
    series: str
    group: Group

    def identity(self, index: int, sample: Sample) -> dict[str, Any]:
        """
        Return JSON values of everything that the result depends on besides the picture itself.

        :raises MethodError: there is nothing for this picture.
        """
        ...

    def reconstruct(self, index: int, sample: Sample) -> Reconstructed:
        """
        Code and decode one picture.

        :param index: its number in the run.
        :raises MethodError: there is nothing for this picture.
        """
        ...


def expand(kind: str, options: Mapping[str, Scalar | Sequence[Scalar]]) -> list[MethodSpec]:
    """Return one method for each combination of the values that are lists, the last one fastest."""
    names = list(options)
    choices = [options[name] if isinstance(options[name], (list, tuple)) else [options[name]]
               for name in names]
    return [MethodSpec.of(kind, dict(zip(names, values)))
            for values in itertools.product(*choices)]
