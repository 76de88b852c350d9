# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The integer entropy model: exact for any tables, channels and cut, and worth having."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

from gsc_ros.codec.context import (
    ContextModel,
    kinds_of,
    mirrored,
    PreviousSymbols,
    REGION_GROUPS,
    Visit,
)
from gsc_ros.codec.context_tables import (
    ContextTables,
    KIND_LEVELS,
    KIND_STATES,
    KIND_TRENDS,
    KINDS,
    LIKENESSES,
    OWN,
    SLOPES,
    STILL_FEATURES,
    STREAM_FEATURES,
    STREAM_INPUTS,
)
from gsc_ros.codec.entropy import FrequencyTables, SymbolEncoder, TOTAL
from gsc_ros.codec.error import PacketError, ProfileError
from gsc_ros.codec.interlace import interlace, log_steps, PASSES
from gsc_ros.codec.packet import layer_counts
from gsc_ros.codec.residual import OFFSETS, ResidualCode, RESIDUALS
from gsc_ros.training.context_fit import fit_context, FitSettings
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

SYMBOL_MAX = 9
SIZE = 2 * SYMBOL_MAX + 1
EFFORT = FitSettings(
    signed_references=3, magnitude_references=4, positions=2000, counted=6, rounds=2,
    samples=100_000, hidden=8, steps=300)


def frequencies(rng: np.random.Generator, tables: int, size: int) -> np.ndarray:
    """Return any frequency tables."""
    shape = rng.dirichlet(np.full(size, 0.2), tables)
    values = 1 + np.floor(shape * (TOTAL - size)).astype(np.int64)
    values[:, size // 2] += TOTAL - values.sum(axis=1)
    return values.astype(np.uint32)


def random_tables(
        seed: int = 0, quantizers: int = 2, symbol_max: int = SYMBOL_MAX) -> ContextTables:
    """Return a model whose integers are as wild as they may be."""
    rng = np.random.default_rng(seed)
    scales, references, hidden = 60 if seed % 2 else 80, 5, 6
    pair = (quantizers, 320)

    def integers(dtype: type, shape: tuple[int, ...], most: int = 1 << 31) -> np.ndarray:
        wild = rng.random() < 0.3
        span = min(np.iinfo(dtype).max, most) if wild else 3000
        return rng.integers(-span, span, shape).astype(dtype)

    starts = np.array((0,) + layer_counts(320))
    earlier = starts[np.searchsorted(starts, np.arange(320), side='right') - 1][None, :, None]
    reference = rng.integers(-1, 320, pair + (references,))
    reference = np.where(reference < earlier, reference, -1).astype(np.int16)
    networks = {}
    for name, inputs in (('still', STILL_FEATURES), ('stream', STREAM_FEATURES)):
        networks |= {
            f'{name}_input': integers(np.int32, (hidden, inputs), 30000),
            f'{name}_bias': integers(np.int32, (hidden, PASSES), 1 << 20),
            f'{name}_output': integers(np.int32, (hidden + inputs + PASSES,), 30000)}
    return ContextTables(
        frequency=frequencies(rng, scales * OFFSETS, RESIDUALS),
        kind_frequency=frequencies(rng, KIND_STATES * KIND_TRENDS * KIND_LEVELS, KINDS),
        symbol_max=np.array([symbol_max], np.int32),
        gain=rng.integers(1, 1 << 20, pair).astype(np.int32),
        signed_mean=integers(np.int32, pair, 1 << 26), signed_reference=reference,
        signed_weight=integers(np.int16, pair + (SLOPES, references)),
        signed_neighbor=integers(np.int16, pair + (PASSES, 4)),
        magnitude_mean=integers(np.int32, pair, 1 << 26),
        magnitude_bias=integers(np.int32, pair + (PASSES,), 1 << 26),
        magnitude_reference=reference,
        magnitude_weight=integers(np.int16, pair + (2, references)),
        magnitude_neighbor=integers(np.int16, pair + (PASSES, OWN)),
        stream_weight=integers(np.int16, pair + (2, LIKENESSES, STREAM_INPUTS)), **networks)


def without_stream(tables: ContextTables) -> ContextTables:
    """Return a model of which the tables for stream mode were never fitted."""
    return replace(tables, stream_weight=tables.stream_weight[:0])


def field(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return symbols ``[320, h, w]`` as images have them: smooth, and busy in places."""
    height, width = shape
    coarse = rng.normal(size=(height // 4 + 2, width // 4 + 2)).repeat(4, 0).repeat(4, 1)
    activity = np.exp(1.2 * coarse[1:height + 1, 2:width + 2] - 1)
    symbols = rng.laplace(size=(320, height, width)) * activity
    symbols *= np.exp(-np.arange(320) / 40)[:, None, None] * 1.5
    symbols[0] += 5 * coarse[:height, :width]
    return np.clip(np.rint(symbols), -SYMBOL_MAX, SYMBOL_MAX).astype(np.int16)


def moved(symbols: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    """Return symbols like a frame's after another one: some have changed by one."""
    change = rng.integers(-1, 2, symbols.shape) * (rng.random(symbols.shape) < share)
    change *= symbols != 0
    return np.clip(symbols + change, -SYMBOL_MAX, SYMBOL_MAX).astype(np.int16)


@pytest.fixture(name='fitted', scope='module')
def fitted_model() -> ContextModel:
    """Return a model fitted to such symbols, with little effort."""
    rng = np.random.default_rng(1)
    images = [field(rng, (12, 16)) for _ in range(12)]
    pairs = [(image, moved(image, rng, rng.uniform(0, 0.5))) for image in images]
    return ContextModel.from_tables(fit_context([images], SYMBOL_MAX, EFFORT, [pairs]))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32), height=st.integers(1, 9), width=st.integers(1, 9),
       count=st.integers(1, 20), ordered=st.booleans(), quantizer=st.integers(0, 1),
       stream=st.booleans(), symbol_max=st.sampled_from([1, 9, 700]))
