# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Camera pictures over links of a few kbit/s.

The rooms, and who may import whom: ``nodes`` and ``cli`` use ``codec``, ``link`` and ``sources``;
``evaluation`` and ``training`` use ``codec`` and ``sources``; ``codec``, ``link`` and ``sources``
use none of the others.
"""

from pkgutil import extend_path

# The ROS 2 build generates a package of this same name, which holds gsc_ros.msg and, when
# installed, a copy of these modules beside it (there this file is replaced by an empty one). A
# source tree or a pip installation has no messages: look for them further down the path.
__path__ = extend_path(__path__, __name__)
