# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the bridges tell each other beside the frames, as bytes of the link."""

from __future__ import annotations

from gsc_ros.msg import GscRegion, RegionNotice
from gsc_ros.nodes.back_channel import (
    ASK_PERIOD_S,
    ask_period_s,
    pack_text,
    RefreshRequest,
    take_text,
)
from gsc_ros.nodes.region import Box, Outcome
from gsc_ros.nodes.region_message import RegionAnswer, RegionAsk, RegionWord
from gsc_ros.nodes.remote_parameter import ParameterAnswer, ParameterChange
from hypothesis import given
from hypothesis.strategies import (
    binary,
    booleans,
    builds,
    floats,
    integers,
    just,
    one_of,
    sampled_from,
    text,
)
import pytest

BYTE, SHORT, LONG = integers(0, 2 ** 8 - 1), integers(0, 2 ** 16 - 1), integers(0, 2 ** 32 - 1)
STAMP = integers(-2 ** 31 * 10 ** 9, 2 ** 31 * 10 ** 9 - 1)
NAME = text(max_size=60)
MESSAGES = one_of(
    builds(RefreshRequest, BYTE, SHORT, LONG),
    builds(RegionAsk, SHORT, NAME, STAMP, builds(
        Box, SHORT, SHORT, integers(1, 65535), integers(1, 65535)), integers(1, 100), LONG),
    builds(RegionWord, SHORT, sampled_from(Outcome)),
    builds(RegionAnswer, SHORT, NAME, STAMP, NAME, just(Box(5, 7, 16, 30)), just(64), just(48),
           binary(min_size=1, max_size=60)),
    builds(ParameterChange, LONG, NAME, one_of(
        booleans(), integers(-2 ** 63, 2 ** 63 - 1), floats(allow_nan=False), text(max_size=60))),
    builds(ParameterAnswer, LONG, booleans(), text(max_size=30)))
TYPES = (RefreshRequest, RegionAsk, RegionWord, RegionAnswer, ParameterChange, ParameterAnswer)


@given(MESSAGES)
def test_a_message_survives_the_link_and_is_taken_for_no_other(message: object):
    data = message.pack()
    found = [parsed for kind in TYPES if (parsed := kind.parse(data)) is not None]
    assert found == [message]


@given(one_of(binary(max_size=80), MESSAGES.map(lambda message: message.pack()[:-1])))
def test_any_bytes_are_a_message_or_none(data: bytes):
    for kind in TYPES:
        message = kind.parse(data)
        assert message is None or message.pack() == data


@given(MESSAGES, BYTE)
def test_what_follows_a_message_makes_another_or_none_of_it(message: object, more: int):
    data = message.pack() + bytes([more])
    for kind in TYPES:
        parsed = kind.parse(data)
        assert parsed is None or parsed.pack() == data


@pytest.mark.parametrize('change', [
    {'box': Box(5, 7, 15, 30)}, {'box': Box(50, 7, 16, 30)}, {'box': Box(5, 7, 16, 42)},
    {'image_width': 9000}, {'payload': b''},
    {'stamp_ns': 2 ** 31 * 10 ** 9}])
def test_an_answer_that_cannot_be_is_none(change: dict[str, object]):
    fields = {'number': 1, 'camera': 'front', 'stamp_ns': 1, 'frame_id': '', 'image_width': 64,
              'image_height': 48, 'box': Box(5, 7, 16, 30), 'payload': b'x'}
    assert RegionAnswer.parse(RegionAnswer(**fields).pack()) is not None
    assert RegionAnswer.parse(RegionAnswer(**(fields | change)).pack()) is None


@pytest.mark.parametrize('change', [
    {'quality': 0}, {'quality': 101}, {'box': Box(0, 0, 0, 5)}, {'box': Box(0, 0, 5, 0)},
    {'stamp_ns': -2 ** 31 * 10 ** 9 - 1}])
def test_a_request_out_of_range_is_none(change: dict[str, object]):
    fields = {'number': 1, 'camera': 'front', 'stamp_ns': 1, 'box': Box(0, 0, 5, 5), 'quality': 50,
              'ttl_ms': 0}
    assert RegionAsk.parse(RegionAsk(**fields).pack()) is not None
    assert RegionAsk.parse(RegionAsk(**(fields | change)).pack()) is None


def test_an_answer_larger_than_the_link_takes_is_refused():
    with pytest.raises(ValueError, match='65536'):
        RegionAnswer(1, 'front', 1, '', Box(0, 0, 16, 16), 16, 16, bytes(65536)).pack()


def test_texts_have_at_most_255_bytes():
    assert take_text(pack_text('x' * 255), 0) == ('x' * 255, 256)
    with pytest.raises(ValueError, match='256'):
        pack_text('x' * 256)
    for cut in (b'', b'\x02a', b'\x01\xff'):
        with pytest.raises(ValueError):
            take_text(cut, 0)


def test_the_topics_number_outcomes_as_the_link_does():
    for outcome in Outcome:
        assert getattr(RegionNotice, outcome.name) == outcome
        assert getattr(GscRegion, outcome.name, outcome) == outcome
    assert GscRegion.NONE == 0


def test_requests_leave_most_of_a_thin_way_back_to_receipts():
    assert ask_period_s(1, 2000, 144) == ASK_PERIOD_S
    assert ask_period_s(1, 72, 144) == 8.0
    assert ask_period_s(2, 72, 144) == 16.0
    assert ask_period_s(1, 72, 288) == 16.0
