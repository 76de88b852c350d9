# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of a run: tables, curves and pictures as HTML, PDF and CSV."""
