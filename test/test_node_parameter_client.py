# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of a node beside the bridge, and of the bridge itself, and why they are refused."""

from __future__ import annotations

from collections.abc import Iterator
import os
import time

from gsc_ros.nodes.parameter_client import ParameterClient
from gsc_ros.nodes.remote_parameter import Scalar
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

PATIENCE_S = 20.0


class Rover:
    """The bridge and a sender, served together."""

    def __init__(self) -> None:
        namespace = f'rover_{os.getpid()}'  # tests of others may run beside this one
        self.nodes = [Node(name, namespace=namespace) for name in ('bridge', 'sender')]
        self.executor = SingleThreadedExecutor()
        for node in self.nodes:
            node.declare_parameter('max_fps', 10.0)
            self.executor.add_node(node)
        self.client = ParameterClient(self.nodes[0])

    def set(self, node: str, name: str, value: Scalar) -> tuple[bool, str]:
        """Set a parameter and return what became of it."""
        answers: list[tuple[bool, str]] = []
        self.client.set(node, name, value, lambda *answer: answers.append(answer))
        end_s = time.monotonic() + PATIENCE_S
        while not answers and time.monotonic() < end_s:
            self.executor.spin_once(0.02)
            self.client.tick(time.monotonic())
        return answers[0]

    def close(self) -> None:
        self.client.close()
        self.executor.shutdown()
        for node in self.nodes:
            node.destroy_node()


@pytest.fixture
def rover() -> Iterator[Rover]:
    rclpy.init(args=[])
    rover = Rover()
    yield rover
    rover.close()
    rclpy.shutdown()


@pytest.mark.parametrize('number, node', [(0, 'bridge'), (1, 'sender')])
def test_a_parameter_is_set_or_the_reason_names_it(rover: Rover, number: int, node: str):
    assert rover.set(node, 'max_fps', 2.0) == (True, '')
    assert rover.nodes[number].get_parameter('max_fps').value == 2.0
    assert rover.set(node, 'nope.max_fps', 2.0) == (
        False, f'{node} has no parameter nope.max_fps')
    accepted, reason = rover.set(node, 'max_fps', 'fast')
    assert not accepted and 'DOUBLE' in reason
