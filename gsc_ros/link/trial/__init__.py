# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs of a whole link in simulated time, and what is foretold of them."""
