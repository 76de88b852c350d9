# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a stream wait for repairs: in order, not for ever, and in bounded memory."""

from __future__ import annotations

from gsc_ros.nodes.sequence import MODULUS
from gsc_ros.nodes.stream_wait import Held, StreamWait
from hypothesis import given
from hypothesis.strategies import integers, lists, permutations, sampled_from, tuples
import pytest

SESSION = 7
WAIT_S = 2.0
PERIOD_S = 0.1


class Receiver:
    """Decodes what it can, as the receiver does, but without pictures."""

    def __init__(self, wait_s: float = WAIT_S, **bounds: int) -> None:
        self.wait: StreamWait[int] = StreamWait(wait_s, **bounds)
        self.decoded: list[int] = []
        self.abandoned: list[int] = []
        self.lost: list[int] = []
        self.complaints: list[int] = []
        self.place: tuple[int, int] | None = None

    def take(self, sequence: int, now_s: float, alone: bool = False,
             session: int = SESSION, size: int = 100) -> None:
        """Take a frame that is newer than all decoded before."""
        if self.wait.holds(session, sequence):
            return
        if alone or self.place == (session, (sequence - 1) % MODULUS):
            followers = self.wait.followers(session, sequence)
            self._pass(session, sequence, now_s)
            for held in followers:
                self._pass(held.session, held.sequence, held.arrived_s)
        else:
            self.abandoned += sequences(
                self.wait.hold(Held(session, sequence, now_s, size, sequence)))
        self.look(now_s)

    def look(self, now_s: float) -> None:
        lost = sequences(self.wait.lost(now_s))
        self.lost += lost
        self.complaints += lost[-1:]

    def _pass(self, session: int, sequence: int, now_s: float) -> None:
        self.abandoned += sequences(self.wait.passed(session, sequence, now_s))
        self.decoded.append(sequence)
        self.place = session, sequence


def sequences(frames: list[Held[int]]) -> list[int]:
    return [frame.sequence for frame in frames]


def receiver_after(*numbers: int, **options: float) -> Receiver:
    """Return a receiver that has decoded frames which came one period after the other."""
    receiver = Receiver(**options)
    for place, number in enumerate(numbers):
        receiver.take(number, place * PERIOD_S, alone=place == 0)
    return receiver


@pytest.mark.parametrize('first', [0, MODULUS - 3])
def test_a_repaired_frame_is_followed_by_those_that_waited_in_order(first: int):
    numbers = [(first + ahead) % MODULUS for ahead in range(8)]
    receiver = receiver_after(*numbers[:2])
    for place in (3, 5, 4, 6):
        receiver.take(numbers[place], place * PERIOD_S)
    assert receiver.decoded == numbers[:2] and len(receiver.wait) == 4
    receiver.take(numbers[2], 1.0)
    receiver.take(numbers[7], 1.1)
    assert receiver.decoded == numbers
    assert (len(receiver.wait), receiver.lost, receiver.wait.deadline_s) == (0, [], None)


@given(permutations(range(1, 12)))
def test_whatever_the_order_all_frames_are_decoded_in_theirs(order: list[int]):
    receiver = receiver_after(0)
    for place, number in enumerate(order):
        receiver.take(number, place * PERIOD_S)
    assert receiver.decoded == list(range(12))


def test_the_wait_is_counted_from_when_the_missing_frame_should_have_come():
    receiver = receiver_after(0)
    receiver.take(4, 0.8)  # 1, 2 and 3 should have come at 0.2, 0.4 and 0.6
    receiver.take(5, 1.0)
    receiver.look(0.2 + WAIT_S - 0.01)
    assert receiver.lost == []
    receiver.look(0.2 + WAIT_S)
    assert receiver.lost == [4, 5] and receiver.complaints == [5]


def test_after_a_silence_that_is_longer_than_the_wait_nothing_is_waited_for():
    receiver = receiver_after(0)
    receiver.take(600, 60.0)
    assert receiver.complaints == [600]


def test_one_loss_brings_complaints_only_of_frames_that_hang_on_it():
    """While a frame that stands alone is missing, what refers to it is not complained of."""
    receiver = receiver_after(0)
    for number in (2, 3, 5, 6):  # 1 is lost, and 4, which stands alone
        receiver.take(number, number * PERIOD_S)
    receiver.look(0.1 + WAIT_S)
    assert receiver.complaints == [3]
    receiver.take(4, 2.2, alone=True)
    receiver.look(10.0)
    assert receiver.complaints == [3] and receiver.decoded == [0, 4, 5, 6]


