# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node as a process: it ends by a signal, cleanly, and by nothing else."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from gsc_ros.nodes import memory
from gsc_ros.nodes.lifecycle import ManagedNode
from gsc_ros.nodes.worker import any_at_work
import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import uninstall_signal_handlers

# Executor and worker hand the interpreter to each other after at most this long; the default of
# 5 ms would be half of what the graph may cost a frame.
SWITCH_INTERVAL_S = 0.0005
# After a callback has raised: were it to raise for ever, others would still get the CPU.
REST_S = 0.01


def run(node_class: type[ManagedNode]) -> int:
    """
    Be the process of one node, until SIGINT or SIGTERM.

    :return: exit status, as :func:`serve` gives it.
    """
    status = serve(node_class)
    if any_at_work():
        # A model still runs on a worker's thread. The interpreter would end the thread inside the
        # model's C++ code, which aborts the process: leave without the interpreter's farewell.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def serve(node_class: type[ManagedNode], args: list[str] | None = None) -> int:
    """
    Run one node until SIGINT or SIGTERM.

    :param args: command line with ROS arguments; None takes that of the process.
    :return: exit status: 0 after a signal, 1 when the parameters are bad.
    """
    memory.keep_freed()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    rclpy.init(args=args)
    try:
        node = node_class()
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(f'{node_class.__name__}: {error}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    except (KeyboardInterrupt, Exception) as error:
        _leave_signals_alone()
        # Of a context that a signal has ended nothing can be made, whatever that raises.
        if rclpy.ok() and not isinstance(error, KeyboardInterrupt):
            raise
        rclpy.try_shutdown()
        return 0
    # Outlives the node: what it waits on is the node's.
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        _spin(executor, node)
    except KeyboardInterrupt:
        pass
    finally:
        _leave_signals_alone()
        node.release()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _leave_signals_alone() -> None:
    """
    Wait until rclpy has dealt with the signal, and take no more of them.

    Its signal thread ends the context and walks through the guard conditions of all executors:
    none may be destroyed under it.
    """
    uninstall_signal_handlers()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _spin(executor: SingleThreadedExecutor, node: ManagedNode) -> None:
    """Start the node and serve it until a signal ends its context; survive what it raises."""
    starting = node.settings.autostart
    while node.context.ok():
        try:
            if starting:
                starting = False
                node.start()
            executor.spin()
        except ExternalShutdownException:
            return
        except Exception as error:  # noqa: BLE001 - no message may end a node
            # A signal may end the context while a callback publishes: that is no failure.
            if node.context.ok():
                node.callback_failed(error)
                time.sleep(REST_S)
