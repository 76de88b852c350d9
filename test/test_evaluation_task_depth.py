# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of depth are those of the definitions, by hand and from known mistakes."""

import math

from gsc_ros.evaluation.dataset.dataset import DepthTruth
from gsc_ros.evaluation.task.depth import (
    ALIGNMENTS,
    DepthError,
    garg_region,
    join,
    measure,
    measure_agreement,
    METRICS,
)
import numpy as np
import pytest

CAP = 80.0
PERFECT = {'delta1': 1, 'delta2': 1, 'delta3': 1, 'abs_rel': 0, 'rmse': 0, 'rmse_log': 0}


def depth_map(seed=0, size=(40, 60)):
    """Return plausible depth in metres, float32 [H, W], all within the cap."""
    return np.random.default_rng(seed).uniform(2, 79, size).astype(np.float32)


def figures(row):
    """Return the metrics of a row alone."""
    return {name: row[name] for name in METRICS}


def test_the_truth_itself_is_without_error():
    metres = depth_map()
    row = measure(DepthTruth(metres, CAP), metres, 'metres', 'none')
    assert figures(row) == PERFECT
    assert row['pixels'] == metres.size


def test_four_pixels_give_what_is_computed_by_hand():
    truth = DepthTruth(np.array([[1, 2], [4, 10]], np.float32), CAP)
    predicted = np.array([[1.2, 3], [2, 10]], np.float32)  # ratios 1.2, 1.5, 2, 1
    row = measure(truth, predicted, 'metres', 'none')
    assert row['delta1'] == 0.5  # below 1.25
    assert row['delta2'] == 0.75  # below 1.5625
    assert row['delta3'] == 0.75  # below 1.953125
    assert row['abs_rel'] == pytest.approx((0.2 + 0.5 + 0.5 + 0) / 4)
    assert row['rmse'] == pytest.approx(math.sqrt((0.04 + 1 + 4 + 0) / 4))
    logarithms = [math.log(1.2), math.log(1.5), math.log(0.5), 0]
    assert row['rmse_log'] == pytest.approx(math.sqrt(sum(one ** 2 for one in logarithms) / 4))


@pytest.mark.parametrize('factor', (1.1, 1.3, 1.6, 2.0, 0.7))
def test_a_known_factor_gives_the_known_errors(factor):
    metres = depth_map().clip(2, 79 / 2.1)  # nothing reaches the cap
    row = measure(DepthTruth(metres, CAP), metres * np.float32(factor), 'metres', 'none')
    ratio = max(factor, 1 / factor)
    assert [row[f'delta{power}'] for power in (1, 2, 3)] == [
        float(ratio < 1.25 ** power) for power in (1, 2, 3)]
    assert row['abs_rel'] == pytest.approx(abs(factor - 1), rel=1e-5)
    assert row['rmse_log'] == pytest.approx(abs(math.log(factor)), rel=1e-5)
    squares = np.mean(metres.astype(np.float64) ** 2)
    assert row['rmse'] == pytest.approx(abs(factor - 1) * math.sqrt(squares), rel=1e-5)


def test_a_known_offset_in_metres_is_the_rmse():
    metres = depth_map().clip(2, 70)
    row = measure(DepthTruth(metres, CAP), metres + 3, 'metres', 'none')
    assert row['rmse'] == pytest.approx(3, rel=1e-5)


@pytest.mark.parametrize('alignment', ('least-squares', 'robust'))
def test_disparity_of_any_scale_and_shift_is_aligned(alignment):
    metres = depth_map()
    disparity = 250 / metres + 7
    row = measure(DepthTruth(metres, CAP), disparity, 'disparity', alignment)
    assert figures(row) == pytest.approx(PERFECT, abs=1e-4)


@pytest.mark.parametrize('kind', ('disparity', 'metres'))
def test_the_median_aligns_scale_alone(kind):
    metres = depth_map()
    predicted = 5 / metres if kind == 'disparity' else 0.2 * metres
    row = measure(DepthTruth(metres, CAP), predicted, kind, 'median')
    assert figures(row) == pytest.approx(PERFECT, abs=1e-4)
    shifted = measure(DepthTruth(metres, CAP), predicted + 1, kind, 'median')
    assert shifted['abs_rel'] > 0.05


