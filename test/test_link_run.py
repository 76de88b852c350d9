# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs of both ends in simulated time, and what they come to."""

from __future__ import annotations

from gsc_ros.link.budget import choose_return_bps
from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.channel.loss import Outage
from gsc_ros.link.endpoint import EndpointConfig
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.trial.run_summary import Percentiles, summarize
from gsc_ros.link.trial.simulation import (
    Fate,
    Feed,
    LinkRun,
    LinkSetup,
    synthetic_frame,
)
import pytest

S = 1_000_000_000
MS = 1_000_000


def make_run(rate_bps=9600, cameras=2, fps=5.0, control_period_ns=0, **channel):
    keys = KeyRing.random()
    back_bps = choose_return_bps(rate_bps, lambda size: 8 * size)
    ends = [EndpointConfig(bps, record=RecordConfig(direction, Suite.AES_CCM, keys))
            for direction, bps in ((Direction.ROVER, rate_bps),
                                   (Direction.GROUND, back_bps))]
    channels = [ChannelConfig(bps, seed=seed, **channel)
                for seed, bps in ((1, rate_bps), (2, back_bps))]
    frame = synthetic_frame(40, 600)
    return LinkRun(
        LinkSetup(*ends, *channels, 128),
        [Feed(f'camera{number}', [frame], fps) for number in range(cameras)], control_period_ns)


def story(run):
    """Return what became of every frame."""
    return [(one.camera, one.number, one.fate, one.begun_ns, one.delivered_ns, one.layers)
            for one in run.outcomes]


def test_every_frame_is_accounted_for_once():
    run = make_run(loss=0.05)
    run.run(30.0, 10.0)
    summary = summarize(run)
    assert len(run.outcomes) == 2 * 5 * 30
    assert sorted((one.camera, one.number) for one in run.outcomes) == [
        (camera, number) for camera in range(2) for number in range(150)]
    for number, camera in enumerate(summary.cameras):
        fates = [one.fate for one in run.outcomes if one.camera == number]
        assert camera.offered == 150 == (
            camera.delivered + camera.dropped + camera.lost + camera.waiting)
        assert camera.delivered == fates.count(Fate.DELIVERED) > 100
        assert camera.waiting == 0
    received = run.ground.statistics(run.now_ns).received_frames
    assert received >= sum(camera.delivered for camera in summary.cameras)


def test_times_are_in_order_and_delays_are_those_of_the_channel():
    run = make_run(delay_ns=400 * MS)
    run.run(20.0, 5.0)
    delivered = [one for one in run.outcomes if one.fate is Fate.DELIVERED]
    assert delivered
    for one in delivered:
        assert one.offered_ns <= one.begun_ns < one.delivered_ns - 400 * MS
        assert 1 <= one.layers <= 12 and 40 <= one.delivered_bytes <= one.offered_bytes == 600


def test_the_same_settings_give_the_same_run_whatever_the_keys_are():
    first, again = (make_run(loss=0.1, jitter_ns=50 * MS, snr_db=8.0) for _ in range(2))
    for run in (first, again):
        run.run(20.0, 5.0)
    assert story(first) == story(again)
    assert [(one.time_ns, one.bits) for one in first.trace] == [
        (one.time_ns, one.bits) for one in again.trace]


def test_ends_that_restart_in_the_middle_go_on():
    run = make_run()
    run.at(10 * S, run.start_rover)
    run.at(20 * S, run.start_ground)
    run.run(30.0, 5.0)
    times = sorted(one.delivered_ns for one in run.outcomes if one.fate is Fate.DELIVERED)
    gaps = [after - before for before, after in zip(times, times[1:])]
    assert times[0] < 3 * S and times[-1] > 29 * S and max(gaps) < 4 * S


def test_a_noisy_channel_is_refused_by_the_record_layer_not_by_chance():
    run = make_run(snr_db=7.0)  # 8e-4 of the bits: two of three datagrams are damaged
    run.run(20.0, 5.0)
    ground = run.ground.statistics(run.now_ns)
    assert ground.forged + ground.malformed + ground.unconfirmed > 30
    assert all(audit.holds for audit in run.audits())
    for one in run.outcomes:
        if one.fate is Fate.DELIVERED:
            assert one.delivered_bytes in run.feeds[0].frames[0].ends


def test_shares_are_of_the_time_in_which_frames_are_offered():
    run = make_run()
    run.run(30.0, 300.0)
    summary = summarize(run)
    assert summary.seconds == 30.0
    assert 0.7 < summary.payload_share < summary.forward.used_share < 1.0
    assert summary.forward.budget_holds and summary.backward.budget_holds
    assert summary.parity_share == summary.repeat_share == 0.0
    assert sum(summary.forward.bytes_by_kind.values()) == pytest.approx(
        summary.forward.bytes, abs=10)


def test_control_messages_are_timed():
    run = make_run(control_period_ns=S, delay_ns=100 * MS)
    run.run(20.0, 5.0)
    latency = summarize(run).control_latency_s
    assert len(run.controls_ns) == 20
    assert 0.1 < latency.p50 <= latency.p90 <= latency.p99 <= latency.maximum


def test_a_link_that_carries_nothing_has_no_figures_but_no_errors_either():
    run = make_run(outages=(Outage(0, 100 * S),))
    run.run(10.0, 5.0)
    summary = summarize(run)
    assert summary.decodable_share is None and summary.payload_share == 0.0
    for camera in summary.cameras:
        assert camera.delivered == 0 and camera.latency_s == Percentiles(None, None, None, None)
        assert camera.frame_period_s is camera.mean_bytes is camera.mean_layers is None


def test_percentiles_are_of_the_nearest_rank():
    assert Percentiles.of([S]) == Percentiles(1.0, 1.0, 1.0, 1.0)
    assert Percentiles.of(range(S, 101 * S, S)) == Percentiles(50.0, 90.0, 99.0, 100.0)
    assert Percentiles.of([3 * S, S, 2 * S]) == Percentiles(2.0, 3.0, 3.0, 3.0)


def test_a_synthetic_packet_grows_by_the_same_factor_each_layer():
    frame = synthetic_frame(40, 640, layers=5)
    assert frame.ends == (40, 80, 160, 320, 640)
    assert [len(frame.render(layers)) for layers in range(1, 6)] == list(frame.ends)
    # Only the header tells where it is cut.
    assert frame.render(5)[12:40] == frame.render(1)[12:]
    assert frame.render(5)[:12] != frame.render(1)[:12]
    assert synthetic_frame(3000, 3000).ends == (3000,)
