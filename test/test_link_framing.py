# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

from gsc_ros.codec.packet import cut as shorten
from gsc_ros.codec.packet import Packet, serialize
from gsc_ros.link.datagram.cutting import PartCut
from gsc_ros.link.datagram.framer import FrameFramer
from gsc_ros.link.datagram.framing import (
    Announcement,
    BulkPart,
    CameraAnnounce,
    code_encode_ms,
    Control,
    CONTROL_OVERHEAD_BYTES,
    decode_encode_ms,
    FLAG_SPLIT,
    FrameHeader,
    FramingError,
    head_byte,
    Heartbeat,
    Kind,
    MAX_PARTS,
    MAX_WANTED,
    parse,
    Part,
    Receipt,
    RepairBody,
)
from gsc_ros.link.datagram.packetizer import CameraPacketizer
from gsc_ros.link.datagram.splice import splice, unsplice
from gsc_ros.link.schedule.message import FrameMessage
from hypothesis import given, settings
from hypothesis import strategies as st
from link_wire import PlainWire
import pytest

CAMERA = CameraAnnounce(3, 'front', 'front_optical', 1, b'calibration')
ANNOUNCEMENT = Announcement(CAMERA, 0xBEEF, 1000, 1_750_000_000_123_456_789)
HEADER = FrameHeader(3, 1001, ANNOUNCEMENT.base_stamp_ns + 100_000_000, 20.0)


def cut(wire, packet, base=None):
    return FrameFramer(wire).cut(HEADER, ANNOUNCEMENT, packet, base)


@given(st.integers(23, 1500), st.integers(1, 5000), st.integers(0, 300))
def test_no_body_exceeds_its_room_and_the_whole_is_foretold(room, length, overhead):
    wire = PlainWire(room, overhead)
    planned = FrameFramer(wire).plan(HEADER, ANNOUNCEMENT, length, 0)
    bodies = wire.send(cut(wire, bytes(length)))
    assert all(len(body) <= room for _, body in bodies)
    assert planned == (len(bodies), sum(8 * len(body) + overhead for _, body in bodies))


def test_a_frame_costs_13_bytes_and_every_further_datagram_one_or_two():
    wire = PlainWire(256)
    [(_, body)] = wire.send(cut(wire, bytes(200)))
    assert len(body) == 200 + 13
    wire = PlainWire(120)
    bodies = wire.send(cut(wire, bytes(6000)))
    assert len(bodies) > 40
    assert sum(len(body) for _, body in bodies) == 6000 + 13 + 31 + 2 * (len(bodies) - 32)


def test_where_other_datagrams_come_between_a_further_one_costs_5_bytes():
    wire = PlainWire(120)
    bodies = wire.send(cut(wire, bytes(400)), gap=1)
    assert sum(len(body) for _, body in bodies) == 400 + 13 + 5 * (len(bodies) - 1)


def test_a_frame_of_too_many_parts_is_refused():
    wire = PlainWire(32)
    room = (32 - 13) + 31 * 31 + (MAX_PARTS - 32) * 30
    assert FrameFramer(wire).plan(HEADER, ANNOUNCEMENT, room, 0)[0] == MAX_PARTS
    assert len(wire.send(cut(wire, bytes(room)))) == MAX_PARTS
    assert FrameFramer(wire).plan(HEADER, ANNOUNCEMENT, room + 1, 0)[0] > MAX_PARTS
    with pytest.raises(FramingError):
        wire.send(cut(wire, bytes(room + 1)))
    with pytest.raises(FramingError):
        wire.send(PartCut(wire, Kind.BULK, b'id', bytes(256 * 28 + 1), True))


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
    Heartbeat(), Receipt(0xFFFFFFFF, 0x12345678, 0xFFFF, 0xFFFF, (0, 255)),
    Receipt(1, 2, 3, 4), Control(b''), Control(b'hello')])
def test_control_bodies_survive_the_trip(message):
    assert parse(message.pack()) == message


@pytest.mark.parametrize('body', [
    b'', b'\xb0', b'\xc0x', b'\xc1', b'\x40x', b'\x41', Receipt(1, 2, 3, 4).pack()[:-1],
    Receipt(1, 2, 3, 4, tuple(range(8))).pack() + b'x', b'\x20\x00x', b'\x20\x01', b'\x22\x01x',
    b'\x00\x01\x02\x03', b'\x10\x01\x02\x03\x04', b'\x18\x01\x02\x03\x04x', b'\x70\x01\x02\x03',
    b'\x61'])
