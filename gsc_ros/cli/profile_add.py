# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`gsc profile add`: a generator profile of weights that lie elsewhere, which are not copied.

It checks the files, says what memory they will take, and writes the manifest by which
`open_generator` and the nodes' parameter `generator` find them. docs/generator.md says more.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from importlib import import_module
import json
from pathlib import Path
import re
import sys
from types import ModuleType

from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.cli.number import bounded
from gsc_ros.codec.error import GeneratorError, ProfileError
from gsc_ros.codec.generator.flow import Geometry
from gsc_ros.codec.generator.manifest import GeneratorManifest, structure_hash
from gsc_ros.codec.generator.opening import builtin_generators, user_generator_folder
from gsc_ros.codec.generator.schedule import Schedule
from gsc_ros.codec.generator.source import (
    check_software,
    file_sha256,
    Offload,
    Precision,
    Source,
)
from gsc_ros.codec.profile import load_profile, MANIFEST_FILE

# What of a repository is fetched: not the same weights once more in one file.
HUB_FILES = ('model_index.json', 'transformer/*', 'vae/*', 'text_encoder/*', 'text_encoder_2/*',
             'tokenizer/*', 'tokenizer_2/*', 'scheduler/*')
HUB_NAME = re.compile(r'[\w.-]+/[\w.-]+')
GIB = 1 << 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc profile add`."""
    parser.add_argument('name', metavar='NAME', help='name of the generator, such as flux-dev')
    parser.add_argument(
        '--transformer', required=True, metavar='DIR|FILE|OWNER/NAME',
        help='directory of a whole pipeline or of its transformer, a .gguf file, or a repository '
             'of the Hugging Face hub, which is downloaded')
    parser.add_argument('--control', type=Path, metavar='FILE',
                        help='control branch that `gsc train control` wrote; without it the '
                             'caption alone guides')
    parser.add_argument('--pipeline', metavar='DIR|OWNER/NAME',
                        help='where the rest is, when --transformer is the transformer alone')
    parser.add_argument('--vae', type=Path, metavar='DIR',
                        help='another autoencoder of the same latents, such as a tiny one')
    parser.add_argument('--structure', default='tiny', metavar='NAME|DIR',
                        help='structure profile of the packets, without --control (%(default)s)')
    choices = [precision.value for precision in Precision]
    parser.add_argument('--precision', choices=choices, default='bf16',
                        help='weights of the transformer: int8 and nf4 are those of bitsandbytes '
                             '(%(default)s)')
    parser.add_argument('--text-precision', choices=choices,
                        help='weights of T5 (as --precision, but bf16 with fp16)')
    parser.add_argument('--offload', choices=[offload.value for offload in Offload],
                        default='none', help='what waits in the memory of the machine: models or '
                        'single layers that are not computed with (%(default)s)')
    parser.add_argument('--vae-tiling', action='store_true',
                        help='decode in tiles: less memory for large pictures')
    parser.add_argument('--compile', action='store_true',
                        help='torch.compile: minutes for the first picture, the others faster')
    parser.add_argument('--steps', type=bounded(int, 1, 1000), metavar='N',
                        help='default number of steps (28, or 4 of a schnell)')
    parser.add_argument('--guidance', type=bounded(float, 0, 100), metavar='G',
                        help='default guidance scale, if the model has one (3.5)')
    parser.add_argument('--tile', type=bounded(int, 8, 1024), default=128, metavar='TOKENS',
                        help='larger pictures are generated in tiles of so many times 16 pixels '
                             '(%(default)s)')
    parser.add_argument('--output', type=Path, metavar='DIR',
                        help='folder to make; without it the profile is found by its name')
    parser.add_argument('--replace', action='store_true',
                        help='overwrite a profile of that name, after training on')


def add(arguments: argparse.Namespace) -> tuple[dict, str]:
    """
    Write a generator profile.

    :return: what `--json` prints, and the same in words.
    :raises DataError: when a file is missing, damaged or of another model.
    :raises UsageError: when a name or a combination cannot be, or software is not installed.
    """
    target = _target(arguments)
    loading, control_file, config = _flux()
    try:
        source, schedule = _source(arguments)
        distilled = loading.takes_guidance(source)
        base = config.FLUX_DEV if distilled else config.FLUX_SCHNELL
        source = replace(source, text_tokens=base.text_tokens)
        if source.control is None:
            print('without --control the caption alone guides', file=sys.stderr)
            structure = load_profile(arguments.structure)
            guides = Geometry(scale=1, pitch=structure.pitch)
            trained_for = structure_hash(structure)
        else:
            info = control_file.read_info(source.control)
            loading.check_control(source)
            guides = Geometry(scale=1, pitch=info.pitch, picture=info.config.picture,
                              level=info.config.level, objects=info.config.objects)
            trained_for = info.structure
        if arguments.guidance is not None and not distilled:
            raise UsageError('this transformer takes no guidance')
        guidance = None
        if distilled:
            guidance = base.guidance if arguments.guidance is None else arguments.guidance
        estimate = loading.estimate(source, loading.USUAL_TOKENS)
        manifest = GeneratorManifest(
            name=arguments.name, kind='torch', structure=trained_for,
            geometry=replace(guides, tile=arguments.tile), schedule=schedule or base.schedule,
            steps=arguments.steps or base.steps, guidance=guidance,
            in_channels=loading.in_channels(source), fields={'weights': source.to_fields()})
    except (GeneratorError, ProfileError) as error:
        raise DataError(str(error)) from error
    try:
        target.mkdir(parents=True, exist_ok=True)
        partial = target / f'.{MANIFEST_FILE}'
        partial.write_text(manifest.to_json(), encoding='utf-8')
        partial.replace(target / MANIFEST_FILE)
    except OSError as error:
        raise DataError(f'{target}: {error.strerror or error}') from error
    need = estimate.device(source.offload)
    shown = {
        'name': manifest.name, 'folder': str(target), 'structure': manifest.structure,
        'pitch': manifest.geometry.pitch, 'steps': manifest.steps, 'guidance': guidance,
        'weights_bytes': estimate.weights, 'device_bytes': need,
        'host_bytes': estimate.host(source.offload)}
    weights = ', '.join(f'{name} {size / GIB:.1f}' for name, size in estimate.weights.items())
    return shown, (f'{target}: generator {manifest.name}, {manifest.steps} steps; takes about '
                   f'{need / GIB:.1f} GiB where it computes (weights in GiB: {weights})')


def _flux() -> tuple[ModuleType, ModuleType, ModuleType]:
    """
    Import what reads the weights.

    :raises UsageError: when it is not installed.
    """
    try:
        check_software()
    except GeneratorError as error:
        raise UsageError(str(error)) from error
    return (import_module('gsc_ros.codec.generator.flux.load'),
            import_module('gsc_ros.codec.generator.flux.control_file'),
            import_module('gsc_ros.codec.generator.flux.config'))


def _target(arguments: argparse.Namespace) -> Path:
    """
    Return the folder to write.

    :raises UsageError: when the name is no name, or is taken.
    """
    name = arguments.name
    if not 1 <= len(name) <= 80 or not name.isprintable() or '/' in name or name.startswith('.'):
        raise UsageError(f'{name!r} is not a name for a profile')
    if arguments.output is None and name in builtin_generators():
        raise UsageError(f'{name} is a generator of the package: take another name')
    target = arguments.output or user_generator_folder() / name
    if (target / MANIFEST_FILE).exists() and not arguments.replace:
        raise UsageError(f'{target} exists: take another name, or --replace')
    return target.absolute()


def _source(arguments: argparse.Namespace) -> tuple[Source, Schedule | None]:
    """
    Return where the weights are, and the schedule that came with them.

    :raises GeneratorError: when something is not there.
    """
    root, transformer = _transformer(arguments)
    precision = Precision(arguments.precision)
    # In half precision some activations of T5 are clipped, and the picture becomes another.
    text = Precision.BF16 if precision is Precision.FP16 else precision
    if arguments.text_precision:
        text = Precision(arguments.text_precision)
    others: dict = {
        'transformer': transformer, 'precision': precision, 'text_precision': text,
        'offload': Offload(arguments.offload), 'vae_tiling': arguments.vae_tiling,
        'compile': arguments.compile}
    if transformer.is_file():
        others['transformer_config'] = root / 'transformer'
    if arguments.vae is not None:
        others['autoencoder'] = arguments.vae.absolute()
    if arguments.control is not None:
        control = arguments.control.absolute()
        others |= {'control': control, 'control_sha256': file_sha256(control)}
    source = Source.from_layout(root, **others)
    source.check()
    path = root / 'scheduler' / 'scheduler_config.json'
    if not path.is_file():
        return source, None
    try:
        return source, Schedule.from_config(json.loads(path.read_text(encoding='utf-8')))
    except (OSError, OverflowError, ValueError, TypeError, AttributeError) as error:
        raise GeneratorError(f'{path}: {error}') from error


def _transformer(arguments: argparse.Namespace) -> tuple[Path, Path]:
    """Return the directory of the pipeline, and the transformer."""
    given = _local(arguments.transformer)
    root = None if arguments.pipeline is None else _local(arguments.pipeline)
    if given.is_file():
        if root is None:
            raise UsageError('a transformer in one file needs --pipeline, where the rest is')
        return root, given
    if (given / 'transformer').is_dir():
        return root or given, given / 'transformer'
    return root or given.parent, given


def _local(name: str) -> Path:
    """
    Return a path, or where a repository of the hub was downloaded to.

    :raises GeneratorError: when it is neither, or cannot be had.
    """
    path = Path(name)
    if path.exists() or not HUB_NAME.fullmatch(name):
        if not path.exists():
            raise GeneratorError(f'there is no {name}')
        return path.absolute()
    hub, errors = import_module('huggingface_hub'), import_module('huggingface_hub.errors')
    try:
        return Path(hub.snapshot_download(name, allow_patterns=list(HUB_FILES)))
    except errors.GatedRepoError as error:
        raise GeneratorError(
            f'{name} is gated: accept its licence at https://huggingface.co/{name}, then '
            '`hf auth login`, or give a local directory') from error
    except errors.RepositoryNotFoundError as error:
        raise GeneratorError(
            f'there is neither a directory nor a repository {name}, or it is private') from error
    # A network that is down shows itself in many ways.
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError, ValueError) as error:
        raise GeneratorError(
            f'there is no directory {name}, and it cannot be downloaded: '
            f'{str(error)[:200]}') from error
