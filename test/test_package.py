# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the package promises to those who build, install and launch it."""

from __future__ import annotations

import ast
from dataclasses import fields
import importlib.util
import os
from pathlib import Path
import re
import subprocess
import sys
import xml.etree.ElementTree

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = xml.etree.ElementTree.parse(REPOSITORY / 'package.xml').getroot()
LAUNCH_FILES = sorted((REPOSITORY / 'launch').glob('*.launch.py'))
LINKS = sorted((REPOSITORY / 'config' / 'links').glob('*.yaml'))
NODES = ('sender', 'bridge', 'receiver', 'player')


def requirement_names(name: str) -> set[str]:
    """Return the names in one file of requirements/, as PEP 503 compares them."""
    text = (REPOSITORY / 'requirements' / f'{name}.txt').read_text(encoding='utf-8')
    return {re.sub('[-_.]+', '-', found).lower()
            for found in re.findall(r'^[A-Za-z][\w.-]*', text, re.MULTILINE)}


def parameters(path: Path) -> dict[str, dict]:
    """Return node -> parameters of a ROS parameter file, which names nodes in any namespace."""
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    return {name.removeprefix('/**/'): node['ros__parameters'] for name, node in content.items()}


def known(schema: type) -> dict[str, type | None]:
    """Return the parameters of a schema: name -> its nested schema, or None."""
    return {field.name: field.metadata.get('group') for field in fields(schema)}


