# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two 10 Hz cameras over 2.4 kbit/s: the budget is never broken, not even by a crash."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import signal

from conftest import World
from graph import Camera, wait_for
from gsc_ros.link.audit import read_trace, verify_budget
from gsc_ros.msg import GscFrame
import pytest

CAMERAS = ('front', 'left')
LINK_BPS = 2400
# What the bridge chooses for this rate.
BURST_BITS = 4096
# The audit looks at every window in this much traffic.
MIN_SPAN_S = 15.0
FRAMES_EACH = 3


@pytest.fixture(scope='module')
def trace(world: World) -> Path:
    return world.folder / 'trace.csv'


@pytest.fixture(scope='module', autouse=True)
def rover_and_ground(world: World) -> None:
    world.start('sender', cameras=CAMERAS)
    world.start('receiver', cameras=CAMERAS)
    for camera in CAMERAS:
        world.probe.listen_to_camera(camera)
        world.probe.listen(GscFrame, f'ground/{camera}/gsc')
    world.probe.wait_until_active('sender', 'receiver')


@pytest.fixture(scope='module', autouse=True)
def cameras(world: World, rover_and_ground: None) -> Iterator[list[Camera]]:
    with Camera(world.probe, 'front') as front, Camera(world.probe, 'left') as left:
        yield [front, left]


def start_bridge(world: World, trace: Path):
    bridge = world.start('bridge', cameras=CAMERAS, link_bps=LINK_BPS, trace_file=str(trace))
    world.probe.wait_until_active('bridge')
    return bridge


def wait_for_pictures(world: World) -> None:
    for camera in CAMERAS:
        world.probe.wait_for_messages(f'reconstructed/{camera}/image', FRAMES_EACH)


def span_s(trace: Path) -> float:
    departures = read_trace(trace)
    return (departures[-1].time_ns - departures[0].time_ns) / 1e9 if departures else 0.0


def test_budget_holds_in_every_window_while_both_cameras_are_seen(world: World, trace: Path):
    bridge = start_bridge(world, trace)
    wait_for_pictures(world)
    world.probe.wait_for_report('bridge: link', 'link full')
    wait_for('enough traffic', lambda: span_s(trace) >= MIN_SPAN_S)

    departures = read_trace(trace)
    assert verify_budget(departures, LINK_BPS, BURST_BITS).holds
    # The link is worth using: once frames flow, at least 80 % of what may leave does leave.
    first_frame = [departure.kind for departure in departures].index('frame')
    flow = verify_budget(departures[first_frame:], LINK_BPS, BURST_BITS)
    assert flow.bits >= 0.8 * LINK_BPS * flow.span_ns / 1e9, flow
    status = world.probe.received('link_status')[-1]
    assert (status.budget_bps, status.burst_bits) == (LINK_BPS, BURST_BITS)
    assert status.dropped_superseded > 0 and status.layers_shed > 0
    assert status.delivered_messages > 0 and status.connected
    sequences = [frame.sequence for frame in world.probe.received('ground/front/gsc')]
    assert sequences == sorted(set(sequences))
    assert bridge.alive


def test_killed_bridge_comes_back_and_the_budget_holds_across_the_crash(
        world: World, trace: Path):
    world.processes[-1].end(signal.SIGKILL)
    before = len(read_trace(trace))
    assert before > 0
    wait_for('silence', lambda: world.probe.forget() or not world.probe.received('link_status'))
    start_bridge(world, trace)
    wait_for_pictures(world)
    departures = read_trace(trace)
    assert len(departures) > before
    assert verify_budget(departures, LINK_BPS, BURST_BITS).holds
    report = wait_for('report', lambda: world.probe.report('receiver: front'))
    assert int(report['lost']) > 0
    assert int(report['undecodable']) == 0


def test_raised_budget_is_used(world: World, trace: Path):
    before = len(read_trace(trace))
    assert world.probe.set_parameter('bridge', 'link_bps', 20_000) == (True, '')
    wait_for('faster departures', lambda: sum(
        departure.bits for departure in read_trace(trace)[before:]) > 40_000)
    wait_for('a fuller link', lambda: any(
        status.used_bps > 2 * LINK_BPS for status in world.probe.received('link_status')))
