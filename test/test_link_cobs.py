# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import product
import random

from gsc_ros.link.transports.cobs import CobsError, CobsReader, decode, encode, encoded_size
from hypothesis import given
from hypothesis import strategies as st
import pytest

# The examples that are handed down with the algorithm.
EXAMPLES = [
    ('', '01'),
    ('00', '01 01'),
    ('00 00', '01 01 01'),
    ('00 11 00', '01 02 11 01'),
    ('11 22 00 33', '03 11 22 02 33'),
    ('11 22 33 44', '05 11 22 33 44'),
    ('11 00 00 00', '02 11 01 01 01'),
]
ONES = bytes(range(1, 256))
LONG_EXAMPLES = [
    (ONES[:254], b'\xff' + ONES[:254]),
    (b'\x00' + ONES[:254], b'\x01\xff' + ONES[:254]),
    (ONES, b'\xff' + ONES[:254] + b'\x02\xff'),
    (ONES[1:] + b'\x00', b'\xff' + ONES[1:] + b'\x01\x01'),
    (ONES[2:] + b'\x00\x01', b'\xfe' + ONES[2:] + b'\x02\x01'),
]


@pytest.mark.parametrize(('data', 'encoded'), [
    *((bytes.fromhex(data), bytes.fromhex(encoded)) for data, encoded in EXAMPLES),
    *LONG_EXAMPLES])
def test_the_known_examples_come_out(data, encoded):
    assert encode(data) == encoded
    assert decode(encoded) == data


def test_every_short_string_of_awkward_bytes_survives():
    for length in range(7):
        for values in product((0, 1, 2, 255), repeat=length):
            data = bytes(values)
            assert decode(encode(data)) == data


def test_every_length_and_every_place_of_a_zero_around_a_full_block_survives():
    for length in (*range(250, 260), *range(505, 513)):
        for zero in (None, *range(0, length, 3), *range(248, min(length, 258)), length - 1):
            data = bytearray(b'\x07' * length)
            if zero is not None:
                data[zero] = 0
            encoded = encode(bytes(data))
            assert 0 not in encoded
            assert len(encoded) <= encoded_size(length)
            assert decode(encoded) == data


def test_the_bound_on_the_size_holds_and_is_met():
    for length in range(1501):
        assert len(encode(b'\x07' * length)) == encoded_size(length)
        assert len(encode(bytes(length))) <= encoded_size(length)


@given(st.binary(max_size=1500))
def test_any_bytes_survive_within_the_bound(data):
    encoded = encode(data)
    assert 0 not in encoded
    assert len(encoded) <= encoded_size(len(data))
    assert decode(encoded) == data


@pytest.mark.parametrize('encoded', ['', '00', '02', '05 11', '03 11 00', '02 11 05', 'ff 11'])
def test_what_nobody_encoded_is_refused(encoded):
    with pytest.raises(CobsError):
        decode(bytes.fromhex(encoded))


@given(st.binary(max_size=600))
def test_decoding_is_total_and_never_grows(encoded):
    try:
        assert len(decode(encoded)) < len(encoded)
    except CobsError:
        pass


def stream(datagrams):
    """Return what the line carries for datagrams, one after the other."""
    return b''.join(encode(datagram) + b'\0' for datagram in datagrams)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.integers(1, 40), st.data())
def test_datagrams_are_found_whatever_the_pieces_are(datagrams, step, data):
    reader = CobsReader(300)
    line = stream(datagrams)
    found, start = [], 0
    while start < len(line):
        size = data.draw(st.integers(1, step))
        found += reader.feed(line[start:start + size])
        start += size
    assert found == datagrams
    assert (reader.malformed, reader.oversized) == (0, 0)


def test_noise_costs_only_the_datagrams_that_it_touches():
    draw = random.Random(1)
    datagrams = [number.to_bytes(2, 'big') + draw.randbytes(98) for number in range(400)]
    line = bytearray()
    touched = set()
    for number, datagram in enumerate(datagrams):
        framed = bytearray(b'\0' + encode(datagram) + b'\0')
        kind = draw.choice(['', '', 'flip', 'cut', 'insert', 'before'])
        place = draw.randrange(1, len(framed) - 1)
        if kind == 'flip':
            framed[place] ^= 1 << draw.randrange(8)
        elif kind == 'cut':
            del framed[place:]
        elif kind == 'insert':
            framed[place:place] = draw.randbytes(draw.randrange(1, 400))
        elif kind == 'before':
            framed[:0] = draw.randbytes(draw.randrange(1, 400))
        touched |= {number} if kind not in ('', 'before') else set()
        line += framed
    reader = CobsReader(100)
    found = reader.feed(bytes(line))
    assert [d for n, d in enumerate(datagrams) if n not in touched] == [
        d for d in found if d in set(datagrams) and int.from_bytes(d[:2], 'big') not in touched]


def test_a_line_that_never_delimits_takes_no_memory_and_the_next_datagram_is_found():
    reader = CobsReader(100)
    for _ in range(1000):
        assert reader.feed(b'\x55' * 1000) == []
        assert len(reader._held) <= encoded_size(100)
    assert reader.feed(b'\0' + stream([b'next'])) == [b'next']
    assert reader.oversized == 1


def test_datagrams_over_the_mtu_and_empty_ones_are_left_out():
    reader = CobsReader(40)
    line = stream([b'a' * 41, b'b' * 40, b'', b'c' * 90, b'\0' * 41, b'd'])
    assert reader.feed(line + b'\0\0\0') == [b'b' * 40, b'd']
    assert reader.oversized == 3
    assert reader.malformed == 0


def test_a_reader_that_is_reset_forgets_the_beginning_it_has_seen():
    reader = CobsReader(40)
    reader.feed(encode(b'first half'))
    reader.reset()
    assert reader.feed(stream([b'whole'])) == [b'whole']
