# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The packet: what goes in comes out, and nothing else is believed."""

from __future__ import annotations

import binascii
from dataclasses import replace
import math
from pathlib import Path
import re

from gsc_ros.codec import packet as wire
from gsc_ros.codec.context import REGION_GROUPS
from gsc_ros.codec.error import CodecError, PacketError
from gsc_ros.codec.region import grid, object_list
from gsc_ros.codec.region.object_list import ObjectBox, pack_objects
from hypothesis import example, given, settings
from hypothesis import strategies as st
import pytest

DOCUMENT = Path(__file__).resolve().parent.parent / 'docs' / 'wire.md'

channel_sets = st.one_of(
    st.integers(1, 320).map(lambda count: tuple(range(count))),
    st.sets(st.integers(0, 319), min_size=1, max_size=320).map(lambda s: tuple(sorted(s))))
captions = st.one_of(
    st.just((b'', None)), st.tuples(st.binary(max_size=300), st.integers(0, 255)))
object_lists = st.lists(
    st.builds(ObjectBox, st.integers(0, 255), st.just(0.5), st.just((0, 0, 1, 0.5))), max_size=32,
).map(lambda objects: pack_objects(objects, 64, 64))
regions = st.one_of(
    st.just((0, b'')), st.tuples(st.integers(1, 32), st.binary(max_size=200)))
packets = st.builds(
    lambda caption, regions, **fields: wire.Packet(
        text=caption[0], caption_id=caption[1], region_count=regions[0], regions=regions[1],
        **fields),
    caption=captions, regions=regions, objects=object_lists,
    stream_reference=st.none() | st.integers(0, 0xFFFF),
    profile_hash=st.integers(0, 0xFFFF), width=st.integers(16, 8192),
    height=st.integers(16, 8192), channels=channel_sets, quantizer=st.integers(0, 15),
    seed=st.integers(0, 255), stream=st.binary(max_size=300))


def with_checksum(data: bytes) -> bytes:
    """Return a packet whose checksum is right."""
    blank = data[:10] + b'\0\0' + data[12:]
    return data[:10] + binascii.crc_hqx(blank, 0xFFFF).to_bytes(2, 'big') + data[12:]


ORDINARY = wire.Packet(
    profile_hash=0x1234, width=1216, height=352, channels=tuple(range(32)), quantizer=2,
    stream=b'stream')


@given(packets)
def test_a_packet_survives_its_bytes(packet):
    data = wire.serialize(packet)
    assert wire.parse(data) == packet
    assert sum(packet.section_sizes().values()) == len(data)


@given(st.binary(max_size=64))
@example(b'')
def test_any_bytes_give_a_packet_or_a_packet_error(data):
    try:
        wire.parse(data)
    except PacketError:
        pass


@settings(max_examples=300)
@given(packets, st.binary(min_size=12, max_size=80))
def test_any_bytes_with_a_right_checksum_give_a_packet_or_a_packet_error(packet, noise):
    data = bytearray(wire.serialize(packet))
    data[1:1 + len(noise[:30])] = noise[:30]
    try:
        found = wire.parse(with_checksum(bytes(data)))
    except PacketError:
        return
    assert wire.serialize(found) == with_checksum(bytes(data))


def test_an_ordinary_header_takes_12_bytes():
    assert len(wire.serialize(replace(ORDINARY, stream=b''))) == wire.HEADER_BYTES == 12


FULL = replace(
    ORDINARY, text=b'text', caption_id=9, channels=(3, 7, 200), region_count=3, regions=b'regions',
    objects=pack_objects([ObjectBox(1, 1, (0, 0, 1, 1))], 1216, 352))


def test_a_packet_truncated_anywhere_is_refused():
    data = wire.serialize(FULL)
    for length in range(len(data)):
        with pytest.raises(PacketError):
            wire.parse(data[:length])


def test_a_packet_with_any_bit_flipped_is_refused():
    data = wire.serialize(FULL)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PacketError):
            wire.parse(bytes(damaged))


