# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sleep until a transport can be read, another thread calls, or it is time."""

from __future__ import annotations

from collections.abc import Iterable
import os
import select
import threading
import time

from gsc_ros.link.transports import Transport

_NS_PER_MS = 1_000_000
# poll(2) takes no more; a sleep this long is taken up again.
_LONGEST_MS = (1 << 31) - 1


class Waiter:
    """
    What the thread of an endpoint sleeps on between two polls.

    One thread waits; `wake` may be called by any, at any time.
    """

    def __init__(self) -> None:
        """Make the pipe through which other threads wake this one."""
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._lock = threading.Lock()
        self._closed = False

    def wait(self, transports: Iterable[Transport], until_ns: int) -> bool:
        """
        Sleep until a transport can be read, `wake` is called, or the time has come.

        :param transports: those without a file are left out.
        :param until_ns: on the clock of `time.monotonic_ns`; in the past: only look.
        :returns: whether it was something else than the time. A `wake` since the last wait counts.
        """
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        for transport in transports:
            number = transport.fileno()
            if number is not None:
                poll.register(number, select.POLLIN)
        while True:
            left_ns = max(0, until_ns - time.monotonic_ns())
            # Whole milliseconds, rounded down: else every datagram of a fast link would be late by
            # up to one.
            left_ms = min(left_ns // _NS_PER_MS, _LONGEST_MS)
            if poll.poll(left_ms):
                self._drain()
                return True
            if left_ns < _NS_PER_MS:
                time.sleep(left_ns / 1e9)
                return False

    def wake(self) -> None:
        """End the wait of the other thread, or its next one; nothing once it is closed."""
        # Else the number of the closed pipe could belong to another file by now.
        with self._lock:
            if self._closed:
                return
            try:
                os.write(self._writing, b'\0')
            except BlockingIOError:
                pass  # it is full of calls that were not answered yet

    def close(self) -> None:
        """Let go of the pipe, once nobody waits any more."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._reading)
                os.close(self._writing)

    def _drain(self) -> None:
        try:
            while os.read(self._reading, 4096):
                pass
        except BlockingIOError:
            pass