def test_symbols_come_back_after_every_cut(
        seed, height, width, count, ordered, quantizer, stream, symbol_max):
    rng = np.random.default_rng(seed)
    model = ContextModel(random_tables(seed % 5, symbol_max=symbol_max))
    channels = np.arange(count) if ordered else np.sort(rng.choice(320, count, replace=False))
    span = rng.integers(0, symbol_max + 1)
    symbols = rng.integers(-span, span + 1, (count, height, width)).astype(np.int16)
    symbols[rng.random(count) < 0.3] = 0
    previous = None
    if stream:
        earlier = np.sort(rng.choice(320, 30, replace=False))
        before = rng.integers(-span, span + 1, (30, height, width)).astype(np.int16)
        known = np.isin(earlier, channels)
        before[known] = symbols[np.isin(channels, earlier)]
        previous = PreviousSymbols(before, tuple(earlier), int(rng.integers(2)))
    counts = layer_counts(count)
    coded = model.encode(symbols, channels, quantizer, counts, previous)
    assert len(coded.ends) == len(counts)
    for kept, end in zip(counts, coded.ends):
        found = model.decode(
            coded.stream[:end], channels[:kept], quantizer, height, width, previous)
        assert found.dtype == np.int16
        assert (found == symbols[:kept]).all()


def grouped(model: ContextModel, groups: tuple[int, ...]) -> ContextModel:
    """Return a model of the same integers with other groups, less what refers into a group."""
    starts = np.array((0,) + groups)
    first = starts[np.searchsorted(starts, np.arange(320), side='right') - 1][None, :, None]

    def earlier(reference: np.ndarray) -> np.ndarray:
        return np.where(reference < first, reference, -1).astype(np.int16)

    return ContextModel(replace(
        model.tables, signed_reference=earlier(model.tables.signed_reference),
        magnitude_reference=earlier(model.tables.magnitude_reference)), groups)


class Recorder:
    """Writes symbols as the walk visits them."""

    def __init__(self, model: ContextModel, symbols: np.ndarray):
        self._known = symbols.reshape(len(symbols), -1)
        self._residuals = ResidualCode(model.tables.frequency)
        self._kinds = FrequencyTables(model.tables.kind_frequency)
        self.encoder = SymbolEncoder()

    def kinds(self, slots: slice, rows: np.ndarray, repeated: np.ndarray | None) -> np.ndarray:
        """Write kinds."""
        kinds = kinds_of(self._known[slots], repeated)
        self.encoder.encode(self._kinds, rows, kinds)
        return kinds

    def symbols(self, slots: np.ndarray, visit: Visit) -> np.ndarray:
        """Write symbols."""
        values = self._known[slots[:, None], visit.positions]
        residuals = mirrored(values - visit.center, visit)
        self._residuals.encode(self.encoder, visit.rows.ravel(), residuals.ravel())
        return values


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 32), height=st.integers(1, 9), width=st.integers(1, 9),
       count=st.integers(1, 30), few=st.booleans(), symbol_max=st.sampled_from([1, 9, 700]))
