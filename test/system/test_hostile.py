# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Requests and messages that are valid for ROS and meant to do harm."""

from __future__ import annotations

from collections.abc import Iterator

from conftest import World
from graph import Camera, NodeProcess, Probe
from lifecycle_msgs.msg import Transition
import pytest

NODES = ('sender', 'bridge', 'receiver')


@pytest.fixture(scope='module')
def nodes(world: World) -> dict[str, NodeProcess]:
    nodes = {
        'sender': world.start('sender', max_fps=0.0),
        'bridge': world.start('bridge', link_bps=1_000_000),
        'receiver': world.start('receiver', cameras=['front', 'left'])}
    for camera in ('front', 'left'):
        world.probe.listen_to_camera(camera)
    world.probe.wait_until_active(*nodes)
    return nodes


@pytest.fixture(autouse=True)
def survival(nodes: dict[str, NodeProcess]) -> Iterator[None]:
    """Whatever a test does, no node may die of it."""
    yield
    assert {name for name, process in nodes.items() if not process.alive} == set()


@pytest.fixture
def probe(world: World) -> Probe:
    return world.probe


def wait_for_images(probe: Probe) -> None:
    probe.forget()
    with Camera(probe, 'front'):
        probe.wait_for_messages('reconstructed/front/image', 2)


@pytest.mark.parametrize('node', NODES)
@pytest.mark.parametrize('transition', [
    Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_CLEANUP, Transition.TRANSITION_CREATE,
    99])
def test_transition_that_an_active_node_has_not_is_answered_with_no(
    probe: Probe, node: str, transition: int,
):
    assert not probe.change_state(node, transition)
    assert probe.state(node) == 'active'


def test_frame_id_too_long_for_the_link_is_counted_and_stops_nothing(probe: Probe):
    camera = Camera(probe, 'front')
    camera.frame_id = 'f' * 300
    with camera:
        report = probe.wait_for_report('bridge: front', 'invalid frames')
    assert int(report['invalid']) > 0
    wait_for_images(probe)
