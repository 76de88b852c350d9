# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: the whole graph on one machine, a recording of what it did, and a report of that."""