def test_what_refers_to_a_frame_that_was_given_up_is_complained_of_at_once():
    receiver = receiver_after(0)
    receiver.take(2, 0.2)
    receiver.look(3.0)
    receiver.take(3, 3.1)
    assert receiver.complaints == [2, 3]
    receiver.take(5, 3.3)  # 4 may stand alone
    assert receiver.complaints == [2, 3]
    receiver.take(4, 3.4)  # it does not
    assert receiver.complaints == [2, 3, 5]


def test_a_frame_that_stands_alone_ends_the_wait_of_older_ones_without_a_complaint():
    receiver = receiver_after(0)
    for number in (2, 3, 7):
        receiver.take(number, number * PERIOD_S)
    receiver.take(5, 0.9, alone=True)
    assert receiver.abandoned == [2, 3] and len(receiver.wait) == 1
    receiver.take(6, 1.0)
    receiver.look(10.0)
    assert receiver.decoded == [0, 5, 6, 7] and receiver.complaints == []


def test_a_receiver_that_begins_in_mid_stream_waits_for_nothing():
    receiver = Receiver()
    receiver.take(40, 0.0)
    assert receiver.complaints == [40]


def test_without_a_wait_every_frame_is_complained_of_at_once():
    receiver = receiver_after(0, wait_s=0.0)
    receiver.take(2, 0.2)
    receiver.take(3, 0.3)
    receiver.take(9, 0.9)
    assert receiver.complaints == [2, 3, 9]


def test_a_sender_that_restarts_ends_the_wait_and_may_lose_its_first_frame():
    receiver = receiver_after(0)
    receiver.take(2, 0.2)
    receiver.take(1, 0.3, session=SESSION + 1)
    assert receiver.abandoned == [2] and receiver.complaints == []
    receiver.take(0, 0.4, alone=True, session=SESSION + 1)
    assert receiver.decoded == [0, 0, 1] and receiver.complaints == []
    assert receiver.abandoned == [2]


def test_a_recording_that_loops_ends_the_wait():
    receiver = receiver_after(*range(10))
    for number in (11, 12):
        receiver.take(number, number * PERIOD_S)
    receiver.take(5, 1.5, alone=True)  # what is old is not decoded here: numbers begin again
    receiver.take(6, 1.6)
    assert receiver.abandoned == [11, 12] and receiver.decoded[-2:] == [5, 6]
    assert receiver.wait.deadline_s is None


def test_a_frame_that_waits_may_come_again():
    receiver = receiver_after(0)
    for number in (2, 2, 3, 2, 1):
        receiver.take(number, 0.2)
    assert receiver.decoded == [0, 1, 2, 3]


@pytest.mark.parametrize('bounds', [{'max_frames': 5}, {'max_bytes': 500}])
def test_more_than_may_wait_is_given_up(bounds: dict[str, int]):
    receiver = receiver_after(0, **bounds)
    for number in range(2, 7):
        receiver.take(number, 0.2)
    assert len(receiver.wait) == 5 and receiver.complaints == []
    receiver.take(7, 0.2)
    assert len(receiver.wait) == 0 and receiver.complaints == [7]


@given(lists(tuples(integers(0, 20), sampled_from([0, MODULUS // 2, MODULUS - 4]),
                    sampled_from([1, 2]), integers(0, 9)), max_size=60))
def test_whatever_arrives_the_bounds_hold_and_no_frame_counts_twice(
        frames: list[tuple[int, int, int, int]]):
    receiver = Receiver(max_frames=6, max_bytes=1000)
    for place, (offset, origin, session, kind) in enumerate(frames):
        receiver.take((origin + offset) % MODULUS, place * PERIOD_S, kind == 0, session)
        assert len(receiver.wait) <= 6
        assert (receiver.wait.deadline_s is None) == (len(receiver.wait) == 0)
    receiver.look(1e9)
    counted = len(receiver.decoded) + len(receiver.lost) + len(receiver.abandoned)
    assert len(receiver.wait) == 0 and counted <= len(frames)
