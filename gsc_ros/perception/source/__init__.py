# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of key regions: who says where perception looks."""
