# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Key regions: boxes coded more finely than the rest of the frame (docs/key_regions.md)."""
