# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Average precision is COCO's, precision and recall are those at the best F1."""

from gsc_ros.evaluation.dataset.dataset import BoxTruth
from gsc_ros.evaluation.task.detection import as_truth, DetectionError, join
from gsc_ros.perception.network.network import Detected
import numpy as np
import pytest

pytest.importorskip('pycocotools')

SQUARE = (0, 0, 10, 10)
OTHER = (50, 50, 90, 80)
FAR = (200, 200, 240, 240)


def truth(*objects, crowd=()):
    """Return the truth from (box, class); `crowd` holds the numbers of those that are one."""
    boxes = np.array([box for box, _ in objects], np.float32).reshape(-1, 4)
    return BoxTruth(boxes, np.array([kind for _, kind in objects], np.int64),
                    np.array([index in crowd for index in range(len(objects))], bool),
                    (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), 7)


def found(*objects):
    """Return detections from (box, class, score)."""
    return Detected(np.array([box for box, *_ in objects], np.float32).reshape(-1, 4),
                    np.array([kind for _, kind, _ in objects], np.int64),
                    np.array([score for *_, score in objects], np.float32))


def shifted(box, by):
    """Return the box moved to the right."""
    return (box[0] + by, box[1], box[2] + by, box[3])


def test_the_truth_itself_is_perfect_and_nothing_is_printed(capsys):
    truths = [truth((SQUARE, 0), (OTHER, 2)), truth((FAR, 2))]
    detections = [found((SQUARE, 0, 0.9), (OTHER, 2, 0.8)), found((FAR, 2, 0.9))]
    figures = join(truths, detections, 3)
    assert {name: figures[name] for name in ('precision', 'recall', 'map50', 'map50_95')} == {
        'precision': 1, 'recall': 1, 'map50': 1, 'map50_95': pytest.approx(1)}
    assert capsys.readouterr().out == ''


def test_an_overlap_of_two_thirds_counts_at_four_of_ten_thresholds():
    # Moved by 2 of 10: 8 / 12 = 0.667, so right at 0.5, 0.55, 0.6 and 0.65.
    figures = join([truth((SQUARE, 0))], [found((shifted(SQUARE, 2), 0, 0.9))], 1)
    assert figures['map50'] == pytest.approx(1)
    assert figures['map50_95'] == pytest.approx(0.4)


def test_average_precision_is_that_computed_by_hand():
    # By score: right, wrong, right. Precision 1 up to a recall of 1/2, then 2/3: of 101 points of
    # recall 51 have precision 1 and 50 have 2/3.
    truths = [truth((SQUARE, 0), (OTHER, 0))]
    detections = [found((SQUARE, 0, 0.9), (FAR, 0, 0.8), (OTHER, 0, 0.7))]
    figures = join(truths, detections, 1)
    assert figures['map50'] == pytest.approx((51 + 50 * 2 / 3) / 101)
    # F1: 2/3 with the first alone, 1/2 with two, 4/5 with all three.
    assert figures['precision'] == pytest.approx(2 / 3)
    assert figures['recall'] == 1
    assert figures['score'] <= 0.7


def test_one_score_is_chosen_for_all_classes():
    truths = [truth((SQUARE, 0), (OTHER, 1))]
    detections = [found((SQUARE, 0, 0.9), (OTHER, 1, 0.6), (FAR, 0, 0.5), (FAR, 1, 0.5))]
    figures = join(truths, detections, 2)
    assert (figures['precision'], figures['recall']) == (1, 1)
    assert 0.5 < figures['score'] <= 0.6


def test_objects_in_a_crowd_are_neither_right_nor_wrong():
    crowd = (100, 100, 200, 200)
    truths = [truth((SQUARE, 0), (crowd, 0), crowd=(1,))]
    detections = [found((SQUARE, 0, 0.6), ((110, 110, 130, 130), 0, 0.9),
                        ((150, 150, 170, 170), 0, 0.8))]
    figures = join(truths, detections, 1)
    assert figures['map50'] == pytest.approx(1)
    assert figures['precision'] == 1


def test_classes_without_an_object_are_left_out():
    figures = join([truth((SQUARE, 3))], [found((SQUARE, 3, 0.9), (FAR, 5, 0.95))], 80)
    assert figures['map50'] == pytest.approx(1)
    assert figures['precision'] == 1


def test_a_class_that_is_never_found_counts_as_zero():
    figures = join([truth((SQUARE, 0), (OTHER, 1))], [found((SQUARE, 0, 0.9))], 2)
    assert figures['map50'] == pytest.approx(0.5)
    assert (figures['precision'], figures['recall']) == (0.5, 0.5)


def test_detections_of_unknown_classes_are_left_out():
    figures = join([truth((SQUARE, 0))], [found((SQUARE, 0, 0.5), (FAR, -1, 0.9))], 1)
    assert figures['precision'] == 1


def test_nothing_found_is_zero_and_nothing_to_find_is_no_figure():
    figures = join([truth((SQUARE, 0))], [found()], 1)
    assert all(figures[name] == 0 for name in ('map50', 'map50_95', 'precision', 'recall'))
    assert set(join([truth()], [found((SQUARE, 0, 0.9))], 1).values()) == {None}
    assert set(join([], [], 1).values()) == {None}


def test_what_is_found_on_the_original_may_stand_for_the_truth():
    original = found((SQUARE, 0, 0.9), (OTHER, 1, 0.3))
    taken = as_truth(original, 4, min_score=0.5)
    assert taken.image_id == 4
    assert taken.boxes.tolist() == [list(SQUARE)]
    assert taken.areas.tolist() == [100]
    assert join([taken], [original], 2)['map50'] == pytest.approx(1)


@pytest.mark.parametrize(('box', 'score', 'message'), [
    ((np.nan, 0, 10, 10), 0.9, 'not finite'), ((0, 0, np.inf, 10), 0.9, 'not finite'),
    (SQUARE, np.nan, 'not finite'), (SQUARE, 7, 'from 7 to 7, not within 0 to 1')])
def test_objects_that_are_no_numbers_do_not_match_everything(box, score, message):
    with pytest.raises(DetectionError, match=message):
        join([truth((SQUARE, 0))], [found((box, 0, score))], 1)


def test_what_does_not_fit_is_refused():
    with pytest.raises(DetectionError, match='0 lists of objects for 1'):
        join([truth((SQUARE, 0))], [], 1)
    with pytest.raises(DetectionError, match='0 to 1'):
        join([truth((SQUARE, 5))], [found()], 2)
