# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How good a reconstruction is: metrics against the source image."""
