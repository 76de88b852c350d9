# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures generated of a caption and a latent by a rectified flow (docs/generator.md)."""
