# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counter, encryption and tag of every datagram, and the keys."""
