# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracies and mIoU are those of the definitions, counted over all pictures."""

from gsc_ros.evaluation.task.segmentation import class_iou, join, measure, SegmentationError
import numpy as np
import pytest

CLASSES = 19


def test_six_pixels_give_what_is_computed_by_hand():
    truth = np.array([[0, 0, 0], [1, 1, 255]])
    predicted = np.array([[0, 0, 1], [1, 2, 0]])
    matrix = measure(truth, predicted, 4)
    assert matrix.tolist() == [[2, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0] * 5, [0] * 5]
    figures = join([matrix])
    assert figures['pixel_accuracy'] == pytest.approx(3 / 5)
    assert figures['mean_accuracy'] == pytest.approx((2 / 3 + 1 / 2) / 2)
    # Class 2 is in the prediction alone and has an IoU of 0; class 3 is nowhere.
    assert figures['miou'] == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)
    assert class_iou([matrix]) == [pytest.approx(2 / 3), pytest.approx(1 / 3), 0, None]


def test_the_truth_itself_is_perfect():
    truth = np.random.default_rng(0).integers(0, CLASSES, (30, 40))
    assert join([measure(truth, truth, CLASSES)]) == {
        'pixel_accuracy': 1, 'mean_accuracy': 1, 'miou': 1}


def test_the_matrix_is_that_of_a_plain_loop():
    generator = np.random.default_rng(1)
    truth = generator.integers(0, CLASSES, (20, 30))
    truth[generator.random(truth.shape) < 0.2] = 255
    predicted = generator.integers(-1, CLASSES + 3, (20, 30)).astype(np.int32)
    expected = np.zeros((CLASSES, CLASSES + 1), int)
    for actual, called in zip(truth.ravel(), predicted.ravel()):
        if actual != 255:
            expected[actual, called if 0 <= called < CLASSES else CLASSES] += 1
    assert np.array_equal(measure(truth, predicted, CLASSES), expected)


def test_figures_are_those_of_the_pixels_of_all_pictures_together():
    generator = np.random.default_rng(2)
    truths = generator.integers(0, 3, (2, 10, 10))
    guesses = generator.integers(0, 3, (2, 10, 10))
    together = join(measure(truth, guess, 3) for truth, guess in zip(truths, guesses))
    ious = []
    for kind in range(3):
        inside = np.sum((truths == kind) & (guesses == kind))
        ious.append(inside / np.sum((truths == kind) | (guesses == kind)))
    assert together['miou'] == pytest.approx(np.mean(ious))
    assert together['pixel_accuracy'] == pytest.approx(np.mean(truths == guesses))


def test_a_picture_is_as_heavy_as_its_pixels():
    small = measure(np.zeros((1, 1), int), np.ones((1, 1), int), 2)
    large = measure(np.zeros((3, 3), int), np.zeros((3, 3), int), 2)
    assert join([small, large])['pixel_accuracy'] == pytest.approx(0.9)
    assert join([small.tolist(), large.tolist()]) == join([small, large])


def test_a_prediction_that_is_no_class_is_wrong():
    truth = np.zeros((2, 2), np.uint8)
    predicted = np.array([[0, 255], [-1, 40]], np.int32)
    figures = join([measure(truth, predicted, CLASSES)])
    assert figures == {'pixel_accuracy': 0.25, 'mean_accuracy': 0.25, 'miou': 0.25}


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(SegmentationError, match='shape'):
        measure(np.zeros((2, 2), int), np.zeros((2, 3), int), 2)
    with pytest.raises(SegmentationError, match='0 to 18, or 255'):
        measure(np.full((2, 2), 33), np.zeros((2, 2), int), CLASSES)
    with pytest.raises(SegmentationError, match='no pixel'):
        join([])
    with pytest.raises(SegmentationError, match='no pixel'):
        join([measure(np.full((2, 2), 255), np.zeros((2, 2), int), 2)])
