# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The service `remote/set_parameters`: parameters of the rover as if they were those of a node here.

It belongs to a node `remote` of its own, so that `ros2 param set remote sender.max_fps 2.0` finds
it, and has a thread of its own, on which a call waits for the far side while the bridge goes on.
"""

from __future__ import annotations

from collections.abc import Callable
import threading

from rcl_interfaces.msg import Parameter, SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

NODE_NAME = 'remote'
# Parameters that one call may set.
MAX_PARAMETERS = 16

Handle = Callable[[Parameter, Callable[[bool, str], None]], None]


class RemoteService:
    """Waits, one call at a time, until each of its parameters is answered."""

    def __init__(self, node: Node, handle: Handle) -> None:
        """
        Offer the service in the namespace of `node`.

        :param handle: gets each parameter, on the service's thread, and a function to be called
            once, on any thread, with whether it was accepted, and why not.
        """
        self._handle = handle
        self._stopped = threading.Event()
        self._release = threading.Condition()
        # Not under the command line of the process, which may rename its node.
        self._node = Node(
            NODE_NAME, context=node.context, namespace=node.get_namespace(),
            use_global_arguments=False, start_parameter_services=False, enable_rosout=False)
        self._node.create_service(SetParameters, f'{NODE_NAME}/set_parameters', self._serve)
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._run, name=NODE_NAME, daemon=True)
        self._thread.start()

    def close(self, timeout: float = 2.0) -> None:
        """Answer the call at work as it is, and take the service back."""
        self._stopped.set()
        with self._release:
            self._release.notify_all()
        self._executor.shutdown(timeout)
        self._thread.join(timeout)
        self._node.destroy_node()

    def _serve(self, request: SetParameters.Request,
               response: SetParameters.Response) -> SetParameters.Response:
        parameters = request.parameters[:MAX_PARAMETERS]
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
            response.results = [
                result or SetParametersResult(successful=False, reason='the bridge has stopped')
                for result in results]
        response.results.extend(
            SetParametersResult(
                successful=False, reason=f'at most {MAX_PARAMETERS} parameters in one call')
            for _ in request.parameters[MAX_PARAMETERS:])
        return response

    def _run(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
