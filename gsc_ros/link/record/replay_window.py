# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which counters of an epoch have been seen, in bounded memory."""

from __future__ import annotations

WINDOW = 1024


class ReplayWindow:
    """
    Remember the last `WINDOW` counters; what is older counts as seen.

    :param floor: everything below counts as seen, >= 0.
    """

    def __init__(self, floor: int = 0) -> None:
        """Begin with nothing seen from ``floor`` on."""
        self._floor = floor
        self._highest = floor - 1
        self._bitmap = 0

    @property
    def highest(self) -> int:
        """Return the highest counter seen; one below the floor while there is none."""
        return self._highest

    def seen(self, counter: int) -> bool:
        """Return whether a counter has been seen, or is too old to tell."""
        behind = self._highest - counter
        if behind < 0:
            return False
        return counter < self._floor or behind >= WINDOW or bool(self._bitmap >> behind & 1)

    def mark(self, counter: int) -> None:
        """Note a counter that is not `seen`."""
        ahead = counter - self._highest
        if ahead <= 0:
            self._bitmap |= 1 << -ahead
            return
        self._highest = counter
        # A leap must not cost a shift as long as itself.
        kept = self._bitmap << ahead if ahead < WINDOW else 0
        self._bitmap = (kept | 1) & ((1 << WINDOW) - 1)
