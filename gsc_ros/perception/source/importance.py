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
from gsc_ros.perception.source.source import MAX_REGIONS, Picture
import numpy as np
import numpy.typing as npt

NAME = 'importance'
#: Overlap above which the less certain of two boxes is dropped.
NMS_IOU = 0.45
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
    :param threshold: score from which something is a thing, 0..1; None is the network's own.
    :raises SourceError: the network is missing or damaged, or the threshold is out of range.
    """

    name = NAME

    def __init__(self, folder: Path | None = None, threads: int = 1, most: int = MAX_REGIONS,
                 threshold: float | None = None) -> None:
        self._model = ImportanceModel(folder, threads)
        self._threshold = self._model.manifest.threshold if threshold is None else threshold
        self._most = most
        self._before: npt.NDArray[np.float32] = np.empty((0, 4), np.float32)
        self._seen: tuple[int, tuple[int, ...]] | None = None

    def find(self, image: Picture, stamp_ns: int) -> list[KeyRegion]:
        """Return what stands out; see RegionSource."""
        height, width = image.shape[:2]
        boxes, scores = self._candidates(image)
        if self._seen is not None:
            seen_ns, shape = self._seen
            if not (0 <= stamp_ns - seen_ns <= MEMORY_NS and shape == image.shape):
                self._before = self._before[:0]
        boxes, scores = steadied(boxes, scores, self._before, self._threshold)
        boxes, scores = boxes[:self._most], scores[:self._most]
        self._before, self._seen = boxes, (stamp_ns, image.shape)
        regions = []
        for box, score in zip(boxes, scores):
            left, top, right, bottom = np.clip(
                box, 0, (width, height, width, height)).astype(float).tolist()
            if left < right and top < bottom:
                regions.append(KeyRegion(
                    (left, top, right, bottom), FULL_WEIGHT * float(score), NAME))
        return regions

    def score(self, image: Picture) -> npt.NDArray[np.float32]:
        """Return the importance of each cell of the working picture, float32 [h, w], 0..1."""
        return self._model(self._reduced(image))[0]

    def _reduced(self, image: Picture) -> Picture:
        size = working_size(image.shape[1], image.shape[0], self._model.manifest.pixels)
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    def _candidates(
            self, image: Picture) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return boxes in pixels of the picture and scores, above the threshold for staying."""
        work = self._reduced(image)
        score, box = self._model(work)
        at = score >= STAY * self._threshold
        scale = np.array([image.shape[1] / work.shape[1], image.shape[0] / work.shape[0]] * 2)
        boxes, scores = (box[at] * scale).astype(np.float32), score[at]
        chosen = kept(boxes, np.zeros(len(boxes), np.int64), scores, NMS_IOU)
        return boxes[chosen], scores[chosen]


def steadied(
    boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.float32],
    before: npt.NDArray[np.float32], threshold: float,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """
    Choose among candidates, with the memory of the frame before.

    :param boxes: float32 [N, 4], most certain first; `scores`: float32 [N].
    :param before: float32 [M, 4], the boxes of the frame before; each holds one candidate.
    :return: those that are new and certain enough, or were there before.
    """
    free = np.ones(len(before), bool)
    stay_boxes, stay_scores = [], []
    for box, score in zip(boxes, scores):
        same = np.where(free, overlaps(box, before), 0.0)
        at = int(same.argmax()) if len(same) else -1
        if at >= 0 and same[at] >= SAME_IOU:
            free[at] = False
            box = before[at] + FOLLOW * (box - before[at])
        elif score < threshold:
            continue
        stay_boxes.append(box)
        stay_scores.append(score)
    return (np.array(stay_boxes, np.float32).reshape(-1, 4), np.array(stay_scores, np.float32))


def overlaps(
        box: npt.NDArray[np.float32],
        others: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return intersection over union of a box with each of others, float64 [N]."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1, dtype=np.float64)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1, dtype=np.float64)
    return shared / np.maximum(np.prod(box[2:] - box[:2]) + areas - shared, 1e-9)
