# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Admission of frames at no more than a given rate."""

from __future__ import annotations

NANOSECONDS = 1_000_000_000
# A frame may come early by this share of the period: cameras jitter around their nominal rate.
EARLY_SHARE = 0.1
# A stamp that comes so often in a row is no repetition of a frame: the camera's clock is broken.
STANDING_FRAMES = 5


class FrameClock:
    """
    Gives each frame a time: its stamp, or the time that has passed while the stamps stand still.

    Drivers without a clock stamp zero, and broken ones the same time again and again.
    """

    def __init__(self) -> None:
        """Begin before the first frame."""
        self._stamp_ns: int | None = None
        self._since_ns = 0
        self._repeated = 0

    @property
    def stands_still(self) -> bool:
        """Whether the last frames have had one and the same stamp, not zero."""
        return bool(self._stamp_ns) and self._repeated >= STANDING_FRAMES

    def time_ns(self, stamp_ns: int, arrival_ns: int) -> int:
        """
        Return the time of the next frame in nanoseconds.

        :param arrival_ns: now, on a steady clock.
        """
        if stamp_ns != self._stamp_ns:
            self._stamp_ns, self._since_ns, self._repeated = stamp_ns, arrival_ns, 0
        else:
            self._repeated += 1
        return stamp_ns + arrival_ns - self._since_ns


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