def arguments_of(path: Path) -> dict[str, str]:
    """Return the launch arguments that a launch file declares, with their descriptions."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'DeclareLaunchArgument':
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            description = keywords.get('description')
            found[ast.literal_eval(node.args[0])] = (
                ast.literal_eval(description) if description else '')
    return found


def test_the_changelog_begins_with_the_version_of_the_package():
    changelog = (REPOSITORY / 'CHANGELOG.rst').read_text(encoding='utf-8')
    versions = re.findall(r'^(\d+\.\d+\.\d+) \(.*\)\n-+$', changelog, re.MULTILINE)
    assert versions[0] == PACKAGE.findtext('version')


def test_setup_takes_name_and_version_from_the_package():
    pytest.importorskip('setuptools')
    shown = subprocess.run(
        [sys.executable, 'setup.py', '--quiet', '--name', '--version'], cwd=REPOSITORY,
        capture_output=True, text=True, check=True).stdout.split()
    assert shown[-2:] == [PACKAGE.findtext('name'), PACKAGE.findtext('version')]


def test_every_file_of_a_profile_is_installed():
    tree = ast.parse((REPOSITORY / 'setup.py').read_text(encoding='utf-8'))
    (patterns,) = (ast.literal_eval(keyword.value)['gsc_ros'] for node in ast.walk(tree)
                   if isinstance(node, ast.Call) for keyword in node.keywords
                   if keyword.arg == 'package_data')
    package = REPOSITORY / 'gsc_ros'
    installed = {path for pattern in patterns for path in package.glob(pattern)}
    files = {path for path in (package / 'profiles').rglob('*') if path.is_file()}
    assert files and files <= installed


def test_every_message_is_built():
    cmake = (REPOSITORY / 'CMakeLists.txt').read_text(encoding='utf-8')
    built = set(re.findall(r'"msg/(\w+\.msg)"', cmake))
    assert built == {path.name for path in (REPOSITORY / 'msg').glob('*.msg')}


def test_every_field_of_a_message_is_described():
    for path in (REPOSITORY / 'msg').glob('*.msg'):
        lines = path.read_text(encoding='utf-8').splitlines()
        for before, line in zip(lines, lines[1:]):
            if line and not line.startswith('#') and before == '':
                assert line.startswith('std_msgs/Header'), f'{path.name}: {line}'


@pytest.mark.parametrize('name', [*NODES, 'gsc'])
def test_an_executable_is_installed_and_can_be_run(name: str):
    path = REPOSITORY / 'scripts' / name
    assert os.access(path, os.X_OK)
    assert f'scripts/{name}\n' in (REPOSITORY / 'CMakeLists.txt').read_text(encoding='utf-8')
    module = re.search(r'^from (\S+) import main$', path.read_text(encoding='utf-8'), re.MULTILINE)
    assert module
    assert (REPOSITORY / (module[1].replace('.', '/') + '.py')).is_file()


@pytest.mark.parametrize('name', ['ros', 'base', 'train', 'eval', 'caption', 'flux', 'test'])
def test_every_requirement_is_pinned(name: str):
    assert requirement_names(name) <= requirement_names('constraints')


def test_a_pin_is_one_exact_version():
    text = (REPOSITORY / 'requirements' / 'constraints.txt').read_text(encoding='utf-8')
    for line in text.splitlines():
        assert line.startswith('#') or re.match(r'[\w.-]+==[\w.!+]+( ;|$)', line.strip()), line


def test_the_base_install_brings_only_what_is_imported():
    imported = set()
    for path in (REPOSITORY / 'gsc_ros').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition('.')[0])
    imported.add('PyYAML')  # read by what ROS 2 brings: rclpy's command line, launch, rosidl
    modules = {'opencv-python-headless': 'cv2', 'pyserial': 'serial'}
    for name in re.findall(r'^[\w-]+', (
            REPOSITORY / 'requirements' / 'base.txt').read_text(encoding='utf-8'), re.MULTILINE):
        assert modules.get(name, name) in imported, name


def test_the_base_install_has_no_torch():
    heavy = {'torch', 'torchvision', 'compressai', 'diffusers', 'transformers'}
    assert not heavy & requirement_names('base')


@pytest.mark.parametrize('path', [REPOSITORY / 'config' / name for name in (
    'rover.yaml', 'ground.yaml')] + LINKS, ids=lambda path: path.stem)
def test_a_parameter_file_sets_only_parameters_that_exist(path: Path):
    pytest.importorskip('rclpy', reason='the schemas of the nodes need rclpy')
    from gsc_ros.nodes import schema
    schemas = {'sender': schema.SenderParameters, 'bridge': schema.BridgeParameters,
               'receiver': schema.ReceiverParameters}
    for node, values in parameters(path).items():
        names = known(schemas[node])
        for camera in values.get('cameras', []) if node == 'sender' else []:
            names[camera] = schema.SenderCameraParameters
        for name, value in values.items():
            assert name in names, f'{node} has no parameter {name}'
            if isinstance(value, dict):
                assert set(value) <= set(known(names[name])), f'{node}.{name}'


@pytest.mark.parametrize('path', LINKS, ids=lambda path: path.stem)
def test_a_link_preset_describes_a_thin_link_and_says_where_its_figures_come_from(path: Path):
    (node, values), = parameters(path).items()
    assert node == 'bridge'
    assert 10 <= values['link_bps'] <= 1_000_000
    assert 32 <= values['mtu'] <= 1500
    assert 0 <= values.get('sim', {}).get('loss', 0.0) < 0.5
    # A ROS parameter keeps its type: a whole number given for a real one would be refused.
    assert isinstance(values.get('deadline_s', 1.0), float)
    assert all(isinstance(value, (float, str)) for value in values.get('sim', {}).values())
    comment = [line for line in path.read_text(encoding='utf-8').splitlines() if line[:1] == '#']
    assert len(comment) > 3


def test_the_launch_argument_link_offers_every_preset():
    tree = ast.parse((REPOSITORY / 'launch' / 'rover.launch.py').read_text(encoding='utf-8'))
    choices = next(
        ast.literal_eval(keyword.value) for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
        and node.args[0].value == 'link'
        for keyword in node.keywords if keyword.arg == 'choices')
    assert sorted(choices) == [path.stem for path in LINKS]


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.stem)
def test_a_launch_file_describes_every_argument(path: Path):
    arguments = arguments_of(path)
    assert {'namespace', 'use_sim_time', 'log_level'} <= set(arguments)
    assert all(len(text) > 10 for text in arguments.values())


def test_both_sides_take_a_params_file_and_the_rover_hands_the_ground_its_own():
    rover, ground = (REPOSITORY / 'launch' / f'{name}.launch.py' for name in ('rover', 'ground'))
    assert 'params_file' in arguments_of(ground)
    assert {'params_file', 'ground_params_file'} <= set(arguments_of(rover))
    handed = [ast.unparse(keyword.value) for node in ast.walk(ast.parse(rover.read_text()))
              if isinstance(node, ast.Call) and getattr(
                  node.func, 'id', '') == 'IncludeLaunchDescription'
              for keyword in node.keywords if keyword.arg == 'launch_arguments']
    assert handed == ["{'params_file': LaunchConfiguration('ground_params_file'), "
                      "'transport': 'sim'}.items()"]


def test_what_sources_of_regions_need_is_an_argument_of_the_rover():
    rover = REPOSITORY / 'launch' / 'rover.launch.py'
    assert {'regions', 'detector', 'zones'} <= set(arguments_of(rover))
    handed = {ast.literal_eval(key): ast.unparse(value)
              for node in ast.walk(ast.parse(rover.read_text())) if isinstance(node, ast.Dict)
              for key, value in zip(node.keys, node.values) if isinstance(key, ast.Constant)}
    assert handed['regions.detector'] == "text('detector')"
    assert handed['regions.zones'] == "text('zones')"


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.stem)
def test_a_launch_file_has_no_logic(path: Path):
    logic = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.Lambda, ast.ListComp)
    assert not [node for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
                if isinstance(node, logic)]


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.stem)
def test_a_launch_file_is_accepted_by_launch(path: Path):
    # Another distribution on PyPI is called launch, too; launch_ros is only ever ours.
    pytest.importorskip('launch_ros', reason='launch is not among the wheels of ROS 2')
    spec = importlib.util.spec_from_file_location(path.name.partition('.')[0], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    declared = {argument.name for argument in
                module.generate_launch_description().get_launch_arguments()}
    assert set(arguments_of(path)) <= declared


def test_rviz_shows_original_reconstruction_confidence_and_overlay():
    content = yaml.safe_load(
        (REPOSITORY / 'config' / 'rviz' / 'gsc.rviz').read_text(encoding='utf-8'))
    topics = [display['Topic']['Value'] for display in content['Visualization Manager']['Displays']]
    assert topics == [
        '/front/image_raw', '/reconstructed/front/image', '/reconstructed/front/confidence',
        '/reconstructed/front/overlay']


def test_shared_memory_holds_many_images():
    root = xml.etree.ElementTree.parse(REPOSITORY / 'config' / 'fastdds.xml').getroot()
    (size,) = root.iterfind('.//{*}segment_size')
    assert int(size.text) >= 16 * 1216 * 352 * 3


@pytest.mark.skipif(os.name != 'posix', reason='shell scripts')
@pytest.mark.parametrize('name', ['provision', 'build', 'run', 'lock', 'setup.bash'])
def test_a_shell_script_parses(name: str):
    subprocess.run(['bash', '-n', REPOSITORY / 'scripts' / name], check=True)


@pytest.mark.parametrize('name', ['sender', 'bridge', 'receiver', 'player', 'gsc'])
def test_our_commands_come_before_others_of_that_name(name: str, tmp_path: Path):
    other = tmp_path / name
    other.write_text('#!/bin/sh\n')
    other.chmod(0o755)
    found = subprocess.run(
        [REPOSITORY / 'scripts' / 'run', 'bash', '-c', f'command -v {name}'], check=True,
        capture_output=True, text=True,
        env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'})
    assert Path(found.stdout.strip()).parent == REPOSITORY / 'install/gsc_ros/lib/gsc_ros'


def test_a_missing_interpreter_is_one_clear_line():
    shown = subprocess.run(
        [REPOSITORY / 'scripts' / 'provision', 'base'], capture_output=True, text=True,
        env={**os.environ, 'PYTHON': 'python-that-is-not-there'})
    assert shown.returncode == 1
    assert shown.stderr.splitlines() == [
        'gsc_ros: missing: python-that-is-not-there; on Debian or Ubuntu: sudo apt install python3']


def test_every_file_of_ours_names_its_licence():
    listed = subprocess.run(
        ['git', 'ls-files', '*.py', '*.msg', '*.yaml', '*.bash', 'scripts', 'Makefile',
         'CMakeLists.txt'], cwd=REPOSITORY, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip('not a git checkout')
    for name in listed.stdout.split():
        path = REPOSITORY / name
        if path.is_file():
            head = path.read_text(encoding='utf-8')[:300]
            assert 'SPDX-License-Identifier: Apache-2.0' in head, name
