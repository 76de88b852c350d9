# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random

from gsc_ros.link.datagram.framing import Kind
from gsc_ros.link.repair.fec import (
    encode_parity,
    ErasureDecoder,
    MAX_COVERED,
    Parity,
    parity_overhead,
    parity_size,
    ParityError,
)
from gsc_ros.link.repair.galois import add, invert, multiply, POLYNOMIAL, scale
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest


def slow_product(a: int, b: int) -> int:
    """Return a * b in GF(256), by long multiplication and division."""
    product = 0
    for bit in range(8):
        product ^= (a << bit) if b >> bit & 1 else 0
    for bit in range(14, 7, -1):
        product ^= (POLYNOMIAL << bit - 8) if product >> bit & 1 else 0
    return product


def encode(row: int, counter: int, bodies: dict[int, bytes]) -> bytes:
    return encode_parity(Kind.PARITY, row, counter, bodies)


def test_the_field_multiplies_as_polynomials_do() -> None:
    for a in range(256):
        assert [multiply(a, b) for b in range(256)] == [slow_product(a, b) for b in range(256)]
        assert a == 0 or multiply(a, invert(a)) == 1
    with pytest.raises(ZeroDivisionError):
        invert(0)


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 255))
def test_byte_strings_are_scaled_and_added_byte_by_byte(a, b, factor) -> None:
    assert scale(a, factor) == bytes(multiply(factor, value) for value in a)
    length = max(len(a), len(b))
    pairs = zip(a.ljust(length, b'\0'), b.ljust(length, b'\0'))
    assert add(a, b) == bytes(x ^ y for x, y in pairs)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=24),
    st.integers(0, 1 << 20), st.integers(1, 8), st.randoms(use_true_random=False))
def test_as_many_bodies_can_be_lost_as_parities_arrive(contents, start, parities, shuffler) -> None:
    bodies = {start + 2 * place: body for place, body in enumerate(contents)}
    after = max(bodies) + 1
    lost = shuffler.sample(sorted(bodies), min(parities, len(bodies)))
    arrivals = [(c, body, False) for c, body in bodies.items() if c not in lost]
    arrivals += [(after + row, encode(row, after + row, bodies), True) for row in range(parities)]
    shuffler.shuffle(arrivals)
    decoder = ErasureDecoder()
    recovered = {}
    for counter, body, is_parity in arrivals:
        found = (decoder.parity(Parity.parse(counter, body)) if is_parity
                 else decoder.body(counter, body))
        recovered.update(found)
    assert {counter: recovered[counter] for counter in lost} == {c: bodies[c] for c in lost}
    assert all(body == bodies[counter] for counter, body in recovered.items())
    assert decoder.counter.contradictions == 0


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 60), st.integers(1, 25), st.randoms(use_true_random=False))
def test_what_a_sliding_window_recovers_is_exact_or_nothing(loss, window, shuffler) -> None:
    decoder = ErasureDecoder()
    bodies, recovered, flight = {}, {}, []
    row = 0
    for counter in range(200):
        if counter % 4 == 3:
            covered = {c: bodies[c] for c in list(bodies)[-window:] if counter - c < 100}
            body, is_parity = encode(row, counter, covered), True
            row += 1
        else:
            body, is_parity = shuffler.randbytes(shuffler.randint(1, 50)), False
            bodies[counter] = body
        if shuffler.randrange(100) >= loss:
            flight.append((counter + shuffler.randint(0, 5), counter, body, is_parity))
    for _, counter, body, is_parity in sorted(flight):
        found = (decoder.parity(Parity.parse(counter, body)) if is_parity
                 else decoder.body(counter, body))
        for known, content in found:
            assert bodies[known] == content
            assert known not in recovered
            recovered[known] = content
    assert decoder.counter.contradictions == 0


def test_a_parity_is_as_long_as_foretold_and_names_what_it_covers() -> None:
    bodies = {100: b'a' * 30, 103: b'b' * 50, 117: b'c' * 10}
    parity = encode(5, 120, bodies)
    assert len(parity) == parity_size(bodies) == 50 + parity_overhead(18)
    assert parity[:3] == bytes([Kind.PARITY << 4 | 2, 5, 3])
    read = Parity.parse(120, parity)
    assert read.covered == (117, 103, 100)
    assert read.row == 5


def test_a_parity_over_one_body_replaces_it() -> None:
    assert ErasureDecoder().parity(Parity.parse(9, encode(0, 9, {8: b'alone'}))) == [(8, b'alone')]


def test_a_parity_cannot_cover_what_is_too_far_apart_or_follows_it() -> None:
    for counter, covered in ((200, (0, 128)), (5, (5,)), (300, (1,)), (99, range(60))):
        with pytest.raises(ValueError):
            encode(0, counter, dict.fromkeys(covered, b'x'))


@settings(max_examples=500)
@given(st.binary(max_size=60), st.integers(0, 1 << 32))
def test_any_bytes_are_a_parity_or_refused(data, counter) -> None:
    try:
        parity = Parity.parse(counter, data)
    except ParityError:
        return
    assert counter > parity.covered[0] and parity.covered[-1] >= 0
    assert len(parity.covered) <= MAX_COVERED


def test_the_decoder_stays_small_whatever_parities_claim() -> None:
    generator = random.Random(4)
    decoder = ErasureDecoder(memory=256, memory_bytes=20_000, max_equations=16)
    for counter in range(2000):
        if counter % 2:
            decoder.body(counter, generator.randbytes(200))
        else:
            head = bytes([Kind.PARITY << 4 | 15, generator.randrange(128), 1])
            bitmap = bytes([generator.randrange(256) | 1, *(
                generator.randrange(256) & generator.randrange(256) for _ in range(15))])
            try:
                decoder.parity(Parity.parse(counter, head + bitmap + generator.randbytes(200)))
            except ParityError:
                continue
        assert decoder.held_bytes <= 20_000 + 16 * 201


def test_parities_that_contradict_each_other_are_counted_and_bring_nothing() -> None:
    decoder = ErasureDecoder()
    bodies = {1: b'one', 2: b'two'}
    decoder.body(1, b'one')
    decoder.body(2, b'two')
    damaged = bytearray(encode(0, 3, bodies))
    damaged[-1] ^= 1
    assert decoder.parity(Parity.parse(3, bytes(damaged))) == []
    assert decoder.counter.contradictions == 1
