# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Detections and their agreement, on outputs made by hand and on the real detector."""

from pathlib import Path

import cv2
from gsc_ros.perception.network.agreement import Agreement, agreement, overlap
from gsc_ros.perception.network.fastestdet import decode, Detections, Detector, DetectorError
from gsc_ros.sources.sequence import read_image
import numpy as np
import pytest
from shared_data import kitti_drive, REPOSITORY, shared_data


def cells(*found):
    """Return an output of 2 classes with (row, column, score, class, size) and nothing else."""
    output = np.zeros((7, 22, 22), np.float32)
    for row, column, score, kind, size in found:
        logit = np.log(size / (1 - size))
        output[:5, row, column] = score, 0, 0, logit, logit
        output[5 + kind, row, column] = score
    return output


def detections(*boxes):
    """Return detections of class 0 with these boxes."""
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.zeros(len(boxes), np.int64),
                      np.ones(len(boxes), np.float32))


def test_a_cell_becomes_a_box_around_its_corner():
    found = decode(cells((11, 5, 0.9, 1, 0.2)))
    assert found.classes.tolist() == [1]
    assert found.boxes[0] == pytest.approx([5 / 22 - 0.1, 0.4, 5 / 22 + 0.1, 0.6], abs=1e-6)


def test_uncertain_cells_are_left_out():
    assert len(decode(cells((3, 3, 0.64, 0, 0.2))).boxes) == 0
    assert len(decode(cells((3, 3, 0.66, 0, 0.2))).boxes) == 1


def test_of_boxes_of_a_class_on_top_of_each_other_the_most_certain_stays():
    found = decode(cells((3, 3, 0.8, 0, 0.4), (3, 4, 0.9, 0, 0.4), (3, 3, 0.8, 0, 0.4)))
    assert len(found.boxes) == 1
    assert found.boxes[0][0] == pytest.approx(4 / 22 - 0.2, abs=1e-6)
    assert len(decode(cells((3, 3, 0.8, 0, 0.4), (3, 4, 0.9, 1, 0.4))).boxes) == 2


def test_overlap_is_intersection_over_union():
    one = np.array([0, 0, 2, 2], np.float32)
    assert overlap(one, np.array([1, 0, 3, 2], np.float32)) == pytest.approx(1 / 3)
    assert overlap(one, np.array([5, 5, 6, 6], np.float32)) == 0
    assert overlap(one, one) == 1
    assert overlap(np.zeros(4), np.zeros(4)) == 0


def test_each_detection_is_paired_once():
    original = detections([0, 0, 1, 1], [2, 2, 3, 3])
    twice = detections([0, 0, 1, 1], [0, 0.1, 1, 1], [7, 7, 8, 8])
    assert agreement(original, twice) == Agreement(both=1, original=1, reconstruction=2)


def test_another_class_does_not_agree():
    one = detections([0, 0, 1, 1])
    other = Detections(one.boxes, one.classes + 1, one.scores)
    assert agreement(one, other) == Agreement(0, 1, 1)


def test_f1_is_that_of_the_sums():
    assert (Agreement(3, 1, 0) + Agreement(0, 0, 1)).f1 == pytest.approx(6 / 8)
    assert Agreement().f1 is None


@pytest.mark.parametrize('content', [b'', b'no network'])
def test_a_file_that_is_no_network_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / 'net.onnx'
    path.write_bytes(content)
    with pytest.raises(DetectorError, match='net.onnx'):
        Detector(path)


def test_a_network_of_another_kind_is_refused():
    with pytest.raises(DetectorError, match='not'):
        Detector(REPOSITORY / 'gsc_ros' / 'profiles' / 'tiny' / 'analysis.onnx')


def test_the_real_detector_finds_cars_and_agrees_with_itself():
    path, drive = shared_data('nets', 'fastestdet_coco.onnx'), kitti_drive()
    if path is None or drive is None:
        pytest.skip('needs the detector and the drive of the shared data')
    image = read_image(sorted(drive.glob('image_02/data/*.png'))[0])
    detector = Detector(path)
    found = detector(image)
    names = shared_data('nets', 'coco.names').read_text().split('\n')
    assert 'car' in {names[kind] for kind in found.classes}
    assert agreement(found, detector(image)).f1 == 1
    blurred = cv2.GaussianBlur(image, (0, 0), 12)
    assert agreement(found, detector(blurred)).f1 < 1
