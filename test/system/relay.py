# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What joins two bridges in a test, and can be cut: a relay of datagrams, a null-modem cable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import os
import selectors
import socket
import threading
import tty

PATIENCE_S = 10.0


class _Relay:
    """Hands on from a thread what can be read, unless it is cut."""

    def __init__(self, handlers: Mapping[int, Callable[[], None]]) -> None:
        """Start to listen to files; each has a handler, which reads it."""
        self._selector = selectors.DefaultSelector()
        for file, handler in handlers.items():
            self._selector.register(file, selectors.EVENT_READ, handler)
        self._running = True
        self.cut = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._running = False
        self._thread.join(PATIENCE_S)
        self._selector.close()

    def _run(self) -> None:
        while self._running:
            for key, _ in self._selector.select(0.05):
                key.data()


class UdpRelay(_Relay):
    """
    A path for datagrams between a rover and a ground on this machine.

    `rover_peer` and `ground_peer` are what the two name as their peers; `forward` is all that
    came from the rover.
    """

    def __init__(self) -> None:
        """Open both doors; the addresses behind them are learned from what comes."""
        self._doors = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for door in self._doors:
            door.bind(('127.0.0.1', 0))
            door.setblocking(False)
        self._known: list[tuple[str, int] | None] = [None, None]
        self.forward: list[bytes] = []
        self.rover_peer, self.ground_peer = (
            '{}:{}'.format(*door.getsockname()) for door in self._doors)
        super().__init__({door.fileno(): lambda side=side: self._hand_on(side)
                          for side, door in enumerate(self._doors)})

    def inject(self, datagram: bytes) -> None:
        """Send something to the ground."""
        if self._known[1] is not None:
            self._doors[1].sendto(datagram, self._known[1])

    def close(self) -> None:
        """Stop and close the doors."""
        super().close()
        for door in self._doors:
            door.close()

    def _hand_on(self, side: int) -> None:
        try:
            datagram, self._known[side] = self._doors[side].recvfrom(65535)
        except OSError:  # the process behind the door is not there now
            return
        if side == 0:
            self.forward.append(datagram)
        there = self._known[1 - side]
        if there is not None and not self.cut:
            try:
                self._doors[1 - side].sendto(datagram, there)
            except OSError:
                pass


class NullModem(_Relay):
    """Two serial ports with crossed wires; `rover_port` and `ground_port` are their devices."""

    def __init__(self) -> None:
        """Make both ports."""
        self._masters, self._slaves = zip(*(os.openpty() for _ in range(2)))
        for file in (*self._masters, *self._slaves):
            tty.setraw(file)
            os.set_blocking(file, False)
        # The slaves stay open here: a port that nobody has open for a moment must not go away.
        self.rover_port, self.ground_port = map(os.ttyname, self._slaves)
        super().__init__({master: lambda side=side: self._hand_on(side)
                          for side, master in enumerate(self._masters)})

    def close(self) -> None:
        """Stop and close the ports."""
        super().close()
        for file in (*self._masters, *self._slaves):
            os.close(file)

    def _hand_on(self, side: int) -> None:
        data = os.read(self._masters[side], 4096)
        if not self.cut:
            try:
                os.write(self._masters[1 - side], data)
            except BlockingIOError:  # nobody reads at the other end: the bytes are lost
                pass
