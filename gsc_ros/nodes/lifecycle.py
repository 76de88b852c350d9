# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What all nodes share: lifecycle with autostart, parameters, diagnostics, and a clean end.

    unconfigured --configure()--> inactive --activate()--> active
         ^------cleanup()------------'  ^----deactivate()-----'

A node implements those four hooks. A hook that raises makes the transition fail with the reason in
the log and on `/diagnostics`; it never ends the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
import ctypes
import sys

from gsc_ros.nodes.diagnostic import Level, Report, Reporter
from gsc_ros.nodes.parameter import ParameterTable
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

DIAGNOSTIC_PERIOD_S = 1.0
# Seconds between two log lines about the same kind of trouble.
LOG_PERIOD_S = 5.0
# Executor and worker hand the interpreter to each other after at most this long; the default of
# 5 ms would be half of what the graph may cost a frame.
SWITCH_INTERVAL_S = 0.0005

_WAITING = {'unconfigured': 'waiting for configuration', 'inactive': 'waiting for activation'}

# mallopt parameters and values, see _keep_freed_memory.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MMAP_THRESHOLD_BYTES = 32 * 2 ** 20
_TRIM_THRESHOLD_BYTES = 64 * 2 ** 20


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
        self._schema = schema
        self.table = ParameterTable(
            self, lambda: self.state == 'unconfigured', self._parameters_changed)
        self.table.declare(schema)
        settings = self.table.read(schema)
        if camera_schema is not None:
            for camera in settings.cameras:
                self.table.declare(camera_schema, f'{camera}.')
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

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run :meth:`configure`."""
        self.settings = self.table.read(self._schema)
        result = self._attempt(self.configure, TransitionCallbackReturn.FAILURE)
        if result != TransitionCallbackReturn.SUCCESS:
            self.cleanup()
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
            reports.extend(self.diagnose())
        else:
            message = _WAITING.get(self.state, self.state)
            reports = [Report('lifecycle', Level.WARN, message, {'state': self.state})]
        self._reporter.publish(reports)


def run(node_class: type[ManagedNode], args: list[str] | None = None) -> int:
    """
    Run one node until SIGINT or SIGTERM.

    :param args: command line with ROS arguments; None takes that of the process.
    :return: exit status: 0 after a signal, 1 when the parameters are bad.
    """
    _keep_freed_memory()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    rclpy.init(args=args)
    try:
        node = node_class()
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(f'{node_class.__name__}: {error}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.settings.autostart:
            node.start()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except rclpy_implementation.RCLError:
        if node.context.ok():
            raise
        # A signal has ended the context while a callback was publishing.
    finally:
        node.release()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _keep_freed_memory() -> None:
    """
    Make glibc reuse the megabyte-sized buffers of images and tensors.

    By default they are mapped and unmapped on every use, and the kernel's zeroing of pages costs
    more than the work on them. Fewer arenas keep the resident size small. Elsewhere a no-op.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES)
    mallopt(_M_ARENA_MAX, 2)
