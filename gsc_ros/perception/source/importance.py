# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Regions from the small network that comes with the package.

It knows no classes, only that something is there that perception would look at, and how large it
is. Boxes are kept steady: what was there in the frame before needs less certainty to stay, and its
box follows slowly, so that a stream need not code the trembling of an edge.
"""

from __future__ import annotations

from pathlib import Path

import cv2
from gsc_ros.codec.region.region import FULL_WEIGHT, KeyRegion
from gsc_ros.perception.network.suppression import kept
from gsc_ros.perception.source.importance_model import ImportanceModel, working_size
from gsc_ros.perception.source.source import MAX_REGIONS, Picture, SourceError
import numpy as np
import numpy.typing as npt

NAME = 'importance'
#: Overlap above which the less certain of two boxes is dropped, intersection over union.
NMS_IOU = 0.45
#: Share of a box within a more certain one from which it is a part of that, and dropped.
PART = 0.5
#: Share of the picture that all boxes take together at most: who calls everything important says
#: nothing.
MOST_SHARE = 0.35
#: The larger a thing is, the surer is a detector to see it: certainty goes with this power of its
#: share of the picture, and is the score for a thing of the usual share.
SIZE_POWER = 0.15
USUAL_SHARE = 0.05
#: What the threshold is multiplied with for something that was there before.
STAY = 0.75
#: Overlap with a box of the frame before from which the two are one thing.
SAME_IOU = 0.4
#: How far a box goes towards what the network says now.
FOLLOW = 0.6
#: Frames further apart than this, nanoseconds, or in the wrong order, know nothing of each other.
MEMORY_NS = 1_500_000_000


class ImportanceSource:
    """
    Where perception would look, for any camera, without a detector.

    :param folder: of the network; None is the one that comes with the package.
    :param threads: CPU threads for one picture.
    :param most: regions of an answer, the most important ones.
    :param threshold: certainty from which something is a thing, 0..1; None is the network's own.
    :raises SourceError: the network is missing or damaged, or the threshold is out of range.
    """

    name = NAME

    def __init__(self, folder: Path | None = None, threads: int = 1, most: int = MAX_REGIONS,
                 threshold: float | None = None) -> None:
        self._model = ImportanceModel(folder, threads)
        self._threshold = self._model.manifest.threshold if threshold is None else threshold
        if not 0 < self._threshold < 1:
            raise SourceError(f'a threshold of {threshold} is not within 0 to 1')
        self._most = most
        self._before: npt.NDArray[np.float32] = np.empty((0, 5), np.float32)
        self._seen: tuple[int, tuple[int, ...]] | None = None

    def find(self, image: Picture, stamp_ns: int) -> list[KeyRegion]:
        """Return what stands out; see RegionSource."""
        found = self._candidates(image)
        if self._seen is not None:
            seen_ns, shape = self._seen
            if not (0 <= stamp_ns - seen_ns <= MEMORY_NS and shape == image.shape):
                self._before = self._before[:0]
        steady = steadied(found, self._before, self._threshold)
        self._before = steady[:2 * self._most]
        chosen = within_share(steady, image.shape[0] * image.shape[1])[:self._most]
        self._seen = (stamp_ns, image.shape)
        return [KeyRegion((left, top, right, bottom), FULL_WEIGHT * certainty, NAME)
                for left, top, right, bottom, certainty in chosen.astype(float).tolist()]

    def score(self, image: Picture) -> npt.NDArray[np.float32]:
        """Return the importance of each cell of the working picture, float32 [h, w], 0..1."""
        return self._model(self._reduced(image))[0]

    def _reduced(self, image: Picture) -> Picture:
        size = working_size(image.shape[1], image.shape[0], self._model.manifest.pixels)
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    def _candidates(self, image: Picture) -> npt.NDArray[np.float32]:
        """
        Return what may be a thing, float32 [N, 5], most certain first.

        A row is left, top, right, bottom in pixels, within the picture, and the certainty, which is
        at least what it takes to stay.
        """
        work = self._reduced(image)
        score, box = self._model(work)
        height, width = image.shape[:2]
        scale = np.array([width / work.shape[1], height / work.shape[0]] * 2)
        boxes = np.clip(box.reshape(-1, 4) * scale, 0, (width, height, width, height))
        sides = boxes[:, 2:] - boxes[:, :2]
        share = np.prod(sides, axis=1) / (width * height)
        certainty = np.minimum(score.ravel() * (share / USUAL_SHARE) ** SIZE_POWER, 1)
        # A box without a side has no share, and so no certainty.
        likely = certainty >= STAY * self._threshold
        found = np.column_stack([boxes, certainty])[likely].astype(np.float32)
        chosen = kept(found[:, :4], np.zeros(len(found), np.int64), found[:, 4], NMS_IOU)
        return without_parts(found[chosen])


def without_parts(found: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Drop things that are parts of more certain ones; float32 [N, 5], most certain first."""
    whole: list[int] = []
    for index, box in enumerate(found[:, :4]):
        around = found[whole, :4]
        sides = np.minimum(box[2:], around[:, 2:]) - np.maximum(box[:2], around[:, :2])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        if not (shared > PART * np.prod(box[2:] - box[:2])).any():
            whole.append(index)
    return found[whole]


def steadied(found: npt.NDArray[np.float32], before: npt.NDArray[np.float32],
             threshold: float) -> npt.NDArray[np.float32]:
    """
    Choose among candidates, with the memory of the frame before.

    :param found: float32 [N, 5], most certain first.
    :param before: float32 [M, 5], the things of the frame before; each holds one candidate, whose
        box and certainty follow slowly.
    :return: those that are new and certain enough, or were there before, most certain first.
    """
    free = np.ones(len(before), bool)
    staying = []
    for thing in found:
        same = np.where(free, overlaps(thing[:4], before[:, :4]), 0.0)
        at = int(same.argmax()) if len(same) else -1
        if at >= 0 and same[at] >= SAME_IOU:
            free[at] = False
            staying.append(before[at] + FOLLOW * (thing - before[at]))
        elif thing[4] >= threshold:
            staying.append(thing)
    rows = np.array(staying, np.float32).reshape(-1, 5)
    return rows[np.argsort(-rows[:, 4], kind='stable')]


def within_share(found: npt.NDArray[np.float32], area: float) -> npt.NDArray[np.float32]:
    """
    Keep the most certain things that take no more than `MOST_SHARE` of the picture together.

    One that does not fit is passed over for smaller ones; the first always stays.

    :param found: float32 [N, 5], most certain first.
    :param area: of the picture, pixels.
    """
    left, fitting = MOST_SHARE * area, []
    for index, size in enumerate(np.prod(found[:, 2:4] - found[:, :2], axis=1)):
        if size <= left or not fitting:
            fitting.append(index)
            left -= size
    return found[fitting]


def overlaps(
        box: npt.NDArray[np.float32],
        others: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return intersection over union of a box with each of others, float64 [N]."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1, dtype=np.float64)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1, dtype=np.float64)
    return shared / np.maximum(np.prod(box[2:] - box[:2]) + areas - shared, 1e-9)
