# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `plan` foretells is what a run of the link does; docs/channels.md gives the tolerances."""

from __future__ import annotations

from dataclasses import replace

from gsc_ros.link.budget import choose_return_bps
from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.endpoint import EndpointConfig
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.repair.redundancy import RepairConfig, RepairMode
from gsc_ros.link.schedule.scheduler import CameraPolicy
from gsc_ros.link.trial.plan import plan, PlanRequest, Regime
from gsc_ros.link.trial.run_summary import summarize
from gsc_ros.link.trial.simulation import Feed, LinkRun, LinkSetup, synthetic_frame
import pytest

S = 1_000_000_000
# As docs/channels.md states them.
EXACT = {'frame_period_s': 0.03, 'frame_bytes': 0.05, 'payload_share': 0.05, 'latency_s': 0.15}
WITH_LOSSES = {
    'frame_period_s': 0.12, 'frame_bytes': 0.15, 'payload_share': 0.20, 'latency_s': 0.30}


def run_of(request: PlanRequest, seconds: float):
    """Run what is planned."""
    keys = KeyRing.random()
    channel = ChannelConfig(
        request.rate_bps, round(request.delay_s * S), loss=request.loss, seed=3)
    back_bps = choose_return_bps(request.rate_bps, lambda size: 8 * size)
    ends = [EndpointConfig(
        bps, record=RecordConfig(direction, Suite.AES_CCM, keys),
        repair=RepairConfig(mode=request.repair))
        for direction, bps in ((Direction.ROVER, request.rate_bps),
                               (Direction.GROUND, back_bps))]
    setup = LinkSetup(
        *ends, channel, replace(channel, rate_bps=back_bps, seed=4),
        request.mtu, 8 * request.overhead_bytes)
    frame = synthetic_frame(request.least_bytes, request.whole_bytes)
    run = LinkRun(setup, [
        Feed(f'camera{number}', [frame], request.fps, policy=CameraPolicy(
            target_fps=request.target_fps),
            start_ns=round(number * S / request.fps / request.cameras))
        for number in range(request.cameras)])
    run.run(seconds, 20.0)
    return summarize(run)


def mean(values):
    """Return the mean over cameras."""
    values = list(values)
    return sum(values) / len(values)


def check(request: PlanRequest, regime: Regime, seconds: float, tolerance: dict[str, float]):
    """Compare plan and run."""
    planned, summary = plan(request), run_of(request, seconds)
    assert planned.regime is regime
    found = {
        'frame_period_s': mean(camera.frame_period_s for camera in summary.cameras),
        'frame_bytes': mean(camera.mean_bytes for camera in summary.cameras),
        'payload_share': summary.payload_share,
        'latency_s': mean(camera.latency_s.p50 for camera in summary.cameras)}
    for name, value in found.items():
        assert value == pytest.approx(getattr(planned, name), rel=tolerance[name]), name


@pytest.mark.parametrize(('request_', 'regime', 'seconds'), [
    (PlanRequest(2400, 1, 1.0, 100, mtu=128), Regime.WHOLE, 200),
    (PlanRequest(9600, 4, 0.5, 400), Regime.WHOLE, 200),
    (PlanRequest(20_000, 1, 10.0, 150, delay_s=0.4), Regime.WHOLE, 60),
    (PlanRequest(2400, 1, 0.2, 2000, mtu=128), Regime.SHED, 900),
    (PlanRequest(2400, 1, 2.0, 2000, mtu=128), Regime.SHED, 300),
    (PlanRequest(9600, 2, 5.0, 1000, mtu=128, delay_s=0.6), Regime.SHED, 120),
    (PlanRequest(20_000, 3, 5.0, 600, overhead_bytes=28), Regime.SHED, 60),
    (PlanRequest(9600, 1, 10.0, 1200, target_fps=2.0, mtu=512), Regime.SHED, 120),
    (PlanRequest(2400, 1, 5.0, 250, 100, mtu=128), Regime.DROPPED, 200),
    (PlanRequest(9600, 2, 10.0, 1000, 150, mtu=128), Regime.DROPPED, 60),
], ids=str)
def test_a_plan_is_what_a_run_does(request_, regime, seconds):
    check(request_, regime, seconds, EXACT)


@pytest.mark.parametrize(('request_', 'seconds'), [
    (PlanRequest(9600, 1, 5.0, 1200, mtu=128, delay_s=0.6, loss=0.1), 200),
    (PlanRequest(9600, 1, 5.0, 1200, mtu=128, delay_s=0.1, loss=0.05), 200),
    (PlanRequest(9600, 1, 2.0, 1200, mtu=128, delay_s=0.6, loss=0.05), 300),
    (PlanRequest(20_000, 2, 5.0, 1200, delay_s=0.3, loss=0.02), 100),
    (PlanRequest(9600, 1, 5.0, 1200, mtu=128, delay_s=0.1, loss=0.1, repair=RepairMode.NACK), 200),
], ids=str)
def test_a_plan_with_losses_allows_for_repairs(request_, seconds):
    check(request_, Regime.SHED, seconds, WITH_LOSSES)


def test_without_repair_losses_cost_nothing_but_frames():
    request = PlanRequest(9600, 1, 5.0, mtu=128, loss=0.1)
    unrepaired = plan(replace(request, repair=RepairMode.NONE))
    assert unrepaired.repair_share == 0
    assert unrepaired.frame_bytes > plan(request).frame_bytes
    assert unrepaired.arriving_share == pytest.approx(0.9 ** unrepaired.datagrams)


def test_a_larger_tag_and_more_overhead_leave_less_for_the_packet():
    request = PlanRequest(9600, 1, 5.0)
    sizes = [plan(replace(request, **change)).frame_bytes for change in (
        {'tag_bytes': 4}, {}, {'tag_bytes': 16}, {'tag_bytes': 16, 'overhead_bytes': 28})]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 4


@pytest.mark.parametrize('values', [
    {'rate_bps': 0}, {'cameras': 0}, {'fps': 0.0}, {'least_bytes': 0}, {'whole_bytes': 39},
    {'loss': 1.0}, {'loss': -0.1}, {'loss': float('nan')}])
def test_impossible_requests_are_refused(values):
    with pytest.raises(ValueError):
        PlanRequest(**{'rate_bps': 9600, 'cameras': 1, 'fps': 1.0, **values})


def test_first_layers_that_no_frame_can_hold_are_refused():
    with pytest.raises(ValueError, match='datagrams'):
        plan(PlanRequest(9600, 1, 1.0, least_bytes=20_000, mtu=32))
