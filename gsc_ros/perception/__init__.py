# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where perception looks: task networks, and the sources of key regions."""
