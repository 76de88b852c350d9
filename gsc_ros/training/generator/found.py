# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lists of objects that a generator is trained with: what a detector finds in the pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from gsc_ros.codec.region.object_list import MAX_OBJECTS, ObjectBox
from gsc_ros.perception.network.label import class_map, COCO
from gsc_ros.perception.network.network import DetectionNetwork, NetworkError, NetworkSettings, Task
from gsc_ros.perception.network.opening import open_network
from gsc_ros.training.data import DataError
import numpy as np

# The class of what COCO has no class for.
OTHER = 255


class Finder(Protocol):
    """
    Finds the objects of pictures.

    :ivar identity: names what finds them, for what caches their lists.
    """

    identity: str

    def __call__(self, image: np.ndarray) -> tuple[ObjectBox, ...]:
        """Return the objects of a picture uint8 [H, W, 3] RGB, the most certain first."""


class ObjectFinder:
    """
    Finds objects as a sender would tell them, its classes those of COCO.

    :param network: a detector with classes of any names.
    """

    def __init__(self, network: DetectionNetwork) -> None:
        self.identity = network.identity
        self._network = network
        self._classes = class_map(network.classes, COCO)

    def __call__(self, image: np.ndarray) -> tuple[ObjectBox, ...]:
        """Return the objects; see Finder."""
        found = self._network(image)
        edge = np.array([image.shape[1], image.shape[0]] * 2)
        classes = self._classes[found.classes[:MAX_OBJECTS]]
        return tuple(
            ObjectBox(OTHER if number < 0 else int(number), float(score),
                      tuple(float(side) for side in np.clip(box / edge, 0, 1)))
            for number, score, box in zip(classes, found.scores, found.boxes))


def open_finder(path: Path, threads: int = 1) -> ObjectFinder:
    """
    Open a detector in an ONNX file.

    :raises DataError: when it is none that is known.
    """
    try:
        return ObjectFinder(open_network(
            'onnx-detector', NetworkSettings(model=str(path), threads=threads), Task.DETECTION))
    except NetworkError as error:
        raise DataError(str(error)) from error


def as_rows(objects: tuple[ObjectBox, ...]) -> np.ndarray:
    """Return objects as an array, float32 [n, 6]: class, score, left, top, right, bottom."""
    return np.array(
        [(one.class_id, one.score, *one.box) for one in objects], np.float32).reshape(-1, 6)


def from_rows(rows: Iterable[np.ndarray]) -> tuple[ObjectBox, ...]:
    """Return the objects of :func:`as_rows`."""
    return tuple(ObjectBox(int(row[0]), float(row[1]), tuple(map(float, row[2:]))) for row in rows)
