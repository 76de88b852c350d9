# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Captions: who writes them, when they are asked for, and when they are sent."""