def test_who_knows_all_symbols_writes_what_the_walk_does(
        seed, height, width, count, few, symbol_max):
    rng = np.random.default_rng(seed)
    model = ContextModel(random_tables(seed % 5, symbol_max=symbol_max))
    if few:
        model = grouped(model, REGION_GROUPS)
    channels = np.sort(rng.choice(320, count, replace=False))
    span = rng.integers(0, symbol_max + 1)
    symbols = rng.integers(-span, span + 1, (count, height, width)).astype(np.int16)
    symbols[rng.random(count) < 0.3] = 0
    recorder = Recorder(model, symbols)
    for _ in model.walk(channels, 1, (height, width), recorder):
        recorder.encoder.mark()
    coded = model.encode(symbols, channels, 1, model.group_ends(count))
    assert coded == recorder.encoder.finish()
    assert (model.decode(coded.stream, channels, 1, height, width) == symbols).all()
    bits = model.entropy(symbols, channels, 1).sum()
    assert 8 * len(coded.stream) == pytest.approx(bits, rel=0.01, abs=40)


def test_groups_end_where_they_are_told_to():
    model = grouped(ContextModel(random_tables()), REGION_GROUPS)
    assert [model.group_ends(count) for count in (1, 3, 24, 320)] == [
        (1,), (1, 3), (1, 4, 16, 24), REGION_GROUPS]
    with pytest.raises(ProfileError, match='earlier group'):
        ContextModel(random_tables(), REGION_GROUPS)


@settings(max_examples=25, deadline=None)
@given(stream=st.binary(max_size=60), count=st.integers(1, 6), follows=st.booleans())
def test_any_stream_gives_symbols_in_range_or_a_packet_error(stream, count, follows):
    model = ContextModel(random_tables(3))
    before = PreviousSymbols(np.ones((1, 5, 7), np.int16), (0,), 0) if follows else None
    try:
        symbols = model.decode(stream, range(count), 1, 5, 7, before)
    except PacketError:
        return
    assert symbols.shape == (count, 5, 7)
    assert np.abs(symbols).max() <= SYMBOL_MAX


def test_a_large_grid_is_visited_in_parts_and_comes_back(fitted):
    rng = np.random.default_rng(6)
    symbols = field(rng, (70, 90))[:64]
    before = PreviousSymbols(moved(symbols, rng, 0.2), tuple(range(64)), 0)
    for previous in (None, before):
        stream = fitted.encode(symbols, range(64), 0, (64,), previous).stream
        assert (fitted.decode(stream, range(64), 0, 70, 90, previous) == symbols).all()


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
            before = PreviousSymbols(moved(symbols, rng, 0.2), tuple(range(count)), 0)
            for previous in (None, before):
                stream = fitted.encode(symbols, range(count), 0, (count,), previous).stream
                entropy = fitted.entropy(symbols, range(count), 0, previous).sum() / 8
                assert len(stream) <= 1.02 * entropy + 4


def test_an_unchanged_frame_costs_next_to_nothing(fitted):
    symbols = field(np.random.default_rng(7), (11, 38))[:60]
    same = PreviousSymbols(symbols, tuple(range(60)), 0)
    assert len(fitted.encode(symbols, range(60), 0, (60,), same).stream) <= 10


def test_a_frame_that_has_changed_a_little_costs_much_less_than_a_still_one(fitted):
    rng = np.random.default_rng(8)
    before = field(rng, (11, 38))
    after = moved(before, rng, 0.15)
    alone = fitted.entropy(after, range(320), 0).sum()
    following = fitted.entropy(
        after, range(320), 0, PreviousSymbols(before, tuple(range(320)), 0)).sum()
    assert following <= 0.6 * alone


