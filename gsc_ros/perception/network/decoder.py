# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the outputs of exported detectors mean, family by family.

The family is told by the names and shapes of the outputs:

| family | outputs | boxes | scores |
|---|---|---|---|
| YOLOv8, 9, 11, 12 | [1, 4 + classes, N] | centre and size, pixels of the frame | by class |
| YOLOv5, 6, 7 | [1, N, 5 + classes] | centre and size, pixels of the frame | objectness * class |
| YOLO end to end: v10, 26, `nms=True` | [1, N, 6] | corners, pixels of the frame | one |
| RT-DETR, D-FINE, DEIM | labels, boxes, scores | corners, pixels of the picture | one |
| RT-DETR by Ultralytics | [1, N, 4 + classes] | centre and size, shares | by class |
| DETR kin by transformers | logits, pred_boxes | centre and size, shares | sigmoid by class |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from gsc_ros.perception.network.network import Detected, MAX_DETECTIONS
from gsc_ros.perception.network.suppression import kept
import numpy as np
import numpy.typing as npt

#: Overlap above which YOLO drops the less certain box of a class, as in its validation.
NMS_IOU = 0.7
# Networks that suppress by themselves, or need not to, return some hundred boxes; grids thousands.
_FEW = 1000


class Family(Enum):
    """How a detector answers."""

    YOLO8 = 'YOLOv8'
    YOLO5 = 'YOLOv5'
    YOLO_END_TO_END = 'YOLO end to end'
    RT_DETR = 'RT-DETR'
    RT_DETR_ULTRALYTICS = 'RT-DETR by Ultralytics'
    DETR = 'DETR'

    @property
    def is_letterboxed(self) -> bool:
        """Whether the picture keeps its proportions; the others were trained on stretched ones."""
        return self in (Family.YOLO8, Family.YOLO5, Family.YOLO_END_TO_END)


@dataclass(frozen=True)
class Answer:
    """Boxes before the way back: corners, float [N, 4]; classes, int [N]; scores, float [N]."""

    boxes: npt.NDArray
    classes: npt.NDArray
    scores: npt.NDArray


def family_of(shapes: Mapping[str, Sequence[int]], classes: int | None) -> Family | None:
    """
    Tell the family of a detector.

    :param shapes: of its outputs for one picture, by name.
    :param classes: their number where it is known.
    :return: None when the outputs are of no family that is known.
    """
    names = set(shapes)
    if {'labels', 'boxes', 'scores'} <= names:
        return Family.RT_DETR
    if {'logits', 'pred_boxes'} <= names:
        return Family.DETR
    shape = next(iter(shapes.values()))
    if len(shapes) != 1 or len(shape) != 3 or shape[0] != 1:
        return None
    _, rows, columns = shape
    if columns == 6 and rows <= _FEW:
        return Family.YOLO_END_TO_END
    if classes is not None:
        fitting = {Family.YOLO8: rows == 4 + classes, Family.YOLO5: columns == 5 + classes,
                   Family.RT_DETR_ULTRALYTICS: columns == 4 + classes}
        return next((family for family, fits in fitting.items() if fits), None)
    if rows < columns and rows > 4:
        return Family.YOLO8
    if columns > 5:
        return Family.RT_DETR_ULTRALYTICS if rows <= _FEW else Family.YOLO5
    return None


def class_count(family: Family, shapes: Mapping[str, Sequence[int]]) -> int | None:
    """Return the number of classes that the outputs tell, or None when they do not."""
    if family is Family.DETR:
        return shapes['logits'][-1]
    shape = next(iter(shapes.values()))
    return {Family.YOLO8: shape[1] - 4, Family.YOLO5: shape[-1] - 5,
            Family.RT_DETR_ULTRALYTICS: shape[-1] - 4}.get(family)


def decode(family: Family, outputs: Mapping[str, npt.NDArray], width: int, height: int,
           min_score: float) -> Answer:
    """
    Turn the outputs for one picture into boxes, without those of less than the least score.

    :param outputs: by name, as the table in this module says.
    :param width: of the frame, pixels; `height` likewise. Boxes of RT_DETR are returned in pixels
        of the picture, those of the others in pixels of the frame.
    """
    size = np.array([width, height, width, height])
    if family is Family.RT_DETR:
        scores = outputs['scores'][0]
        found = scores >= min_score
        return Answer(outputs['boxes'][0][found], outputs['labels'][0][found], scores[found])
    if family is Family.DETR:
        certainty = 1 / (1 + np.exp(-outputs['logits'][0].astype(np.float64)))
        return _candidates(outputs['pred_boxes'][0] * size, certainty, min_score)
    rows = next(iter(outputs.values()))[0]
    if family is Family.YOLO_END_TO_END:
        rows = rows[rows[:, 4] >= min_score]
        return Answer(rows[:, :4], rows[:, 5].astype(np.int64), rows[:, 4])
    if family is Family.RT_DETR_ULTRALYTICS:
        return _candidates(rows[:, :4] * size, rows[:, 4:], min_score)
    if family is Family.YOLO8:
        answer = _candidates(rows[:4].T, rows[4:].T, min_score)
    else:
        answer = _candidates(rows[:, :4], rows[:, 4:5] * rows[:, 5:], min_score)
    chosen = kept(answer.boxes, answer.classes, answer.scores, NMS_IOU)
    return Answer(answer.boxes[chosen], answer.classes[chosen], answer.scores[chosen])


def _candidates(centred: npt.NDArray, scores: npt.NDArray, min_score: float) -> Answer:
    """
    Return each box once for every class that is certain enough, as validation does.

    :param centred: float [N, 4]: centre and size.
    :param scores: float [N, classes].
    """
    box, kind = np.nonzero(scores >= min_score)
    centre, half = centred[box, :2], centred[box, 2:] / 2
    return Answer(np.concatenate([centre - half, centre + half], axis=1), kind, scores[box, kind])


def detected(answer: Answer, boxes: npt.NDArray[np.float32]) -> Detected:
    """Return the most certain of the answer, in order, with boxes in pixels of the picture."""
    order = np.argsort(-answer.scores, kind='stable')[:MAX_DETECTIONS]
    return Detected(boxes[order].astype(np.float32), answer.classes[order].astype(np.int64),
                    answer.scores[order].astype(np.float32))
