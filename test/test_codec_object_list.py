# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The list of objects: six bytes an object, and nothing else is believed."""

from __future__ import annotations

from gsc_ros.codec.error import CodecError, PacketError
from gsc_ros.codec.region.object_list import (
    MAX_OBJECTS,
    ObjectBox,
    pack_objects,
    packed_bytes,
    packed_count,
    unpack_objects,
)
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

CAR = ObjectBox(2, 0.9, (0.25, 0.5, 0.35, 0.75))

shares = st.floats(0, 1, width=32)
spans = st.tuples(shares, shares).filter(lambda ends: ends[0] != ends[1]).map(sorted)
boxes = st.builds(lambda x, y: (x[0], y[0], x[1], y[1]), spans, spans)
lists = st.lists(
    st.builds(ObjectBox, st.integers(0, 255), shares, boxes), min_size=1, max_size=MAX_OBJECTS)
sides = st.integers(16, 8192)


@settings(max_examples=60, deadline=None)
@given(lists, sides, sides)
def test_objects_keep_their_order_and_class_and_about_their_place(objects, width, height):
    data = pack_objects(objects, width, height)
    found, used = unpack_objects(data + b'what follows', width, height)
    assert used == len(data) == packed_bytes(len(objects)) <= 6 * len(objects)
    assert [one.class_id for one in found] == [one.class_id for one in objects]
    for one, sent in zip(found, objects):
        assert abs(one.score - sent.score) <= 1 / 16
        for low, whole in ((0, width), (1, height)):
            side = sent.box[low + 2] - sent.box[low]
            # Half a step of the centre, and half of what the side is off.
            bound = 1 / 2048 + max(0.032 * side, 2 / whole)
            assert 0 <= one.box[low] < one.box[low + 2] <= 1
            for end in (low, low + 2):
                assert abs(one.box[end] - sent.box[end]) <= bound


def test_one_object_takes_six_bytes_and_none_takes_none():
    assert [len(pack_objects([CAR] * count, 1216, 352)) for count in (0, 1, 2, 8, 32)] == [
        0, 6, 12, 44, 173]


@pytest.mark.parametrize(('one', 'message'), [
    (ObjectBox(256, 0.5, CAR.box), 'class 256'), (ObjectBox(-1, 0.5, CAR.box), 'class -1'),
    (ObjectBox(0, 1.5, CAR.box), 'score'), (ObjectBox(0, float('nan'), CAR.box), 'score'),
    (ObjectBox(0, 1, (0.5, 0.5, 0.5, 0.6)), 'no box'),
    (ObjectBox(0, 1, (1.2, 0, 1.4, 1)), 'no box'),
    (ObjectBox(0, 1, (0, float('nan'), 1, 1)), 'no box')])
def test_an_object_out_of_range_is_not_written(one, message):
    with pytest.raises(CodecError, match=message):
        pack_objects([one], 1216, 352)


def test_what_reaches_beyond_the_image_is_cut_off():
    inside, beyond = (
        pack_objects([ObjectBox(0, 1, box)], 1216, 352)
        for box in ((0, 0, 0.5, 1), (-3, -0.1, 0.5, 9)))
    assert inside == beyond


def test_too_many_objects_are_refused():
    with pytest.raises(CodecError, match='33 objects'):
        pack_objects([CAR] * 33, 1216, 352)


@pytest.mark.parametrize('count', [1, 2, 7, 32])
def test_a_truncated_list_and_one_with_bits_at_its_end_are_refused(count):
    data = pack_objects([CAR] * count, 1216, 352)
    assert packed_count(data) == count
    for length in range(len(data)):
        with pytest.raises(PacketError, match='truncated'):
            unpack_objects(data[:length], 1216, 352)
    if 8 * len(data) > 5 + 43 * count:
        with pytest.raises(PacketError, match='padded'):
            unpack_objects(data[:-1] + bytes([data[-1] | 1]), 1216, 352)


@given(st.binary(max_size=200), sides, sides)
def test_any_bytes_give_objects_in_the_image_or_a_packet_error(data, width, height):
    try:
        objects, used = unpack_objects(data, width, height)
    except PacketError:
        return
    assert 1 <= len(objects) <= MAX_OBJECTS and used <= len(data)
    for one in objects:
        left, top, right, bottom = one.box
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    assert len(pack_objects(objects, width, height)) == used