def test_a_frame_of_another_scene_costs_little_more_than_a_still_one(fitted):
    rng = np.random.default_rng(9)
    after = field(rng, (11, 38))
    other = PreviousSymbols(field(rng, (11, 38)), tuple(range(320)), 0)
    alone = fitted.entropy(after, range(320), 0).sum()
    assert fitted.entropy(after, range(320), 0, other).sum() <= 1.15 * alone


def test_previous_symbols_of_another_quantizer_are_scaled_before_use():
    rng = np.random.default_rng(10)
    fine = [field(rng, (12, 16)) for _ in range(8)]
    coarse = [np.sign(image) * ((np.abs(image) + 1) // 3) for image in fine]
    gains = np.repeat([[1.0], [3.0]], 320, axis=1)
    pairs = [[(image, moved(image, rng, 0.2)) for image in images] for images in (coarse, fine)]
    model = ContextModel.from_tables(
        fit_context([coarse, fine], SYMBOL_MAX, EFFORT, pairs, gains))
    before = field(rng, (12, 16))
    after = np.sign(before) * ((np.abs(before) + 1) // 3)
    known = PreviousSymbols(before, tuple(range(320)), 1)
    alone = model.entropy(after, range(320), 0).sum()
    assert model.entropy(after, range(320), 0, known).sum() <= 0.7 * alone


def test_a_model_without_stream_tables_refuses_a_previous_frame():
    model = ContextModel(without_stream(random_tables()))
    symbols = np.ones((1, 2, 2), np.int16)
    previous = PreviousSymbols(symbols, (0,), 0)
    assert not model.streams
    assert model.encode(symbols, (0,), 0, (1,)).stream
    with pytest.raises(ProfileError, match='stream mode'):
        model.encode(symbols, (0,), 0, (1,), previous)
    with pytest.raises(ProfileError, match='stream mode'):
        model.decode(b'', (0,), 0, 2, 2, previous)


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


def test_a_model_fitted_without_pairs_has_no_stream_mode():
    rng = np.random.default_rng(11)
    images = [field(rng, (8, 8))]
    for pairs in (None, [[]]):
        model = ContextModel.from_tables(fit_context([images], SYMBOL_MAX, EFFORT, pairs))
        assert not model.streams


def test_logarithms_are_of_integers_and_ascend():
    values = np.concatenate([[-5], np.arange(5000), 1 << np.arange(13, 40)])
    steps = log_steps(values)
    assert (np.diff(steps) >= 0).all()
    assert steps[0] == steps[1] == 0
    assert steps[-1] <= 192
    assert (np.abs(steps[2:5001] - 8 * np.log2(1 + np.arange(1, 5000))) <= 1.7).all()


@pytest.mark.parametrize(('name', 'change'), [
    ('frequency', lambda a: a + 1), ('frequency', lambda a: a[:, :-1]),
    ('frequency', lambda a: a[:-1]), ('kind_frequency', lambda a: a[:, :2]),
    ('kind_frequency', lambda a: np.zeros_like(a)), ('symbol_max', lambda a: a * 0),
    ('symbol_max', lambda a: a + (1 << 14)), ('gain', lambda a: a * 0),
    ('signed_weight', lambda a: a.astype(np.float32)), ('signed_mean', lambda a: a[:, :-1]),
    ('signed_mean', lambda a: np.full_like(a, 1 << 27)),
    ('signed_reference', lambda a: np.full_like(a, 319)),
    ('magnitude_reference', lambda a: np.full_like(a, -2)),
    ('magnitude_bias', lambda a: a[0]), ('stream_weight', lambda a: a[:1]),
    ('still_input', lambda a: a[:-1]), ('stream_output', lambda a: a[:-1]),
    ('still_input', lambda a: np.full_like(a, 1 << 30))])
def test_tables_that_do_not_fit_together_are_refused(name, change):
    tables = random_tables()
    with pytest.raises(ProfileError):
        ContextModel(replace(tables, **{name: change(getattr(tables, name))}))


@pytest.mark.parametrize('name', [item.name for item in fields(ContextTables)])
def test_a_missing_table_is_named(name):
    arrays = asdict(random_tables())
    del arrays[name]
    with pytest.raises(ProfileError, match=f'{name} missing'):
        ContextModel.from_tables(arrays)
