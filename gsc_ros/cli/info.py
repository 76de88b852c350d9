# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Show what a .gsc packet holds, or what the packets of a folder hold on average.

They are checked, but not decoded: no profile is needed, but to list key regions.

    gsc info photo.gsc
    gsc info packets/
    gsc info photo.gsc --layers      # also the bytes of each layer, for which it is parsed whole
    gsc info photo.gsc --original photo.png     # also what each layer and region gains for a bit
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.cli.file import read_bytes
from gsc_ros.cli.packet_layer import measure_layers, measure_regions
from gsc_ros.codec import text
from gsc_ros.codec.error import (
    CodecError,
    MissingReferenceError,
    ProfileError,
    ProfileMismatchError,
)
from gsc_ros.codec.packet import (
    layer_counts,
    MAX_PACKET_BYTES,
    Packet,
    PACKET_SUFFIX,
    parse,
    SECTIONS,
    VERSION,
)
from gsc_ros.codec.region.object_list import unpack_objects
from gsc_ros.codec.region.region import FULL_WEIGHT
from gsc_ros.perception.source.class_id import class_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc info`."""
    parser.add_argument('packet', type=Path, metavar='F.gsc',
                        help='packet to look at, or folder of packets')
    parser.add_argument('--layers', action='store_true',
                        help='measure the layers of the structure stream; needs the profile')
    parser.add_argument('--original', type=Path, metavar='IMAGE',
                        help='measure by how much each layer and region brings the picture closer '
                             'to this one, for a bit; needs the profile')
    parser.add_argument('--profile', default='tiny',
                        help='name or folder of the profile for --layers, --original and key '
                             'regions (%(default)s)')
    parser.add_argument('--json', action='store_true', help='print one JSON object on stdout')


def run(arguments: argparse.Namespace) -> int:
    """
    Describe the packet.

    :raises DataError: when the file cannot be read or is no valid packet.
    :raises UsageError: when one picture is compared with many packets.
    """
    path = arguments.packet
    if path.is_dir():
        if arguments.original is not None:
            raise UsageError('--original is of one packet, not of a folder of them')
        packets = sorted(path.glob(f'*{PACKET_SUFFIX}'))
        if not packets:
            raise DataError(f'{path}: holds no {PACKET_SUFFIX} file')
        results = [_describe_file(packet, arguments) for packet in packets]
        shown, table = {'input': str(path), **average(results), 'results': results}, _mean_table
    else:
        shown, table = _describe_file(path, arguments), _table
    print(json.dumps(shown) if arguments.json else table(shown))
    return 0


def _describe_file(path: Path, arguments: argparse.Namespace) -> dict:
    payload = read_bytes(path, MAX_PACKET_BYTES)
    try:
        description = {'input': str(path), **describe(payload)}
        if description['region_count']:
            description |= _describe_regions(payload, arguments.profile)
        if arguments.layers:
            description['structure_layers'] = measure_layers(payload, arguments.profile)
        if arguments.original is not None:
            # Imported here: nothing else of this needs ONNX Runtime.
            from gsc_ros.cli.info_gain import measure_gains
            description['gains'] = measure_gains(payload, arguments.profile, arguments.original)
            description['region_weight'] = FULL_WEIGHT
    except CodecError as error:
        raise DataError(f'{path}: {error}') from error
    return description


def average(results: list[dict]) -> dict:
    """Return the number of packets, all their bytes, and their means by section."""
    count = len(results)
    return {
        'packets': count, 'bytes': sum(result['bytes'] for result in results),
        'mean_bytes': sum(result['bytes'] for result in results) / count,
        'mean_bpp': sum(result['bpp'] for result in results) / count,
        'mean_sections': {
            name: sum(result['sections'][name] for result in results) / count
            for name in SECTIONS},
    }


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
        'layers': packet.layers, 'channels': list(packet.channels),
        'quantizer': packet.quantizer, 'seed': packet.seed,
        'caption': text.decompress(packet.text), 'caption_id': packet.caption_id,
        'caption_reference': packet.caption_reference,
        'stream_reference': None if packet.stream_reference is None
        else f'{packet.stream_reference:04x}',
        'profile_hash': f'{packet.profile_hash:04x}',
        'objects': _describe_objects(packet), 'region_count': packet.region_count,
    }


def _describe_objects(packet: Packet) -> list[dict]:
    """Return what the packet says about each object, boxes in pixels."""
    if not packet.objects:
        return []
    objects, _ = unpack_objects(packet.objects, packet.width, packet.height)
    size = (packet.width, packet.height, packet.width, packet.height)
    return [{
        'class': one.class_id, 'name': class_name(one.class_id), 'score': one.score,
        'box': [round(share * side, 1) for share, side in zip(one.box, size)]} for one in objects]


def _describe_regions(payload: bytes, profile_name: str) -> dict:
    """Return the regions of a packet, or why they cannot be told."""
    try:
        regions, sizes = measure_regions(payload, profile_name)
    except (ProfileError, ProfileMismatchError, MissingReferenceError) as error:
        return {'regions': None, 'regions_unread': str(error)}
    packet = parse(payload)
    return {'regions': [{
        'box': list(region.box(packet.width, packet.height)), 'scale': region.scale,
        'level': region.level, 'channels': region.channels, 'bytes': size}
        for region, size in zip(regions, sizes)]}


def _visible(words: str) -> str:
    """Escape what a terminal would obey rather than show: the text has come over a link."""
    return ''.join(
        character if character.isprintable() else character.encode('unicode_escape').decode()
        for character in words)


def _caption(description: dict) -> str:
    if description['caption_id'] is None:
        return '(none)'
    if description['caption_reference']:
        return f'as before, number {description["caption_id"]}'
    return f'{_visible(description["caption"])} (number {description["caption_id"]})'


def _mean_table(shown: dict) -> str:
    rows = [('packets', str(shown['packets'])), ('total', f'{shown["bytes"]} bytes'),
            ('mean', f'{shown["mean_bytes"]:.1f} bytes, {shown["mean_bpp"]:.5f} bpp')]
    rows += [(f'  {name}', f'{size:.1f} bytes') for name, size in shown['mean_sections'].items()]
    return _columns(shown['input'], rows)


def _columns(title: str, rows: list[tuple[str, str]]) -> str:
    return '\n'.join([_visible(title), *(f'  {name:<14} {value}' for name, value in rows)])


def _table(description: dict) -> str:
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
        ('caption', _caption(description)),
    ]
    if description['stream_reference'] is not None:
        rows.append(('follows', f'packet {description["stream_reference"]}'))
    for name, size in description['sections'].items():
        rows.append((f'  {name}', f'{size} bytes'))
        if name == 'structure' and 'structure_layers' in description:
            layers = zip(layer_counts(len(channels)), description['structure_layers'])
            rows += [(f'    to {count} ch.', f'{layer} bytes') for count, layer in layers]
        if name == 'objects':
            rows += [(f'    {one["name"]}', f'{_box(one["box"])}, score {one["score"]:.2f}')
                     for one in description['objects']]
        if name == 'regions' and description['region_count']:
            rows += _region_rows(description)
    if 'gains' in description:
        rows += _gain_rows(description['gains'], description['region_weight'])
    return _columns(description['input'], rows)


def _region_rows(description: dict) -> list[tuple[str, str]]:
    if description['regions'] is None:
        return [(f'    {description["region_count"]} regions', description['regions_unread'])]
    return [(f'    region {number}', f'{_box(region["box"])}, scale {region["scale"]}, '
             f'level {region["level"]}, {region["channels"]} channels, {region["bytes"]} bytes')
            for number, region in enumerate(description['regions'], 1)]


def _gain_rows(gains: list[dict], region_weight: float) -> list[tuple[str, str]]:
    """Return what the error falls to with each layer and region; see info_gain."""
    weighed = f', in regions {region_weight:.0f} times' if gains[-1]['regions'] else ''
    rows = [('error', 'against the original: squares of 8-bit differences, summed over pixels and '
                      f'colours{weighed}')]
    for gain in gains:
        name = f'region {gain["regions"]}' if gain['regions'] else f'to {gain["channels"]} ch.'
        worth = '' if gain['gain_per_bit'] is None else f', {gain["gain_per_bit"]:.0f} less a bit'
        rows.append((f'  {name}', f'{gain["bytes"]} bytes, to {gain["weighted_error"]:.0f}{worth}'))
    return rows


def _box(sides: list[float]) -> str:
    left, top, right, bottom = sides
    return f'{right - left:.0f} x {bottom - top:.0f} at {left:.0f}, {top:.0f}'
