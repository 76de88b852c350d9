# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Images to packets and back, without ROS."""
