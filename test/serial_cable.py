# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A serial cable between two ports, made of pseudo-terminals."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import select
import threading
import time
import tty

PATIENCE_S = 5.0


class Port:
    """
    A serial port that can be plugged and unplugged.

    :param path: where it appears, as under ``/dev/serial/by-id``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plugged = False
        self.plug()

    def plug(self) -> None:
        """Let the port appear."""
        self.line, self._held = os.openpty()
        tty.setraw(self._held)  # else what comes before it is opened is echoed
        os.set_blocking(self.line, False)
        self.path.symlink_to(os.ttyname(self._held))
        self.plugged = True

    def unplug(self) -> None:
        """Take the port away."""
        if self.plugged:
            self.plugged = False
            self.path.unlink()
            os.close(self._held)
            os.close(self.line)

    def read(self, count: int = 65536) -> bytes:
        """Return what has been sent from the port, perhaps nothing."""
        try:
            return os.read(self.line, count)
        except BlockingIOError:
            return b''

    def take(self, count: int) -> bytes:
        """Return so many bytes that have been sent from the port, or fewer when none follow."""
        data = b''
        end = time.monotonic() + PATIENCE_S
        while len(data) < count and time.monotonic() < end:
            select.select([self.line], [], [], 0.02)
            data += self.read(count - len(data))
        return data

    def write(self, data: bytes) -> int:
        """Let bytes arrive at the port; return how many fit."""
        try:
            return os.write(self.line, data)
        except BlockingIOError:
            return 0


class SerialCable:
    """
    Two ports, and a thread that carries the bytes between them.

    :param folder: where the ports `near` and `far` appear.
    :param disturb: called with every piece on its way, returns what arrives of it.
    """

    def __init__(self, folder: Path, disturb: Callable[[bytes], bytes] = bytes) -> None:
        self.near, self.far = Port(folder / 'near'), Port(folder / 'far')
        self._disturb = disturb
        self._closing = False
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def close(self) -> None:
        """Take the cable away."""
        self._closing = True
        self._thread.join()
        self.near.unplug()
        self.far.unplug()

    def _carry(self) -> None:
        while not self._closing:
            select.select([self.near.line, self.far.line], [], [], 0.02)
            for one, other in ((self.near, self.far), (self.far, self.near)):
                data = one.read()
                if data:
                    other.write(self._disturb(data))
