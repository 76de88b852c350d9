# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What all nodes share: lifecycle with autostart, parameters, and diagnostics.

    unconfigured --configure()--> inactive --activate()--> active
         ^------cleanup()------------'  ^----deactivate()-----'

A node implements those four hooks. A hook that raises makes the transition fail with the reason in
the log and on `/diagnostics`; neither that nor a callback that raises ends the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gsc_ros.nodes import memory
from gsc_ros.nodes.diagnostic import brief, Level, Report, Reporter
from gsc_ros.nodes.parameter import ParameterTable
from lifecycle_msgs.srv import ChangeState
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

DIAGNOSTIC_PERIOD_S = 1.0
# Seconds between two log lines about the same kind of trouble.
LOG_PERIOD_S = 5.0

_WAITING = {'unconfigured': 'waiting for configuration', 'inactive': 'waiting for activation'}


class ManagedNode(LifecycleNode):
    """Lifecycle node of this package; the subclasses are the sender, the bridge, the receiver."""

    def __init__(self, name: str, schema: type, camera_schema: type | None = None) -> None:
        """
        Create the unconfigured node and its parameters.

        :param schema: the node's parameters, with at least `cameras` and `autostart`.
        :param camera_schema: parameters that each camera has under `<camera>.`.
        """
        super().__init__(name)
        self.steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._failure: str | None = None
        self._callback_failure: str | None = None
        self._callback_failures = self._reported_failures = 0
        # rclpy lets a transition that the present state does not have end the process.
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._change_state_if_possible
        self._schema = schema
        self.table = ParameterTable(
            self, lambda: self.state == 'unconfigured', self._parameters_changed, self.refusal)
        self.table.declare(schema)
        settings = self.table.read(schema)
        if camera_schema is not None:
            for camera in settings.cameras:
                self.table.declare(camera_schema, f'{camera}.')
        strangers = self.table.strangers()
        if strangers:
            self.get_logger().warning(
                f'set, but no parameters of {name}: {brief(", ".join(strangers))}')
        self.settings = settings
        self._reporter = Reporter(self)
        # On a steady clock: a simulated time that stands still must not silence the reports.
        self.create_timer(DIAGNOSTIC_PERIOD_S, self._publish_diagnostics, clock=self.steady_clock)

    def configure(self) -> None:
        """Load models, create publishers and subscriptions."""

    def activate(self) -> None:
        """Start the work."""

    def deactivate(self) -> None:
        """Stop the work; nothing is computed or sent afterwards."""

    def cleanup(self) -> None:
        """Release all that :meth:`configure` made; called also when it failed half way."""

    def settings_changed(self) -> None:
        """React to new values in `settings`."""

    def refusal(self, name: str, value: object) -> str | None:
        """Return why a value of a parameter does not suit the configured node, or None."""

    def diagnose(self) -> Iterable[Report]:
        """Yield the state of the node's parts while it is active."""
        return ()

    @property
    def state(self) -> str:
        """Label of the present lifecycle state, for example 'active'."""
        return str(self._state_machine.current_state[1])

    def start(self) -> None:
        """Configure and activate, as `autostart` asks for."""
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def release(self) -> None:
        """End threads and free what the node holds; for the end of the process."""
        for hook in (self.deactivate, self.cleanup):
            try:
                hook()
            except Exception as error:  # noqa: BLE001 - the rest must still be released
                self.get_logger().error(f'{hook.__name__} failed: {error}')

    def callback_failed(self, error: Exception) -> None:
        """Report what a callback has raised; the node goes on."""
        self._callback_failures += 1
        self._callback_failure = f'callback failed: {error!r}'
        self.get_logger().error(self._callback_failure, throttle_duration_sec=LOG_PERIOD_S)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run :meth:`configure`."""
        self.settings = self.table.read(self._schema)
        result = self._attempt(self.configure, TransitionCallbackReturn.FAILURE)
        if result != TransitionCallbackReturn.SUCCESS:
            self.cleanup()
        memory.release_freed()
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Enable the publishers, then run :meth:`activate`."""
        super().on_activate(state)
        result = self._attempt(self.activate, TransitionCallbackReturn.FAILURE)
        if result == TransitionCallbackReturn.SUCCESS:
            self.get_logger().info('active')
        else:
            super().on_deactivate(state)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run :meth:`deactivate`, then disable the publishers."""
        result = self._attempt(self.deactivate, TransitionCallbackReturn.ERROR)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run :meth:`cleanup`."""
        return self._attempt(self.cleanup, TransitionCallbackReturn.ERROR)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything from whatever state."""
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured, so that the node can be configured again."""
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def _attempt(self, hook: Callable[[], None],
                 failure: TransitionCallbackReturn) -> TransitionCallbackReturn:
        self._failure = None
        try:
            hook()
        except Exception as error:  # noqa: BLE001 - rclpy would swallow the reason
            self._failure = f'{hook.__name__} failed: {error}'
            self.get_logger().error(self._failure)
            return failure
        return TransitionCallbackReturn.SUCCESS

    def _change_state_if_possible(self, request: ChangeState.Request,
                                  response: ChangeState.Response) -> ChangeState.Response:
        wanted = request.transition
        if any(wanted.label == label if wanted.label else wanted.id == number
               for number, label, *_ in self._state_machine.available_transitions):
            return self._change_state(request, response)
        self.get_logger().warning(
            f'no transition {brief(wanted.label) or wanted.id} while {self.state}')
        response.success = False
        return response

    def _parameters_changed(self) -> None:
        if not hasattr(self, 'settings'):  # still declaring
            return
        self.settings = self.table.read(self._schema)
        self.settings_changed()

    def _publish_diagnostics(self) -> None:
        if self._failure is not None:
            reports = [Report('lifecycle', Level.ERROR, self._failure, {'state': self.state})]
        elif self.state == 'active':
            reports = [Report('lifecycle', Level.OK, 'active', {'state': 'active'})]
            try:
                reports.extend(self.diagnose())
            except Exception as error:  # noqa: BLE001 - what is known must still be said
                self.callback_failed(error)
        else:
            message = _WAITING.get(self.state, self.state)
            reports = [Report('lifecycle', Level.WARN, message, {'state': self.state})]
        if self._callback_failure is not None:
            fresh = self._callback_failures > self._reported_failures
            self._reported_failures = self._callback_failures
            reports.append(Report(
                'callbacks', Level.ERROR if fresh else Level.WARN, self._callback_failure,
                {'failed': self._callback_failures}))
        self._reporter.publish(reports)
