# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the generator: autoencoder, text-conditional flow, structure control, export."""
