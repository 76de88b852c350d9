# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node as a process, with callbacks that raise."""

from __future__ import annotations

from collections.abc import Iterator
import os
import signal
import time

from diagnostic_msgs.msg import DiagnosticArray
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.lifecycle import ManagedNode
from gsc_ros.nodes.process import serve
from gsc_ros.nodes.schema import ReceiverParameters
import pytest
import rclpy
from rclpy.signals import get_current_signal_handlers_options, SignalHandlerOptions

PATIENCE_S = 20.0


class Clumsy(ManagedNode):
    """Raises in a timer, and each time it reports on itself; ends itself after some reports."""

    heard: list[DiagnosticArray] = []
    handled: SignalHandlerOptions | None = None

    def __init__(self) -> None:
        super().__init__('clumsy', ReceiverParameters)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._hear, 10)
        self.timer = self.create_timer(0.05, self._stumble)
        self.create_timer(PATIENCE_S, self._end)
        self.stumbled = 0

    def diagnose(self):
        yield Report('before', Level.OK, 'still said')
        raise KeyError('report')

    def _stumble(self) -> None:
        self.stumbled += 1
        if self.stumbled == 3:
            self.timer.cancel()
        raise ValueError('stumbled')

    def _hear(self, array: DiagnosticArray) -> None:
        self.heard.append(array)
        if len(self.heard) == 3:
            self._end()

    def release(self) -> None:
        # rclpy's signal thread is through by now, and an impatient operator must not harm.
        type(self).handled = get_current_signal_handlers_options()
        self._end()
        super().release()

    def _end(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Give the signals back that a process ignores while it ends, or since a shell began it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_callback_that_raises_is_counted_and_the_node_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    monkeypatch.setenv('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    assert serve(Clumsy, []) == 0
    assert not rclpy.ok()
    assert Clumsy.handled == SignalHandlerOptions.NO
    parts = {status.name: status for status in Clumsy.heard[-1].status}
    assert parts['clumsy: before'].message == 'still said'
    callbacks = parts['clumsy: callbacks']
    assert callbacks.level == Level.ERROR.value
    assert callbacks.message == "callback failed: KeyError('report')"
    assert int(callbacks.values[0].value) >= 3 + 2


class Interrupted(ManagedNode):
    """Is ended before it is made."""

    def __init__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(PATIENCE_S)


class Late(ManagedNode):
    """Is made in a context that a signal has ended."""

    def __init__(self) -> None:
        rclpy.shutdown()
        super().__init__('late', ReceiverParameters)


@pytest.mark.parametrize('node_class', [Interrupted, Late])
def test_a_signal_during_the_start_is_no_failure(node_class: type[ManagedNode]):
    assert serve(node_class, []) == 0
    assert not rclpy.ok()
