# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bodies of datagrams, and the way back from them."""
