# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The integer entropy model: exact for any tables, channels and cut, and worth having."""

from __future__ import annotations

from dataclasses import asdict, replace

from gsc_ros.codec.context import ContextModel, ContextTables, interlace, OFFSETS, OWN, PASSES
from gsc_ros.codec.entropy import TOTAL
from gsc_ros.codec.error import PacketError, ProfileError
from gsc_ros.codec.packet import layer_counts
from gsc_ros.training.context_fit import fit_context, FitSettings
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

SYMBOL_MAX = 9
SIZE = 2 * SYMBOL_MAX + 1


def random_tables(seed: int = 0, quantizers: int = 2) -> ContextTables:
    """Return a model whose integers are as wild as their types allow."""
    rng = np.random.default_rng(seed)
    scales, references = 6, 5
    pair = (quantizers, 320)

    def integers(dtype: type, shape: tuple[int, ...]) -> np.ndarray:
        limits = np.iinfo(dtype)
        wild = rng.random() < 0.3
        span = limits.max if wild else 3000
        return rng.integers(-span, span, shape).astype(dtype)

    shape = rng.dirichlet(np.full(SIZE, 0.2), scales * OFFSETS)
    frequency = 1 + np.floor(shape * (TOTAL - SIZE)).astype(np.int64)
    frequency[:, 4] += TOTAL - frequency.sum(axis=1)
    earlier = np.arange(320)[None, :, None]
    reference = rng.integers(-1, 320, pair + (references,))
    reference = np.where(reference < earlier, reference, -1).astype(np.int16)
    return ContextTables(
        frequency=frequency.astype(np.uint32),
        threshold=np.cumsum(rng.integers(1, 9000, scales - 1)).astype(np.int32),
        signed_mean=integers(np.int32, pair), signed_reference=reference,
        signed_weight=integers(np.int16, pair + (references,)),
        signed_neighbor=integers(np.int16, pair + (PASSES, 4)),
        magnitude_mean=integers(np.int32, pair),
        magnitude_bias=integers(np.int32, pair + (PASSES,)), magnitude_reference=reference,
        magnitude_weight=integers(np.int16, pair + (2, references)),
        magnitude_neighbor=integers(np.int16, pair + (PASSES, OWN)))


