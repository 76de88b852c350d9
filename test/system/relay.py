# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What joins two bridges over UDP in a test, and can be cut."""

from __future__ import annotations

import selectors
import socket
import threading

PATIENCE_S = 10.0


class UdpRelay:
    """
    A path for datagrams between a rover and a ground on this machine.

    `rover_peer` and `ground_peer` are what the two name as their peers; while it is `cut` nothing
    passes. `forward` is all that has come from the rover.
    """

    def __init__(self) -> None:
        """Open both doors; the addresses behind them are learned from what comes."""
        self._doors = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        self._known: list[tuple[str, int] | None] = [None, None]
        self._selector = selectors.DefaultSelector()
        for side, door in enumerate(self._doors):
            door.bind(('127.0.0.1', 0))
            door.setblocking(False)
            self._selector.register(door, selectors.EVENT_READ, side)
        self.rover_peer, self.ground_peer = (
            '{}:{}'.format(*door.getsockname()) for door in self._doors)
        self.cut = False
        self.forward: list[bytes] = []
        self._running = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def inject(self, datagram: bytes) -> None:
        """Send something to the ground."""
        if self._known[1] is not None:
            self._doors[1].sendto(datagram, self._known[1])

    def close(self) -> None:
        """Stop, and close the doors."""
        self._running = False
        self._thread.join(PATIENCE_S)
        self._selector.close()
        for door in self._doors:
            door.close()

    def _run(self) -> None:
        while self._running:
            for key, _ in self._selector.select(0.05):
                try:
                    self._hand_on(key.data)
                except OSError:  # the process behind a door is not there now
                    pass

    def _hand_on(self, side: int) -> None:
        datagram, self._known[side] = self._doors[side].recvfrom(65535)
        if side == 0:
            self.forward.append(datagram)
        there = self._known[1 - side]
        if there is not None and not self.cut:
            self._doors[1 - side].sendto(datagram, there)
