# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes drawn into a picture."""

from __future__ import annotations

from gsc_ros.codec.region.object_list import ObjectBox
from gsc_ros.nodes.overlay import draw
import numpy as np
import pytest

GRAY = np.full((120, 200, 3), 90, np.uint8)


def changed(drawn: np.ndarray) -> np.ndarray:
    """Return which pixels differ from the gray picture, bool [H, W]."""
    return (drawn != GRAY).any(axis=2)


def test_nothing_to_show_leaves_the_picture_as_it_is():
    drawn = draw(GRAY, (), ())
    assert np.array_equal(drawn, GRAY)
    assert drawn is not GRAY


def test_an_object_has_a_frame_at_its_box_and_a_label():
    marks = changed(draw(GRAY, [ObjectBox(2, 0.8, (0.25, 0.5, 0.75, 0.9))], ()))
    assert marks[62:106, 50].all()
    assert marks[60, 50:150].all()
    assert not marks[75:95, 60:140].any()
    assert marks[40:58, 50:100].any(), 'the label is above the box'


def test_objects_of_two_classes_have_two_colours():
    box = (0.25, 0.5, 0.75, 0.9)
    one, other = (draw(GRAY, [ObjectBox(kind, 0.8, box)], ())[80, 50] for kind in (0, 2))
    assert not np.array_equal(one, other)


def test_a_region_is_dashed_and_lies_under_the_objects():
    drawn = draw(GRAY, (), [(0.25, 0.25, 0.75, 0.75)])
    side = drawn[30:90, 50]
    assert {tuple(pixel) for pixel in side.tolist()} == {(0, 0, 0), (255, 255, 255)}
    with_object = draw(GRAY, [ObjectBox(0, 0.5, (0.25, 0.25, 0.75, 0.75))],
                       [(0.25, 0.25, 0.75, 0.75)])
    assert (with_object[60, 50] != (0, 0, 0)).any()
    assert (with_object[60, 50] != (255, 255, 255)).any()


@pytest.mark.parametrize('box', [(0, 0, 1, 1), (0.99, 0.99, 1, 1), (0, 0, 1e-6, 1e-6)])
def test_boxes_at_the_edges_stay_within_the_picture(box: tuple[float, ...]):
    drawn = draw(GRAY[:17, :19], [ObjectBox(255, 1.0, box)], [box], ())
    assert drawn.shape == (17, 19, 3)