def test_least_squares_is_numpys_in_disparity():
    metres = depth_map()
    noisy = (3 / metres + 0.2 + np.random.default_rng(1).normal(0, 0.02, metres.shape))
    row = measure(DepthTruth(metres, CAP), noisy.astype(np.float32), 'disparity')
    values = noisy.astype(np.float32).astype(np.float64).ravel()
    wanted = 1 / metres.astype(np.float64).ravel()
    scale, shift = np.polyfit(values, wanted, 1)
    depth = 1 / np.clip(scale * values + shift, 1 / CAP, 1e3)
    expected = np.mean(np.abs(depth - metres.ravel()) / metres.ravel())
    assert row['abs_rel'] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('alignment', sorted(set(ALIGNMENTS) - {'none'}))
@pytest.mark.parametrize('value', (0.0, 1.0, -1.0))
def test_a_prediction_without_any_depth_in_it_still_has_errors(alignment, value):
    metres = depth_map()
    row = measure(DepthTruth(metres, CAP), np.full_like(metres, value), 'disparity', alignment)
    assert all(math.isfinite(row[name]) for name in METRICS)
    assert row['abs_rel'] > 0.1


def test_unmeasured_and_distant_pixels_do_not_count():
    metres = np.array([[0, 5], [90, 10]], np.float32)
    predicted = np.array([[33, 5], [1, 10]], np.float32)
    row = measure(DepthTruth(metres, CAP), predicted, 'metres', 'none')
    assert row['pixels'] == 2
    assert figures(row) == PERFECT


def test_a_prediction_beyond_the_cap_is_taken_for_the_cap():
    truth = DepthTruth(np.full((2, 2), 40, np.float32), CAP)
    row = measure(truth, np.full((2, 2), 4000, np.float32), 'metres', 'none')
    assert row['abs_rel'] == 1  # 80 instead of 40


def test_a_picture_without_truth_has_no_errors():
    empty = DepthTruth(np.zeros((3, 3), np.float32), CAP)
    assert measure(empty, np.ones((3, 3), np.float32), 'metres', 'none') is None
    with pytest.raises(DepthError, match='no picture'):
        join([])


def test_only_the_region_counts():
    metres = depth_map(size=(370, 1224))
    predicted = metres.copy()
    region = garg_region(370, 1224)
    # The crop as Monodepth2 computes it, fractions cut off.
    rows, columns = np.nonzero(region)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (151, 365, 43, 1179)
    predicted[~region] = 1
    row = measure(DepthTruth(metres, CAP), predicted, 'metres', 'none', region)
    assert figures(row) == PERFECT
    assert row['pixels'] == region.sum()


def test_each_picture_is_one_vote():
    rows = [measure(DepthTruth(np.full(size, 10, np.float32), CAP),
                    np.full(size, 10 * factor, np.float32), 'metres', 'none')
            for size, factor in (((2, 2), 1.0), ((50, 50), 1.5))]
    assert join(rows)['abs_rel'] == pytest.approx(0.25)
    assert join(rows)['delta1'] == 0.5


def test_what_cannot_be_compared_is_refused():
    truth = DepthTruth(depth_map(), CAP)
    with pytest.raises(DepthError, match='shape'):
        measure(truth, np.ones((40, 61), np.float32), 'metres', 'none')
    with pytest.raises(DepthError, match='finite'):
        measure(truth, np.full((40, 60), np.nan, np.float32), 'metres', 'none')
    for kind in ('metres', 'disparity'):
        with pytest.raises(DepthError, match='on the original is not finite'):
            measure_agreement(np.full((40, 60), np.inf, np.float32), depth_map(), kind)
    with pytest.raises(DepthError, match='alignment'):
        measure(truth, np.ones((40, 60), np.float32), 'disparity', 'none')


@pytest.mark.parametrize('kind', ('disparity', 'metres'))
def test_the_same_prediction_agrees_with_itself(kind):
    original = 100 / depth_map() if kind == 'disparity' else depth_map()
    assert figures(measure_agreement(original, original, kind)) == pytest.approx(PERFECT, abs=1e-6)


@pytest.mark.parametrize('kind', ('disparity', 'metres'))
def test_a_factor_in_the_prediction_is_the_disagreement(kind):
    original = 100 / depth_map() if kind == 'disparity' else depth_map().clip(2, 40)
    row = measure_agreement(original, original / np.float32(1.1), kind)
    assert row['rmse_log'] == pytest.approx(math.log(1.1), rel=1e-2)


def test_the_sky_of_the_original_does_not_count_in_agreement():
    original = np.full((4, 4), 10, np.float32)
    original[0] = 0.1  # a hundred times as far as the rest
    predicted = original.copy()
    predicted[0] = 0.4
    row = measure_agreement(original, predicted, 'disparity')
    assert row['pixels'] == 12
    assert figures(row) == pytest.approx(PERFECT, abs=1e-6)
