# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pixel accuracy, mean accuracy and mIoU, from a confusion matrix over all pictures.

With n_ij the pixels of class i that were called j, t_i their sum over j and p_j over i:

    pixel accuracy   sum n_ii / sum t_i
    mean accuracy    mean of n_ii / t_i            over the classes that occur in the truth
    mIoU             mean of n_ii / (t_i + p_i - n_ii)
                     over the classes that occur in truth or prediction

as in Long et al. 2015, the scripts of Cityscapes and mmsegmentation, where the paper's figures come
from (aAcc, mAcc, mIoU). Pixels whose truth is IGNORE do not count at all. Matrices are added up
before anything is divided: a picture is as heavy as its pixels.

Without truth, the labels on the original take its place: agreement, by the same three figures.
"""

from __future__ import annotations

from collections.abc import Iterable

from gsc_ros.evaluation.dataset.dataset import IGNORE
import numpy as np
import numpy.typing as npt

METRICS = ('pixel_accuracy', 'mean_accuracy', 'miou')

Matrix = npt.NDArray[np.int64]


class SegmentationError(ValueError):
    """Labels cannot be compared; the message says why."""


def measure(truth: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer],
            classes: int, ignore: int = IGNORE) -> Matrix:
    """
    Return the confusion matrix of one picture.

    :param truth: integers [H, W], 0..classes - 1 or `ignore`.
    :param predicted: integers [H, W]; anything that is no class (-1, say, or `ignore`) is wrong
        wherever the truth is a class.
    :param classes: how many there are.
    :return: int64 [classes, classes + 1]: rows are the truth, columns the prediction; the last
        column counts predictions that are no class.
    :raises SegmentationError: the sizes differ, or the truth holds another label.
    """
    if truth.shape != predicted.shape:
        raise SegmentationError(f'predicted labels have the shape {list(predicted.shape)}, '
                                f'the truth {list(truth.shape)}')
    counted = truth != ignore
    actual = truth[counted].astype(np.int64)
    if actual.size and not 0 <= actual.min() <= actual.max() < classes:
        raise SegmentationError(f'labels from {actual.min()} to {actual.max()} in the truth: '
                                f'expected 0 to {classes - 1}, or {ignore} for none')
    called = predicted[counted].astype(np.int64)
    called = np.where((called >= 0) & (called < classes), called, classes)
    columns = classes + 1
    return np.bincount(actual * columns + called, minlength=classes * columns
                       ).reshape(classes, columns)


def join(matrices: Iterable[npt.ArrayLike]) -> dict[str, float]:
    """
    Return METRICS of all pictures together.

    :param matrices: what `measure` returned, of the same classes; nested lists will do.
    :raises SegmentationError: no pixel has truth.
    """
    total = _sum(matrices)
    correct, actual, called = _counts(total)
    seen, either = actual > 0, actual + called > 0
    return {'pixel_accuracy': float(correct.sum() / actual.sum()),
            'mean_accuracy': float((correct[seen] / actual[seen]).mean()),
            'miou': float((correct[either] / (actual + called - correct)[either]).mean())}


def class_iou(matrices: Iterable[npt.ArrayLike]) -> list[float | None]:
    """Return the IoU of each class; None for one that neither truth nor prediction holds."""
    correct, actual, called = _counts(_sum(matrices))
    union = actual + called - correct
    return [float(inside / outside) if outside else None
            for inside, outside in zip(correct, union)]


def _sum(matrices: Iterable[npt.ArrayLike]) -> Matrix:
    total = sum((np.asarray(matrix, np.int64) for matrix in matrices), np.zeros((), np.int64))
    if not total.any():
        raise SegmentationError('no pixel has a label')
    return total


def _counts(total: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Return by class: correct pixels, those of the truth, those of the prediction."""
    return np.diagonal(total), total.sum(axis=1), total[:, :-1].sum(axis=0)
