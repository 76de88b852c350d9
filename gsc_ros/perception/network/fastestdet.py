# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
FastestDet: a COCO detector of a megabyte, for where nothing is downloaded.

As exported by its authors it takes 352 x 352 BGR in 0..1, and answers for each of 22 x 22 cells
with an objectness, a box and one probability per class. Decoding and both thresholds are theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
from pathlib import Path

import cv2
from gsc_ros.perception.network.label import COCO, read_names
from gsc_ros.perception.network.network import (
    Detected,
    MAX_DETECTIONS,
    NetworkError,
    NetworkSettings,
    Picture,
    Task,
)
from gsc_ros.perception.network.onnx_model import model_file, OnnxModel
from gsc_ros.perception.network.suppression import kept
import numpy as np
import onnxruntime

NAME = 'fastestdet'
SIDE = 352
SCORE_THRESHOLD = 0.65
NMS_IOU = 0.45


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


class FastestDet:
    """
    FastestDet on the CPU, as a task network.

    :raises NetworkError: the settings name no such file.
    """

    task = Task.DETECTION
    name = NAME

    def __init__(self, settings: NetworkSettings) -> None:
        path = model_file(settings, NAME, 'the ONNX file of FastestDet')
        self.min_score = SCORE_THRESHOLD if settings.min_score is None else settings.min_score
        try:
            self._detector = Detector(path, self.min_score, settings.threads)
        except DetectorError as error:
            raise NetworkError(str(error)) from error
        self.classes = COCO if settings.names is None else read_names(settings.names)
        if len(self.classes) != self._detector.class_count:
            raise NetworkError(f'{path}: has {self._detector.class_count} classes, but there are '
                               f'{len(self.classes)} names')
        self.identity = f'{self._detector.digest} {self.min_score}'

    def __call__(self, image: Picture) -> Detected:
        """Return the objects; see DetectionNetwork."""
        height, width = image.shape[:2]
        found = self._detector(image)
        edge = np.array([width, height, width, height], np.float32)
        boxes = np.clip(found.boxes * edge, 0, edge).astype(np.float32)
        return Detected(boxes[:MAX_DETECTIONS], found.classes[:MAX_DETECTIONS].astype(np.int64),
                        found.scores[:MAX_DETECTIONS].astype(np.float32))


def takes_after_fastestdet(model: OnnxModel) -> bool:
    """Return whether an ONNX network has the input and the grid of FastestDet."""
    inputs = [list(value.shape) for value in model.inputs.values()]
    outputs = [list(value.shape) for value in model.outputs.values()]
    return inputs == [[1, 3, SIDE, SIDE]] and len(outputs) == 1 and len(outputs[0]) == 4
