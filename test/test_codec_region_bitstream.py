# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Regions on the wire: what goes in comes out, wherever the stream is cut."""

from __future__ import annotations

from dataclasses import replace
from random import Random
import time
import tracemalloc

from gsc_ros.codec.entropy import SymbolEncoder
from gsc_ros.codec.error import CodecError, PacketError
from gsc_ros.codec.packet import LAYERS, MAX_REGIONS
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.region.bitstream import (
    CodedRegion,
    decode_regions,
    encode_regions,
    NO_MOTION,
    region_bits,
)
from gsc_ros.codec.region.grid import (
    Grid,
    interval_count,
    most_cells,
    most_symbols,
    rank_interval,
    SCALES,
    unrank_interval,
)
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

# Any entropy model will do: what is on the wire does not depend on what it was trained for.
MODEL = load_profile('tiny').context
WIDTH, HEIGHT = 1216, 352


def region(
    scale: int = 2, left: int = 30, top: int = 5, width: int = 6, height: int = 4, level: int = 3,
    track: int | None = None, motion: tuple[int, int, int] = NO_MOTION, channels: int = 8,
    seed: int = 0, density: float = 0.2,
) -> CodedRegion:
    """Return a region with symbols of some kind."""
    rng = np.random.default_rng(seed)
    shape = (channels, height, width)
    symbols = rng.integers(-3, 4, shape) * (rng.random(shape) < density)
    return CodedRegion(scale, left, top, width, height, level, track, motion, channels,
                       symbols.astype(np.int16))


def same(one: CodedRegion, other: CodedRegion) -> bool:
    """Return whether two regions are equal."""
    heads = [replace(each, symbols=None) for each in (one, other)]
    return heads[0] == heads[1] and one.symbols.dtype == other.symbols.dtype and np.array_equal(
        one.symbols, other.symbols)


steps = st.integers(-64, 63)


@st.composite
def frames(draw) -> tuple[int, int, int, list[CodedRegion]]:
    """Return the size of an image, how many regions its packet may continue, and its regions."""
    width, height = draw(st.integers(16, 700)), draw(st.integers(16, 500))
    tracked = draw(st.sampled_from((0, 0, 1, 5, 32)))
    tracks = draw(st.lists(st.integers(0, max(tracked - 1, 0)), unique=True, max_size=3))
    room, regions = most_cells(width, height), []
    for track in [None] + tracks * (tracked > 0):
        motion = NO_MOTION if track is None else draw(
            st.just(NO_MOTION) | st.tuples(steps, steps, steps))
        if track is not None and draw(st.booleans()):
            regions.append(CodedRegion.continued(track, motion))
            continue
        grid = Grid.of(draw(st.sampled_from(SCALES)), width, height)
        across = draw(st.integers(1, min(grid.columns, 7)))
        down = draw(st.integers(1, min(grid.rows, 7)))
        room -= across * down
        if room < 0:
            break
        regions.append(region(
            grid.scale, draw(st.integers(0, grid.columns - across)),
            draw(st.integers(0, grid.rows - down)), across, down, draw(st.integers(0, 15)),
            track, motion, draw(st.sampled_from(LAYERS[:9])), draw(st.integers(0, 99))))
    return width, height, tracked, regions


