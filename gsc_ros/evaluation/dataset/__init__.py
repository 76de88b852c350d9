# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures to evaluate on, in the layouts that data sets are published in."""
