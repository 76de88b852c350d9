# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks that look at pictures as a robot would: depth, classes of pixels, objects."""
