# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a generator is told of the list of objects."""

from __future__ import annotations

from gsc_ros.codec.generator.object_map import group_of, GROUPS, MAP_CHANNELS, object_map
from gsc_ros.codec.region.object_list import ObjectBox
from gsc_ros.perception.network.label import COCO
import numpy as np
import pytest

CAR, PERSON = COCO.index('car'), COCO.index('person')


def test_classes_that_look_alike_share_a_group():
    def groups(*names: str) -> set[int]:
        return {group_of(COCO.index(name)) for name in names}

    assert len(groups('truck', 'bus', 'train')) == 1
    assert len(groups('bicycle', 'motorcycle')) == 1
    assert len(groups('person', 'car', 'truck', 'bicycle', 'traffic light', 'dog')) == 6
    assert {group_of(number) for number in range(256)} == set(range(GROUPS))
    assert group_of(79) != group_of(80) == group_of(255)


def test_a_token_has_the_share_that_a_box_covers_of_it():
    box = (1.5 / 8, 1 / 4, 4 / 8, 3 / 4)
    found = object_map([ObjectBox(CAR, 0.5, box)], 4, 8, 4, 8)
    assert found.shape == (MAP_CHANNELS, 4, 8) and found.dtype == np.float32
    car = np.zeros((4, 8))
    car[1:3, 1], car[1:3, 2:4] = 0.25, 0.5
    assert found[group_of(CAR)] == pytest.approx(car)
    others = [group for group in range(GROUPS) if group != group_of(CAR)]
    assert not found[others].any()


def test_a_token_knows_its_place_in_the_box_and_the_boxs_size():
    across, down, wide, tall = object_map([ObjectBox(CAR, 1.0, (0, 0, 1, 1))], 2, 4, 2, 4)[GROUPS:]
    assert across == pytest.approx(np.array([[-0.75, -0.25, 0.25, 0.75]] * 2))
    assert down == pytest.approx(np.array([[-0.5] * 4, [0.5] * 4]))
    assert wide == pytest.approx(np.full((2, 4), np.log2(5) / 4))
    assert tall == pytest.approx(np.full((2, 4), np.log2(3) / 4))


def test_small_boxes_lie_on_large_ones_whatever_their_order():
    large, small = ObjectBox(CAR, 0.5, (0, 0, 1, 1)), ObjectBox(PERSON, 1.0, (0.25, 0, 0.5, 1))
    found = object_map([small, large], 2, 4, 2, 4)
    assert np.array_equal(found, object_map([large, small], 2, 4, 2, 4))
    assert found[group_of(PERSON), 0].tolist() == [0, 1, 0, 0]
    assert found[group_of(CAR), 0].tolist() == [0.5, 0, 0.5, 0.5]


def test_boxes_are_shares_of_the_picture_and_not_of_the_padded_grid():
    found = object_map([ObjectBox(CAR, 1.0, (0.5, 0, 1, 1))], 2, 3, 1.5, 2.5)
    assert found[group_of(CAR)] == pytest.approx(np.array([[0, 0.75, 0.5], [0, 0.375, 0.25]]))
    assert not object_map([], 2, 3, 1.5, 2.5).any()


def test_a_box_of_no_size_or_beyond_the_edge_does_no_harm():
    boxes = [(0.3, 0.3, 0.3, 0.3), (-0.5, -0.5, 0, 0), (0.9, 0.9, 1.5, 1.5)]
    found = object_map([ObjectBox(CAR, 1.0, box) for box in boxes], 3, 3, 3, 3)
    assert np.isfinite(found).all()
    assert np.argwhere(found[group_of(CAR)]).tolist() == [[2, 2]]
