# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 lifecycle nodes around the codec and the link."""
