# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""QoS profiles that two nodes must agree on."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile

# Reliable, and only the newest frame is of interest.
FRAME_QOS = QoSProfile(depth=1)
# Frames leave a link in bursts, and each of them has cost enough to be kept.
GROUND_QOS = QoSProfile(depth=10)
# Reliable, and who comes late gets the last one.
LATCHED_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
