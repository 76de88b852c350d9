# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From what sources say to boxes worth coding."""

from __future__ import annotations

import time

from gsc_ros.codec.error import CodecError
from gsc_ros.codec.region.grid import Grid
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.codec.region.spot import MARGIN, objects, Spot, spots
import numpy as np
import pytest

SIZE = 640, 480


def test_a_box_gets_a_margin_within_the_image():
    (spot,) = spots([KeyRegion((2, 100, 60, 200), 5.0, 'zones')], *SIZE, 16)
    assert spot == Spot((0, 100 - MARGIN, 60 + MARGIN, 200 + MARGIN), 5.0, 'zones')


def test_the_weightiest_come_first_and_no_more_than_asked_for():
    regions = [KeyRegion((100 * k, 10, 100 * k + 50, 60), float(k + 1)) for k in range(5)]
    assert [spot.weight for spot in spots(regions, *SIZE, 3)] == [5, 4, 3]


def test_boxes_of_one_thing_become_one():
    one, other = KeyRegion((100, 100, 200, 200), 8, 'a'), KeyRegion((105, 98, 210, 205), 3, 'b')
    (spot,) = spots([one, other], *SIZE, 16)
    assert spot.weight == 8 and sorted(spot.source.split(',')) == ['a', 'b']


def test_boxes_far_apart_or_crossing_stay_two():
    apart = [KeyRegion((10, 10, 50, 50)), KeyRegion((300, 300, 350, 380))]
    crossing = [KeyRegion((100, 200, 500, 240)), KeyRegion((280, 20, 320, 460))]
    assert len(spots(apart, *SIZE, 16)) == len(spots(crossing, *SIZE, 16)) == 2


def test_a_chain_of_boxes_does_not_become_the_whole_picture():
    chain = [KeyRegion((20 * k, 15 * k, 20 * k + 90, 15 * k + 90)) for k in range(24)]
    found = spots(chain, *SIZE, 32)
    assert max(spot.area for spot in found) < 0.15 * SIZE[0] * SIZE[1]


def test_of_thousands_of_boxes_the_weightiest_are_found_soon():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 460, (3000, 2))
    many = [KeyRegion((x, y, x + 6, y + 6), 1 + k % 7) for k, (x, y) in enumerate(corners)]
    start = time.process_time()
    found = spots([*many, KeyRegion((600, 440, 630, 470), 30)], *SIZE, 32)
    assert time.process_time() - start < 1
    assert len(found) == 32 and found[0].weight == 30 and found[-1].weight == 7


@pytest.mark.parametrize('scale', [1, 2, 4])
def test_a_spot_on_a_grid_is_covered_but_for_slivers(scale):
    grid = Grid.of(scale, *SIZE)
    spot = Spot((101.0, 99.0, 330.0, 215.0), 1.0, '')
    left, top, right, bottom = spot.cells(grid).pixels
    off = grid.pitch / 4
    assert 101 - grid.pitch < left <= 101 + off and 330 - off <= right < 330 + grid.pitch
    assert 99 - grid.pitch < top <= 99 + off and 215 - off <= bottom < 215 + grid.pitch
    tiny = Spot((636.0, 470.0, 640.0, 480.0), 1.0, '').cells(grid)
    assert (tiny.width, tiny.height) == (1, 1)


def test_objects_are_what_has_a_class():
    found = objects([KeyRegion((0, 0, 320, 240), 2, class_id=3), KeyRegion((0, 0, 9, 9), 9),
                     KeyRegion((320, 240, 700, 480), 5, class_id=1, score=0.5)], *SIZE)
    assert [(one.class_id, one.score) for one in found] == [(1, 0.5), (3, 1.0)]
    assert found[0].box == (0.5, 0.5, 1.0, 1.0)


@pytest.mark.parametrize('change', [
    {'box': (5, 0, 5, 9)}, {'box': (0, float('nan'), 5, 9)}, {'weight': 0}, {'class_id': 256},
    {'weight': float('inf')}, {'score': 1.5}])
def test_a_region_out_of_range_is_refused(change):
    with pytest.raises(CodecError):
        KeyRegion(**{'box': (0, 0, 9, 9), **change})
