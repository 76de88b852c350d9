# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Precision, recall, mAP50 and mAP50-95 of detected objects.

Matching and average precision are pycocotools': 101 points of recall, at most 100 objects of a
class in a picture, all sizes together, objects inside a crowd's box neither right nor wrong.
mAP50 is the mean over classes at an intersection over union of 0.5, mAP50-95 that over 0.5, 0.55
... 0.95 as well. Classes without an object in the truth have no average precision and are left out.

Precision and recall depend on the score from which on an object is taken for found. As in the
figures of Ultralytics, which the paper quotes (section 4.2 (3)), it is the one score, the same for
all classes, at which the mean F1 over classes is highest, at an overlap of 0.5; both are means
over the classes of the truth, with 0 for one of which nothing is found at any score. Ultralytics
smooths its curves and interpolates; here they are counted on a grid of 1001 scores.

Without truth, what the network finds on the original takes its place, see `as_truth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
import importlib.util
import io
from typing import Any

from gsc_ros.evaluation.dataset.dataset import BoxTruth
from gsc_ros.perception.network.network import Detected
import numpy as np
import numpy.typing as npt

METRICS = ('precision', 'recall', 'map50', 'map50_95')
MAX_OBJECTS = 100
ALL_AREAS = (0.0, 1e10)
SCORE_STEPS = 1000


class DetectionError(ValueError):
    """Objects cannot be compared; the message says why."""


def join(truths: Sequence[BoxTruth], detections: Sequence[Detected],
         classes: int) -> dict[str, float | None]:
    """
    Return METRICS over all pictures, and `score`, that of precision and recall.

    :param truths: one for each picture.
    :param detections: of the same pictures; classes counted as those of the truth, and a class
        that is none of theirs (negative, say) is left out. With many low scores: about 0.001 on.
    :param classes: how many there are.
    :return: 0..1; None when the truth holds no object.
    :raises DetectionError: there is not one list of objects for each picture, one fails `check`, a
        class of the truth is out of range, or pycocotools is missing.
    """
    if len(truths) != len(detections):
        raise DetectionError(f'{len(detections)} lists of objects for {len(truths)} pictures')
    for detected in detections:
        check(detected)
    for truth in truths:
        if truth.classes.size and not 0 <= truth.classes.min() <= truth.classes.max() < classes:
            raise DetectionError(f'picture {truth.image_id} holds a class that is not within '
                                 f'0 to {classes - 1}')
    if not any((~truth.crowd).any() for truth in truths):
        return dict.fromkeys((*METRICS, 'score'))
    evaluation = _evaluated(truths, detections, classes)
    precision = evaluation.eval['precision'][..., 0, 0]  # [overlap, recall, class]
    present = precision[0, 0] > -1
    return {'map50': float(precision[0][:, present].mean()),
            'map50_95': float(precision[:, :, present].mean()),
            **_best_f1(evaluation.evalImgs, classes)}


def missing() -> str | None:
    """Return what `join` lacks here; None when it has all."""
    if importlib.util.find_spec('pycocotools') is None:
        return "average precision needs pycocotools: pip install 'gsc_ros[eval]'"
    return None


def check(detected: Detected) -> None:
    """
    Refuse what no network should say.

    A box that is no number would match every object: no overlap is below any threshold.

    :raises DetectionError: boxes or scores are not finite, or a score is not within 0 to 1.
    """
    if not (np.isfinite(detected.boxes).all() and np.isfinite(detected.scores).all()):
        raise DetectionError('the network finds objects whose boxes or scores are not finite')
    if detected.scores.size and not 0 <= detected.scores.min() <= detected.scores.max() <= 1:
        raise DetectionError(f'the network gives scores from {detected.scores.min():g} to '
                             f'{detected.scores.max():g}, not within 0 to 1')


def as_truth(detected: Detected, image_id: int, min_score: float) -> BoxTruth:
    """
    Take what a network finds on the original for the truth.

    :param min_score: objects below it are not taken.
    """
    taken = detected.scores >= min_score
    boxes = detected.boxes[taken]
    sides = boxes[:, 2:] - boxes[:, :2]
    return BoxTruth(boxes=boxes, classes=detected.classes[taken],
                    crowd=np.zeros(len(boxes), np.bool_), areas=sides[:, 0] * sides[:, 1],
                    image_id=image_id)


def _evaluated(truths: Sequence[BoxTruth], detections: Sequence[Detected], classes: int) -> Any:
    """Return pycocotools' COCOeval, accumulated; what it prints is dropped."""
    if (reason := missing()) is not None:
        raise DetectionError(reason)
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    # Numbers of our own: image_id may be missing or not unique over several data sets. COCOeval
    # takes the number 0 for `no match`, so objects count from 1.
    images = [{'id': index} for index in range(len(truths))]
    categories = [{'id': index, 'name': str(index)} for index in range(classes)]
    wanted = [
        {'image_id': index, 'category_id': int(kind), 'bbox': _sides(box), 'area': float(area),
         'iscrowd': int(crowd)}
        for index, truth in enumerate(truths)
        for box, kind, crowd, area in zip(truth.boxes, truth.classes, truth.crowd, truth.areas)]
    found = [
        {'image_id': index, 'category_id': int(kind), 'bbox': _sides(box), 'iscrowd': 0,
         'area': float(np.prod(_sides(box)[2:])), 'score': float(score)}
        for index, detected in enumerate(detections)
        for box, kind, score in zip(detected.boxes, detected.classes, detected.scores)
        if 0 <= kind < classes]
    with redirect_stdout(io.StringIO()):
        sets = []
        for objects in (wanted, found):
            coco = COCO()
            coco.dataset = {
                'images': images, 'categories': categories,
                'annotations': [{'id': number, **one} for number, one in enumerate(objects, 1)]}
            coco.createIndex()
            sets.append(coco)
        evaluation = COCOeval(*sets, iouType='bbox')
        evaluation.params.maxDets = [MAX_OBJECTS]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [ALL_AREAS], ['all']
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def _sides(box: npt.NDArray[np.floating]) -> list[float]:
    """Return left, top, width and height, as COCO writes boxes."""
    left, top, right, bottom = (float(value) for value in box)
    return [left, top, right - left, bottom - top]


def _best_f1(pictures: Sequence[dict[str, Any] | None], classes: int) -> dict[str, float]:
    """
    Return precision, recall and score where the mean F1 over classes is highest.

    :param pictures: COCOeval's matches, all pictures of the first class, then of the next; None
        where a picture has nothing of a class.
    """
    grid = np.linspace(0, 1, SCORE_STEPS + 1)
    count = len(pictures) // classes
    precisions, recalls = [], []
    for kind in range(classes):
        matches = [one for one in pictures[kind * count:(kind + 1) * count] if one]
        actual = sum(int(np.count_nonzero(one['gtIgnore'] == 0)) for one in matches)
        if not actual:
            continue
        counted = [~one['dtIgnore'][0].astype(bool) for one in matches]
        scores = np.concatenate([np.asarray(one['dtScores'])[keep]
                                 for one, keep in zip(matches, counted)])
        right = np.concatenate([one['dtMatches'][0][keep] > 0
                                for one, keep in zip(matches, counted)])
        taken = _at_least(scores, grid)
        hits = _at_least(scores[right], grid)
        # As in Ultralytics' curves: nothing found is nothing wrong above the best score of a class,
        # but a class that is never found at all has a precision of 0.
        precisions.append(np.divide(hits, taken, out=np.full(len(grid), float(scores.size > 0)),
                                    where=taken > 0))
        recalls.append(hits / actual)
    precision, recall = np.array(precisions), np.array(recalls)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    best = int(f1.mean(axis=0).argmax())
    return {'precision': float(precision[:, best].mean()), 'recall': float(recall[:, best].mean()),
            'score': float(grid[best])}


def _at_least(scores: npt.NDArray[np.floating],
              grid: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Return how many scores are at or above each point of a grid."""
    return len(scores) - np.searchsorted(np.sort(scores), grid, side='left')
