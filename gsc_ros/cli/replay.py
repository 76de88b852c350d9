# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Publish a recording, or the built-in terrain, as a camera on ROS 2.

To remap topics or set a namespace, run the node itself: ros2 run gsc_ros player --ros-args ...
"""

from __future__ import annotations

import argparse
from dataclasses import fields

from gsc_ros.nodes.player import play, PlayerParameters
from rclpy.parameter import Parameter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare an option for every parameter of the node, with its default and description."""
    for field in fields(PlayerParameters):
        spec = field.metadata['spec']
        if field.name == 'input':
            parser.add_argument('input', metavar='INPUT', nargs='?', default=spec.default,
                                help=spec.description)
            continue
        option = '--' + field.name.replace('_', '-')
        if isinstance(spec.default, bool):
            parser.add_argument(option, action='store_true', help=spec.description)
        else:
            parser.add_argument(
                option, type=type(spec.default), default=spec.default,
                choices=spec.choices or None, metavar=field.name.upper(),
                help=f'{spec.description} Default: {spec.default!r}')


def run(arguments: argparse.Namespace) -> int:
    """Play until the end of the input or a signal."""
    overrides = [Parameter(field.name, value=getattr(arguments, field.name))
                 for field in fields(PlayerParameters)]
    return play(overrides, args=[])
