# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The least rate for the information that is kept: section 3.4 of the paper, see docs/theory.md."""
