# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Show profiles, make one of a published checkpoint, and add a generator.

    gsc profile list
    gsc profile info tiny
    gsc profile info generator/tiny
    gsc profile import mbt2018-mean --checkpoint mbt2018-mean-8.pth.tar --images pictures/
    gsc profile import bmshj2018-hyperprior --zoo --quality 6 --images pictures/
    gsc profile add flux-dev --transformer FLUX.1-dev/ --control control.safetensors

The architectures are those of CompressAI with 320 latent channels: bmshj2018-factorized and
bmshj2018-hyperprior in quality 6 to 8, mbt2018-mean in quality 5 to 8. docs/profiles.md says more,
docs/generator.md of generators.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
import json
from pathlib import Path
import shutil
import sys
import tempfile

from gsc_ros.cli import profile_add
from gsc_ros.cli.error import CommandError, DataError, UsageError
from gsc_ros.cli.number import bounded
from gsc_ros.cli.picture import read_image
from gsc_ros.codec.error import GeneratorError, ProfileError
from gsc_ros.codec.generator.manifest import MAX_MANIFEST_BYTES, read_manifest
from gsc_ros.codec.generator.opening import find_generator, generator_profiles
from gsc_ros.codec.generator.source import file_sha256
from gsc_ros.codec.profile import (
    builtin_profiles,
    FILES,
    find_profile,
    load_profile,
    MANIFEST_FILE,
    Profile,
    user_folder,
    user_profiles,
)
from gsc_ros.sources.folder import list_images
from gsc_ros.sources.frame import SourceError
from gsc_ros.sources.terrain import DEFAULT_COUNT, TerrainSource
import numpy as np

