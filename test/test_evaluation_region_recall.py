# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much of what a judge sees lies in key regions."""

from gsc_ros.evaluation.region_recall import Recall, recall
import numpy as np
import pytest

WIDTH, HEIGHT = 200, 100


def things(*boxes):
    """Return what a judge sees, float32 [N, 4]."""
    return np.array(boxes, np.float32).reshape(-1, 4)


def test_a_thing_is_found_when_three_quarters_of_it_lie_in_regions():
    seen = things((0, 0, 40, 40), (100, 0, 140, 40))
    found = recall([(10, 0, 60, 40), (111, 0, 160, 40)], seen, WIDTH, HEIGHT)
    assert (found.things, found.found) == (2, 1)


def test_two_regions_may_share_a_thing():
    found = recall([(0, 0, 20, 40), (20, 0, 40, 40)], things((0, 0, 40, 40)), WIDTH, HEIGHT)
    assert found.found == 1


def test_the_share_counts_each_pixel_once_and_none_beyond_the_picture():
    regions = [(0, 0, 50, 100), (25, 0, 50, 100), (-80, -80, 10, 10), (190, 90, 400, 400)]
    found = recall(regions, things(), WIDTH, HEIGHT)
    assert found.share == pytest.approx((50 * 100 + 10 * 10) / (WIDTH * HEIGHT))
    assert (found.regions, found.things, found.found) == (4, 0, 0)


def test_a_thing_beside_the_picture_is_not_found():
    assert recall([(0, 0, 200, 100)], things((210, 10, 250, 60)), WIDTH, HEIGHT).found == 0


def test_frames_add_up():
    one = recall([(0, 0, 100, 100)], things((0, 0, 20, 20)), WIDTH, HEIGHT)
    other = recall([], things((0, 0, 20, 20), (5, 5, 9, 9)), WIDTH, HEIGHT)
    assert one + other == Recall(3, 1, 0.5, 1, 2)
    assert sum((one, other), Recall()) == one + other
