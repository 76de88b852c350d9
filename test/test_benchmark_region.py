# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the bars of the key regions say of given reports."""

from __future__ import annotations

from pathlib import Path
import sys

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'benchmarks'))

from region_verdict import (
    as_x265,
    at_budget,
    fall_under_loss,
    half_the_bytes,
    similar_whole,
    time_added,
    ways,
)

OURS, STREAM = 'gsc-regions', 'gsc-stream-regions'


def equal(*rows):
    """Return levels of F1: the level, our rate, and the rates of peers."""
    return {'points': [], 'equal_f1': [{
        'codec': 'gsc-regions', 'f1': f1, 'rate': rate, 'peers': peers,
        'best': min(peers, key=peers.get, default=None)} for f1, rate, peers in rows]}


def point(codec, size, f1, kbps=10.0):
    """Return a point."""
    return {'codec': codec, 'bytes': size, 'f1': f1, 'kbps': kbps}


def run(*points, loss=0.05):
    """Return a run over a lossy link at 20 kbit/s."""
    return {'points': list(points), 'at_rates': [{'rate': 20.0}], 'link': {'loss': loss}}


def test_half_the_bytes_must_do_at_two_levels():
    cheap, dear = (0.3, 0.4, {'av1': 1.0, 'hevc': 2.0}), (0.5, 0.9, {'av1': 1.0})
    assert not half_the_bytes(equal(cheap, dear), 'x', OURS).holds
    assert half_the_bytes(equal(cheap, (0.5, 0.5, {'av1': 1.0})), 'x', OURS).holds
    assert '0.40 of av1' in half_the_bytes(equal(cheap), 'x', OURS).found


def test_only_x265_counts_where_it_is_named():
    found = equal((0.3, 0.2, {'x265': 1.0, 'av1': 0.3}))
    assert as_x265(found, 'x', 'gsc-regions', 0.25, 1).holds
    assert not as_x265(found, 'x', 'gsc-regions', 0.25, 2).holds
    assert not as_x265(found, 'x', 'gsc-stream-regions', 0.25, 1).holds


def test_what_is_not_reached_misses_and_says_how_far_ours_got():
    content = equal((0.3, None, {'av1': 1.0})) | {'points': [point('gsc-regions', 300, 0.22)]}
    bar = half_the_bytes(content, 'x', OURS)
    assert not bar.holds
    assert '0.22' in bar.found


@pytest.mark.parametrize('gains, holds', [((0.01, -0.02), True), ((0.01, -0.03), False),
                                          ((), False)])
def test_the_whole_frame_may_lose_two_hundredths(gains, holds):
    content = {'width': 80, 'height': 10, 'region_costs': [
        {'codec': OURS, 'rate': number + 1.0, 'ms_ssim': gain}
        for number, gain in enumerate(gains)]}
    assert similar_whole(content, 'x', OURS).holds == holds


def test_the_median_of_the_added_time_counts():
    content = {'regions': {'milliseconds': 5.0, 'source': 'zones'},
               'region_costs': [{'codec': OURS, 'encode_ms': ms} for ms in (40.0, 59.0, 300.0)]}
    assert time_added(content, 'x', OURS).holds
    content['region_costs'][1]['encode_ms'] = 61.0
    assert not time_added(content, 'x', OURS).holds
    assert not time_added(content | {'region_costs': []}, 'x', OURS).holds


def test_the_fall_is_relative_and_that_of_the_peer_stands_beside_it():
    whole = run(point(STREAM, 200, 0.5), point('x265-low-delay', 200, 0.4))
    lossy = run(point(STREAM, 200, 0.46), point('x265-low-delay', 200, 0.2))
    bar = fall_under_loss(whole, lossy, STREAM)
    assert bar.holds
    assert 'x265-low-delay 0.40 to 0.20 (-50 %)' in bar.found
    assert not fall_under_loss(
        whole, run(point(STREAM, 200, 0.44)), STREAM).holds


def test_points_above_the_rate_do_not_count_under_loss():
    whole = run(point(STREAM, 200, 0.5))
    dear = run(point(STREAM, 900, 0.5, kbps=72.0))
    assert not fall_under_loss(whole, dear, STREAM).holds


def test_at_a_budget_ours_must_be_twice_as_good_as_any_peer():
    codecs = {'codecs': [{'name': name} for name in ('gsc-regions', 'x265', 'hevc')]}
    video = codecs | {'points': [point('x265', 500, 0.1), point('gsc-regions', 590, 0.5)]}
    alone = codecs | {'points': [point('hevc', 600, 0.24)]}
    bar = at_budget(video, alone, 600, False)
    assert bar.holds
    assert bar.found == 'gsc-regions 0.50, best peer hevc 0.24'
    better = codecs | {'points': [point('hevc', 600, 0.26)]}
    assert not at_budget(video, better, 600, False).holds
    assert not at_budget(codecs | {'points': []}, alone, 600, False).holds


def test_what_a_detector_judges_has_bars_of_its_own():
    judged = f'{OURS}-agreement'
    content = {'codecs': [{'name': name} for name in (OURS, judged, 'hevc')],
               'points': [point(OURS, 600, 0.2), point(judged, 600, 0.5),
                          point('hevc', 600, 0.2)]}
    assert ways(content, OURS) == [OURS, judged]
    assert ways(content, STREAM) == []
    assert not at_budget(content, content, 600, False).holds
    assert at_budget(content, content, 600, True).holds