@pytest.mark.parametrize(('offset', 'value', 'message'), [
    (0, 0x51, 'magic'), (0, 0xA2, 'version 2'), (1, 0x04, 'length of the regions'),
    (1, 0x20, 'list of objects'), (1, 0x40, 'flags 0x40'), (1, 0x80, 'flags 0x80'),
    (8, 0x01, 'reserved'), (1, 0x01, 'caption id is truncated'), (1, 0x08, 'truncated'),
    (1, 0x09, 'exclude'), (1, 0x10, 'reference to another packet is truncated')])
def test_a_malformed_header_is_refused_with_its_reason(offset, value, message):
    data = bytearray(wire.serialize(replace(ORDINARY, stream=b'')))
    data[offset] = value
    with pytest.raises(PacketError, match=message):
        wire.parse(with_checksum(bytes(data)))


@pytest.mark.parametrize('length', [b'\x00', b'\x80', b'\x80\x00', b'\x81\x00', b'\xff\x7f'])
def test_a_malformed_text_length_is_refused(length):
    data = bytearray(wire.serialize(replace(ORDINARY, stream=b'')))
    data[1] = wire.FLAG_TEXT
    with pytest.raises(PacketError):
        wire.parse(with_checksum(bytes(data) + b'\0' + length))


def test_a_caption_reference_is_one_byte_and_a_stream_reference_two():
    plain = len(wire.serialize(ORDINARY))
    caption = replace(ORDINARY, caption_id=200)
    stream = replace(ORDINARY, stream_reference=0xBEEF)
    assert (caption.caption_reference, ORDINARY.caption_reference) == (True, False)
    assert caption.section_sizes()['text'] == 1
    assert stream.section_sizes()['header'] == 14
    assert [len(wire.serialize(packet)) - plain for packet in (caption, stream)] == [1, 2]


def test_a_packet_is_referred_to_by_the_checksum_it_carries():
    data = wire.serialize(ORDINARY)
    assert wire.checksum(data).to_bytes(2, 'big') == data[10:12]


def test_a_packet_of_a_stream_is_one_layer_and_is_not_cut():
    data = wire.serialize(replace(ORDINARY, stream_reference=1))
    assert wire.parse(data).layer_counts == (32,)
    assert wire.cut(data, 1, (len(data),)) == data
    for layers, ends in ((2, (len(data),)), (1, (len(data) - 1,)), (1, (15, len(data)))):
        with pytest.raises(PacketError):
            wire.cut(data, layers, ends)


def test_a_packet_with_a_single_end_stays_whole_whatever_its_channels():
    data = wire.serialize(ORDINARY)
    assert wire.cut(data, 1, (len(data),)) == data


def test_the_first_channels_need_no_bytes_and_may_not_be_named():
    data = bytearray(wire.serialize(replace(ORDINARY, stream=b'')))
    data[1] = wire.FLAG_CHANNEL_SET
    first = wire.rank_channels(range(32)).to_bytes(wire.channel_set_bytes(32), 'big')
    with pytest.raises(PacketError, match='explicitly'):
        wire.parse(with_checksum(bytes(data) + first))


def test_a_channel_set_beyond_the_last_is_refused():
    data = bytearray(wire.serialize(replace(ORDINARY, stream=b'')))
    data[1] = wire.FLAG_CHANNEL_SET
    beyond = math.comb(320, 32).to_bytes(wire.channel_set_bytes(32), 'big')
    with pytest.raises(PacketError, match='rank'):
        wire.parse(with_checksum(bytes(data) + beyond))


@given(channel_sets)
def test_a_channel_set_survives_its_rank(channels):
    rank = wire.rank_channels(channels)
    assert rank < math.comb(320, len(channels))
    assert wire.unrank_channels(rank, len(channels)) == channels


@pytest.mark.parametrize('change', [
    {'width': 15}, {'height': 8193}, {'quantizer': 16}, {'seed': 256}, {'channels': (1, 1)},
    {'channels': (2, 1)}, {'channels': (320,)}, {'channels': (-1, 3)}, {'profile_hash': 1 << 16},
    {'text': bytes(4096), 'caption_id': 0}, {'text': b'text'}, {'caption_id': 256},
    {'stream_reference': 1 << 16}, {'region_count': 33}, {'region_count': -1},
    {'regions': b'regions'}, {'objects': bytes(5)}, {'objects': bytes(7)}])
