# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FastestDet as a task network: a COCO detector of a megabyte, for where nothing is downloaded."""

from __future__ import annotations

from gsc_ros.evaluation.detection import Detector, DetectorError, SCORE_THRESHOLD, SIDE
from gsc_ros.evaluation.network.label import COCO, read_names
from gsc_ros.evaluation.network.network import (
    Detected,
    MAX_DETECTIONS,
    NetworkError,
    NetworkSettings,
    Picture,
    Task,
)
from gsc_ros.evaluation.network.onnx_model import model_file, OnnxModel
import numpy as np

NAME = 'fastestdet'


class FastestDet:
    """
    FastestDet on the CPU, see `gsc_ros.evaluation.detection`.

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
