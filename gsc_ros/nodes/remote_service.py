# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The service `remote/set_parameters`: parameters of the rover as if they were those of a node here.

It belongs to a node `remote` of its own, so that `ros2 param set remote sender.max_fps 2.0` finds
it, and has a thread of its own, on which a call waits for the far side while the bridge goes on.

Clients of parameters, that of `ros2 param` among them, wait for all six services of a node before
they call one. Nothing can be read through the link, and nothing is made up: no name is listed, and
every parameter is one that is not set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import threading

from rcl_interfaces.msg import (
    Parameter,
    ParameterDescriptor,
    ParameterType,
    ParameterValue,
    SetParametersResult,
)
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_parameters
from rclpy.task import Future

NODE_NAME = 'remote'
# Parameters that one call may set.
MAX_PARAMETERS = 16
DESCRIPTION = 'Of the rover, which may refuse it: can be set, cannot be read.'

Handle = Callable[[Parameter, Callable[[bool, str], None]], None]


class RemoteService:
    """Waits, one call at a time, until each of its parameters is answered."""

    def __init__(self, node: Node, handle: Handle) -> None:
        """
        Offer the services in the namespace of `node`.

        :param handle: gets each parameter, on the service's thread, and a function to be called
            once, on any thread, with whether it was accepted, and why not.
        """
        self._handle = handle
        self._stopped = threading.Event()
        # The same, for the executor, which is woken by it.
        self._ended = Future()
        self._release = threading.Condition()
        # Not under the command line of the process, which may rename its node.
        self._node = Node(
            NODE_NAME, context=node.context, namespace=node.get_namespace(),
            use_global_arguments=False, start_parameter_services=False, enable_rosout=False)
        for service, name, serve in (
                (SetParameters, 'set_parameters', self._set),
                (SetParametersAtomically, 'set_parameters_atomically', self._set_atomically),
                (ListParameters, 'list_parameters', _list),
                (GetParameters, 'get_parameters', _get),
                (GetParameterTypes, 'get_parameter_types', _get_types),
                (DescribeParameters, 'describe_parameters', _describe)):
            self._node.create_service(
                service, f'{NODE_NAME}/{name}', serve, qos_profile=qos_profile_parameters)
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._run, name=NODE_NAME, daemon=True)
        self._thread.start()

    def close(self, timeout: float = 2.0) -> None:
        """Answer the call at work as it is, and take the services back."""
        self._stopped.set()
        with self._release:
            self._release.notify_all()
        self._ended.set_result(None)
        self._thread.join(timeout)
        # Only now: what the thread waits on must not be destroyed under it.
        if not self._thread.is_alive():
            self._executor.shutdown()
            self._node.destroy_node()

    def _set(self, request: SetParameters.Request,
             response: SetParameters.Response) -> SetParameters.Response:
        response.results = self._forward(request.parameters[:MAX_PARAMETERS])
        response.results.extend(
            SetParametersResult(
                successful=False, reason=f'at most {MAX_PARAMETERS} parameters in one call')
            for _ in request.parameters[MAX_PARAMETERS:])
        return response

    def _set_atomically(
            self, request: SetParametersAtomically.Request,
            response: SetParametersAtomically.Response) -> SetParametersAtomically.Response:
        if len(request.parameters) > 1:
            response.result.reason = (
                'the rover takes parameters one by one, so not all or none; none was changed')
        else:
            response.result = next(
                iter(self._forward(request.parameters)), SetParametersResult(successful=True))
        return response

    def _forward(self, parameters: Sequence[Parameter]) -> list[SetParametersResult]:
        """Hand parameters over, and wait until each is answered."""
        results: list[SetParametersResult | None] = [None] * len(parameters)

        def settle(place: int, accepted: bool, reason: str) -> None:
            with self._release:
                results[place] = SetParametersResult(successful=accepted, reason=reason)
                self._release.notify_all()

        for place, parameter in enumerate(parameters):
            self._handle(parameter, lambda accepted, reason, place=place: settle(
                place, accepted, reason))
        with self._release:
            self._release.wait_for(lambda: None not in results or self._stopped.is_set())
            return [
                result or SetParametersResult(successful=False, reason='the bridge has stopped')
                for result in results]

    def _run(self) -> None:
        try:
            self._executor.spin_until_future_complete(self._ended)
        except ExternalShutdownException:
            pass
        except Exception:
            if self._node.context.ok():  # else a signal has ended it just before a wait
                raise


def _list(request: ListParameters.Request,
          response: ListParameters.Response) -> ListParameters.Response:
    return response


def _get(request: GetParameters.Request,
         response: GetParameters.Response) -> GetParameters.Response:
    response.values = [ParameterValue(type=ParameterType.PARAMETER_NOT_SET) for _ in request.names]
    return response


def _get_types(request: GetParameterTypes.Request,
               response: GetParameterTypes.Response) -> GetParameterTypes.Response:
    response.types = [ParameterType.PARAMETER_NOT_SET for _ in request.names]
    return response


def _describe(request: DescribeParameters.Request,
              response: DescribeParameters.Response) -> DescribeParameters.Response:
    response.descriptors = [
        ParameterDescriptor(
            name=name, type=ParameterType.PARAMETER_NOT_SET, description=DESCRIPTION)
        for name in request.names]
    return response
