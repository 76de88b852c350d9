# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether a detector sees the same in a reconstruction as in the original.

Detections of both are paired; what has no partner counts against the reconstruction.
"""

from __future__ import annotations

from dataclasses import dataclass

from gsc_ros.perception.network.fastestdet import Detections
from gsc_ros.perception.network.network import Detected
import numpy as np

MATCH_IOU = 0.5


@dataclass(frozen=True)
class Agreement:
    """Detections of both images, of the original alone, and of the reconstruction alone."""

    both: int = 0
    original: int = 0
    reconstruction: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        """Return the counts of both together."""
        return Agreement(self.both + other.both, self.original + other.original,
                         self.reconstruction + other.reconstruction)

    @property
    def f1(self) -> float | None:
        """Return 2 TP / (2 TP + FP + FN), or None when nothing was found at all."""
        total = 2 * self.both + self.original + self.reconstruction
        return 2 * self.both / total if total else None


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return intersection over union of two boxes: left, top, right, bottom."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    area = sum(float(np.prod(box[2:] - box[:2])) for box in (one, other))
    return shared / (area - shared) if area > shared else 0.0


def agreement(original: Detected | Detections,
              reconstruction: Detected | Detections) -> Agreement:
    """
    Pair the detections: the most certain of the reconstruction chooses first.

    Boxes of both are in the same unit, whichever that is.

    A pair is of the same class and overlaps by at least half (intersection over union).
    """
    free = set(range(len(original.boxes)))
    both = 0
    for box, kind in zip(reconstruction.boxes, reconstruction.classes):
        fitting = [(overlap(original.boxes[index], box), index) for index in free
                   if original.classes[index] == kind]
        best = max(fitting, default=(0.0, -1))
        if best[0] >= MATCH_IOU:
            both += 1
            free.remove(best[1])
    return Agreement(both, len(original.boxes) - both, len(reconstruction.boxes) - both)
