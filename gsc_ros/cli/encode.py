# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Encode an image to a .gsc packet, or every image of a folder to one packet each.

    gsc encode photo.png -o photo.gsc --max-bytes 250
    gsc encode photo.png -o photo.gsc --target-bpp 0.005 --selection rate-distortion
    gsc encode drive/ -o packets/ --channels 16
    gsc encode drive/ -o packets/ --target-bpp 0.002 --stream
    gsc encode drive/ -o packets/ --max-bytes 1500 --regions detector:yolo.onnx --json
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
import json
from pathlib import Path
import sys

from gsc_ros.cli.caption import add_caption_arguments, Captions
from gsc_ros.cli.error import DataError
from gsc_ros.cli.file import write_bytes
from gsc_ros.cli.number import bounded
from gsc_ros.cli.picture import Job, plan_jobs, read_image, READABLE_SUFFIXES
from gsc_ros.cli.progress import work_through
from gsc_ros.cli.region_argument import add_region_arguments, KeyRegionFinder
from gsc_ros.codec.error import CodecError, ProfileError
from gsc_ros.codec.frame import EncodedFrame, EncoderSettings, FrameEncoder
from gsc_ros.codec.packet import LATENT_CHANNELS, MAX_QUANTIZERS, PACKET_SUFFIX
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.selection import Selection

DEFAULTS = EncoderSettings()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc encode`."""
    parser.add_argument('image', type=Path, metavar='IMAGE', help='image file, or folder of images')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='F.gsc',
                        help='packet to write, or folder for packets')
    parser.add_argument('--profile', default='tiny',
                        help='name or folder of a profile (%(default)s)')
    size = parser.add_mutually_exclusive_group()
    size.add_argument('--channels', type=bounded(int, 1, LATENT_CHANNELS), metavar='N',
                      help=f'channels to send, 1..{LATENT_CHANNELS} ({DEFAULTS.channels})')
    size.add_argument('--max-bytes', type=bounded(int, 1, 1 << 26), metavar='B',
                      help='choose channels and quantizer so that no packet is larger')
    size.add_argument('--target-bpp', type=bounded(float, 1e-6, 24), metavar='R',
                      help='the same limit in bits per pixel')
    parser.add_argument('--quantizer', type=bounded(int, 0, MAX_QUANTIZERS - 1), metavar='Q',
                        help='quantizer of the profile (its default); ignored under a limit')
    parser.add_argument('--selection', choices=[item.value for item in Selection],
                        default=DEFAULTS.selection.value,
                        help="which channels: the profile's first ones, those most like the image, "
                        'or those that lessen the measured error most per bit, which takes '
                        'seconds (%(default)s)')
    parser.add_argument('--stream', action='store_true',
                        help='code each image of a folder from the one before, 2 before 10; '
                        'they are decoded together, too')
    add_region_arguments(parser)
    add_caption_arguments(parser)
    parser.add_argument('--json', action='store_true', help='print one JSON object on stdout')


def run(arguments: argparse.Namespace) -> int:
    """
    Encode as told.

    :return: 0, or 1 when pictures of a folder could not be coded.
    :raises DataError: when the one input cannot be read or coded, or its output not written.
    """
    jobs = plan_jobs(arguments.image, arguments.output, READABLE_SUFFIXES, PACKET_SUFFIX)
    settings = EncoderSettings(
        # A byte limit chooses among all channels, whatever the default is.
        channels=arguments.channels or (
            LATENT_CHANNELS if arguments.max_bytes or arguments.target_bpp
            else DEFAULTS.channels),
        quantizer=arguments.quantizer,
        selection=Selection(arguments.selection),
        max_bytes=arguments.max_bytes,
        stream=arguments.stream)
    finder = KeyRegionFinder(arguments, [job.source for job in jobs])
    settings = replace(settings, regions=finder.settings)
    captions = Captions(arguments)
    try:
        profile = load_profile(arguments.profile)
        encoder = FrameEncoder(profile)
    except ProfileError as error:
        raise DataError(str(error)) from error
    if arguments.regions and not profile.has_regions:
        print(f'profile {profile.name} has no region model: only the list of objects is sent',
              file=sys.stderr)
    folder = arguments.image.is_dir()
    results, failed = work_through(
        jobs, 'encoding', folder=folder, work=lambda job: _encode(
            job, encoder, settings, captions, finder, arguments.target_bpp, profile.name))
    _print(results, failed, folder, as_json=arguments.json)
    return 1 if failed else 0


def _encode(
    job: Job, encoder: FrameEncoder, settings: EncoderSettings, captions: Captions,
    finder: KeyRegionFinder, target_bpp: float | None, profile: str,
) -> dict:
    image = read_image(job.source)
    if target_bpp is not None:
        settings = replace(
            settings, max_bytes=int(target_bpp * image.shape[0] * image.shape[1] / 8))
    try:
        key_regions = finder.find(image, job.source)
        frame = encoder.encode(
            image, captions.settings(image, settings), key_regions,
            finder.judge(image) if key_regions else None)
    except CodecError as error:
        raise DataError(f'{job.source}: {error}') from error
    if frame.region_failure:
        print(f'{job.source}: sent without regions: {frame.region_failure}', file=sys.stderr)
    write_bytes(job.target, frame.payload)
    return _result(job, frame, captions.text, profile)


def _result(job: Job, frame: EncodedFrame, caption: str, profile: str) -> dict:
    """Return the object that `--json` prints for one image."""
    size = len(frame.payload)
    return {
        'input': str(job.source), 'output': str(job.target),
        'bytes': size, 'bpp': 8 * size / (frame.width * frame.height),
        'sections': frame.sections, 'channels': list(frame.channels),
        'layer_ends': list(frame.layer_ends), 'quantizer': frame.quantizer,
        'stream_reference': None if frame.stream_reference is None
        else f'{frame.stream_reference:04x}',
        'width': frame.width, 'height': frame.height, 'caption': caption,
        'encode_ms': frame.encode_ms, 'profile': profile,
        'regions': [asdict(region) for region in frame.regions],
        'allocation': [asdict(offer) | {'gain_per_bit': offer.gain_per_bit}
                       for offer in frame.allocation],
    }


def _print(results: list[dict], failed: list[dict], folder: bool, as_json: bool) -> None:
    if as_json:
        total = {'images': len(results), 'bytes': sum(result['bytes'] for result in results),
                 'results': results, 'failed': failed}
        print(json.dumps(total if folder else results[0]))
        return
    for result in results:
        print(f'{result["output"]}: {result["bytes"]} bytes, {result["bpp"]:.4f} bpp, '
              f'{len(result["channels"])} channels, {len(result["regions"])} regions, '
              f'{result["encode_ms"]:.0f} ms')
