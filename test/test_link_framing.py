# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

from gsc_ros.link.framing import (
    Announcement,
    CameraAnnounce,
    code_encode_ms,
    Control,
    CONTROL_OVERHEAD_BYTES,
    decode_encode_ms,
    FrameFramer,
    FrameHeader,
    FramingError,
    Heartbeat,
    MAX_FRAGMENTS,
    MAX_WANTED,
    parse,
    Part,
    Receipt,
)
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

CAMERA = CameraAnnounce(3, 'front', 'front_optical', 1, b'calibration')
ANNOUNCEMENT = Announcement(CAMERA, 0xBEEF, 1000, 1_750_000_000_123_456_789)
HEADER = FrameHeader(3, 1001, ANNOUNCEMENT.base_stamp_ns + 100_000_000, 20.0)


@given(st.integers(32, 1500), st.integers(1, 5000), st.integers(0, 300))
def test_no_datagram_exceeds_the_mtu_and_sizes_are_foretold(mtu, length, overhead):
    framer = FrameFramer(mtu, overhead)
    sizes = framer.sizes(HEADER, ANNOUNCEMENT, length)
    datagrams = framer.cut_frame(HEADER, ANNOUNCEMENT, bytes(length))
    assert all(len(datagram) <= mtu for datagram in datagrams)
    assert sizes == [8 * len(datagram) + overhead for datagram in datagrams]


def test_a_whole_frame_costs_13_bytes_and_every_further_fragment_5():
    [datagram] = FrameFramer(256).cut_frame(HEADER, ANNOUNCEMENT, bytes(200))
    assert len(datagram) == 200 + 13
    datagrams = FrameFramer(128).cut_frame(HEADER, ANNOUNCEMENT, bytes(400))
    assert sum(map(len, datagrams)) == 400 + 14 + 5 * (len(datagrams) - 1)


def test_a_frame_of_too_many_fragments_is_refused():
    framer = FrameFramer(32)
    room = MAX_FRAGMENTS * (32 - 5) - 9
    assert len(framer.cut_frame(HEADER, ANNOUNCEMENT, bytes(room))) == MAX_FRAGMENTS
    assert len(framer.sizes(HEADER, ANNOUNCEMENT, room + 1)) > MAX_FRAGMENTS
    with pytest.raises(FramingError):
        framer.cut_frame(HEADER, ANNOUNCEMENT, bytes(room + 1))


@pytest.mark.parametrize('mtu', [0, 31, 1501])
def test_an_mtu_out_of_range_is_refused(mtu):
    with pytest.raises(ValueError):
        FrameFramer(mtu)


@given(
    st.integers(0, 255), st.text(max_size=60), st.text(max_size=60), st.integers(0, 255),
    st.binary(max_size=1000), st.integers(0, 0xFFFF), st.integers(0, (1 << 32) - 1),
    st.integers(-(1 << 63), (1 << 63) - 1))
def test_an_announcement_survives_the_trip(
        camera_id, name, frame_id, priority, calibration, session, sequence, stamp):
    camera = CameraAnnounce(camera_id, name, frame_id, priority, calibration)
    announcement = Announcement(camera, session, sequence, stamp)
    parsed = Announcement.parse(camera_id, announcement.pack())
    assert parsed == announcement
    assert parsed.hash == announcement.hash


def test_an_announcement_is_refused_when_any_bit_is_flipped_or_any_byte_is_missing():
    data = ANNOUNCEMENT.pack()
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FramingError):
            Announcement.parse(3, bytes(damaged))
    for length in range(len(data)):
        with pytest.raises(FramingError):
            Announcement.parse(3, data[:length])
    with pytest.raises(FramingError):
        Announcement.parse(4, data)


@pytest.mark.parametrize('camera', [
    CameraAnnounce(-1, 'a'), CameraAnnounce(256, 'a'), CameraAnnounce(0, 'a' * 256),
    CameraAnnounce(0, 'a', 'ä' * 128), CameraAnnounce(0, 'a', priority=256),
    CameraAnnounce(0, '\udc80'), CameraAnnounce(0, 'a', calibration=bytes(4000))])
def test_an_announcement_that_cannot_be_sent_says_why(camera):
    assert camera.defect()


def test_a_sound_announcement_has_no_defect():
    assert CAMERA.defect() is None


@pytest.mark.parametrize('message', [
    Heartbeat(0xFFFF, 7), Receipt(1, 0xFFFFFFFF, 0x12345678, 0xFFFF, (0, 255)),
    Receipt(1, 2, 3, 4), Control(9, b''), Control(9, b'hello')])
def test_control_datagrams_survive_the_trip_and_no_single_bit_error_does(message):
    datagram = message.pack()
    assert parse(datagram) == message
    for bit in range(8, 8 * len(datagram)):
        damaged = bytearray(datagram)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FramingError):
            parse(bytes(damaged))


def test_the_stated_overheads_are_true():
    assert len(Control(0, b'x' * 10).pack()) == 10 + CONTROL_OVERHEAD_BYTES
    receipt = Receipt(0, 0, 0, 0, tuple(range(MAX_WANTED)))
    assert len(receipt.pack()) == receipt.size


@settings(max_examples=500)
@given(st.binary(max_size=64))
def test_the_parser_is_total(data):
    for datagram in (data, bytes([0x40 | (data[0] & 0x3F if data else 0)]) + data):
        try:
            parse(datagram)
        except FramingError:
            pass


def test_a_part_tells_its_place():
    first, *_, last = map(parse, FrameFramer(64).cut_frame(HEADER, ANNOUNCEMENT, bytes(150)))
    assert isinstance(first, Part)
    assert (first.camera_id, first.key, first.index) == (3, 1001, 0)
    assert last.flags == 1
    assert last.index == 2


@given(st.floats(0, 119_000))
def test_the_encode_time_is_within_a_quarter_millisecond_or_3_2_percent(encode_ms):
    decoded = decode_encode_ms(code_encode_ms(encode_ms))
    assert abs(decoded - encode_ms) <= max(0.125, encode_ms * 0.0323)


@pytest.mark.parametrize('encode_ms', [math.nan, math.inf, -math.inf, -1.0])
def test_an_encode_time_that_makes_no_sense_is_unknown_at_the_far_end(encode_ms):
    assert math.isnan(decode_encode_ms(code_encode_ms(encode_ms)))


def test_a_very_long_encode_time_saturates():
    assert decode_encode_ms(code_encode_ms(1e9)) == pytest.approx(119_000, rel=0.033)


def test_every_code_of_the_encode_time_but_unknown_is_a_larger_one():
    times = [decode_encode_ms(code) for code in range(255)]
    assert times == sorted(set(times))