def field(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return symbols ``[320, h, w]`` as images have them: smooth, and busy in places."""
    height, width = shape
    coarse = rng.normal(size=(height // 4 + 2, width // 4 + 2)).repeat(4, 0).repeat(4, 1)
    activity = np.exp(1.2 * coarse[1:height + 1, 2:width + 2] - 1)
    symbols = rng.laplace(size=(320, height, width)) * activity
    symbols *= np.exp(-np.arange(320) / 40)[:, None, None] * 1.5
    symbols[0] += 5 * coarse[:height, :width]
    return np.clip(np.rint(symbols), -SYMBOL_MAX, SYMBOL_MAX).astype(np.int16)


@pytest.fixture(name='fitted', scope='module')
def fitted_model() -> ContextModel:
    """Return a model fitted to such symbols, with little effort."""
    rng = np.random.default_rng(1)
    images = [field(rng, (12, 16)) for _ in range(12)]
    tables = fit_context([images], SYMBOL_MAX, FitSettings(
        signed_references=3, magnitude_references=4, positions=2000, counted=6, rounds=2))
    return ContextModel.from_tables(tables)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 32), height=st.integers(1, 9), width=st.integers(1, 9),
       count=st.integers(1, 20), ordered=st.booleans(), quantizer=st.integers(0, 1))
def test_symbols_come_back_after_every_cut(seed, height, width, count, ordered, quantizer):
    rng = np.random.default_rng(seed)
    model = ContextModel(random_tables(seed % 5))
    channels = np.arange(count) if ordered else np.sort(rng.choice(320, count, replace=False))
    span = rng.integers(0, SYMBOL_MAX + 1)
    symbols = rng.integers(-span, span + 1, (count, height, width)).astype(np.int16)
    counts = layer_counts(count)
    coded = model.encode(symbols, channels, quantizer, counts)
    assert len(coded.ends) == len(counts)
    for kept, end in zip(counts, coded.ends):
        found = model.decode(coded.stream[:end], channels[:kept], quantizer, height, width)
        assert found.dtype == np.int16
        assert (found == symbols[:kept]).all()


@settings(max_examples=25, deadline=None)
@given(stream=st.binary(max_size=60), count=st.integers(1, 6))
def test_any_stream_gives_symbols_in_range_or_a_packet_error(stream, count):
    model = ContextModel(random_tables(3))
    try:
        symbols = model.decode(stream, range(count), 1, 5, 7)
    except PacketError:
        return
    assert symbols.shape == (count, 5, 7)
    assert np.abs(symbols).max() <= SYMBOL_MAX


@pytest.mark.parametrize('shape', [(1, 1), (1, 9), (2, 3), (11, 38), (7, 5)])
def test_the_passes_visit_every_position_once_and_know_their_neighbors(shape):
    known = np.pad(np.zeros(shape, int), 2, constant_values=1).ravel()
    visits = np.zeros(shape, int).ravel()
    for index, part in enumerate(interlace(*shape)):
        if index:
            assert (known[part.neighbors] == 1).all()
        known[part.padded] = 1
        visits[part.positions] += 1
    assert (visits == 1).all()


def test_a_stream_is_within_two_percent_of_the_models_entropy(fitted):
    rng = np.random.default_rng(2)
    for shape in ((11, 38), (2, 2), (20, 15)):
        for count in (1, 4, 32, 320):
            symbols = field(rng, shape)[:count]
            stream = fitted.encode(symbols, range(count), 0, (count,)).stream
            entropy = fitted.entropy(symbols, range(count), 0).sum() / 8
            assert len(stream) <= 1.02 * entropy + 4


def test_the_fitted_model_beats_static_tables_by_a_seventh(fitted):
    rng = np.random.default_rng(3)
    images = [field(rng, (12, 16)) for _ in range(12)]
    symbols = field(rng, (20, 40))
    stream = fitted.encode(symbols, range(320), 0, (320,)).stream
    static = 0.0
    for channel, values in enumerate(symbols):
        seen = np.concatenate([image[channel].ravel() for image in images]) + SYMBOL_MAX
        counts = np.bincount(seen, minlength=SIZE) + 0.02
        static -= np.log2(counts / counts.sum())[values + SYMBOL_MAX].sum()
    assert len(stream) <= 0.86 * static / 8


def test_a_fitted_model_codes_any_subset_of_the_channels_well(fitted):
    symbols = field(np.random.default_rng(4), (20, 40))
    whole = fitted.entropy(symbols, range(320), 0)
    subset = np.arange(1, 320, 3)
    alone = fitted.entropy(symbols[subset], subset, 0)
    assert alone.sum() <= 1.25 * whole[subset].sum()


def test_counts_and_entropy_agree(fitted):
    symbols = field(np.random.default_rng(5), (6, 9))
    counts = fitted.count(symbols, range(320), 0)
    assert counts.sum() == symbols.size


@pytest.mark.parametrize(('name', 'change'), [
    ('frequency', lambda a: a + 1), ('frequency', lambda a: a[:, :-1]),
    ('frequency', lambda a: a[:-1]), ('threshold', lambda a: a[::-1]),
    ('signed_weight', lambda a: a.astype(np.float32)), ('signed_mean', lambda a: a[:, :-1]),
    ('signed_reference', lambda a: np.full_like(a, 319)),
    ('magnitude_reference', lambda a: np.full_like(a, -2)),
    ('magnitude_bias', lambda a: a[0])])
def test_tables_that_do_not_fit_together_are_refused(name, change):
    tables = random_tables()
    with pytest.raises(ProfileError):
        ContextModel(replace(tables, **{name: change(getattr(tables, name))}))


def test_a_missing_table_is_named():
    arrays = asdict(random_tables())
    del arrays['threshold']
    with pytest.raises(ProfileError, match='threshold missing'):
        ContextModel.from_tables(arrays)
