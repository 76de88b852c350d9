# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Detectors of transformers: RT-DETR, D-FINE, RF-DETR, DETR, YOLOS and kin."""

from __future__ import annotations

from gsc_ros.perception.network.network import (
    Detected,
    MAX_DETECTIONS,
    NetworkSettings,
    Picture,
    Task,
)
from gsc_ros.perception.network.transformers_model import HubModel
import numpy as np
import torch
from transformers import AutoModelForObjectDetection

RT_DETR = 'PekingU/rtdetr_r101vd_coco_o365'
MIN_SCORE = 0.5


class TransformersDetection:
    """
    A detector; the model's own image processor prepares the picture and reads the answer.

    :raises NetworkError: see HubModel.
    """

    task = Task.DETECTION

    def __init__(self, settings: NetworkSettings, default: str | None = None) -> None:
        self._hub = HubModel(lambda _: AutoModelForObjectDetection, settings, default)
        self.name = self._hub.name
        self.classes = self._hub.classes
        self.min_score = MIN_SCORE if settings.min_score is None else settings.min_score
        self.identity = f'{self._hub.identity} {self.min_score}'

    def __call__(self, image: Picture) -> Detected:
        """Return the objects; see DetectionNetwork."""
        hub, (height, width) = self._hub, image.shape[:2]
        with hub.inference():
            inputs = hub.processor(images=image, input_data_format='channels_last',
                                   return_tensors='pt').to(hub.device)
            found = hub.processor.post_process_object_detection(
                hub.model(**inputs), threshold=self.min_score,
                target_sizes=torch.tensor([[height, width]], device=hub.device))[0]
            boxes, classes, scores = (found[key].float().cpu().numpy()
                                      for key in ('boxes', 'labels', 'scores'))
        order = np.argsort(-scores, kind='stable')[:MAX_DETECTIONS]
        edge = np.array([width, height, width, height], np.float32)
        return Detected(np.clip(boxes[order], 0, edge).astype(np.float32),
                        classes[order].astype(np.int64), scores[order].astype(np.float32))


def rt_detr(settings: NetworkSettings) -> TransformersDetection:
    """Open RT-DETR R101 trained on COCO and Objects365, or the detector that the settings name."""
    return TransformersDetection(settings, RT_DETR)
