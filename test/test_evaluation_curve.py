# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Envelopes, quality at a rate and BD-rate, on curves whose answers are known."""

import math

from gsc_ros.evaluation.curve import bd_rate, envelope, quality_at
from hypothesis import given
from hypothesis import strategies as st
import pytest

KNOTS = st.lists(st.tuples(st.floats(0.001, 10), st.floats(0, 50)), max_size=20)


def test_the_envelope_takes_the_better_downscale_at_each_rate():
    coarse = [(0.01, 20.0), (0.02, 22.0), (0.08, 23.0)]
    fine = [(0.015, 18.0), (0.03, 23.5), (0.06, 26.0)]
    assert envelope(coarse + fine) == [(0.01, 20.0), (0.02, 22.0), (0.03, 23.5), (0.06, 26.0)]


@given(points=KNOTS)
def test_no_point_beats_the_envelope(points):
    best = envelope(points)
    assert best == sorted(best)
    for rate, quality in points:
        assert any(other <= rate and value >= quality for other, value in best)


def test_quality_between_points_follows_the_logarithm_of_the_rate():
    curve = [(0.01, 20.0), (0.04, 24.0)]
    assert quality_at(curve, 0.02) == pytest.approx(22.0)


def test_a_codec_that_does_not_get_down_to_a_rate_has_no_quality_there():
    assert quality_at([(0.01, 20.0)], 0.009) is None
    assert quality_at([], 0.009) is None


def test_more_rate_than_a_codec_can_use_does_not_hurt():
    assert quality_at([(0.01, 20.0), (0.02, 21.0)], 1.0) == 21.0


def test_half_the_bytes_at_every_quality_is_minus_fifty_percent():
    peer = [(rate, 20 + 3 * math.log(rate)) for rate in (1.0, 2.0, 5.0, 9.0)]
    ours = [(rate / 2, quality) for rate, quality in peer]
    assert bd_rate(ours, peer) == pytest.approx(-50)
    assert bd_rate(peer, ours) == pytest.approx(100)
    assert bd_rate(peer, peer) == pytest.approx(0)


def test_knots_of_either_curve_count():
    straight = [(1.0, 10.0), (4.0, 20.0)]
    # Above the straight line of log rate by up to log 2, in the shape of a triangle.
    bent = [(1.0, 10.0), (4.0, 15.0), (4.0 + 1e-12, 20.0)]
    assert bd_rate(bent, straight) == pytest.approx(100 * (math.exp(math.log(2) / 2) - 1), abs=0.01)


@pytest.mark.parametrize('other', [[], [(1.0, 10.0)], [(1.0, 30.0), (2.0, 40.0)]])
def test_curves_that_share_no_quality_are_not_compared(other):
    assert bd_rate([(1.0, 10.0), (2.0, 20.0)], other) is None
