# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stream is coded at the pace at which the link takes it."""

from __future__ import annotations

from gsc_ros.nodes.sequence import MODULUS
from gsc_ros.nodes.turn import PATIENCE_S, Turn


def test_the_newest_image_is_held_until_the_link_has_taken_the_last_frame():
    turn: Turn[str] = Turn()
    assert turn.offer('a', 0, 0.0) == ('a', False)
    assert turn.awaited == 0
    assert turn.offer('b', 0, 0.1) == (None, False)
    assert turn.offer('c', 1, 0.2) == (None, True)
    assert turn.taken(0, 1, 0.3) == 'c'
    assert turn.offer('d', 1, 0.4) == (None, False)
    assert turn.taken(1, 2, 0.5) == 'd'
    assert turn.taken(2, 3, 0.6) is None
    assert turn.offer('e', 3, 0.7) == ('e', False)


def test_a_notice_about_an_earlier_frame_changes_nothing():
    turn: Turn[str] = Turn()
    turn.offer('a', 5, 0.0)
    turn.offer('b', 5, 0.1)
    assert turn.taken(4, 5, 0.2) is None
    assert turn.taken(5, 6, 0.2) == 'b'


def test_a_notice_about_a_later_frame_is_good_too():
    turn: Turn[str] = Turn()
    turn.offer('a', MODULUS - 1, 0.0)
    turn.offer('b', MODULUS - 1, 0.1)
    assert turn.taken(0, 1, 0.2) == 'b'


def test_a_stream_that_begins_anew_waits_for_no_earlier_frame():
    turn: Turn[str] = Turn()
    turn.offer('a', 0, 0.0)
    turn.offer('b', 0, 0.1)
    assert turn.end(1, 0.2) == 'b'
    assert turn.offer('c', 1, 0.3) == (None, False)
    turn.taken(1, 2, 0.4)
    assert turn.end(2, 0.5) is None
    assert turn.offer('d', 2, 0.6) == ('d', False)


def test_a_frame_that_nobody_speaks_of_is_not_waited_for_for_ever():
    turn: Turn[str] = Turn()
    turn.offer('a', 0, 0.0)
    assert turn.offer('b', 1, PATIENCE_S) == (None, False)
    assert turn.offer('c', 1, PATIENCE_S + 1) == ('c', True)


def test_nothing_is_held_over_a_stop():
    turn: Turn[str] = Turn()
    turn.offer('a', 0, 0.0)
    turn.offer('b', 0, 0.1)
    turn.stop()
    assert turn.taken(0, 1, 0.2) is None
    assert turn.offer('c', 1, 0.3) == ('c', False)
