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
# What a node of rclpy says of a parameter that it does not have, without its name.
_UNDECLARED = str(ParameterNotDeclaredException([]))

Done = Callable[[bool, str], None]


@dataclass
class _Call:
    client: Client
    node: str
    request: SetParameters.Request
    since_s: float
    done: Done
    future: Future | None = None  # until the node has been found


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
        self._calls.append(_Call(
            self._clients[node], node, SetParameters.Request(parameters=[parameter]),
            time.monotonic(), done))
        self.tick(time.monotonic())

    def tick(self, now_s: float) -> None:
        """Ask the nodes that have been found, give up those that do not answer."""
        for call in list(self._calls):
            if now_s - call.since_s > PATIENCE_S:
                self._calls.remove(call)
                if call.future is not None:
                    call.client.remove_pending_request(call.future)
                call.done(False, f'no node {call.node} answers')
            elif call.future is None and call.client.service_is_ready():
                call.future = call.client.call_async(call.request)
                call.future.add_done_callback(lambda _, call=call: self._finish(call))

    def close(self) -> None:
        """Release the clients."""
        self._calls.clear()
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._clients.clear()

    def _set_own(self, parameter: ParameterMessage) -> tuple[bool, str]:
        try:
            result = self._node.set_parameters([Parameter.from_parameter_msg(parameter)])[0]
        except ParameterNotDeclaredException:
            return False, _unknown(OWN_NAME, parameter.name)
        return result.successful, result.reason

    def _finish(self, call: _Call) -> None:
        if call not in self._calls:
            return
        self._calls.remove(call)
        answer = call.future.result()
        if answer is None or not answer.results:
            call.done(False, f'{call.node} gives no result')
        else:
            result = answer.results[0]
            call.done(result.successful, _unknown(call.node, call.request.parameters[0].name) if (
                result.reason.startswith(_UNDECLARED)) else result.reason)


def _unknown(node: str, name: str) -> str:
    return f'{node} has no parameter {name}'
