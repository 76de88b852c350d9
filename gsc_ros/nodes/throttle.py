# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Admission of frames at no more than a given rate."""

from __future__ import annotations

NANOSECONDS = 1_000_000_000
# A frame may come early by this share of the period: cameras jitter around their nominal rate.
EARLY_SHARE = 0.1


class Throttle:
    """
    Admits frames by their stamps, so that a bag played at any speed is thinned alike.

    The schedule keeps its phase: a camera at exactly the admitted rate loses no frame to jitter.
    A stamp before that of the last admitted frame means that the source began again (a bag that
    loops, a clock that was set), and is admitted.
    """

    def __init__(self) -> None:
        """Begin without a schedule: the first frame is admitted."""
        self._last_ns: int | None = None
        self._due_ns = 0

    def admit(self, stamp_ns: int, max_fps: float) -> bool:
        """Return whether the frame of time `stamp_ns` goes on; `max_fps` <= 0 admits all."""
        if max_fps <= 0.0:
            self._last_ns = None
            return True
        period_ns = round(NANOSECONDS / max_fps)
        early_ns = round(EARLY_SHARE * period_ns)
        if self._last_ns is None or stamp_ns < self._last_ns:
            self._due_ns = stamp_ns
        else:  # after a change to a higher rate the old schedule must not hold frames back
            self._due_ns = min(self._due_ns, self._last_ns + period_ns + early_ns)
        if stamp_ns < self._due_ns - early_ns:
            return False
        # Behind by a period or more: the schedule starts again here, without catching up.
        on_time = stamp_ns - self._due_ns < period_ns
        self._due_ns = (self._due_ns if on_time else stamp_ns) + period_ns
        self._last_ns = stamp_ns
        return True
