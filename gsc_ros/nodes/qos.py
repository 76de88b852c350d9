# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
QoS profiles of the topics, one place for both ends of each.

Each call makes a profile of its own: rclpy writes the overrides of one topic into the profile that
it is given, and a shared one would carry them to all others.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy


def sensor_qos() -> QoSProfile:
    """Return best effort, as cameras publish and as suits every publisher."""
    return QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def frame_qos() -> QoSProfile:
    """Return reliable, of which only the newest frame is of interest."""
    return QoSProfile(depth=1)


def ground_qos() -> QoSProfile:
    """Return reliable with a queue: frames leave a link in bursts, and each has cost enough."""
    return QoSProfile(depth=10)


def latched_qos() -> QoSProfile:
    """Return reliable, and who comes late gets the last message."""
    return QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def image_qos() -> QoSProfile:
    """Return reliable, for the reconstructions; users may override it."""
    return QoSProfile(depth=5)


def notice_qos() -> QoSProfile:
    """Return reliable with a queue, for what the bridge and the receiver tell the sender."""
    return QoSProfile(depth=10)
