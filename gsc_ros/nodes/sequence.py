# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Order of frames by their wrapping numbers (serial number arithmetic, RFC 1982)."""

from __future__ import annotations

from collections import deque
from enum import Enum

MODULUS = 2 ** 32
# Accepted numbers remembered to tell a duplicate from a latecomer.
MEMORY = 256


class Arrival(Enum):
    """What a frame is, by its session and number."""

    NEW = 'new'
    DUPLICATE = 'duplicate'
    LATE = 'late'


class SequenceTracker:
    """
    Tells new frames from old ones, and counts the gaps.

    Looking and accepting are two steps, so that a damaged frame moves nothing.
    """

    def __init__(self) -> None:
        """Begin before the first frame."""
        self._session: int | None = None
        self._newest = 0
        self._seen: deque[int] = deque(maxlen=MEMORY)

    def classify(self, session: int, sequence: int) -> Arrival:
        """Return what a frame is; another session than the last one's is always new."""
        if session != self._session:
            return Arrival.NEW
        if sequence in self._seen:
            return Arrival.DUPLICATE
        ahead = (sequence - self._newest) % MODULUS
        return Arrival.NEW if 0 < ahead < MODULUS // 2 else Arrival.LATE

    def accept(self, session: int, sequence: int) -> int:
        """Take a new frame as the newest; return how many between it and the last are missing."""
        missing = 0
        if session == self._session:
            missing = (sequence - self._newest) % MODULUS - 1
        else:
            self._session = session
            self._seen.clear()
        self._newest = sequence
        self._seen.append(sequence)
        return missing