def test_a_field_out_of_range_is_not_written(change):
    with pytest.raises(CodecError):
        wire.serialize(replace(ORDINARY, **change))


def test_layers_end_with_the_last_channel():
    assert wire.layer_counts(1) == (1,)
    assert wire.layer_counts(5) == (1, 2, 3, 4, 5)
    assert wire.layer_counts(320) == wire.LAYERS


def test_cutting_keeps_the_head_and_the_first_channels():
    packet = replace(ORDINARY, channels=(3, 7, 200), text=b'text', caption_id=9, stream=b'abcdef')
    data = wire.serialize(packet)
    head = 12 + 6
    ends = (head + 2 + 1, head + 2 + 3, len(data))
    assert wire.channel_set_bytes(1) == 2
    short = wire.cut(data, 1, ends)
    assert wire.parse(short) == replace(packet, channels=(3,), stream=b'a')
    assert len(short) == ends[0]
    assert wire.cut(data, 3, ends) == data
    assert wire.cut(short, 1, ends[:1]) == short


def test_cutting_takes_away_regions_before_channels():
    packet = replace(FULL, channels=(0, 1, 2), stream=b'abcdef', regions=b'a' * 200)
    data = wire.serialize(packet)
    head = 12 + 6 + 6
    # Of 127 bytes the length takes one byte, of 200 two.
    ends = (head + 1, head + 3, head + 6, *packet.region_ends((5, 127, 200)))
    assert ends[3:] == (head + 6 + 2 + 5, head + 6 + 2 + 127, head + 6 + 3 + 200)
    assert ends[-1] == len(data) and packet.layers == len(ends)
    none = {'region_count': 0, 'regions': b''}
    kept = [
        {'channels': (0,), 'stream': b'a', **none}, {'channels': (0, 1), 'stream': b'abc', **none},
        none, {'region_count': 1, 'regions': b'a' * 5}, {'region_count': 2, 'regions': b'a' * 127},
        {}]
    for layers, (end, change) in enumerate(zip(ends, kept), 1):
        short = wire.cut(data, layers, ends)
        assert len(short) == end and wire.parse(short) == replace(packet, **change)
        # What is cut can be cut again.
        for fewer in range(1, layers + 1):
            assert wire.cut(short, fewer, ends[:layers]) == wire.cut(data, fewer, ends)


def test_the_structure_lies_where_it_does_without_the_regions():
    data = wire.serialize(FULL)
    short = wire.serialize(replace(FULL, region_count=0, regions=b''))
    assert [at for at in range(len(short)) if short[at] != data[at]] == [1, 10, 11]


def test_a_packet_of_a_stream_keeps_its_regions():
    packet = replace(FULL, stream_reference=1)
    data = wire.serialize(packet)
    assert packet.layers == 1 and wire.cut(data, 1, (len(data),)) == data
    with pytest.raises(PacketError):
        wire.cut(data, 1, (len(data) - 1, len(data)))


@pytest.mark.parametrize('tail', [
    b'', b'\x80', b'\x00\x80', b'\x20\x00', b'\x00\x02', b'\xff\xff\xff\xff',
    b'\x01\x80\x80\x80\x80'])
def test_malformed_regions_are_refused(tail):
    data = bytearray(wire.serialize(replace(ORDINARY, stream=b'')))
    data[1] = wire.FLAG_REGIONS
    with pytest.raises(PacketError, match='regions'):
        wire.parse(with_checksum(bytes(data) + tail))


def test_regions_may_have_no_bytes_at_all():
    packet = replace(ORDINARY, region_count=1, stream=b'')
    data = wire.serialize(packet)
    assert data[12:] == b'\0\0' and wire.parse(data) == packet


@pytest.mark.parametrize('ends', [
    (15, 16, 24), (15, 16, 24, 33, 35), (15, 16, 24, 24, 33), (15, 16, 24, 25, 33),
    (15, 16, 24, 34, 33), (15, 16, 24, 400, 33)])
def test_cutting_regions_with_ends_of_another_packet_is_refused(ends):
    data = wire.serialize(replace(
        ORDINARY, channels=(0, 1, 2), stream=b'abcdefghijkl', region_count=2, regions=b'regions'))
    assert len(data) == 33
    with pytest.raises(PacketError):
        wire.cut(data, 4, ends)