def test_bodies_with_a_wrong_length_kind_or_flag_are_refused(body):
    with pytest.raises(FramingError):
        parse(body)


@pytest.mark.parametrize('kind', [Kind.REPEAT, Kind.PARITY, Kind.NACK])
def test_bodies_of_repair_are_left_to_it(kind):
    assert parse(bytes([head_byte(kind, 5), 1, 2])) == RepairBody(kind)


def test_a_part_of_a_bulk_message_tells_its_place():
    wire = PlainWire(32)
    parts = [parse(body) for _, body in wire.send(
        PartCut(wire, Kind.BULK, b'\x01\x02', bytes(range(70)), True))]
    assert [part.index for part in parts] == [0, 1, 2]
    assert [part.last for part in parts] == [False, False, True]
    assert all(isinstance(part, BulkPart) and part.message_id == 0x0102 for part in parts)
    assert b''.join(part.body for part in parts) == bytes(range(70))


def test_the_stated_overheads_are_true():
    assert len(Control(b'x' * 10).pack()) == 10 + CONTROL_OVERHEAD_BYTES
    receipt = Receipt(0, 0, 0, 0, tuple(range(MAX_WANTED)))
    assert len(receipt.pack()) == receipt.size


@settings(max_examples=500)
@given(st.binary(max_size=64))
def test_the_parser_is_total(data):
    for head in range(0, 256, 5):
        try:
            parse(bytes([head]) + data)
        except FramingError:
            pass


def test_a_part_tells_its_place():
    wire = PlainWire(64)
    first, second, last = (parse(body) for _, body in wire.send(cut(wire, bytes(150))))
    assert isinstance(first, Part)
    name = 1001 ^ ANNOUNCEMENT.hash
    assert (first.camera_id, first.key, first.index, first.kind) == (3, name, 0, Kind.FRAME)
    assert (second.kind, second.index, second.flags) == (Kind.CONTINUATION, 1, 0)
    assert (last.index, last.flags) == (2, 1)


@given(st.binary(min_size=1, max_size=400), st.integers(1, 400), st.data())
def test_a_splice_makes_the_whole_of_its_base(whole, length, data):
    base = bytearray(whole[:length])
    start = data.draw(st.integers(0, len(base)))
    for index in range(start, min(len(base), start + data.draw(st.integers(0, 40)))):
        base[index] ^= data.draw(st.integers(0, 255))
    spliced = splice(bytes(base), whole)
    if spliced is None:
        different = [at for at in range(len(base)) if base[at] != whole[at]]
        assert len(base) == len(whole) or (
            different[0] > 255 or different[-1] - different[0] >= 32)
    else:
        assert unsplice(bytes(base), spliced) == whole


def test_a_packet_is_split_where_the_whole_can_be_made_of_the_base():
    packet = Packet(
        profile_hash=1, width=1216, height=352, channels=(0, 1, 2), quantizer=2,
        stream=bytes(range(60)), region_count=2, regions=bytes(range(80)))
    whole = serialize(packet)
    ends = (12 + 20, 12 + 40, 12 + 60, *packet.region_ends((20, 80)))
    message = FrameMessage(
        3, 0, 1001, 7, HEADER.stamp_ns, ends, lambda layers: shorten(whole, layers, ends))
    wire = PlainWire(120)
    packetizer = CameraPacketizer(
        FrameFramer(wire), wire, lambda _: ANNOUNCEMENT, lambda _: True)
    # The first region would fit into the first datagram, too, but its number lies far in.
    first, *_ = wire.send(packetizer.begin(message, 5, 1, whole, 0))
    part = parse(first[1])
    assert part.flags & FLAG_SPLIT
    assert shorten(whole, 3, ends) in first[1]
    assert splice(shorten(whole, 4, ends), whole) is None
    assert len(shorten(whole, 4, ends)) <= FrameFramer(wire).base_room(HEADER, ANNOUNCEMENT, 0)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_a_splice_that_does_not_fit_is_refused_or_harmless(base, spliced):
    try:
        unsplice(base, spliced)
    except FramingError:
        pass


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
