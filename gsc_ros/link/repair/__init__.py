# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Making up for lost datagrams: parity and repeats."""