@settings(max_examples=25, deadline=None)
@given(frames())
def test_regions_survive_their_bytes(frame):
    width, height, tracked, regions = frame
    coded = encode_regions(MODEL, regions, width, height, tracked)
    assert len(coded.ends) == len(regions) and coded.ends[-1] == len(coded.stream)
    assert all(first < last for first, last in zip(coded.ends, coded.ends[1:]))
    # A cut after each region leaves the regions before it as they were.
    for count, end in enumerate(coded.ends, 1):
        found = decode_regions(MODEL, coded.stream[:end], count, width, height, tracked)
        assert all(map(same, found, regions)) and len(found) == count


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=60), st.sampled_from((1, 2, MAX_REGIONS)), st.sampled_from((0, 4, 32)))
def test_any_bytes_give_regions_in_the_image_or_a_packet_error(stream, count, tracked):
    width, height = 80, 60
    try:
        found = decode_regions(MODEL, stream, count, width, height, tracked)
    except PacketError:
        return
    assert len(found) == count
    assert sum(one.width * one.height for one in found) <= most_cells(width, height)
    assert sum(one.symbols.size for one in found) <= most_symbols(width, height)
    for one in found:
        assert one.track is None or one.track < tracked
        assert np.abs(one.symbols).max(initial=0) <= MODEL.symbol_max
        if one.channels:
            left, top, right, bottom = one.box(width, height)
            assert 0 <= left < right <= width and 0 <= top < bottom <= height
    # What was read can be written, and is read again.
    again = encode_regions(MODEL, found, width, height, tracked)
    assert all(map(same, decode_regions(
        MODEL, again.stream, count, width, height, tracked), found))


def test_a_truncated_or_damaged_stream_gives_regions_or_a_packet_error():
    coded = encode_regions(
        MODEL, [region(seed=seed, left=3 * seed) for seed in range(3)], WIDTH, HEIGHT)
    random, outcomes = Random(0), set()
    damaged = [coded.stream[:length] for length in range(0, len(coded.stream), 9)]
    for _ in range(20):
        data = bytearray(coded.stream)
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        damaged.append(bytes(data))
    for stream in damaged:
        try:
            outcomes.add(len(decode_regions(MODEL, stream, 3, WIDTH, HEIGHT)))
        except PacketError:
            outcomes.add('refused')
    assert 3 in outcomes


@pytest.mark.parametrize(('change', 'message'), [
    ({'scale': 3}, 'scale'), ({'left': -1}, 'columns'), ({'left': 71}, 'columns'),
    ({'top': 19}, 'rows'), ({'width': 0}, 'columns'), ({'height': 99}, 'rows'),
    ({'level': 16}, 'level'), ({'level': -1}, 'level'), ({'channels': 5}, 'channels'),
    ({'channels': 0}, 'channels'), ({'channels': 12}, 'size'), ({'track': 2}, 'no region 2'),
    ({'track': -1}, 'no region -1'), ({'motion': (1, 0, 0)}, 'new region'),
    ({'track': 1, 'motion': (64, 0, 0)}, 'motion'), ({'track': 1, 'motion': (0, 0, -65)}, 'motion'),
    ({'symbols': np.full((8, 4, 6), 32767, np.int16)}, 'symbol'),
    ({'symbols': np.zeros((8, 6, 4), np.int16)}, 'size')])
def test_a_region_out_of_range_is_not_written(change, message):
    with pytest.raises(CodecError, match=message):
        encode_regions(MODEL, [replace(region(), **change)], WIDTH, HEIGHT, tracked=2)


def test_nothing_is_continued_in_a_packet_that_stands_alone():
    with pytest.raises(CodecError, match='no region 0'):
        encode_regions(MODEL, [CodedRegion.continued(0, NO_MOTION)], WIDTH, HEIGHT)


def test_a_region_is_continued_once():
    with pytest.raises(CodecError, match='same one'):
        encode_regions(
            MODEL, 2 * [CodedRegion.continued(0, NO_MOTION)], WIDTH, HEIGHT, tracked=2)


@pytest.mark.parametrize('count', [0, 33])
def test_a_packet_has_1_to_32_regions(count):
    with pytest.raises(CodecError, match='regions are not in'):
        encode_regions(MODEL, [region()] * count, WIDTH, HEIGHT)


@pytest.mark.parametrize(('scale', 'channels', 'count'), [(1, 1, 1), (2, 320, 1), (4, 1, 16)])
def test_regions_larger_than_the_picture_are_neither_written_nor_read(scale, channels, count):
    grid = Grid.of(scale, 64, 64)
    whole = region(scale, 0, 0, grid.columns, grid.rows, 0, None, NO_MOTION, channels, density=0)
    most = encode_regions(MODEL, [whole] * count, 64, 64)
    assert len(decode_regions(MODEL, most.stream, count, 64, 64)) == count
    with pytest.raises(CodecError, match='too large'):
        encode_regions(MODEL, [whole] * (count + 1), 64, 64)


