# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests: a world of its own for each module."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import signal
from typing import Any

from graph import free_domain, NodeProcess, Probe, REPOSITORY
import pytest

# Before the first participant is made: keep to this machine, with room for images.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
# Fast DDS 2 (Jazzy) reads the first of these, Fast DDS 3 (Kilted) the second.
for variable in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
    os.environ[variable] = str(REPOSITORY / 'config' / 'fastdds.xml')


class World:
    """A ROS domain with a probe in it, and the nodes that a test starts."""

    def __init__(self, folder: Path) -> None:
        """Take a free domain; logs go to `folder`."""
        self.folder = folder
        self.domain = free_domain()
        self.probe = Probe(self.domain)
        self.processes: list[NodeProcess] = []

    def start(self, name: str, **options: Any) -> NodeProcess:
        """Start a node; see NodeProcess."""
        log = self.folder / f'{len(self.processes)}_{name}.log'
        process = NodeProcess(name, log, self.domain, **options)
        self.processes.append(process)
        return process

    def close(self) -> None:
        """End all nodes; each that still runs must end well and must have met no exception."""
        try:
            survivors = [process for process in self.processes if process.alive]
            statuses = {process.log.name: process.end() for process in survivors}
            traces = {process.log.name: process.output for process in self.processes
                      if 'Traceback' in process.output}
            assert not traces, '\n'.join(traces.values())
            assert not any(statuses.values()), statuses
        finally:
            for process in self.processes:
                process.end(signal.SIGKILL)
            self.probe.close()


@pytest.fixture(scope='module')
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give the tests of one module a world; its nodes must outlive all of them."""
    world = World(tmp_path_factory.mktemp('logs'))
    yield world
    world.close()


@pytest.fixture(autouse=True)
def fresh_memory(world: World) -> None:
    """Let no test see what the one before it has received."""
    world.probe.forget()


@pytest.fixture
def probe(world: World) -> Probe:
    return world.probe


@pytest.fixture
def survival(nodes: dict[str, NodeProcess]) -> Iterator[None]:
    """Whatever a test does, none of its module's `nodes` may die of it."""
    yield
    assert {name for name, process in nodes.items() if not process.alive} == set()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show with a failure what the nodes have printed."""
    outcome = yield
    report = outcome.get_result()
    worlds = [value for value in getattr(item, 'funcargs', {}).values() if isinstance(value, World)]
    for process in [process for world in worlds for process in world.processes]:
        if report.failed:
            report.sections.append((process.log.name, process.output))
