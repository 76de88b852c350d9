# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A thread that works on the newest items of several sources in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import threading
from typing import Generic, TypeVar

Item = TypeVar('Item')


# Less than the 5 s after which a launch loses its patience with a process that it ends.
STOP_S = 4.0


class _Thread(threading.Thread):
    """Thread of a worker."""


def any_at_work() -> bool:
    """Return whether a thread of any worker still runs, stopped or not."""
    return any(isinstance(thread, _Thread) for thread in threading.enumerate())


class Worker(Generic[Item]):
    """
    One thread that handles items of any number of sources, round-robin.

    Each source has a queue of `depth` items; an item that finds it full takes the place of the
    oldest. So a slow handler sheds the stale, and a busy source never starves a quiet one.
    """

    def __init__(self, name: str, handle: Callable[[str, Item], None],
                 fail: Callable[[str, Exception], None], depth: int = 1) -> None:
        """
        Prepare the worker; nothing runs before :meth:`start`.

        :param handle: called on the worker's thread with the source and the item.
        :param fail: called on the worker's thread with what `handle` raised.
        :param depth: items that wait per source, at least 1.
        """
        self._name = name
        self._handle = handle
        self._fail = fail
        self._depth = depth
        # Insertion order is the turn order: a source is moved to the end when it was served.
        self._queues: dict[str, deque[Item]] = {}
        self._condition = threading.Condition()
        # The thread that may take items; None when stopped. A thread that is no longer it ends.
        self._thread: _Thread | None = None

    def start(self) -> None:
        """Start the thread; a worker that runs is left alone."""
        with self._condition:
            if self._thread is not None:
                return
            self._thread = _Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def stop(self, timeout: float = STOP_S) -> bool:
        """
        Drop what waits, let the item at work finish, and end the thread.

        :return: False if the item at work did not finish within `timeout` seconds. Its thread ends
            after it, and reports nothing any more.
        """
        with self._condition:
            thread, self._thread = self._thread, None
            self._queues.clear()
            self._condition.notify_all()
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def submit(self, source: str, item: Item) -> int:
        """Queue an item; return how many it displaced (0 or 1; 1 when the worker is stopped)."""
        with self._condition:
            if self._thread is None:
                return 1
            queue = self._queues.setdefault(source, deque())
            displaced = len(queue) >= self._depth
            if displaced:
                queue.popleft()
            queue.append(item)
            self._condition.notify_all()
            return int(displaced)

    def waiting(self, source: str) -> int:
        """Return how many items of `source` wait."""
        with self._condition:
            return len(self._queues.get(source, ()))

    def _take(self) -> tuple[str, Item] | None:
        with self._condition:
            mine = threading.current_thread()
            self._condition.wait_for(lambda: self._thread is not mine or self._queues)
            if self._thread is not mine:
                return None
            source = next(iter(self._queues))
            queue = self._queues.pop(source)
            item = queue.popleft()
            if queue:
                self._queues[source] = queue
            return source, item

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            source, item = taken
            try:
                self._handle(source, item)
            except Exception as error:  # noqa: BLE001 - no item may end the thread
                if self._thread is threading.current_thread():
                    self._fail(source, error)
