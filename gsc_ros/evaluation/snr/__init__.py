# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures over a noisy channel: quality against the signal-to-noise ratio."""
