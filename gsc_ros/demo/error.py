# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Why a run failed."""


class DemoError(Exception):
    """The input is bad, a node failed, or nothing came through; the message says which."""
