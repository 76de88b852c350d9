# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The solver finds the closed forms, and the bound is one for what it models."""

import math

import cv2
from gsc_ros.evaluation.bound.information import (
    BoundError,
    distribution,
    entropy,
    haar,
    information,
    kept,
    MEASURES,
)
from gsc_ros.evaluation.bound.optimum import (
    allocate,
    as_written,
    gaussian_curve,
    GAUSSIAN_SLOPE,
    Loss,
    water_filling,
)
from gsc_ros.evaluation.bound.study import describe, join
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

SHARES = st.lists(st.floats(1e-4, 1), min_size=1, max_size=40).map(
    lambda values: np.array(values) / sum(values))


def picture(seed=0, size=(64, 96)):
    """Return a picture with coarse and fine detail, uint8 [H, W, 3]."""
    generator = np.random.default_rng(seed)
    coarse = np.kron(generator.integers(0, 200, (size[0] // 16, size[1] // 16)), np.ones((16, 16)))
    image = coarse[..., None] + generator.integers(0, 40, (*size, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


# The solver

@given(SHARES, st.floats(0, 200))
@settings(max_examples=60, deadline=None)
def test_the_solver_finds_what_water_filling_has_in_closed_form(shares, budget):
    solved, closed = allocate(shares, budget=budget), water_filling(shares, budget)
    assert solved.rate == pytest.approx(budget, abs=1e-6)
    assert closed.rate == pytest.approx(budget, abs=1e-6)
    assert np.allclose(solved.bits, closed.bits, atol=1e-6)
    assert solved.kept == pytest.approx(closed.kept, abs=1e-9)


def test_two_details_share_the_bits_as_computed_by_hand():
    # 3/4 and 1/4 with one bit: the level 1/4 * 3/4 = theta^2 2^2 would be 0.2165, below both.
    both = water_filling(np.array([0.75, 0.25]), 1.0)
    level = math.sqrt(0.75 * 0.25 / 4)
    assert both.bits == pytest.approx([0.5 * math.log2(0.75 / level),
                                       0.5 * math.log2(0.25 / level)])
    assert both.kept == pytest.approx(1 - 2 * level)
    # With half a bit only the larger one gets any: 3/4 2^(-1) = 3/8 is still above 1/4.
    one = water_filling(np.array([0.75, 0.25]), 0.5)
    assert one.bits == pytest.approx([0.5, 0])
    assert one.kept == pytest.approx(1 - 0.375 - 0.25)


@pytest.mark.parametrize('budget', (0.0, 3.0, 50.0))
def test_equal_details_share_the_bits_equally(budget):
    allocation = allocate(np.full(10, 0.1), budget=budget)
    assert allocation.bits == pytest.approx(np.full(10, budget / 10), abs=1e-6)
    assert allocation.kept == pytest.approx(1 - 2 ** (-2 * budget / 10), abs=1e-6)


@given(SHARES, st.floats(1e-3, 1.5))
@settings(max_examples=40, deadline=None)
def test_at_the_optimum_every_detail_with_bits_pays_the_price(shares, price):
    allocation = allocate(shares, price=price)
    slopes = GAUSSIAN_SLOPE * shares * np.exp2(-2 * allocation.bits)
    given_bits = allocation.bits > 1e-9
    assert slopes[given_bits] == pytest.approx(price, rel=1e-6)
    assert (slopes[~given_bits] <= price * (1 + 1e-6)).all()


def test_another_loss_is_solved_too():
    # f = 1 / (1 + r): |f'| = (1 + r)^-2, so r = sqrt(P / price) - 1 where that is positive.
    shares = np.array([0.6, 0.3, 0.09, 0.01])
    loss = Loss(lambda bits: 1 / (1 + bits), lambda bits: 1 / (1 + bits) ** 2)
    allocation = allocate(shares, price=0.05, loss=loss)
    assert allocation.bits == pytest.approx(np.maximum(np.sqrt(shares / 0.05) - 1, 0), abs=1e-9)
    again = allocate(shares, budget=allocation.rate, loss=loss)
    assert again.bits == pytest.approx(allocation.bits, abs=1e-6)


@given(SHARES, st.floats(0.1, 50), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_no_other_allocation_of_the_same_bits_keeps_more(shares, budget, seed):
    best = water_filling(shares, budget)
    other = np.random.default_rng(seed).dirichlet(np.ones(len(shares))) * budget
    assert 1 - (shares * np.exp2(-2 * other)).sum() <= best.kept + 1e-9


@given(SHARES)
@settings(max_examples=40, deadline=None)
def test_the_curve_is_water_filling_at_every_price(shares):
    prices = np.geomspace(2, 1e-4, 20)
    for price, bits, share in zip(prices, *gaussian_curve(shares, prices)):
        allocation = allocate(shares, price=price)
        assert bits == pytest.approx(allocation.rate, abs=1e-6)
        assert share == pytest.approx(allocation.kept, abs=1e-9)


@given(SHARES, st.floats(0, 1), st.floats(0.1, 40))
@settings(max_examples=60, deadline=None)
def test_information_that_is_spread_further_has_more_entropy_and_costs_more(shares, mix, budget):
    # Mixing with a permutation of itself spreads a distribution (it majorizes the mixture).
    spread = (1 - mix) * shares + mix * shares[::-1]
    assert entropy(spread) >= entropy(shares) - 1e-9
    assert water_filling(spread, budget).kept <= water_filling(shares, budget).kept + 1e-9


def test_what_cannot_be_solved_is_refused():
    shares = np.array([0.5, 0.5])
    for wrong in ({}, {'price': 1.0, 'budget': 1.0}, {'price': 0.0}, {'budget': -1.0}):
        with pytest.raises(BoundError):
            allocate(shares, **wrong)
    with pytest.raises(BoundError):
        as_written(10.0, 0.0, 1.0)


# Eq. (8) as it is written

@pytest.mark.parametrize(('alpha', 'beta'), ((2, 1), (1, 2), (1, 1)))
def test_the_written_problem_is_the_linear_program_that_it_looks_like(alpha, beta):
    scipy = pytest.importorskip('scipy.optimize')
    entropy_of = 17.5
    # Variables H(x') and B: minimise -alpha H(x') + beta B with H(x') - B <= 0.
    program = scipy.linprog([-alpha, beta], A_ub=[[1, -1]], b_ub=[0],
                            bounds=[(0, entropy_of), (0, None)])
    solution = as_written(entropy_of, alpha, beta)
    assert solution.objective == pytest.approx(alpha * entropy_of + program.fun)
    assert solution.bits == solution.entropy
    assert solution.entropy == (entropy_of if alpha >= beta else 0)


def test_the_written_conditions_hold_only_for_equal_weights():
    assert as_written(17.5, 1.0, 1.0).stationary
    assert not as_written(17.5, 1.0, 0.5).stationary


# Information

def test_entropy_is_the_logarithm_of_the_number_of_equal_shares():
    assert entropy(np.full(1024, 1 / 1024)) == pytest.approx(10)
    assert entropy(np.array([1.0, 0, 0])) == 0
    assert entropy(np.array([0.5, 0.25, 0.25])) == pytest.approx(1.5)


def test_the_transform_keeps_energy_and_drops_the_mean():
    plane = np.random.default_rng(0).normal(5, 3, (64, 32))
    energy = sum((detail ** 2).sum() for detail in haar(plane))
    assert energy == pytest.approx(((plane - plane.mean()) ** 2).sum())


@pytest.mark.parametrize('size', ((1, 1), (1, 7), (5, 3), (352, 1216)))
def test_any_size_can_be_transformed(size):
    scales = haar(np.ones(size))
    assert all((detail == 0).all() for detail in scales)


@pytest.mark.parametrize('measure', sorted(MEASURES))
def test_kept_is_one_for_the_picture_zero_for_its_mean_and_falls_with_noise(measure):
    image = picture()
    assert kept(image, image, measure) == 1
    gray = np.full_like(image, 77)
    assert kept(image, gray, measure) == pytest.approx(0, abs=1e-9)
    noisy = [np.clip(image + np.random.default_rng(1).normal(0, level, image.shape), 0, 255
                     ).astype(np.uint8) for level in (5, 20, 80)]
    shares = [kept(image, one, measure) for one in noisy]
    assert shares == sorted(shares, reverse=True)
    assert kept(image, 255 - image, measure) < 0


def test_kept_energy_is_the_variance_explained():
    image = picture(size=(64, 128))
    changed = picture(seed=5, size=(64, 128))
    luma, other = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).astype(float)
                   for one in (image, changed))
    error = (luma - luma.mean()) - (other - other.mean())
    assert kept(image, changed) == pytest.approx(1 - error.var() / luma.var())


def test_more_information_need_not_be_more_entropy():
    # Twice the contrast is four times the energy and the same distribution; noise, which nobody
    # can use, has more entropy than a scene: docs/theory.md.
    scene = np.kron(np.array([[0, 90], [120, 40]], np.uint8), np.ones((32, 32), np.uint8))
    twice, noise = scene * 2, np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    spread = [entropy(distribution(information(np.repeat(plane[..., None], 3, axis=2))))
              for plane in (scene, twice, noise)]
    assert spread[0] == pytest.approx(spread[1])
    assert spread[2] > spread[0] + 5


# Pictures together

def test_the_bound_rises_to_everything_and_lies_left_of_a_plain_quantizer():
    image = picture()
    row = describe(image)
    assert row['bpp'] == sorted(row['bpp'])
    assert row['kept'] == sorted(row['kept'])
    assert row['kept'][-1] == pytest.approx(1, abs=1e-3)
    assert 0 < row['entropy'] <= row['entropy_max']
    # A picture of 16 grays a pixel, each coded alone: more than the bound asks for.
    coarse = (image // 16 * 16 + 8).astype(np.uint8)
    point = {'method': 'gray', 'bpp': 4.0, 'kept': kept(image, coarse)}
    joined = join([row], [point])
    assert joined['points'][0]['ratio'] > 1
    assert joined['points'][0]['method'] == 'gray'


def test_joined_pictures_are_means_and_the_optimum_costs_least():
    rows = [describe(picture(seed)) for seed in range(3)]
    joined = join(rows, alpha=1.0, beta=1e-3)
    pixels = 64 * 96
    assert joined['entropy'] == pytest.approx(np.mean([row['entropy'] for row in rows]))
    assert joined['written']['bpp_of_entropy'] == pytest.approx(joined['entropy'] / pixels)
    best = joined['optimum']
    assert best['cost'] == pytest.approx(1 - best['kept'] + 1e-3 * best['bits'])
    for knot in joined['curve']:
        assert 1 - knot['kept'] + 1e-3 * knot['bpp'] * pixels >= best['cost'] - 1e-12


def test_a_reconstruction_that_keeps_nothing_has_no_bound():
    joined = join([describe(picture())], [{'bpp': 0.01, 'kept': -0.4}])
    assert joined['points'][0]['bound_bpp'] == 0
    assert joined['points'][0]['ratio'] is None


def test_what_has_no_information_is_refused():
    flat = np.full((32, 32, 3), 9, np.uint8)
    with pytest.raises(BoundError, match='one colour'):
        describe(flat)
    with pytest.raises(BoundError, match='one colour'):
        kept(flat, flat)
    with pytest.raises(BoundError, match='energy, gradient'):
        describe(picture(), 'beauty')
    with pytest.raises(BoundError, match='differ in size'):
        kept(picture(), flat)
    with pytest.raises(BoundError, match='no picture'):
        join([])
