# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well a task is done on a reconstruction: depth, segmentation, detection, pictures alone."""
