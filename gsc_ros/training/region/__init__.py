# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the model that codes key regions."""
