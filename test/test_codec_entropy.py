# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Range coding: exactly the integer tables, and streams that may be cut at every mark."""

from __future__ import annotations

from gsc_ros.codec.entropy import FrequencyTables, SymbolDecoder, SymbolEncoder, TOTAL
from gsc_ros.codec.error import PacketError, ProfileError
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest


def random_frequencies(rng: np.random.Generator, tables: int, size: int) -> np.ndarray:
    """Return tables between flat and extremely peaked ones."""
    shape = rng.dirichlet(np.full(size, rng.choice([0.02, 0.2, 2.0])), tables)
    frequencies = 1 + np.floor(shape * (TOTAL - size)).astype(np.int64)
    frequencies[np.arange(tables), frequencies.argmax(axis=1)] += TOTAL - frequencies.sum(axis=1)
    return frequencies


def reference_decode(stream: bytes, frequencies: np.ndarray, rows: np.ndarray) -> list[int]:
    """Decode with a range decoder written out in whole numbers."""
    padded = iter(stream + bytes(8 + 4 * len(rows)))

    def word() -> int:
        return int.from_bytes(bytes(next(padded) for _ in range(4)), 'big')

    mask = (1 << 64) - 1
    lower, size, point = 0, mask, word() << 32 | word()
    symbols = []
    for row in rows:
        cumulated = np.concatenate([[0], np.cumsum(frequencies[row])])
        unit = size >> 24
        quantile = (point - lower & mask) // unit
        symbol = int(np.searchsorted(cumulated, quantile, side='right')) - 1
        lower = lower + unit * int(cumulated[symbol]) & mask
        size = unit * int(frequencies[row, symbol])
        if size < 1 << 32:
            lower, size, point = lower << 32 & mask, size << 32, (point << 32 & mask) | word()
        symbols.append(symbol)
    return symbols


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32), size=st.sampled_from([3, 33, 255]))
def test_the_coder_uses_exactly_the_integer_frequencies(seed, size):
    rng = np.random.default_rng(seed)
    frequencies = random_frequencies(rng, 7, size)
    rows, symbols = rng.integers(0, 7, 60), rng.integers(0, size, 60)
    encoder = SymbolEncoder()
    encoder.encode(FrequencyTables(frequencies), rows, symbols)
    stream = encoder.finish().stream
    assert reference_decode(stream, frequencies, rows) == list(symbols)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32), size=st.sampled_from([3, 33, 255]),
       length=st.integers(0, 40), marks=st.integers(1, 9))
def test_a_stream_cut_at_any_mark_decodes_what_lies_before_it(seed, size, length, marks):
    rng = np.random.default_rng(seed)
    frequencies = random_frequencies(rng, 7, size)
    tables = FrequencyTables(frequencies)
    encoder = SymbolEncoder()
    rows = rng.integers(0, 7, (marks, length))
    likely = rng.random() < 0.5
    symbols = frequencies.argmax(axis=1)[rows] if likely else rng.integers(0, size, rows.shape)
    for part in range(marks):
        encoder.encode(tables, rows[part], symbols[part])
        encoder.mark()
    coded = encoder.finish()
    assert all(a < b for a, b in zip(coded.ends, coded.ends[1:]))
    for part, end in enumerate(coded.ends):
        decoder = SymbolDecoder(coded.stream[:end])
        for earlier in range(part + 1):
            assert (decoder.decode(tables, rows[earlier]) == symbols[earlier]).all()


def test_a_stream_is_within_two_bytes_of_its_information():
    rng = np.random.default_rng(5)
    frequencies = random_frequencies(rng, 7, 33)
    for length in (0, 1, 10, 1000, 20000):
        rows = rng.integers(0, 7, length)
        symbols = np.array([rng.choice(33, p=frequencies[row] / TOTAL) for row in rows], int)
        tables, encoder = FrequencyTables(frequencies), SymbolEncoder()
        encoder.encode(tables, rows, symbols)
        bits = tables.information(rows, symbols).sum()
        assert len(encoder.finish().stream) <= bits / 8 + 2


@settings(max_examples=100, deadline=None)
@given(stream=st.binary(max_size=40), seed=st.integers(0, 99))
def test_any_bytes_give_symbols_or_a_packet_error(stream, seed):
    rng = np.random.default_rng(seed)
    tables, decoder = FrequencyTables(random_frequencies(rng, 7, 33)), SymbolDecoder(stream)
    try:
        for _ in range(3):
            symbols = decoder.decode(tables, rng.integers(0, 7, 50))
            assert ((symbols >= 0) & (symbols < 33)).all()
            values = decoder.decode_uniform(np.full(9, 5))
            assert ((values >= 0) & (values < 32)).all()
    except PacketError:
        pass


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 32), length=st.integers(1, 50))
def test_uniform_values_take_their_bits_and_come_back(seed, length):
    rng = np.random.default_rng(seed)
    bits = rng.integers(1, 25, length)
    values = rng.integers(0, 1 << bits)
    encoder = SymbolEncoder()
    encoder.encode_uniform(bits, values)
    stream = encoder.finish().stream
    assert len(stream) <= bits.sum() / 8 + 2
    assert (SymbolDecoder(stream).decode_uniform(bits) == values).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 32), length=st.integers(1, 50))
def test_ranks_take_their_logarithms_and_come_back(seed, length):
    rng = np.random.default_rng(seed)
    # Of one there is nothing to say.
    counts = np.maximum(1 << rng.integers(0, 25, length), rng.integers(1, 4, length))
    ranks = rng.integers(0, counts)
    encoder = SymbolEncoder()
    encoder.encode_ranks(counts.tolist(), ranks.tolist())
    stream = encoder.finish().stream
    assert len(stream) <= np.log2(counts).sum() / 8 + 2
    assert SymbolDecoder(stream).decode_ranks(counts.tolist()) == ranks.tolist()


def test_an_impossible_stream_is_a_packet_error():
    tables = FrequencyTables(np.array([[TOTAL - 1, 1]]))
    with pytest.raises(PacketError, match='damaged'):
        SymbolDecoder(b'\xff' * 40).decode(tables, np.zeros(200, int))


@pytest.mark.parametrize('frequencies', [
    np.array([[TOTAL, 0]]), np.array([[TOTAL, 1]]), np.array([[1.0, TOTAL - 1.0]]),
    np.array([TOTAL]), np.array([[TOTAL + 1, -1]])])
def test_frequencies_must_be_positive_integers_that_fill_the_range(frequencies):
    with pytest.raises(ProfileError):
        FrequencyTables(frequencies)
