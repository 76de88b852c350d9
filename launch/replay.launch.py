# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Play a recording as a camera through the whole graph on this machine.

With another transport than sim, and receiver:=false, to the ground station on another machine.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """Describe player, rover, ground and RViz, and their arguments."""
    share = FindPackageShare('gsc_ros')
    return LaunchDescription([
        DeclareLaunchArgument(
            'input', default_value='terrain',
            description='KITTI raw drive, folder of images, video, rosbag2, or the built-in '
                        'source terrain'),
        DeclareLaunchArgument(
            'camera', default_value='front',
            description='Camera to publish as; one of those in the parameter file'),
        DeclareLaunchArgument(
            'fps', default_value='0.0',
            description='Frames per second; 0.0 plays at the recorded rate'),
        DeclareLaunchArgument(
            'loop', default_value='true', choices=['true', 'false'],
            description='Start again at the end'),
        DeclareLaunchArgument(
            'rviz', default_value='false', choices=['true', 'false'],
            description='Show original, reconstruction and confidence in RViz; needs rviz2 and '
                        'an empty namespace'),
        DeclareLaunchArgument(
            'namespace', default_value='',
            description='Namespace of the nodes, and so of their topics'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', choices=['true', 'false'],
            description='Publish the time of the recording on /clock and run on it'),
        DeclareLaunchArgument(
            'log_level', default_value='info', choices=['debug', 'info', 'warn', 'error', 'fatal'],
            description='Least severity that is logged'),
        DeclareLaunchArgument(
            'receiver', default_value='true', choices=['true', 'false'],
            description='Start the ground side on this machine too; needs the transport sim'),
        # Its further arguments (params_file, ground_params_file, link, transport, peers, key_file,
        # autostart, regions, detector, overlay ...) are ours as well.
        IncludeLaunchDescription(
            PathJoinSubstitution([share, 'launch', 'rover.launch.py'])),
        # The player is the source of the time: it does not run on it.
        Node(
            package='gsc_ros', executable='player', name='player', output='screen',
            namespace=LaunchConfiguration('namespace'),
            parameters=[{
                'input': ParameterValue(LaunchConfiguration('input'), value_type=str),
                'camera': ParameterValue(LaunchConfiguration('camera'), value_type=str),
                'fps': ParameterValue(LaunchConfiguration('fps'), value_type=float),
                'loop': ParameterValue(LaunchConfiguration('loop'), value_type=bool),
                'publish_clock': ParameterValue(
                    LaunchConfiguration('use_sim_time'), value_type=bool),
            }],
            ros_arguments=['--log-level', LaunchConfiguration('log_level')]),
        Node(
            package='rviz2', executable='rviz2', name='rviz', output='screen',
            arguments=['-d', PathJoinSubstitution([share, 'config', 'rviz', 'gsc.rviz'])],
            condition=IfCondition(LaunchConfiguration('rviz'))),
    ])
