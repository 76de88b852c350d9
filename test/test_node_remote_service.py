# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The services of the node `remote`, called as `ros2 param` calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
import threading
from typing import Any

from gsc_ros.nodes.remote_service import MAX_PARAMETERS, NODE_NAME, RemoteService
import pytest
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future

PATIENCE_S = 20.0
# Tests of others may run beside this one.
NAMESPACE = f'ground_{os.getpid()}'


class Rover:
    """Takes every value but 13, at once, and of `silent` never says anything."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.asked = threading.Event()

    def handle(self, parameter: ParameterMessage, done: Callable[[bool, str], None]) -> None:
        value = parameter_value_to_python(parameter.value)
        self.asked.set()
        if parameter.name == 'silent':
            return
        if value == 13:
            done(False, '13 is unlucky')
            return
        self.values[parameter.name] = value
        done(True, '')


class Operator:
    """A node that uses the client of rclpy, as every verb of `ros2 param` makes one."""

    def __init__(self, context: rclpy.Context) -> None:
        self.node = Node('operator', context=context, namespace=NAMESPACE)
        self.client = AsyncParameterClient(self.node, NODE_NAME)
        self._executor = SingleThreadedExecutor(context=context)

    def wait(self, future: Future) -> Any:
        rclpy.spin_until_future_complete(self.node, future, self._executor, PATIENCE_S)
        assert future.done()
        return future.result()


@pytest.fixture(scope='module')
def context() -> Iterator[rclpy.Context]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=1 + os.getpid() % 100)
        yield context
        context.try_shutdown()


@pytest.fixture
def rover() -> Rover:
    return Rover()


@pytest.fixture
def service(context: rclpy.Context, rover: Rover) -> Iterator[RemoteService]:
    bridge = Node('bridge', context=context, namespace=NAMESPACE)
    service = RemoteService(bridge, rover.handle)
    yield service
    service.close()
    bridge.destroy_node()


@pytest.fixture
def operator(context: rclpy.Context, service: RemoteService) -> Iterator[Operator]:
    operator = Operator(context)
    assert operator.client.wait_for_services(PATIENCE_S)
    yield operator
    operator.node.destroy_node()


def test_parameters_are_set_one_by_one_each_with_its_answer(operator: Operator, rover: Rover):
    results = operator.wait(operator.client.set_parameters([
        Parameter('sender.max_fps', value=2.0), Parameter('sender.quantizer', value=13),
        Parameter('sender.caption', value='a road')])).results
    assert [(result.successful, result.reason) for result in results] == [
        (True, ''), (False, '13 is unlucky'), (True, '')]
    assert rover.values == {'sender.max_fps': 2.0, 'sender.caption': 'a road'}


def test_more_parameters_than_one_call_may_have_are_refused(operator: Operator, rover: Rover):
    results = operator.wait(operator.client.set_parameters(
        [Parameter(f'n{number}', value=1) for number in range(MAX_PARAMETERS + 2)])).results
    assert [result.successful for result in results] == MAX_PARAMETERS * [True] + 2 * [False]
    assert len(rover.values) == MAX_PARAMETERS


@pytest.mark.parametrize('value, answer', [(5, (True, '')), (13, (False, '13 is unlucky'))])
def test_one_parameter_alone_is_all_or_nothing(
        operator: Operator, rover: Rover, value: int, answer: tuple[bool, str]):
    result = operator.wait(operator.client.set_parameters_atomically(
        [Parameter('a', value=value)])).result
    assert (result.successful, result.reason) == answer
    assert rover.values == ({'a': 5} if answer[0] else {})


def test_several_parameters_at_once_are_refused_and_none_is_set(operator: Operator, rover: Rover):
    result = operator.wait(operator.client.set_parameters_atomically(
        [Parameter('a', value=1), Parameter('b', value=2)])).result
    assert not result.successful
    assert 'one by one' in result.reason
    assert not rover.values
    assert operator.wait(operator.client.set_parameters_atomically([])).result.successful


def test_nothing_is_known_of_what_the_rover_has(operator: Operator):
    operator.wait(operator.client.set_parameters([Parameter('a', value=1)]))
    names = ['a', 'b']
    listed = operator.wait(operator.client.list_parameters()).result
    assert (listed.names, listed.prefixes) == ([], [])
    values = operator.wait(operator.client.get_parameters(names)).values
    assert [value.type for value in values] == 2 * [ParameterType.PARAMETER_NOT_SET]
    types = operator.wait(operator.client.get_parameter_types(names)).types
    assert list(types) == 2 * [ParameterType.PARAMETER_NOT_SET]
    descriptors = operator.wait(operator.client.describe_parameters(names)).descriptors
    assert [(descriptor.name, descriptor.type) for descriptor in descriptors] == [
        (name, ParameterType.PARAMETER_NOT_SET) for name in names]
    assert all('cannot be read' in descriptor.description for descriptor in descriptors)


def test_a_call_at_work_is_answered_when_the_service_ends(
        operator: Operator, rover: Rover, service: RemoteService):
    future = operator.client.set_parameters([Parameter('silent', value=1)])

    def end() -> None:
        rover.asked.wait(PATIENCE_S)
        service.close(PATIENCE_S)
    thread = threading.Thread(target=end)
    thread.start()
    (result,) = operator.wait(future).results
    thread.join(PATIENCE_S)
    assert (result.successful, result.reason) == (False, 'the bridge has stopped')


def test_nothing_is_destroyed_while_the_thread_still_waits_on_it(
        context: rclpy.Context, rover: Rover, monkeypatch: pytest.MonkeyPatch):
    bridge = Node('bridge', context=context, namespace=f'{NAMESPACE}_alone')
    service = RemoteService(bridge, rover.handle)
    waiting: list[bool] = []

    def watched(executor: SingleThreadedExecutor, timeout: float | None = None) -> bool:
        waiting.append(any(thread.name == NODE_NAME for thread in threading.enumerate()))
        return shutdown(executor, timeout)

    shutdown = SingleThreadedExecutor.shutdown
    monkeypatch.setattr(SingleThreadedExecutor, 'shutdown', watched)
    service.close()
    assert waiting == [False]
    bridge.destroy_node()
