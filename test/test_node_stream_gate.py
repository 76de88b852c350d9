# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No frame takes link time that refers to one which never left, and the stream recovers."""

from __future__ import annotations

from gsc_ros.codec.packet import checksum, Packet, parse, serialize
from gsc_ros.nodes.sequence import MODULUS
from gsc_ros.nodes.stream_gate import ASK_AGAIN_S, StreamFrame, StreamGate
from hypothesis import given
from hypothesis.strategies import integers, lists, tuples
import pytest

SESSION = 7


class Stream:
    """A sender that numbers its frames and lets each refer to the one before."""

    def __init__(self, first: int = 0) -> None:
        self.gate = StreamGate()
        self.sequence = first - 1
        self.last: bytes | None = None

    def code(self, alone: bool = False) -> bytes:
        self.sequence = (self.sequence + 1) % MODULUS
        reference = None if alone or self.last is None else checksum(self.last)
        self.last = serialize(Packet(
            profile_hash=0, width=64, height=64, channels=(0,), quantizer=0,
            stream=self.sequence.to_bytes(4, 'big'), stream_reference=reference))
        return self.last

    def offer(self, alone: bool = False, cuttable: bool = False) -> StreamFrame | None:
        payload = self.code(alone)
        return self.gate.admit(SESSION, self.sequence, parse(payload), payload, cuttable)

    def send(self, alone: bool = False) -> StreamFrame | None:
        frame = self.offer(alone)
        if frame is not None:
            self.gate.leaves(frame)
        return frame


@pytest.mark.parametrize('first', [0, MODULUS - 2])
def test_frames_whose_reference_has_left_pass(first: int):
    stream = Stream(first)
    assert all(stream.send() is not None for _ in range(5))
    assert (stream.gate.refused, stream.gate.broken, stream.gate.ask(0.0)) == (0, False, False)


def test_a_frame_whose_reference_still_waits_is_refused():
    stream = Stream()
    waiting = stream.offer()
    assert stream.offer() is None
    stream.gate.leaves(waiting)
    assert stream.offer() is None
    assert stream.gate.refused == 2
    assert stream.send(alone=True) and stream.send()


def test_after_a_frame_that_the_link_dropped_only_one_that_stands_alone_passes():
    stream = Stream()
    stream.send()
    stream.gate.dropped(stream.offer())
    assert stream.gate.broken
    assert stream.send() is None and stream.send() is None
    assert stream.send(alone=True) and stream.send()
    assert not stream.gate.broken


def test_a_frame_that_one_which_stands_alone_has_pushed_out_breaks_nothing():
    stream = Stream()
    waiting = stream.offer()
    stream.send(alone=True)
    stream.gate.dropped(waiting)
    assert stream.send()


def test_a_frame_that_the_link_may_cut_is_no_reference():
    stream = Stream()
    stream.gate.leaves(stream.offer(cuttable=True))
    assert stream.send() is None


def test_a_dropped_frame_that_nothing_refers_to_breaks_nothing():
    stream = Stream()
    stream.gate.dropped(stream.offer(cuttable=True))
    assert not stream.gate.broken


def test_a_frame_is_chained_if_it_or_the_one_before_refers_to_another():
    stream = Stream()
    frames = [stream.send(alone=True), stream.send(alone=True), stream.send(), stream.send(),
              stream.send(alone=True), stream.send(alone=True), stream.send(),
              stream.offer(alone=True, cuttable=True)]
    assert [frame.chained for frame in frames] == [
        False, False, True, True, True, False, True, False]


def test_a_frame_of_another_session_or_out_of_order_is_refused():
    stream = Stream()
    stream.send()
    payload = stream.code()
    packet = parse(payload)
    assert stream.gate.admit(SESSION + 1, stream.sequence, packet, payload, False) is None
    stream.send(alone=True)
    stream.code()
    assert stream.send() is None


def test_it_asks_at_once_and_then_once_per_period_until_a_frame_stands_alone():
    stream = Stream()
    stream.gate.dropped(stream.offer())
    times = [0.0, 0.1, ASK_AGAIN_S - 0.1, ASK_AGAIN_S, 2 * ASK_AGAIN_S + 0.1]
    assert [stream.gate.ask(now) for now in times] == [True, False, False, True, True]
    assert stream.gate.refreshes == 3
    stream.send(alone=True)
    assert not stream.gate.ask(10.0)
    stream.gate.dropped(stream.offer())
    assert stream.gate.ask(10.1)


def test_a_complaint_is_settled_by_a_frame_that_stands_alone_and_left_after_it():
    stream = Stream()
    for _ in range(5):
        stream.send()
    stream.gate.complain(SESSION + 1, 3)
    stream.gate.complain(SESSION, 0)
    assert not stream.gate.broken
    stream.gate.complain(SESSION, 3)
    assert stream.gate.broken and stream.send() is None
    alone = stream.send(alone=True)
    stream.gate.complain(SESSION, 4)
    stream.gate.complain(SESSION, alone.sequence)
    assert not stream.gate.broken
    assert stream.send()


def test_a_gate_that_has_seen_no_start_refuses_and_asks():
    stream = Stream()
    stream.code()
    stream.gate.complain(SESSION, 0)
    assert stream.send() is None
    assert stream.gate.ask(0.0)


@given(lists(tuples(integers(0, 5), integers(0, 3)), max_size=60))
def test_whatever_happens_every_frame_that_leaves_can_be_decoded(events: list[tuple[int, int]]):
    """Also without a sender that waits for its turn, and with a link that drops as it likes."""
    stream = Stream()
    decodable: set[bytes] = set()
    waiting: tuple[StreamFrame, bytes] | None = None
    for event, delay in events:
        if event == 0 and waiting is not None:
            frame, payload = waiting
            reference = parse(payload).stream_reference
            assert reference is None or reference in {checksum(data) for data in decodable}
            decodable = {payload}
            stream.gate.leaves(frame)
            waiting = None
        elif event == 1 and waiting is not None:
            stream.gate.dropped(waiting[0])
            waiting = None
        elif event == 2:
            stream.gate.complain(SESSION, (stream.sequence - delay) % MODULUS)
        elif event >= 3:
            frame = stream.offer(alone=stream.gate.ask(1e9) or event == 5)
            if frame is not None:
                superseded, waiting = waiting, (frame, stream.last)
                if superseded is not None:
                    stream.gate.dropped(superseded[0])
