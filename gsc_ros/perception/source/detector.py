# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Regions from a detector or a segmenter: things it finds, with class and score."""

from __future__ import annotations

import cv2
from gsc_ros.codec.region.region import FULL_WEIGHT, KeyRegion
from gsc_ros.perception.network.network import (
    Detected,
    DetectionNetwork,
    SegmentationNetwork,
    Task,
)
from gsc_ros.perception.source.agreement import AgreementJudge
from gsc_ros.perception.source.class_id import class_ids
from gsc_ros.perception.source.looking import look
from gsc_ros.perception.source.source import MAX_REGIONS, Picture, SourceError
import numpy as np

NAME = 'detector'
#: Patches of a class that are smaller, as a share of the picture, are noise of a segmenter.
MIN_PATCH = 0.0005
#: Patches that are larger are no things: roads, skies and walls have no box worth its bits.
MAX_PATCH = 0.5
# What a segmenter calls the rest, which is no thing whatever the size.
_REST = ('background', 'unlabeled', 'void')


class DetectorSource:
    """
    A task network as a source.

    A detector's boxes weigh as much as their scores. A segmenter's patches are connected pixels of
    a class, larger ones first; without scores all weigh the same.

    :param network: finds objects, or tells the class of each pixel.
    :param most: regions of an answer, the most certain ones.
    :raises SourceError: the network is for something else.
    """

    name = NAME

    def __init__(self, network: DetectionNetwork | SegmentationNetwork,
                 most: int = MAX_REGIONS) -> None:
        if network.task not in (Task.DETECTION, Task.SEGMENTATION):
            raise SourceError(f'{network.name} is a network for {network.task.value}: regions come '
                              'from detectors and segmenters')
        self._network = network
        self._ids = class_ids(network.classes)
        self._most = most
        self._seen: tuple[Picture, Detected] | None = None

    def find(self, image: Picture, stamp_ns: int) -> list[KeyRegion]:
        """Return what the network finds; see RegionSource."""
        answer = look(self._network, image)
        if isinstance(answer, Detected):
            self._seen = image, answer
            return self._objects(answer, *image.shape[:2])
        return self._patches(answer)

    def judge(self, image: Picture) -> AgreementJudge:
        """
        Return a judge of what may be sent of a frame.

        :param image: the frame; the network does not look again at the one it has just looked at,
            which must be the same array.
        :raises SourceError: the network is no detector, or fails.
        """
        seen, found = self._seen or (None, None)
        return AgreementJudge(self._network, image, found if seen is image else None)

    def _objects(self, found: Detected, height: int, width: int) -> list[KeyRegion]:
        """Return detections as regions, most certain first."""
        regions = []
        for box, kind, score in zip(found.boxes, found.classes, found.scores):
            left, top, right, bottom = np.clip(
                box.astype(float), 0, (width, height, width, height)).tolist()
            certainty = min(float(score), 1.0)
            if left < right and top < bottom and certainty > 0:
                regions.append(KeyRegion((left, top, right, bottom), FULL_WEIGHT * certainty, NAME,
                                         self._id(int(kind)), certainty))
        return regions[:self._most]

    def _id(self, kind: int) -> int | None:
        """Return the number of a class of the network; None of one that it has no name for."""
        return self._ids[kind] if 0 <= kind < len(self._ids) else None

    def _patches(self, labels: np.ndarray) -> list[KeyRegion]:
        """Return the patches of a class map, int32 [H, W], as regions, largest first."""
        found = []
        for kind in np.unique(labels):
            if not 0 <= kind < len(self._ids) or self._network.classes[kind].lower() in _REST:
                continue
            mask = (labels == kind).astype(np.uint8)
            _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
            for left, top, width, height, area in stats[1:].tolist():
                if MIN_PATCH * labels.size <= area <= MAX_PATCH * labels.size:
                    found.append((area, KeyRegion(
                        (left, top, left + width, top + height), FULL_WEIGHT, NAME,
                        self._ids[kind])))
        found.sort(key=lambda patch: -patch[0])
        return [region for _, region in found[:self._most]]
