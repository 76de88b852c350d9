# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Order of frames by their wrapping numbers (serial number arithmetic, RFC 1982)."""

from __future__ import annotations

from collections import deque
from enum import Enum

MODULUS = 2 ** 32
# Accepted numbers remembered to tell a duplicate from a latecomer.
MEMORY = 256
# After so many old frames in ascending order the next is no latecomer: the numbers begin again, as
# in a recording that loops, or the newest number was wrong.
RESTART_AFTER = 16


class Arrival(Enum):
    """What a frame is, by its session and number."""

    NEW = 'new'
    DUPLICATE = 'duplicate'
    LATE = 'late'


class SequenceTracker:
    """
    Tells new frames from old ones, and counts the gaps.

    Looking is one step, and accepting or rejecting another, so that a damaged frame moves nothing.
    """

    def __init__(self) -> None:
        """Begin before the first frame."""
        self._session: int | None = None
        self._newest = 0
        self._seen: deque[int] = deque(maxlen=MEMORY)
        # Old frames since the last new one, as long as their numbers ascend.
        self._old_run = 0
        self._old_newest = 0

    def classify(self, session: int, sequence: int) -> Arrival:
        """Return what a frame is; another session than the last one's is always new."""
        if session != self._session or self._is_ahead(sequence) or (
                self._old_run >= RESTART_AFTER and is_ahead(self._old_newest, sequence)):
            return Arrival.NEW
        return Arrival.DUPLICATE if sequence in self._seen else Arrival.LATE

    def reject(self, sequence: int) -> None:
        """Leave out an old frame of this session; enough of them in order are a new beginning."""
        ascends = self._old_run > 0 and is_ahead(self._old_newest, sequence)
        self._old_run = self._old_run + 1 if ascends else 1
        self._old_newest = sequence

    def accept(self, session: int, sequence: int) -> int:
        """Take a new frame as the newest; return how many between it and the last are missing."""
        missing = 0
        if session == self._session and self._is_ahead(sequence):
            missing = (sequence - self._newest) % MODULUS - 1
        else:
            self._session = session
            self._seen.clear()
        self._old_run = 0
        self._newest = sequence
        self._seen.append(sequence)
        return missing

    def _is_ahead(self, sequence: int) -> bool:
        return sequence not in self._seen and is_ahead(self._newest, sequence)


def is_ahead(before: int, after: int) -> bool:
    """Return whether a number comes after another, on the circle of 2**32."""
    return 0 < (after - before) % MODULUS < MODULUS // 2