@pytest.mark.parametrize(('layers', 'ends'), [
    (0, (15, 16, 24)), (4, (15, 16, 24)), (1, (15, 24)), (1, (15, 16, 23)), (1, (5, 16, 24)),
    (1, (4000, 16, 24))])
def test_cutting_with_ends_of_another_packet_is_refused(layers, ends):
    data = wire.serialize(replace(ORDINARY, channels=(0, 1, 2), stream=b'abcdefghijkl'))
    assert len(data) == 24
    with pytest.raises(PacketError):
        wire.cut(data, layers, ends)


def test_the_document_has_the_bytes_of_the_module():
    text = DOCUMENT.read_text(encoding='utf-8')
    rows = dict(re.findall(r'^\| `(\w+)` \| ([^|]+?) \|', text, re.MULTILINE))
    constants = {
        'MAGIC': hex(wire.MAGIC).upper().replace('X', 'x'), 'VERSION': str(wire.VERSION),
        'HEADER_BYTES': str(wire.HEADER_BYTES), 'CRC_OFFSET': str(wire.CRC_OFFSET),
        'CRC_INITIAL': hex(wire.CRC_INITIAL).upper().replace('X', 'x'),
        'FLAG_TEXT': f'0x{wire.FLAG_TEXT:02X}',
        'FLAG_CHANNEL_SET': f'0x{wire.FLAG_CHANNEL_SET:02X}',
        'FLAG_REGIONS': f'0x{wire.FLAG_REGIONS:02X}',
        'FLAG_CAPTION_REFERENCE': f'0x{wire.FLAG_CAPTION_REFERENCE:02X}',
        'FLAG_STREAM': f'0x{wire.FLAG_STREAM:02X}',
        'FLAG_OBJECTS': f'0x{wire.FLAG_OBJECTS:02X}', 'MAX_REGIONS': str(wire.MAX_REGIONS),
        'MAX_OBJECTS': str(object_list.MAX_OBJECTS),
        'OBJECT_BITS': str(object_list.OBJECT_BITS), 'CELL': str(grid.CELL),
        'SCALES': ', '.join(map(str, grid.SCALES)),
        'REGION_GROUPS': ', '.join(map(str, REGION_GROUPS)), 'SIZE_BITS': str(wire.SIZE_BITS),
        'COUNT_BITS': str(wire.COUNT_BITS), 'QUANTIZER_BITS': str(wire.QUANTIZER_BITS),
        'MIN_SIDE': str(wire.MIN_SIDE), 'MAX_SIDE': str(wire.MAX_SIDE),
        'LATENT_CHANNELS': str(wire.LATENT_CHANNELS), 'MAX_TEXT_BYTES': str(wire.MAX_TEXT_BYTES),
        'LAYERS': ', '.join(map(str, wire.LAYERS)),
    }
    assert {name: rows.get(name) for name in constants} == constants


def test_the_document_places_the_fields_where_the_module_writes_them():
    text = DOCUMENT.read_text(encoding='utf-8')
    rows = re.findall(r'^\| (\d+) \| (\d+) \| (\w[\w -]*?) \|', text, re.MULTILINE)
    places = {name: (int(first), int(bits)) for first, bits, name in rows}
    # Every bit of the header belongs to exactly one field, in order.
    position = 0
    for first, bits in places.values():
        assert first == position
        position += bits
    assert position == 8 * wire.HEADER_BYTES
    samples = {
        'profile hash': ({'profile_hash': 0x8001}, 0x8001), 'width - 1': ({'width': 6001}, 6000),
        'height - 1': ({'height': 5001}, 5000), 'quantizer': ({'quantizer': 9}, 9),
        'channel count': ({'channels': tuple(range(300))}, 300), 'seed': ({'seed': 129}, 129),
        'magic': ({}, wire.MAGIC), 'version': ({}, wire.VERSION)}
    for name, (change, value) in samples.items():
        first, bits = places[name]
        number = int.from_bytes(wire.serialize(replace(ORDINARY, **change))[:12], 'big')
        assert number >> 96 - first - bits & (1 << bits) - 1 == value, name
