# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Order of frames by their wrapping numbers."""

from __future__ import annotations

from gsc_ros.nodes.sequence import Arrival, RESTART_AFTER, SequenceTracker
from hypothesis import given, strategies


def tracker_after(*numbers: int) -> SequenceTracker:
    tracker = SequenceTracker()
    for number in numbers:
        tracker.accept(7, number)
    return tracker


def test_first_frame_is_new_and_nothing_is_missing_before_it():
    tracker = SequenceTracker()
    assert tracker.classify(7, 4000) is Arrival.NEW
    assert tracker.accept(7, 4000) == 0


def test_gap_is_counted():
    assert tracker_after(4, 5).accept(7, 9) == 3


def test_same_number_again_is_a_duplicate():
    assert tracker_after(4, 5).classify(7, 4) is Arrival.DUPLICATE


def test_number_from_before_that_never_came_is_late():
    assert tracker_after(4, 9).classify(7, 5) is Arrival.LATE


def test_number_wraps_without_a_gap():
    tracker = tracker_after(2 ** 32 - 1)
    assert tracker.classify(7, 0) is Arrival.NEW
    assert tracker.accept(7, 0) == 0


def test_restarted_sender_begins_again():
    tracker = tracker_after(500)
    assert tracker.classify(8, 0) is Arrival.NEW
    assert tracker.accept(8, 0) == 0
    assert tracker.accept(8, 1) == 0


def test_looking_at_a_frame_moves_nothing():
    tracker = tracker_after(4)
    tracker.classify(99, 2 ** 31)
    assert tracker.classify(7, 5) is Arrival.NEW


@given(strategies.integers(0, 2 ** 32 - 1), strategies.integers(1, 2 ** 31 - 1))
def test_ahead_by_less_than_half_the_circle_is_new(start: int, ahead: int):
    tracker = tracker_after(start)
    assert tracker.classify(7, (start + ahead) % 2 ** 32) is Arrival.NEW
    assert tracker.accept(7, (start + ahead) % 2 ** 32) == ahead - 1


def offer(tracker: SequenceTracker, numbers: list[int], session: int = 7) -> list[int]:
    """Return the numbers that are taken."""
    taken = []
    for number in numbers:
        if tracker.classify(session, number) is Arrival.NEW:
            tracker.accept(session, number)
            taken.append(number)
        else:
            tracker.reject(number)
    return taken


def test_recording_that_loops_is_taken_again_after_a_while():
    recording = list(range(100, 150))
    tracker = SequenceTracker()
    assert offer(tracker, recording) == recording
    for _ in range(3):
        assert offer(tracker, recording) == recording[RESTART_AFTER:]


def test_one_wrong_number_far_ahead_does_not_silence_the_camera():
    tracker = tracker_after(20)
    later = list(range(21, 61))
    assert offer(tracker, [20_000, *later]) == [20_000, *later[RESTART_AFTER:]]


def test_new_beginning_counts_nothing_as_missing():
    tracker = tracker_after(20_000)
    offer(tracker, list(range(RESTART_AFTER)))
    assert tracker.accept(7, RESTART_AFTER) == 0


def test_frames_that_come_again_among_new_ones_begin_nothing():
    tracker = tracker_after(0)
    for number in range(1, 10 * RESTART_AFTER):
        assert offer(tracker, [number, number, number - 1]) == [number]


def test_same_old_frame_again_and_again_begins_nothing():
    tracker = tracker_after(4, 9)
    assert offer(tracker, [4] * 100 + [5] * 100) == []
