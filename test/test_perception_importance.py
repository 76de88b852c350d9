# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The importance network that comes with the package, and what makes its boxes steady."""

from __future__ import annotations

from itertools import islice
import json
from pathlib import Path
import shutil
import time

from gsc_ros.codec.region.region import FULL_WEIGHT
from gsc_ros.evaluation.region_recall import Recall, recall
from gsc_ros.perception.source.importance import (
    ImportanceSource,
    steadied,
    within_share,
    without_parts,
)
from gsc_ros.perception.source.importance_model import (
    GRAPH_FILE,
    ImportanceModel,
    MANIFEST_FILE,
    PITCH,
    working_size,
)
from gsc_ros.perception.source.source import SourceError
from gsc_ros.sources.opening import open_source
import numpy as np
import pytest
from shared_data import kitti_drive, REPOSITORY

SHIPPED = REPOSITORY / 'gsc_ros' / 'profiles' / 'perception' / 'importance'
S = 10 ** 9


def things(*rows):
    """Return left, top, right, bottom and certainty as the source holds them."""
    return np.array(rows, np.float32).reshape(-1, 5)


@pytest.fixture(scope='module')
def frames():
    """Return some frames of a drive."""
    if kitti_drive() is None:
        pytest.skip('no KITTI drive')
    return [frame.image for frame in islice(iter(open_source(kitti_drive())), 4)]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the shipped network to spoil."""
    shutil.copytree(SHIPPED, tmp_path / 'network')
    return tmp_path / 'network'


def test_the_network_is_small_and_says_where_it_comes_from():
    assert (SHIPPED / GRAPH_FILE).stat().st_size < 1_000_000
    assert json.loads((SHIPPED / MANIFEST_FILE).read_text())['training']
    assert 'train' in (SHIPPED / 'README.md').read_text()


@pytest.mark.parametrize('size', [(1242, 375), (640, 480), (1920, 1080), (320, 160), (33, 2000)])
def test_a_picture_is_looked_at_in_its_proportions_at_a_bounded_size(size: tuple[int, int]):
    width, height = working_size(*size, 80_000)
    assert width % PITCH == height % PITCH == 0
    assert width * height < 110_000
    if min(size) > 100:
        assert 0.8 < width / height * size[1] / size[0] < 1.25


@pytest.mark.parametrize('shape', [(480, 640, 3), (16, 16, 3), (20, 3000, 3)])
def test_a_picture_of_any_size_has_few_regions_within_it(shape: tuple[int, ...]):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    regions = ImportanceSource(threshold=0.02).find(image, 0)
    assert len(regions) <= 16
    for region in regions:
        left, top, right, bottom = region.box
        assert 0 <= left < right <= shape[1] and 0 <= top < bottom <= shape[0]
        assert 0 < region.weight <= FULL_WEIGHT and region.class_id is None


@pytest.mark.parametrize('threshold', [0, 1, -1, float('nan')])
def test_a_threshold_is_within_0_to_1(threshold: float):
    with pytest.raises(SourceError, match='threshold'):
        ImportanceSource(threshold=threshold)


def test_an_empty_picture_has_no_regions():
    for value in (0, 128, 255):
        assert ImportanceSource().find(np.full((375, 1242, 3), value, np.uint8), 0) == []


def test_the_same_picture_has_the_same_regions(frames):
    one, other = ImportanceSource(), ImportanceSource()
    assert one.find(frames[0], 0) == other.find(frames[0], 0)


def test_regions_come_heaviest_first(frames):
    weights = [region.weight for region in ImportanceSource().find(frames[0], 0)]
    assert weights and weights == sorted(weights, reverse=True)


def test_it_takes_a_bounded_time_whatever_the_camera():
    source, image = ImportanceSource(), np.zeros((2160, 3840, 3), np.uint8)
    source.find(image, 0)
    began = time.process_time()
    source.find(image, S)
    assert time.process_time() - began < 0.25


def test_a_thing_needs_less_certainty_to_stay_than_to_appear():
    faint = things((10, 10, 50, 50, 0.25))
    assert len(steadied(faint, things(), 0.3)) == 0
    assert len(steadied(faint, things((12, 10, 52, 50, 0.4)), 0.3)) == 1
    assert len(steadied(faint, things((60, 10, 90, 50, 0.4)), 0.3)) == 0


def test_a_part_of_a_more_certain_thing_is_no_region_of_its_own():
    whole, part, beside = (10, 10, 50, 50, 0.9), (20, 20, 30, 30, 0.8), (45, 10, 90, 50, 0.7)
    assert np.array_equal(without_parts(things(whole, part, beside)), things(whole, beside))
    around = things((*part[:4], 0.9), (*whole[:4], 0.8))
    assert len(without_parts(around)) == 2, 'a thing around a more certain one stays'


def test_all_things_together_take_a_part_of_the_picture_alone():
    large, larger, small = (0, 0, 50, 50, 0.9), (50, 0, 100, 50, 0.8), (60, 60, 70, 70, 0.7)
    assert np.array_equal(within_share(things(large, larger, small), 100 * 100),
                          things(large, small))
    assert np.array_equal(within_share(things(large), 50 * 50), things(large)), 'it is all there is'
    assert len(within_share(things(), 100 * 100)) == 0


def test_a_thing_follows_slowly_and_two_never_follow_one():
    before = things((10, 10, 50, 50, 0.5))
    found = steadied(things((14, 10, 54, 50, 0.9), (16, 10, 56, 50, 0.8)), before, 0.3)
    new, old = found
    assert new.tolist() == things((16, 10, 56, 50, 0.8))[0].tolist()
    assert 10 < old[0] < 14 and 0.5 < old[4] < 0.8


def test_a_cut_or_another_picture_is_no_reason_to_stay(frames):
    source = ImportanceSource()
    first = source.find(frames[0], 0)
    for stamp_ns in (10 * S, 9 * S):
        assert source.find(frames[0], stamp_ns) == first
    source.find(frames[0][:200], 9 * S)
    assert source.find(frames[0], 9 * S) == first


def test_a_damaged_network_is_refused(copy: Path):
    with (copy / GRAPH_FILE).open('ab') as file:
        file.write(b'x')
    with pytest.raises(SourceError, match='not the file'):
        ImportanceModel(copy)
    (copy / GRAPH_FILE).unlink()
    with pytest.raises(SourceError, match='cannot read'):
        ImportanceModel(copy)


@pytest.mark.parametrize('change', [
    {'format': 2}, {'pixels': 1}, {'pixels': 1e5}, {'stride': 7}, {'stride': True},
    {'threshold': 0}, {'threshold': 'a'}, {'files': {}}, {'files': None}])
def test_a_manifest_out_of_range_is_refused(copy: Path, change: dict):
    fields = json.loads((copy / MANIFEST_FILE).read_text())
    (copy / MANIFEST_FILE).write_text(json.dumps({**fields, **change}))
    with pytest.raises(SourceError, match='manifest.json'):
        ImportanceModel(copy)


@pytest.mark.parametrize('text', ['', '[]', '{}', '[' * 100_000])
def test_a_manifest_that_is_none_is_refused(copy: Path, text: str):
    (copy / MANIFEST_FILE).write_text(text)
    with pytest.raises(SourceError, match='manifest.json'):
        ImportanceModel(copy)


def test_recall_counts_what_lies_in_regions_and_what_they_take():
    things = np.array([[0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
    counted = recall([(0, 0, 20, 8), (0, 0, 20, 8)], things, 100, 100)
    assert (counted.things, counted.found, counted.regions) == (2, 1, 2)
    assert counted.share == pytest.approx(0.016)
    total = counted + recall([], things, 100, 100) + Recall()
    assert (total.things, total.found, total.frames) == (4, 1, 2)
