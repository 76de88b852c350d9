# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of the far bridge on their way from the link's thread to the executor's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from gsc_ros.link.delivery import Delivery, ReceivedBulk, ReceivedControl
from gsc_ros.nodes.back_channel import MessageType
from gsc_ros.nodes.lifecycle import ManagedNode
from rclpy.timer import Timer

TICK_S = 0.2
# Messages that wait for the executor, at most; the oldest go.
MAX_WAITING = 64


class Inbox:
    """Hands over messages of some types, and has them worked on while it is open."""

    def __init__(self, node: ManagedNode, types: Iterable[MessageType], max_bytes: int,
                 work: Callable[[], None]) -> None:
        """
        Begin shut.

        :param types: of the messages that are taken.
        :param max_bytes: of one; a longer one is not taken.
        :param work: called on the executor's thread when something has come, and every `TICK_S`.
        """
        self._node = node
        self._heads = frozenset(bytes([kind]) for kind in types)
        self._max_bytes = max_bytes
        self._work = work
        self._messages: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._timer: Timer | None = None
        self._guard = node.create_guard_condition(self._wake)

    def open(self) -> None:
        """Let messages be worked on."""
        self._timer = self._node.create_timer(TICK_S, self._work, clock=self._node.steady_clock)

    def shut(self) -> None:
        """Forget what waits, and work on nothing more."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        self._messages.clear()

    def close(self) -> None:
        """Release what wakes the executor."""
        self._node.destroy_guard_condition(self._guard)

    def take(self, delivery: Delivery) -> bool:
        """Take a message of the far side, on any thread; return whether it is one for this end."""
        mine = isinstance(delivery, (ReceivedControl, ReceivedBulk)) and (
            delivery.data[:1] in self._heads and len(delivery.data) <= self._max_bytes)
        if mine:
            self._messages.append(delivery.data)
            self.wake()
        return mine

    def wake(self) -> None:
        """Have the work done soon; on any thread."""
        self._guard.trigger()

    def drain(self) -> Iterator[bytes]:
        """Yield what has come, and take it out."""
        while self._messages:
            yield self._messages.popleft()

    def _wake(self) -> None:
        if self._timer is not None:
            self._work()
