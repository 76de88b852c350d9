# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rooms import only what docs/architecture.md allows."""

from __future__ import annotations

import ast
from pathlib import Path
import subprocess
import sys

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / 'gsc_ros'

ALLOWED_ROOMS = {
    'codec': set(),
    'link': set(),
    'sources': set(),
    'perception': {'codec'},
    'nodes': {'codec', 'link', 'sources', 'perception'},
    'evaluation': {'codec', 'link', 'sources', 'perception'},
    'training': {'codec', 'evaluation', 'sources', 'perception'},
    'demo': {'codec', 'link', 'sources', 'nodes', 'evaluation', 'perception'},
    'cli': {'codec', 'link', 'sources', 'nodes', 'evaluation', 'training', 'demo', 'perception'},
}
HEAVY = {'torch', 'torchvision', 'compressai', 'diffusers', 'transformers', 'accelerate', 'peft',
         'ray'}
NETWORK = {'socket', 'http', 'urllib', 'ssl'}
# Modules that need what the others of their room must not, and what that is. They are imported by
# every node, so the heavy ones among it only inside functions.
EXCEPTIONS = {
    'codec/caption/vision_language.py': {'torch', 'transformers'},
    'codec/caption/endpoint.py': NETWORK,
}
ROS = {'rclpy', 'sensor_msgs', 'std_msgs', 'builtin_interfaces', 'diagnostic_msgs',
       'lifecycle_msgs', 'rosgraph_msgs', 'cv_bridge'}
FORBIDDEN = {
    'codec': HEAVY | ROS | NETWORK,
    'link': HEAVY | ROS | {'cv2', 'onnxruntime'},
    'sources': HEAVY | ROS,
    'perception': HEAVY | ROS,
    'nodes': HEAVY,
    'evaluation': HEAVY | ROS,
    'training': ROS,
    'demo': HEAVY,
}
# How the names of modules begin that need a heavy package at once; who imports them does so in a
# function.
HEAVY_PACKAGES = ('codec/generator/flux/', 'perception/network/transformers_')
# Modules that may import a heavy package in a function that only those call who have it.
LAZY = {
    'codec/generator/ray_backend.py': {'ray'},
    'evaluation/saliency.py': {'torch'},
    'evaluation/run/process.py': {'accelerate', 'torch'},
    'evaluation/task/perceptual.py': {'torch', 'torchvision'},
    'evaluation/task/weight.py': {'torch'},
}


def imports(path: Path) -> set[str]:
    """Return the dotted names of every module that a file imports, lazily or not."""
    return imports_of(ast.parse(path.read_text()))


def imports_of(tree: ast.AST) -> set[str]:
    """Return the dotted names of every module that a syntax tree imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f'{node.module}.{alias.name}' for alias in node.names)
    return names


def imports_at_once(path: Path) -> set[str]:
    """Return the names of the modules that importing a file imports."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [ast.Pass()]
    return imports_of(tree)


def files(room: str) -> list[Path]:
    """Return the modules of a room, which must not be empty."""
    found = sorted((PACKAGE / room).rglob('*.py'))
    assert found, f'the room {room} is gone: mend docs/architecture.md and this table'
    return found


@pytest.mark.parametrize('room', sorted(ALLOWED_ROOMS))
def test_a_room_imports_only_the_rooms_it_may(room: str) -> None:
    allowed = ALLOWED_ROOMS[room] | {room, 'msg'}
    for path in files(room):
        used = {name.split('.')[1] for name in imports(path)
                if name.startswith('gsc_ros.')}
        assert used <= allowed, f'{path.name} imports {sorted(used - allowed)}'


@pytest.mark.parametrize('room', sorted(FORBIDDEN))
def test_a_room_stays_clear_of_what_its_users_do_not_install(room: str) -> None:
    for path in files(room):
        name = path.relative_to(PACKAGE).as_posix()
        lazy = HEAVY if name.startswith(HEAVY_PACKAGES) else LAZY.get(name, set())
        roots = {used.split('.')[0] for used in imports(path)} - lazy
        if not name.startswith(HEAVY_PACKAGES):
            roots |= {used.split('.')[0] for used in imports_at_once(path)}
        found = roots & FORBIDDEN[room] - EXCEPTIONS.get(name, set())
        assert not found, f'{path.name}: {sorted(found)}'


def test_modules_that_import_torch_at_once_are_imported_by_functions_alone() -> None:
    heavy = {'gsc_ros.' + name.strip('/').replace('/', '.') for name in HEAVY_PACKAGES}
    for room in sorted(set(ALLOWED_ROOMS) - {'training', 'cli'}):
        for path in files(room):
            if not path.relative_to(PACKAGE).as_posix().startswith(HEAVY_PACKAGES):
                at_once = {name for name in imports_at_once(path)
                           for package in heavy if name.startswith(package)}
                assert not at_once, f'{path.name}: {sorted(at_once)}'


def test_encoding_a_frame_loads_no_torch_and_no_ros() -> None:
    code = (
        'import sys, numpy as np\n'
        'import gsc_ros.codec.caption.opening\n'
        'import gsc_ros.codec.generator.opening\n'
        'from gsc_ros.codec.frame import EncoderSettings, FrameEncoder\n'
        'from gsc_ros.codec.profile import load_profile\n'
        'encoder = FrameEncoder(load_profile("tiny"))\n'
        'encoder.encode(np.zeros((64, 64, 3), np.uint8), EncoderSettings(channels=2))\n'
        f'print(sorted({(HEAVY | ROS)!r} & set(sys.modules)))\n')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
