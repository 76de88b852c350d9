# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Decode a .gsc packet to an image, or every packet of a folder.

    gsc decode photo.gsc -o photo.png
    gsc decode packets/ -o pictures/
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gsc_ros.cli.error import DataError
from gsc_ros.cli.file import read_bytes
from gsc_ros.cli.picture import Job, plan_jobs, write_image
from gsc_ros.cli.progress import work_through
from gsc_ros.codec.error import CodecError, ProfileError
from gsc_ros.codec.frame import FrameDecoder, Reconstruction
from gsc_ros.codec.packet import MAX_PACKET_BYTES, PACKET_SUFFIX
from gsc_ros.codec.profile import load_profile

MODES = ('structure',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc decode`."""
    parser.add_argument('packet', type=Path, metavar='F.gsc', help='packet, or folder of packets')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='IMAGE',
                        help='image to write (its suffix says the format), or folder for PNGs')
    parser.add_argument('--profile', default='tiny',
                        help='name or folder of a profile (%(default)s)')
    parser.add_argument('--mode', choices=MODES, default=MODES[0],
                        help='how to reconstruct (%(default)s)')
    parser.add_argument('--json', action='store_true', help='print one JSON object on stdout')


def run(arguments: argparse.Namespace) -> int:
    """
    Decode as told.

    :return: 0, or 1 when packets of a folder could not be decoded.
    :raises DataError: when the one packet is bad or its picture cannot be written.
    """
    jobs = plan_jobs(arguments.packet, arguments.output, (PACKET_SUFFIX,), '.png')
    try:
        decoder = FrameDecoder(load_profile(arguments.profile))
    except ProfileError as error:
        raise DataError(str(error)) from error
    folder = arguments.packet.is_dir()
    results, failed = work_through(
        jobs, 'decoding', folder=folder, work=lambda job: _decode(job, decoder))
    _print(results, failed, folder, as_json=arguments.json)
    return 1 if failed else 0


def _decode(job: Job, decoder: FrameDecoder) -> dict:
    payload = read_bytes(job.source, MAX_PACKET_BYTES)
    try:
        reconstruction = decoder.decode(payload)
    except CodecError as error:
        raise DataError(f'{job.source}: {error}') from error
    write_image(job.target, reconstruction.image)
    return _result(job, len(payload), reconstruction)


def _result(job: Job, size: int, reconstruction: Reconstruction) -> dict:
    """Return the object that `--json` prints for one packet."""
    height, width = reconstruction.image.shape[:2]
    return {
        'input': str(job.source), 'output': str(job.target), 'bytes': size,
        'width': width, 'height': height, 'mode': reconstruction.mode,
        'layers': reconstruction.layers, 'channels': list(reconstruction.channels),
        'confidence': float(reconstruction.confidence.mean()) / 255,
        'sections': reconstruction.sections, 'caption': reconstruction.caption,
        'caption_id': reconstruction.caption_id,
        'caption_reference': reconstruction.caption_reference,
        'decode_ms': reconstruction.decode_ms, 'profile': reconstruction.profile,
    }


def _print(results: list[dict], failed: list[dict], folder: bool, as_json: bool) -> None:
    if as_json:
        total = {'packets': len(results), 'results': results, 'failed': failed}
        print(json.dumps(total if folder else results[0]))
        return
    for result in results:
        print(f'{result["output"]}: {result["width"]} x {result["height"]}, {result["bytes"]} '
              f'bytes, {result["mode"]}, {result["decode_ms"]:.0f} ms')
