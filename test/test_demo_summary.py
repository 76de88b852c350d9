# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a run are counted, not guessed."""

import json
import math
from pathlib import Path

from demo_recording import HEIGHT, make_departures, make_recording, WIDTH
from gsc_ros.demo.score import score_frames
from gsc_ros.demo.setting import DemoSettings, LEAST_BYTES, pace
from gsc_ros.demo.statistic import statistic
from gsc_ros.demo.summary import Ending, summarise
from gsc_ros.link.audit import verify_budget
import pytest

SETTINGS = DemoSettings('terrain', Path('out'), command='gsc demo')


def figures(tmp_path, bits=1_700, **changes):
    """Return the recording, its scored frames and the summary."""
    recording = make_recording(tmp_path, **changes)
    frames = score_frames(recording, lambda: None)
    audit = verify_budget(make_departures(recording, bits), 20_000, 4_000)
    return recording, frames, summarise(SETTINGS, recording, frames, audit, Ending.INPUT, {})


def test_frames_are_counted_where_they_pass(tmp_path):
    _, _, summary = figures(tmp_path, lost=(3, 7))
    assert (summary.frames_in, summary.frames_coded) == (10, 9)
    assert (summary.frames_sent, summary.frames_received) == (8, 8)  # one was superseded
    assert summary.frames_matched == 8
    assert summary.dropped == {'superseded': 1, 'expired': 0}
    assert (summary.width, summary.height) == (WIDTH, HEIGHT)


def test_rates_are_over_whole_periods(tmp_path):
    _, _, summary = figures(tmp_path)
    assert summary.seconds == 1.0
    assert summary.fps_in == 10.0
    assert summary.link_bytes == 10 * 1_700 // 8
    assert summary.link_bps == 17_000


def test_packets_are_summed_by_section(tmp_path):
    recording, _, summary = figures(tmp_path)
    total = sum(frame.sections.total for frame in recording.frames)
    assert summary.packet_bytes == total == sum(summary.sections.values())
    assert summary.sections['header'] == 12 * 9
    assert summary.compression == pytest.approx(9 * 3 * WIDTH * HEIGHT / total)
    assert summary.bpp.mean == pytest.approx(8 * total / 9 / (WIDTH * HEIGHT))


def test_latency_is_from_the_stamp_to_the_arrival(tmp_path):
    _, _, summary = figures(tmp_path, lost=())
    assert summary.latency_ms.median == pytest.approx(104.5)
    assert summary.latency_ms.minimum == pytest.approx(100)
    assert summary.latency_ms.p95 == pytest.approx(108.55)


def test_a_budget_that_was_passed_is_told(tmp_path):
    _, _, held = figures(tmp_path)
    assert held.budget_holds
    assert held.budget_headroom_bits > 0
    _, _, passed = figures(tmp_path, bits=2_900)
    assert not passed.budget_holds
    assert passed.budget_headroom_bits < 0


def test_quality_is_against_the_original_of_the_same_stamp(tmp_path):
    recording, frames, summary = figures(tmp_path)
    assert all(math.isfinite(scored.psnr_db) for scored in frames)
    assert all(scored.source.stamp_ns == scored.frame.stamp_ns for scored in frames)
    # One nanosecond beside it is not the same stamp.
    source = recording.sources[0]
    recording.sources[0] = type(source)(source.stamp_ns + 1, source.image)
    first = score_frames(recording, lambda: None)[0]
    assert first.source is None
    assert math.isnan(first.psnr_db)
    assert summary.psnr_db.mean > 15


def test_what_nobody_knows_is_null_in_json(tmp_path):
    # Pictures under 161 pixels have no MS-SSIM; the summary must stay valid JSON.
    recording = make_recording(tmp_path, sources=1, lost=(0,))
    summary = summarise(SETTINGS, recording, [], verify_budget([], 20_000, 4_000),
                        Ending.INTERRUPT, {})
    shown = json.loads(summary.to_json())
    assert shown['psnr_db']['mean'] is None
    assert shown['ending'] == 'interrupted'
    assert shown['frames_received'] == 0


def test_a_statistic_ignores_what_is_not_finite():
    found = statistic([1.0, math.nan, 3.0, math.inf])
    assert (found.mean, found.median, found.minimum, found.maximum) == (2, 2, 1, 3)


def test_every_frame_is_sent_when_the_link_carries_them():
    found = pace(20_000, 10.0, 320, 240)
    assert found.fps == 10.0
    assert 200 < found.packet_bytes < 250


@pytest.mark.parametrize('link_bps', (300, 2_400, 20_000))
@pytest.mark.parametrize(('width', 'height'), ((64, 64), (1242, 375), (1920, 1080)))
def test_a_thin_link_gets_fewer_frames_rather_than_unrecognisable_ones(link_bps, width, height):
    found = pace(link_bps, 10.0, width, height)
    assert 0 < found.fps <= 10.0
    assert found.packet_bytes >= LEAST_BYTES - 1
    assert 8 * found.fps * (found.packet_bytes + 14) <= link_bps