TERRAINS = 2
# CompressAI needs numpy 1, of which there are no packages from this Python on.
FIRST_WITHOUT_COMPRESSAI = (3, 13)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc profile`."""
    actions = parser.add_subparsers(dest='action', required=True)
    listing = actions.add_parser('list', help='list the profiles that --profile finds by name')
    showing = actions.add_parser('info', help='verify a profile and show what it is')
    showing.add_argument(
        'profile', metavar='NAME|DIR', help='name or folder of the profile; generator/NAME is a '
        'generator where a structure profile has its name')
    making = actions.add_parser(
        'import', help='make a profile of a published checkpoint of CompressAI')
    making.add_argument(
        'architecture', metavar='ARCHITECTURE',
        help='bmshj2018-factorized, bmshj2018-hyperprior or mbt2018-mean')
    source = making.add_mutually_exclusive_group(required=True)
    source.add_argument('--checkpoint', type=Path, metavar='FILE',
                        help='file of torch.save (.pth, .pth.tar) or .safetensors')
    source.add_argument('--zoo', action='store_true',
                        help='let CompressAI download the weights; needs --quality')
    making.add_argument('--quality', type=int, metavar='Q',
                        help='quality of the model in the zoo; with --checkpoint it is a note')
    making.add_argument('--metric', choices=('mse', 'ms-ssim'), default='mse',
                        help='what the model of the zoo was trained for (%(default)s)')
    making.add_argument('--output', type=Path, metavar='DIR',
                        help='folder to make; without it the profile is found by its name')
    making.add_argument('--name', help='name of the profile (ARCHITECTURE-qQ)')
    making.add_argument('--images', type=Path, metavar='DIR',
                        help='pictures like those to be sent; without them rendered ones are used')
    making.add_argument('--views', type=bounded(int, 2, 4096), default=96, metavar='N',
                        help='parts of 256x256 pixels to take of the pictures (%(default)s)')
    making.add_argument('--fit-steps', type=bounded(int, 1, 1_000_000), default=1500, metavar='N',
                        help='steps that fit the entropy model; fewer are faster (%(default)s)')
    adding = actions.add_parser('add', help='add a generator whose weights lie elsewhere')
    profile_add.add_arguments(adding)
    for action in (listing, showing, making, adding):
        action.add_argument('--json', action='store_true', help='print one JSON object on stdout')


def run(arguments: argparse.Namespace) -> int:
    """
    List, show, import or add.

    :raises DataError: when a profile, checkpoint or picture is bad, or cannot be read or written.
    :raises UsageError: when there is no such model, or the output exists.
    """
    action = {'list': _list, 'info': _info, 'import': _import,
              'add': profile_add.add}[arguments.action]
    try:
        shown, text = action(arguments)
    except (GeneratorError, ProfileError, SourceError) as error:
        raise DataError(str(error)) from error
    print(json.dumps(shown) if arguments.json else text)
    return 0


def _list(arguments: argparse.Namespace) -> tuple[dict, str]:
    found = []
    for name in dict.fromkeys((*builtin_profiles(), *user_profiles())):
        try:
            found.append(describe(load_profile(name), find_profile(name)))
        except ProfileError as error:
            found.append({'name': name, 'folder': str(find_profile(name)), 'error': str(error)})
    lines = [
        f'{profile["name"]:<28} {profile.get("error") or profile["hash"][:16]}  '
        f'{profile["folder"]}' for profile in found]
    generators = [{'name': name, 'folder': str(find_generator(name))}
                  for name in generator_profiles()]
    lines += [f'{one["name"]:<28} {"generator":<16}  {one["folder"]}' for one in generators]
    return {'profiles': found, 'generators': generators,
            'user_folder': str(user_folder())}, '\n'.join(lines)


def _info(arguments: argparse.Namespace) -> tuple[dict, str]:
    generator = _generator(arguments.profile)
    if generator is not None:
        return _generator_info(generator)
    profile = load_profile(arguments.profile)
    shown = describe(profile, find_profile(arguments.profile))
    # Beyond the manifest: the tables fit it.
    shown |= {'gains': [float(row[0]) for row in profile.gains],
              'stream_mode': profile.context.streams}
    return shown, '\n'.join(f'{key:<18} {_words(value)}' for key, value in shown.items())


def _generator(name: str) -> Path | None:
    """Return the folder of the generator that a word stands for; None if it stands for none."""
    kind, _, rest = name.partition('/')
    if kind == 'generator' and rest in generator_profiles():
        return find_generator(rest)
    if name in (*builtin_profiles(), *user_profiles()):
        return None
    if name in generator_profiles():
        return find_generator(name)
    try:
        # Of all profiles only generators have a kind.
        with (Path(name) / MANIFEST_FILE).open('rb') as file:
            fields = json.loads(file.read(MAX_MANIFEST_BYTES + 1))
    except (OSError, ValueError, RecursionError):
        return None
    return Path(name) if isinstance(fields, dict) and 'kind' in fields else None


def _generator_info(folder: Path) -> tuple[dict, str]:
    manifest = read_manifest(folder / MANIFEST_FILE)
    for name, digest in manifest.files.items():
        if file_sha256(folder / name) != digest:
            raise GeneratorError(f'{folder / name} is not the file its manifest describes')
    shown = manifest.fields | {'folder': str(folder), 'hash': manifest.digest}
    return shown, '\n'.join(f'{key:<18} {_words(value)}' for key, value in shown.items())


def describe(profile: Profile, folder: Path) -> dict:
    """Return what a profile says about itself, and how large it is."""
    manifest = profile.manifest
    return {
        'name': manifest.name, 'folder': str(folder), 'hash': profile.content_hash.hex(),
        'scale': manifest.scale, 'stride': manifest.stride, 'quantizers': manifest.quantizers,
        'default_quantizer': manifest.default_quantizer, 'symbol_max': manifest.symbol_max,
        'bytes': sum(len(profile.graph(name)) for name in FILES),
        'training': manifest.training}


def _words(value: object) -> str:
    """Return a value for a line, without anything that a terminal would obey."""
    text = value if isinstance(value, str) else json.dumps(value)
    return ''.join(character if character.isprintable() else '?' for character in text)


def _import(arguments: argparse.Namespace) -> tuple[dict, str]:
    published, exporter, fitting = _training()
    name, target = _target(arguments)
    try:
        model = _model(published, arguments)
    except published.CheckpointError as error:
        raise DataError(str(error)) from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    pictures = list(_pictures(arguments))
    pairs = exporter.calibration_pairs(pictures, -(-arguments.views // max(len(pictures), 1)))
    if not pairs:
        raise DataError(f'{arguments.images}: no picture of 16 pixels a side or more')
    print(f'fitting to {len(pairs)} views, which takes minutes', file=sys.stderr)
    notes = {'source': arguments.checkpoint.name if arguments.checkpoint else "CompressAI's zoo",
             'quality': arguments.quality,
             'calibration': 'pictures' if arguments.images else 'rendered terrain'}
    if arguments.zoo:
        notes['metric'] = arguments.metric
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix='.import-', dir=target.parent) as partial:
            result = exporter.import_profile(
                model, pairs, Path(partial), name, notes,
                fitting.FitSettings(steps=arguments.fit_steps))
            target.mkdir(exist_ok=True)
            # The manifest, which makes it a profile, comes last.
            for path in sorted(Path(partial).iterdir(), key=lambda path: path.suffix == '.json'):
                shutil.move(path, target / path.name)
    except OSError as error:
        raise DataError(f'{target}: {error.strerror or error}') from error
    if not result.own_step:
        print('hardly a symbol at the step of the checkpoint: has it been trained? The quantizers '
              'are finer than that step', file=sys.stderr)
    shown = describe(load_profile(target), target) | {'active_channels': result.active}
    return shown, f'{target}: profile {name}, {result.active} channels carry symbols'


def _training() -> tuple:
    """
    Import what makes profiles.

    :raises UsageError: when something that it needs is not installed.
    """
    try:
        return tuple(import_module(f'gsc_ros.training.{name}')
                     for name in ('published', 'published_export', 'context_fit'))
    except ModuleNotFoundError as error:
        package = (error.name or '').split('.')[0]
        if package == 'compressai' and sys.version_info >= FIRST_WITHOUT_COMPRESSAI:
            raise UsageError(
                'needs CompressAI, which wants numpy<2 and so has no packages for Python 3.13 and '
                'later; import with Python 3.10 to 3.12 and copy the profile folder') from error
        raise UsageError(f"needs {package}, which is not installed; try: "
                         "pip install 'gsc_ros[train]'") from error


def _target(arguments: argparse.Namespace) -> tuple[str, Path]:
    """
    Return the name of the profile and the folder to make.

    :raises UsageError: when the name is no name, is taken, or the folder holds something.
    """
    name = arguments.name
    if name is None:
        name = arguments.architecture
        if arguments.quality is not None:
            name += f'-q{arguments.quality}'
        if arguments.zoo and arguments.metric != 'mse':
            name += f'-{arguments.metric}'
    if not 1 <= len(name) <= 80 or not name.isprintable() or '/' in name or name.startswith('.'):
        raise UsageError(f'{name!r} is not a name for a profile')
    if arguments.output is None and name in builtin_profiles():
        raise UsageError(f'{name} is a profile of the package: take another --name')
    target = arguments.output or user_folder() / name
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(f'{target} exists: remove it, or name another --output or --name')
    return name, target


def _model(published: object, arguments: argparse.Namespace) -> object:
    """
    Return the model to import.

    :raises ValueError: when there is no such model; a CheckpointError when it cannot be read.
    """
    published.check_choice(arguments.architecture, arguments.quality)
    if arguments.checkpoint:
        return published.from_file(arguments.architecture, arguments.checkpoint)
    if arguments.quality is None:
        raise ValueError('--zoo needs --quality')
    return published.from_zoo(arguments.architecture, arguments.quality, arguments.metric)


def _pictures(arguments: argparse.Namespace) -> Iterator[np.ndarray]:
    """
    Yield pictures to calibrate with, at most as many as views are wanted.

    :raises DataError: when the folder has none.
    """
    if arguments.images is None:
        print('without --images the profile is fitted to rendered terrain; your own pictures give '
              'smaller packets', file=sys.stderr)
        for seed in range(TERRAINS):
            source = TerrainSource(seed)
            count = min(-(-arguments.views // TERRAINS), DEFAULT_COUNT)
            for index in range(count):
                yield source.frame(index * DEFAULT_COUNT // count).image
        return
    files = list_images(arguments.images)
    step = max(len(files) / arguments.views, 1)
    read = 0
    for index in range(min(len(files), arguments.views)):
        try:
            yield read_image(files[int(index * step)])
        except CommandError as error:
            print(error, file=sys.stderr)
        else:
            read += 1
    if not read:
        raise DataError(f'{arguments.images}: holds no picture that can be read')
