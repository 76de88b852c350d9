# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of other nodes, set without waiting for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import time

from gsc_ros.nodes.remote_parameter import message, Scalar
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future

# A node that has not answered for so long hangs.
PATIENCE_S = 5.0
# What the ground calls the node that takes its changes, whatever it is called on the graph.
OWN_NAME = 'bridge'

Done = Callable[[bool, str], None]


@dataclass
class _Call:
    client: Client
    future: Future
    node: str
    since_s: float
    done: Done


class ParameterClient:
    """Sets parameters of the nodes beside its own, and of its own; for the executor's thread."""

    def __init__(self, node: Node) -> None:
        """Begin without a client; each is made when it is first needed."""
        self._node = node
        self._clients: dict[str, Client] = {}
        self._calls: list[_Call] = []

    def set(self, node: str, name: str, value: Scalar, done: Done) -> None:
        """
        Set a parameter.

        :param node: name of the node, relative to the namespace of this one.
        :param done: called once, with whether it was accepted, and why not.
        """
        parameter = ParameterMessage(name=name, value=message(value))
        if node == OWN_NAME:
            done(*self._set_own(parameter))
            return
        if node not in self._clients:
            self._clients[node] = self._node.create_client(SetParameters, f'{node}/set_parameters')
        client = self._clients[node]
        # A client that was made just now has not found its node yet: the request waits for it.
        future = client.call_async(SetParameters.Request(parameters=[parameter]))
        call = _Call(client, future, node, time.monotonic(), done)
        self._calls.append(call)
        future.add_done_callback(lambda _: self._finish(call))

    def tick(self, now_s: float) -> None:
        """Give up the calls that nobody answers."""
        for call in [call for call in self._calls if now_s - call.since_s > PATIENCE_S]:
            self._calls.remove(call)
            call.client.remove_pending_request(call.future)
            call.done(False, f'no node {call.node} answers')

    def close(self) -> None:
        """Release the clients."""
        self._calls.clear()
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._clients.clear()

    def _set_own(self, parameter: ParameterMessage) -> tuple[bool, str]:
        try:
            result = self._node.set_parameters([Parameter.from_parameter_msg(parameter)])[0]
        except ParameterNotDeclaredException as error:
            return False, str(error)
        return result.successful, result.reason

    def _finish(self, call: _Call) -> None:
        if call not in self._calls:
            return
        self._calls.remove(call)
        answer = call.future.result()
        if answer is None or not answer.results:
            call.done(False, f'{call.node} gives no result')
        else:
            call.done(answer.results[0].successful, answer.results[0].reason)
