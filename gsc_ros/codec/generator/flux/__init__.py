# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The generator in torch, on diffusers' and transformers' classes; imported when asked for."""
