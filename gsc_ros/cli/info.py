# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Show what a .gsc packet holds. It is checked, but not decoded: no profile is needed.

    gsc info photo.gsc
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gsc_ros.cli.error import DataError
from gsc_ros.codec import text
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.packet import layer_counts, parse, VERSION


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc info`."""
    parser.add_argument('packet', type=Path, metavar='F.gsc', help='packet to look at')
    parser.add_argument('--json', action='store_true', help='print one JSON object on stdout')


def run(arguments: argparse.Namespace) -> int:
    """
    Describe the packet.

    :raises DataError: when the file cannot be read or is no valid packet.
    """
    try:
        payload = arguments.packet.read_bytes()
        description = describe(payload)
    except OSError as error:
        raise DataError(f'{arguments.packet}: {error.strerror}') from error
    except CodecError as error:
        raise DataError(f'{arguments.packet}: {error}') from error
    if arguments.json:
        print(json.dumps({'input': str(arguments.packet), **description}))
    else:
        print(_table(arguments.packet, description))
    return 0


def describe(payload: bytes) -> dict:
    """
    Return what the packet says about itself.

    :raises PacketError: when it is not a whole, undamaged packet.
    """
    packet = parse(payload)
    return {
        'version': VERSION, 'bytes': len(payload),
        'bpp': 8 * len(payload) / (packet.width * packet.height),
        'width': packet.width, 'height': packet.height,
        'sections': packet.section_sizes(),
        'layers': len(layer_counts(len(packet.channels))), 'channels': list(packet.channels),
        'quantizer': packet.quantizer, 'seed': packet.seed,
        'caption': text.decompress(packet.text), 'profile_hash': f'{packet.profile_hash:04x}',
    }


def _table(path: Path, description: dict) -> str:
    channels = description['channels']
    named = f'0..{channels[-1]}' if len(channels) == channels[-1] + 1 else ' '.join(
        str(channel) for channel in channels)
    rows = [
        ('packet', f'version {description["version"]}, {description["bytes"]} bytes, '
                   f'{description["bpp"]:.5f} bpp'),
        ('image', f'{description["width"]} x {description["height"]} pixels'),
        ('channels', f'{len(channels)} in {description["layers"]} layers: {named}'),
        ('quantizer', str(description['quantizer'])),
        ('seed', str(description['seed'])),
        ('profile', f'hash {description["profile_hash"]}...'),
        ('caption', description['caption'] or '(none)'),
    ]
    rows += [(f'  {name}', f'{size} bytes') for name, size in description['sections'].items()]
    return '\n'.join([str(path), *(f'  {name:<14} {value}' for name, value in rows)])
