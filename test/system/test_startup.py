# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the nodes start and end."""

from __future__ import annotations

import signal
import time

from conftest import World
from graph import wait_for
from lifecycle_msgs.msg import Transition
import pytest

NODES = ('sender', 'bridge', 'receiver')
# Promised is 2 s of wall time on a machine that is otherwise idle. A test machine may be busy, and
# then only the CPU time says how much a start costs; wall time gets a slack of ten.
READY_CPU_S = 2.0
READY_WALL_S = 20.0
RESIDENT_MB = 400.0


@pytest.mark.parametrize('node', NODES)
def test_node_is_ready_within_its_time_and_memory(world: World, node: str):
    process = world.start(node)
    wait_for(f'active {node}', lambda: 'active' in process.output)
    wall_s = time.monotonic() - process.started
    assert process.cpu_s() < READY_CPU_S
    assert wall_s < READY_WALL_S
    assert process.resident_mb() < RESIDENT_MB
    assert process.end() == 0


@pytest.mark.parametrize('node', NODES)
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_node_cleanly(world: World, node: str, number: signal.Signals):
    process = world.start(node)
    wait_for(f'active {node}', lambda: 'active' in process.output)
    assert process.end(number) == 0
    assert 'Traceback' not in process.output
    assert 'rror' not in process.output


def test_bad_parameter_ends_the_start_with_its_reason(world: World):
    process = world.start('bridge', link_bps=1)
    assert process.wait() == 1
    assert 'link_bps' in process.output
    assert 'Traceback' not in process.output


def test_missing_profile_is_reported_and_can_be_mended(world: World):
    process = world.start('receiver', node_name='mended', profile='nowhere')
    report = world.probe.wait_for_report('mended: lifecycle', 'no profile')
    assert report['state'] == 'unconfigured'
    assert world.probe.set_parameter('mended', 'profile', 'tiny') == (True, '')
    assert world.probe.change_state('mended', Transition.TRANSITION_CONFIGURE)
    assert world.probe.change_state('mended', Transition.TRANSITION_ACTIVATE)
    world.probe.wait_until_active('mended')
    assert process.end() == 0


def test_node_without_autostart_waits_for_its_manager(world: World):
    process = world.start('bridge', node_name='managed', autostart=False)
    world.probe.wait_for_report('managed: lifecycle', 'waiting for configuration')
    assert world.probe.change_state('managed', Transition.TRANSITION_CONFIGURE)
    world.probe.wait_for_report('managed: lifecycle', 'waiting for activation')
    assert world.probe.change_state('managed', Transition.TRANSITION_ACTIVATE)
    world.probe.wait_for_report('managed: lifecycle', 'active')
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
                       Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE,
                       Transition.TRANSITION_ACTIVE_SHUTDOWN):
        assert world.probe.change_state('managed', transition)
    assert process.end() == 0
