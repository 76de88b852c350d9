# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of images: recordings on disk and a built-in renderer. No ROS graph is involved."""

from gsc_ros.sources.frame import Calibration, Source, SourceError, SourceFrame
from gsc_ros.sources.opening import open_source

__all__ = ['Calibration', 'Source', 'SourceError', 'SourceFrame', 'open_source']
