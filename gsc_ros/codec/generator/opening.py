# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Open a generator by the name of its profile.

A name stands for a profile that came with the package, or for a folder of that name among the
user's own, in ``/gsc_ros/profiles/generator``.
"""

from __future__ import annotations

from importlib import import_module
import os
from pathlib import Path

from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator.flow import FlowGenerator
from gsc_ros.codec.generator.generator import Generator
from gsc_ros.codec.generator.manifest import read_manifest
from gsc_ros.codec.generator.source import check_software
from gsc_ros.codec.profile import MANIFEST_FILE, user_folder

# The module of each kind of networks, imported when one is opened.
_MODULES = {'onnx': 'gsc_ros.codec.generator.onnx',
            'torch': 'gsc_ros.codec.generator.flux.networks'}


def user_generator_folder() -> Path:
    """Return the folder of the user's own generator profiles, which need not exist."""
    return user_folder() / 'generator'


def builtin_generators() -> tuple[str, ...]:
    """Return the names of the generators that came with the package."""
    return _names(_data_folder())


def generator_profiles() -> tuple[str, ...]:
    """Return the names of the generators that :func:`open_generator` finds by name."""
    return tuple(dict.fromkeys((*builtin_generators(), *_names(user_generator_folder()))))


def find_generator(name_or_path: str | Path) -> Path:
    """
    Return the folder of a generator profile.

    :param name_or_path: the name of one that came with the package or of one of the user's, which
        are looked for in this order, or a folder. ``./name`` is a folder in any case.
    :raises GeneratorError: when there is none.
    """
    words = str(name_or_path)
    folder = Path(name_or_path)
    try:
        if words not in ('', '.', '..') and os.sep not in words:
            for parent in (_data_folder(), user_generator_folder()):
                if (parent / words / MANIFEST_FILE).is_file():
                    return parent / words
        there = bool(words) and folder.is_dir()
    except OSError as error:
        raise GeneratorError(
            f'there is no generator {words[:80]!r}: {error.strerror}') from error
    if not there:
        raise GeneratorError(
            f'there is no generator {words!r}: it is neither a folder nor one of '
            f'{", ".join(generator_profiles()) or "(none)"}; see `gsc profile add`')
    return folder


def open_generator(
    name_or_path: str | Path = 'tiny', *, threads: int = 1, device: str = '',
    structure_hash: str = '',
) -> Generator:
    """
    Open a generator, its weights loaded.

    :param name_or_path: see :func:`find_generator`.
    :param threads: threads on the CPU.
    :param device: where a torch generator runs: `cpu`, `cuda`, `cuda:1`...; empty for a GPU if
        there is one. ONNX generators run on the CPU.
    :param structure_hash: `manifest.structure_hash` of the structure profile of the packets; empty
        to check nothing.
    :raises GeneratorError: when it is missing, damaged, made for another structure profile, does
        not fit the memory, or software is not installed.
    """
    folder = find_generator(name_or_path)
    manifest = read_manifest(folder / MANIFEST_FILE)
    if structure_hash and manifest.structure and structure_hash != manifest.structure:
        raise GeneratorError(
            f'generator {manifest.name} was trained for structure profile '
            f'{manifest.structure[:16]}, the packets have {structure_hash[:16]}')
    if manifest.kind == 'torch':
        check_software()
    networks = import_module(_MODULES[manifest.kind]).open_networks(
        folder, manifest, threads=threads, device=device)
    return FlowGenerator(
        manifest.name, networks, manifest.geometry, manifest.schedule, manifest.steps,
        manifest.guidance, identity=f'{manifest.name}-{manifest.digest[:16]}')


def _names(folder: Path) -> tuple[str, ...]:
    """Return the names of the generator profiles in a folder."""
    try:
        return tuple(sorted(path.parent.name for path in folder.glob(f'*/{MANIFEST_FILE}')))
    except OSError:
        return ()


def _data_folder() -> Path:
    """Return the folder of the generator profiles beside this package."""
    return Path(__file__).parent.parent.parent / 'profiles' / 'generator'