def test_a_few_bytes_cannot_make_the_decoder_allocate_much():
    grid = Grid.of(1, 8192, 8192)
    everything = interval_count(grid.columns) - 1, interval_count(grid.rows) - 1
    encoder = SymbolEncoder()
    encoder.encode_ranks(
        (len(SCALES), len(LAYERS), everything[0] + 1, everything[1] + 1, 16),
        (SCALES.index(1), LAYERS.index(320), *everything, 0))
    stream = encoder.finish().stream
    assert len(stream) <= 8
    tracemalloc.start()
    with pytest.raises(PacketError, match='too large'):
        decode_regions(MODEL, stream, 1, 8192, 8192)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_level_that_the_model_has_not_got_is_refused():
    class FewLevels:
        quantizers = 2

    coded = encode_regions(MODEL, [region(level=3)], WIDTH, HEIGHT)
    with pytest.raises(PacketError, match='level 3'):
        decode_regions(FewLevels(), coded.stream, 1, WIDTH, HEIGHT)


def test_the_head_of_a_region_takes_four_bytes_and_less_where_it_continues():
    silent = region(channels=1, density=0)
    kind = MODEL.entropy(silent.symbols, (0,), 3).sum()
    assert region_bits(MODEL, silent, WIDTH, HEIGHT) - kind == pytest.approx(29.2, abs=0.1)
    tracked = 7
    assert region_bits(MODEL, silent, WIDTH, HEIGHT, tracked) - kind < 32.5
    for motion, most in ((NO_MOTION, 6), ((1, -4, 3), 15), ((5, 0, -64), 27)):
        continued = CodedRegion.continued(3, motion)
        assert region_bits(MODEL, continued, WIDTH, HEIGHT, tracked) < most
    steady = [CodedRegion.continued(track, NO_MOTION) for track in range(tracked)]
    assert len(encode_regions(MODEL, steady, WIDTH, HEIGHT, tracked).stream) <= 7


def test_the_bits_of_a_region_are_those_of_its_stream():
    regions = [region(seed=seed, left=3 * seed, channels=16) for seed in range(6)]
    bits = sum(region_bits(MODEL, one, WIDTH, HEIGHT) for one in regions)
    assert 8 * len(encode_regions(MODEL, regions, WIDTH, HEIGHT).stream) == pytest.approx(
        bits, abs=24)


def test_eight_regions_are_coded_in_a_few_milliseconds():
    regions = [region(seed=seed, left=7 * seed, channels=24) for seed in range(8)]
    assert 24 in LAYERS
    encode_regions(MODEL, regions, WIDTH, HEIGHT)
    times = []
    for _ in range(5):
        start = time.process_time()
        encode_regions(MODEL, regions, WIDTH, HEIGHT)
        times.append(time.process_time() - start)
    # Alone on a core it takes about 8 ms.
    assert min(times) < 0.04


@pytest.mark.parametrize('cells', [1, 2, 7, 76, 1024])
def test_every_interval_has_a_rank_of_its_own(cells):
    count = interval_count(cells)
    ranks = range(count) if count < 5000 else (0, 1, cells, count // 2, count - 1)
    for rank in ranks:
        first, length = unrank_interval(rank, cells)
        assert 0 <= first < first + length <= cells
        assert rank_interval(first, length, cells) == rank
    for rank in (-1, count):
        with pytest.raises(PacketError, match='interval'):
            unrank_interval(rank, cells)


def test_the_grid_covers_the_image():
    assert [(Grid.of(scale, 1216, 352).columns, Grid.of(scale, 1216, 352).rows)
            for scale in SCALES] == [(152, 44), (76, 22), (38, 11)]
    assert (Grid.of(2, 16, 17).columns, Grid.of(2, 16, 17).rows) == (1, 2)
    assert region(left=75, top=21, width=1, height=1).box(1210, 350) == (1200, 336, 1210, 350)
