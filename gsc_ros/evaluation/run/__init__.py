# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs of an evaluation: methods over data sets, kept per picture, joined to tables."""
