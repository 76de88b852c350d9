# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether a detector sees the same in the reconstruction as in the original.

The detector is FastestDet as exported by its authors: 352 x 352 BGR in 0..1, and for each of
22 x 22 cells an objectness, a box and one probability per class. Decoding and both thresholds are
theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
from pathlib import Path

import cv2
from gsc_ros.evaluation.network.suppression import kept
import numpy as np
import onnxruntime

SIDE = 352
SCORE_THRESHOLD = 0.65
NMS_IOU = 0.45
MATCH_IOU = 0.5


@dataclass(frozen=True)
class Detections:
    """
    What was found, most certain first.

    :param boxes: float32 [N, 4]: left, top, right, bottom as shares of width and height.
    :param classes: int64 [N].
    :param scores: float32 [N], 0..1.
    """

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


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


class DetectorError(ValueError):
    """The file is no detector of this kind; the message names it."""


class Detector:
    """
    FastestDet. Any number of threads may use it at once.

    :param path: its ONNX file.
    :param threshold: what is less certain is left out, 0..1.
    :param threads: CPU threads of one picture.
    :raises DetectorError: it cannot be read, or takes or gives other shapes.
    """

    def __init__(self, path: Path, threshold: float = SCORE_THRESHOLD, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            content = path.read_bytes()
            self._session = onnxruntime.InferenceSession(
                content, options, providers=['CPUExecutionProvider'])
        except OSError as error:
            raise DetectorError(f'{path}: {error.strerror}') from error
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise DetectorError(f'{path}: not an ONNX network: {error}'.split('\n')[0]) from error
        self._threshold = threshold
        self._input = self._session.get_inputs()[0]
        if list(self._input.shape) != [1, 3, SIDE, SIDE]:
            raise DetectorError(f'{path}: takes {self._input.shape}, not [1, 3, {SIDE}, {SIDE}]')
        self.digest = hashlib.sha256(content).hexdigest()
        probe = self._outputs(np.zeros((SIDE, SIDE, 3), np.uint8))
        if probe.ndim != 3 or probe.shape[0] < 6:
            raise DetectorError(f'{path}: gives {list(probe.shape)}, not [5 + classes, h, w]')
        self.class_count = len(probe) - 5

    def __call__(self, image: np.ndarray) -> Detections:
        """Return what is in an image, uint8 [H, W, 3] RGB."""
        return decode(self._outputs(image), self._threshold)

    def _outputs(self, image: np.ndarray) -> np.ndarray:
        small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[..., ::-1]
        planes = np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32) / 255
        return self._session.run(None, {self._input.name: planes})[0][0]


def decode(cells: np.ndarray, threshold: float = SCORE_THRESHOLD) -> Detections:
    """
    Turn the network's output into boxes, without overlapping ones of a class.

    :param cells: float32 [5 + classes, h, w]: objectness, box centre and size before tanh and
        sigmoid, class probabilities.
    :param threshold: cells below it are left out.
    """
    rows, columns = cells.shape[1:]
    score = cells[0] ** 0.6 * cells[5:].max(axis=0) ** 0.4
    at = np.argwhere(score > threshold)
    picked = cells[:, at[:, 0], at[:, 1]]
    centre_x = (at[:, 1] + np.tanh(picked[1])) / columns
    centre_y = (at[:, 0] + np.tanh(picked[2])) / rows
    width, height = (1 / (1 + np.exp(-picked[index])) for index in (3, 4))
    boxes = np.stack([centre_x - width / 2, centre_y - height / 2,
                      centre_x + width / 2, centre_y + height / 2], axis=1).astype(np.float32)
    classes = picked[5:].argmax(axis=0)
    scores = score[at[:, 0], at[:, 1]]
    chosen = kept(boxes, classes, scores, NMS_IOU)
    return Detections(boxes[chosen], classes[chosen], scores[chosen])


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return intersection over union of two boxes: left, top, right, bottom."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    area = sum(float(np.prod(box[2:] - box[:2])) for box in (one, other))
    return shared / (area - shared) if area > shared else 0.0


def agreement(original: Detections, reconstruction: Detections) -> Agreement:
    """
    Pair the detections: the most certain of the reconstruction chooses first.

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
