# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Message stamps as nanoseconds; unlike rclpy.time, also for stamps before 1970."""

from __future__ import annotations

from builtin_interfaces.msg import Time

NANOSECONDS = 1_000_000_000


def to_ns(stamp: Time) -> int:
    """Return a stamp in nanoseconds."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


def from_ns(stamp_ns: int) -> Time:
    """Return the stamp of a time in nanoseconds."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    return Time(sec=seconds, nanosec=nanoseconds)
