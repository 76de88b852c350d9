# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What levels of F1 cost, and what key regions change."""

from gsc_ros.evaluation.equal_quality import Equal, equal_f1, region_costs
from gsc_ros.evaluation.plan import Codec, Comparison, Outcome, Plan, Point
import numpy as np
import pytest

CODECS = (Codec('gsc', 'gsc', '', own=True), Codec('gsc-regions', 'gsc regions', '', own=True),
          Codec('av1', 'AV1', ''), Codec('hevc', 'HEVC', ''), Codec('jpeg', 'JPEG', ''))


def comparison(**curves):
    """Return a comparison of stills: of each codec pairs of bit per pixel and F1."""
    return Comparison(CODECS, tuple(
        Outcome(Point(name.replace('_', '-'), str(bpp), bpp=bpp, f1=f1))
        for name, curve in curves.items() for bpp, f1 in curve))


def costs(found, codec):
    """Return the levels of a codec."""
    return {row.f1: row for row in found if row.codec == codec}


def test_a_level_costs_what_the_envelope_says_between_measured_points():
    found = costs(equal_f1(comparison(
        gsc=[(0.01, 0.2), (0.04, 0.6)], av1=[(0.02, 0.1), (0.08, 0.5)],
        hevc=[(0.1, 0.3), (0.2, 0.9)]), 'stills'), 'gsc')
    assert found[0.4].rate == pytest.approx(0.02)
    assert found[0.4].peers == pytest.approx({'av1': 0.08 / 2 ** 0.5, 'hevc': 0.1 * 2 ** (1 / 6)})
    assert found[0.4].best == 'av1'
    assert found[0.4].ratio == pytest.approx(0.02 / (0.08 / 2 ** 0.5))


def test_the_cheapest_peer_is_the_best_and_only_those_that_were_asked_for_count():
    curves = comparison(gsc=[(0.01, 0.2), (0.04, 0.6)], av1=[(0.02, 0.3), (0.08, 0.7)],
                        hevc=[(0.01, 0.3), (0.04, 0.7)])
    assert costs(equal_f1(curves, 'stills'), 'gsc')[0.5].best == 'hevc'
    alone = costs(equal_f1(curves, 'stills', peers={'av1'}), 'gsc')[0.5]
    assert alone.best == 'av1' and set(alone.peers) == {'av1'}


def test_a_level_that_is_not_reached_has_no_rate_and_no_ratio():
    found = costs(equal_f1(comparison(
        gsc=[(0.01, 0.2), (0.04, 0.6)], av1=[(0.02, 0.1), (0.08, 0.9)]), 'stills'), 'gsc')
    assert found[0.8].rate is None and found[0.8].ratio is None
    assert 'av1' in found[0.8].peers
    alone = costs(equal_f1(comparison(gsc=[(0.01, 0.2), (0.04, 0.6)]), 'stills'), 'gsc')
    assert alone[0.4].best is None and alone[0.4].ratio is None
    assert Equal('gsc', 0.5, None, {'av1': 1.0}).ratio is None


def test_nobody_is_given_a_rate_below_what_was_measured():
    found = costs(equal_f1(comparison(
        gsc=[(0.02, 0.5), (0.04, 0.6)], av1=[(0.03, 0.5), (0.08, 0.7)]), 'stills'), 'gsc')
    # Ours is charged for its cheapest point; of the peer nothing is known.
    assert found[0.3].rate == pytest.approx(0.02)
    assert found[0.3].peers == {}
    assert found[0.3].ratio is None


def test_a_worse_point_at_a_higher_rate_does_not_count():
    found = costs(equal_f1(comparison(
        gsc=[(0.01, 0.4), (0.02, 0.3), (0.04, 0.8)], av1=[(0.01, 0.1), (0.09, 0.9)]),
        'stills'), 'gsc')
    assert found[0.4].rate == pytest.approx(0.01)
    assert found[0.6].rate == pytest.approx(0.02)


def test_each_of_ours_has_its_own_rows():
    found = equal_f1(comparison(
        gsc=[(0.01, 0.2), (0.04, 0.6)], gsc_regions=[(0.01, 0.4), (0.04, 0.8)],
        av1=[(0.02, 0.1), (0.08, 0.9)]), 'stills', levels=(0.5,))
    assert [row.codec for row in found] == ['gsc', 'gsc-regions']
    assert found[1].rate < found[0].rate


def point(codec, rate, **figures):
    """Return a point whose packets had a limit."""
    return Outcome(Point(codec, f'at most {rate:g} bpp', bpp=rate, **figures))


def test_regions_are_held_against_the_same_limit_without_them():
    plan = Plan([np.zeros((32, 32, 3), np.uint8)], 10.0, 'stills', (0.01, 0.02), (1.0,))
    rows = region_costs(Comparison(CODECS, (
        point('gsc', 0.01, f1=0.2, ms_ssim=0.8, encode_ms=50.0),
        point('gsc-regions', 0.01, f1=0.5, ms_ssim=0.79, encode_ms=80.0),
        point('gsc', 0.02, f1=0.3, ms_ssim=None, encode_ms=50.0),
        point('gsc-regions', 0.02, f1=None, ms_ssim=0.9, encode_ms=70.0))), plan)
    assert [row.rate for row in rows] == [0.01, 0.02]
    assert rows[0].f1 == pytest.approx(0.3) and rows[0].ms_ssim == pytest.approx(-0.01)
    assert rows[0].encode_ms == pytest.approx(30)
    assert rows[1].f1 is None and rows[1].ms_ssim is None


def test_where_one_of_the_two_failed_regions_have_no_cost():
    plan = Plan([np.zeros((32, 32, 3), np.uint8)], 10.0, 'stills', (0.01,), (1.0,))
    assert region_costs(Comparison(CODECS, (
        point('gsc', 0.01, f1=0.2, encode_ms=50.0),
        point('gsc-regions', 0.01, failure='too small'))), plan) == []
