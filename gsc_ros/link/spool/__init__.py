# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Store and forward: frames wait on disk until they have arrived."""
