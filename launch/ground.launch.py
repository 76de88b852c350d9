# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Start the ground side: the receiver, and its end of the bridge where the rover is another machine.

With transport sim the bridge on the rover's side holds both ends of the link.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.substitutions import FindPackageShare


def text(argument: str) -> ParameterValue:
    """Return an argument as a parameter that is text, whatever it looks like."""
    return ParameterValue(LaunchConfiguration(argument), value_type=str)


def generate_launch_description() -> LaunchDescription:
    """Describe the nodes and their arguments."""
    config = PathJoinSubstitution([FindPackageShare('gsc_ros'), 'config'])
    lifecycle = {
        'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool),
        'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool),
    }
    return LaunchDescription([
        DeclareLaunchArgument(
            'namespace', default_value='',
            description='Namespace of the node, and so of its topics'),
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution([config, 'ground.yaml']),
            description='YAML file with the parameters of receiver and bridge; what it gives '
                        'wins over the link preset and over the arguments below'),
        DeclareLaunchArgument(
            'mode', default_value='structure', choices=['structure', 'generate', 'auto'],
            description='How pictures are made; auto publishes generated ones beside the others'),
        DeclareLaunchArgument(
            'generator', default_value='tiny',
            description='Name or directory of the generator, with mode generate or auto'),
        DeclareLaunchArgument(
            'overlay', default_value='false', choices=['true', 'false'],
            description='Publish each picture once more with its objects and regions drawn in'),
        DeclareLaunchArgument(
            'link', default_value='plain', choices=[
                'plain', 'iridium', 'lora', 'nbiot', 'modem900', 'fading', 'acoustic',
                'mars_relay'],
            description='Link preset, the same as on the rover'),
        DeclareLaunchArgument(
            'transport', default_value='sim', choices=['sim', 'udp', 'serial', 'spool'],
            description='What carries the datagrams; with all but sim a bridge is started here'),
        DeclareLaunchArgument(
            'peers', default_value='',
            description='With udp, the address of the rover; empty waits for who has the key'),
        DeclareLaunchArgument(
            'bind', default_value='0.0.0.0:14600',
            description='With udp, the address and port of this machine'),
        DeclareLaunchArgument(
            'port', default_value='', description='With serial, the device, as /dev/ttyUSB0'),
        DeclareLaunchArgument(
            'spool_file', default_value='',
            description='With spool, the file that remembers what has arrived'),
        DeclareLaunchArgument(
            'key_file', default_value='',
            description='File of the keys, the same on both machines (gsc keys new FILE)'),
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
                {
                    'mode': text('mode'),
                    'generator.profile': text('generator'),
                    'overlay': ParameterValue(LaunchConfiguration('overlay'), value_type=bool),
                },
                LaunchConfiguration('params_file'),
                lifecycle,
            ],
            ros_arguments=['--log-level', LaunchConfiguration('log_level')]),
        Node(
            package='gsc_ros', executable='bridge', name='bridge', output='screen',
            namespace=LaunchConfiguration('namespace'),
            parameters=[
                ParameterFile(
                    [PathJoinSubstitution([config, 'links', LaunchConfiguration('link')]),
                     '.yaml']),
                {
                    'role': 'ground',
                    'transport': text('transport'),
                    'udp.peers': text('peers'),
                    'udp.bind': text('bind'),
                    'serial.port': text('port'),
                    'spool.file': text('spool_file'),
                    'key_file': text('key_file'),
                },
                LaunchConfiguration('params_file'),
                lifecycle,
            ],
            ros_arguments=['--log-level', LaunchConfiguration('log_level')],
            condition=IfCondition(PythonExpression(
                ["'", LaunchConfiguration('transport'), "' != 'sim'"]))),
    ])
