# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a task network is, and what it is made from.

Every network takes one picture, uint8 [H, W, 3] RGB of any size, and answers at that size.
Resizing, letterboxing, normalisation and the way back belong to the network: to an evaluation all
networks of a task are alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

#: Disparity: inverse depth up to an unknown scale and shift, larger is nearer. Metres: depth.
DepthKind = Literal['disparity', 'metres']
#: A network returns no more objects than this: three times what COCO's metrics look at.
MAX_DETECTIONS = 300

Picture = npt.NDArray[np.uint8]


class NetworkError(ValueError):
    """A network is missing, damaged, or of another kind; the message says what to do."""


class Task(Enum):
    """What a network is asked."""

    DEPTH = 'depth'
    SEGMENTATION = 'segmentation'
    DETECTION = 'detection'


@dataclass(frozen=True)
class NetworkSettings:
    """
    What a network is made from; each takes what concerns it.

    :param model: a file, a local directory, or an id on the Hugging Face hub; None is the network's
        own default, where it has one.
    :param names: a file with one class name a line; None takes those that come with the model.
    :param device: 'cpu', 'cuda', 'cuda:1' ...; 'auto' is the first GPU, or the CPU without one.
    :param threads: CPU threads for one picture, at least 1.
    :param min_score: objects below it are left out, 0..1. None is the network's own threshold, made
        for pictures to look at; average precision wants about 0.001.
    """

    model: str | None = None
    names: Path | None = None
    device: str = 'auto'
    threads: int = 1
    min_score: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers outside their range."""
        if self.threads < 1:
            raise NetworkError(f'{self.threads} threads: at least 1')
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise NetworkError(f'a least score of {self.min_score:g} is not within 0 to 1')


@dataclass(frozen=True, eq=False)
class Detected:
    """
    The objects of one picture, most certain first.

    :param boxes: float32 [N, 4]: left, top, right, bottom in pixels of the picture; a pixel is one
        unit wide, the left edge of the picture is 0 and the right one W.
    :param classes: int64 [N], indices of the network's `classes`.
    :param scores: float32 [N], 0..1.
    """

    boxes: npt.NDArray[np.float32] = field(repr=False)
    classes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.boxes)


class Network(Protocol):
    """
    What all networks have. One thread at a time calls one.

    `identity` names the weights, for results that are kept: the digest of a file, or the id and
    revision of a model of the hub. Two networks that may answer differently differ in it.
    """

    task: Task
    name: str
    identity: str


class DepthNetwork(Network, Protocol):
    """Estimates how far away each pixel is; `kind` says in what."""

    kind: DepthKind

    def __call__(self, image: Picture) -> npt.NDArray[np.float32]:
        """Return float32 [H, W], see `kind`."""
        ...


class SegmentationNetwork(Network, Protocol):
    """Tells the class of each pixel."""

    classes: tuple[str, ...]

    def __call__(self, image: Picture) -> npt.NDArray[np.int32]:
        """Return int32 [H, W], indices of `classes`."""
        ...


class DetectionNetwork(Network, Protocol):
    """Finds objects; `min_score` is the least score that it returns."""

    classes: tuple[str, ...]
    min_score: float

    def __call__(self, image: Picture) -> Detected:
        """Return the objects, at most `MAX_DETECTIONS`."""
        ...


AnyNetwork = DepthNetwork | SegmentationNetwork | DetectionNetwork
#: What an entry point of the group `gsc_ros.networks` is: it makes the network, or raises
#: NetworkError.
NetworkFactory = Callable[[NetworkSettings], AnyNetwork]
