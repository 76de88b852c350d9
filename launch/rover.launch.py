# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Start the rover's side, sender and bridge.

With transport sim the bridge holds both ends of the link, and receiver:=true starts the ground side
on this machine as well. With any other transport the ground is another machine (ground.launch.py).
"""

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    SetEnvironmentVariable,
)
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
    share = FindPackageShare('gsc_ros')
    config = PathJoinSubstitution([share, 'config'])
    lifecycle = {
        'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool),
        'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool),
    }
    return LaunchDescription([
        DeclareLaunchArgument(
            'namespace', default_value='',
            description='Namespace of the nodes, and so of their topics'),
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution([config, 'rover.yaml']),
            description='YAML file with the parameters of sender and bridge; what it gives wins '
                        'over the link preset and over the arguments below'),
        DeclareLaunchArgument(
            'ground_params_file', default_value=PathJoinSubstitution([config, 'ground.yaml']),
            description='With receiver:=true, YAML file with the parameters of the receiver'),
        DeclareLaunchArgument(
            'link', default_value='plain',
            choices=[
                'plain', 'iridium', 'lora', 'nbiot', 'modem900', 'fading', 'acoustic',
                'mars_relay'],
            description='Link preset: a file of config/links without its .yaml'),
        DeclareLaunchArgument(
            'transport', default_value='sim', choices=['sim', 'udp', 'serial', 'spool'],
            description='What carries the datagrams; all but sim lead to another machine'),
        DeclareLaunchArgument(
            'peers', default_value='',
            description='With udp, the address of the ground, as 10.0.0.2:14600'),
        DeclareLaunchArgument(
            'bind', default_value='0.0.0.0:14600',
            description='With udp, the address and port of this machine'),
        DeclareLaunchArgument(
            'port', default_value='', description='With serial, the device, as /dev/ttyUSB0'),
        DeclareLaunchArgument(
            'spool_file', default_value='',
            description='With spool, the file in which frames wait'),
        DeclareLaunchArgument(
            'key_file', default_value='',
            description='File of the keys, the same on both machines (gsc keys new FILE)'),
        DeclareLaunchArgument(
            'regions', default_value='[request]',
            description='Who says where perception looks, as [importance, topic, request]; also '
                        'detector, zones, none'),
        DeclareLaunchArgument(
            'detector', default_value='',
            description='With the source detector, its file or directory'),
        DeclareLaunchArgument(
            'zones', default_value='',
            description='With the source zones, boxes as left,top,right,bottom in shares of the '
                        'picture, semicolons between them'),
        DeclareLaunchArgument(
            'receiver', default_value='false', choices=['true', 'false'],
            description='With sim, start the ground side on this machine too'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', choices=['true', 'false'],
            description='Take the time from /clock'),
        DeclareLaunchArgument(
            'autostart', default_value='true', choices=['true', 'false'],
            description='Configure and activate the nodes; otherwise they wait for their '
                        'lifecycle services'),
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
            package='gsc_ros', executable='sender', name='sender', output='screen',
            namespace=LaunchConfiguration('namespace'),
            parameters=[
                {
                    'regions.sources': ParameterValue(
                        LaunchConfiguration('regions'), value_type=list[str]),
                    'regions.detector': text('detector'),
                    'regions.zones': text('zones'),
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
                    'role': PythonExpression([
                        "'both' if '", LaunchConfiguration('transport'),
                        "' == 'sim' else 'rover'"]),
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
            ros_arguments=['--log-level', LaunchConfiguration('log_level')]),
        # The arguments that both files declare reach the included one by their names, but its
        # params_file is another file than ours. It comes last: what is given to an included file
        # holds for all that follows.
        IncludeLaunchDescription(
            PathJoinSubstitution([share, 'launch', 'ground.launch.py']),
            launch_arguments={
                'params_file': LaunchConfiguration('ground_params_file'),
                'transport': 'sim',
            }.items(),
            condition=IfCondition(LaunchConfiguration('receiver'))),
    ])
