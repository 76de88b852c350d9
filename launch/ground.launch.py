# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the ground side: the receiver."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """Describe the receiver and its arguments."""
    config = PathJoinSubstitution([FindPackageShare('gsc_ros'), 'config'])
    return LaunchDescription([
        DeclareLaunchArgument(
            'namespace', default_value='',
            description='Namespace of the node, and so of its topics'),
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution([config, 'ground.yaml']),
            description='YAML file with the parameters of the receiver'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', choices=['true', 'false'],
            description='Take the time from /clock'),
        DeclareLaunchArgument(
            'autostart', default_value='true', choices=['true', 'false'],
            description='Configure and activate the node; otherwise it waits for its lifecycle '
                        'services'),
        DeclareLaunchArgument(
            'log_level', default_value='info', choices=['debug', 'info', 'warn', 'error', 'fatal'],
            description='Least severity that is logged'),
        # Images are larger than the default shared-memory segment of Fast DDS; version 2 (Jazzy)
        # reads the first of these variables, version 3 (Kilted) the second.
        SetEnvironmentVariable(
            'FASTRTPS_DEFAULT_PROFILES_FILE',
            EnvironmentVariable(
                'FASTRTPS_DEFAULT_PROFILES_FILE',
                default_value=PathJoinSubstitution([config, 'fastdds.xml']))),
        SetEnvironmentVariable(
            'FASTDDS_DEFAULT_PROFILES_FILE',
            EnvironmentVariable(
                'FASTDDS_DEFAULT_PROFILES_FILE',
                default_value=PathJoinSubstitution([config, 'fastdds.xml']))),
        Node(
            package='gsc_ros', executable='receiver', name='receiver', output='screen',
            namespace=LaunchConfiguration('namespace'),
            parameters=[
                LaunchConfiguration('params_file'),
                {
                    'use_sim_time': ParameterValue(
                        LaunchConfiguration('use_sim_time'), value_type=bool),
                    'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool),
                },
            ],
            ros_arguments=['--log-level', LaunchConfiguration('log_level')]),
    ])
