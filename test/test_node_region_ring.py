# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The originals that a camera's operator may ask for."""

from __future__ import annotations

from gsc_ros.nodes.region import Outcome, RegionRefused
from gsc_ros.nodes.region_ring import OVERHEAD_BYTES, RegionRing, TOLERANCE_NS
from hypothesis import given
from hypothesis.strategies import integers, lists, tuples
import pytest

SECOND = 10 ** 9
KEEP = 10 * SECOND
ROOM = 1 << 30


def filled(count: int, period_ns: int, max_bytes: int = ROOM, keep_ns: int = KEEP,
           ) -> RegionRing[int]:
    """Return a ring of images 1 to count, each stamped with its number of periods."""
    ring: RegionRing[int] = RegionRing()
    for number in range(1, count + 1):
        ring.add(number, number * period_ns, 1000, number * period_ns, keep_ns, max_bytes)
    return ring


def refusal(ring: RegionRing[int], stamp_ns: int, now_ns: int, keep_ns: int = KEEP) -> Outcome:
    with pytest.raises(RegionRefused) as refused:
        ring.find(stamp_ns, now_ns, keep_ns)
    return refused.value.outcome


def test_a_stamp_finds_its_image_and_zero_the_newest():
    ring = filled(20, SECOND // 10)
    assert ring.find(7 * SECOND // 10, 2 * SECOND, KEEP) == (7, 7 * SECOND // 10)
    assert ring.find(0, 2 * SECOND, KEEP) == (20, 2 * SECOND)


def test_a_stamp_finds_the_nearest_image_within_the_tolerance():
    ring = filled(3, 10 * SECOND, keep_ns=60 * SECOND)
    near = 20 * SECOND + TOLERANCE_NS
    assert ring.find(near, 30 * SECOND, 60 * SECOND)[0] == 2
    assert refusal(ring, near + 1, 30 * SECOND, 60 * SECOND) is Outcome.TOO_OLD


def test_images_older_than_the_ring_are_gone():
    ring = filled(20, SECOND)
    assert ring.find(11 * SECOND, 20 * SECOND, KEEP)[0] == 11
    assert refusal(ring, 9 * SECOND, 20 * SECOND) is Outcome.TOO_OLD
    assert refusal(ring, 0, 31 * SECOND) is Outcome.NO_IMAGE
    assert (len(ring), ring.bytes) == (0, 0)


def test_a_ring_of_no_seconds_keeps_nothing():
    ring = filled(5, SECOND, keep_ns=0)
    assert refusal(ring, 0, 5 * SECOND, 0) is Outcome.NO_IMAGE
    assert ring.bytes == 0


def test_a_shorter_ring_forgets_with_the_next_image():
    ring = filled(10, SECOND)
    ring.add(11, 11 * SECOND, 1000, 11 * SECOND, 2 * SECOND, ROOM)
    assert len(ring) == 3


def test_an_image_larger_than_the_memory_is_not_kept():
    ring = filled(3, SECOND)
    ring.add(4, 4 * SECOND, ROOM, 4 * SECOND, KEEP, ROOM)
    assert ring.find(0, 4 * SECOND, KEEP)[0] == 3


def test_of_two_images_with_the_same_stamp_the_newer_is_found():
    ring: RegionRing[str] = RegionRing()
    for image in ('old', 'new'):
        ring.add(image, 5, 10, SECOND, KEEP, ROOM)
    assert ring.find(5, SECOND, KEEP)[0] == 'new'


def test_images_that_do_not_fit_are_thinned_out_over_the_whole_time():
    room = 20 * (1000 + OVERHEAD_BYTES)
    ring = filled(200, SECOND // 20, room)
    now_ns = 10 * SECOND
    assert len(ring) == 20
    for stamp_ns in range(SECOND, now_ns + 1, SECOND // 20):
        assert abs(ring.find(stamp_ns, now_ns, KEEP)[1] - stamp_ns) <= TOLERANCE_NS
    assert ring.find(0, now_ns, KEEP)[0] == 200


def test_where_thinning_would_leave_holes_the_oldest_images_go():
    room = 5 * (1000 + OVERHEAD_BYTES)
    ring = filled(200, SECOND // 20, room)
    now_ns = 10 * SECOND
    for stamp_ns in range(8 * SECOND, now_ns, SECOND // 20):
        ring.find(stamp_ns, now_ns, KEEP)
    assert refusal(ring, SECOND, now_ns) is Outcome.TOO_OLD


@given(lists(tuples(integers(0, SECOND), integers(0, 5000), integers(-SECOND, SECOND)),
             max_size=60))
def test_the_memory_is_never_more_than_its_bound(images: list[tuple[int, int, int]]):
    ring: RegionRing[int] = RegionRing()
    now_ns, room = 0, 20_000
    for number, (pause_ns, size, shift_ns) in enumerate(images):
        now_ns += pause_ns
        ring.add(number, now_ns + shift_ns, size, now_ns, KEEP, room)
        assert ring.bytes <= room
        # The newest is always there.
        assert ring.find(0, now_ns, KEEP)[0] == number


def test_a_cleared_ring_is_empty():
    ring = filled(3, SECOND)
    ring.clear()
    assert (len(ring), ring.bytes) == (0, 0)
