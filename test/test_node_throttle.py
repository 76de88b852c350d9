# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Admission of frames by their stamps."""

from __future__ import annotations

import random

from gsc_ros.nodes.throttle import FrameClock, NANOSECONDS, STANDING_FRAMES, Throttle
import pytest


def admitted(stamps: list[float], max_fps: float) -> list[float]:
    throttle = Throttle()
    return [stamp for stamp in stamps if throttle.admit(round(stamp * NANOSECONDS), max_fps)]


def test_camera_at_exactly_the_rate_loses_no_frame_to_jitter():
    jitter = random.Random(1)
    stamps = [0.1 * n + jitter.uniform(-0.004, 0.004) for n in range(100)]
    assert admitted(stamps, 10.0) == stamps


@pytest.mark.parametrize('camera_fps, expected', [(30, 10), (25, 10), (60, 10), (11, 10), (5, 5)])
def test_rate_is_held_in_the_long_run(camera_fps: int, expected: float):
    stamps = [n / camera_fps for n in range(100 * camera_fps)]
    assert len(admitted(stamps, 10.0)) == pytest.approx(100 * expected, rel=0.03)


def test_zero_admits_every_frame():
    stamps = [n / 1000 for n in range(50)]
    assert admitted(stamps, 0.0) == stamps


def test_bag_that_loops_is_admitted_from_its_first_frame():
    stamps = [50.0, 50.1, 50.2, 10.0, 10.1, 10.2]
    assert admitted(stamps, 10.0) == stamps


def test_one_stamp_from_the_future_does_not_silence_the_camera():
    assert admitted([1.0, 900.0, 1.1, 1.2], 10.0) == [1.0, 900.0, 1.1, 1.2]


def test_after_a_gap_the_missed_frames_are_not_made_up_for():
    stamps = [0.0, *(10.0 + n / 100 for n in range(100))]
    assert len(admitted(stamps, 10.0)) <= 1 + 10 + 1


def test_higher_rate_holds_from_the_next_frame():
    throttle = Throttle()
    assert throttle.admit(0, 0.1)
    assert not throttle.admit(NANOSECONDS, 0.1)
    assert throttle.admit(2 * NANOSECONDS, 10.0)


def admitted_at(stamps_ns: list[int], fps: int, max_fps: float) -> int:
    """Return how many frames pass that arrive at `fps`."""
    clock, throttle = FrameClock(), Throttle()
    return sum(throttle.admit(clock.time_ns(stamp_ns, 10 ** 15 + n * NANOSECONDS // fps), max_fps)
               for n, stamp_ns in enumerate(stamps_ns))


@pytest.mark.parametrize('stamp_ns', [0, 5 * NANOSECONDS])
def test_stamps_that_stand_still_are_thinned_by_arrival(stamp_ns: int):
    assert admitted_at([stamp_ns] * 200, 20, 10.0) == pytest.approx(100, abs=2)


def test_frame_that_comes_twice_is_not_admitted_twice():
    assert admitted_at([n // 2 * 10 ** 8 for n in range(100)], 10 ** 5, 10.0) == 50


def test_stamps_that_move_again_are_followed_again():
    stamps = [5 * NANOSECONDS] * 20 + [6 * NANOSECONDS + n * 10 ** 8 for n in range(20)]
    assert admitted_at(stamps, 10, 10.0) >= 39


@pytest.mark.parametrize('stamp_ns, expected', [(0, False), (7, True)])
def test_clock_says_when_the_stamps_stand_still(stamp_ns: int, expected: bool):
    clock = FrameClock()
    for arrival_ns in range(STANDING_FRAMES + 1):
        assert not clock.stands_still
        clock.time_ns(stamp_ns, arrival_ns)
    assert clock.stands_still is expected
    clock.time_ns(stamp_ns + 1, 100)
    assert not clock.stands_still
