# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Decode a .gsc packet to an image, or every packet of a folder.

    gsc decode photo.gsc -o photo.png
    gsc decode packets/ -o pictures/
    gsc decode photo.gsc -o photo.png --mode generate --seed 3
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
import json
import os
from pathlib import Path
import time

from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.cli.file import read_bytes
from gsc_ros.cli.number import bounded
from gsc_ros.cli.picture import Job, plan_jobs, write_image
from gsc_ros.cli.progress import work_through
from gsc_ros.codec.error import CodecError, GeneratorError, ProfileError
from gsc_ros.codec.frame import FrameDecoder, Reconstruction
from gsc_ros.codec.generator.composition import keep_regions
from gsc_ros.codec.generator.confidence import generated_confidence
from gsc_ros.codec.generator.generator import GenerationSettings, Generator
from gsc_ros.codec.generator.manifest import structure_hash
from gsc_ros.codec.generator.opening import open_generator
from gsc_ros.codec.packet import MAX_PACKET_BYTES, PACKET_SUFFIX
from gsc_ros.codec.profile import load_profile, Profile

MODES = ('structure', 'generate')
DEFAULT_GENERATOR = 'tiny'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc decode`."""
    parser.add_argument('packet', type=Path, metavar='F.gsc', help='packet, or folder of packets')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='IMAGE',
                        help='image to write (its suffix says the format), or folder for PNGs')
    parser.add_argument('--profile', default='tiny',
                        help='name or folder of a profile (%(default)s)')
    parser.add_argument('--mode', choices=MODES, default=MODES[0],
                        help='how to reconstruct (%(default)s)')
    generator = parser.add_argument_group('with --mode generate')
    generator.add_argument('--generator', metavar='NAME',
                           help=f'name or folder of a generator ({DEFAULT_GENERATOR})')
    generator.add_argument('--seed', type=bounded(int, 0, 255), metavar='S',
                           help='seed of the noise (the one in the packet)')
    generator.add_argument('--steps', type=bounded(int, 1, 1000), metavar='N',
                           help="steps of the sampler (the generator's default)")
    generator.add_argument('--guidance', type=bounded(float, 0, 100), metavar='G',
                           help="guidance scale, where there is one (the generator's default)")
    parser.add_argument('--json', action='store_true', help='print one JSON object on stdout')


def run(arguments: argparse.Namespace) -> int:
    """
    Decode as told.

    :return: 0, or 1 when packets of a folder could not be decoded.
    :raises DataError: when the one packet is bad or its picture cannot be written.
    :raises UsageError: when software that the generator needs is not installed, or a generator is
        told something in another mode.
    """
    _check_options(arguments)
    jobs = plan_jobs(arguments.packet, arguments.output, (PACKET_SUFFIX,), '.png')
    try:
        profile = load_profile(arguments.profile)
        decoder = FrameDecoder(profile)
    except ProfileError as error:
        raise DataError(str(error)) from error
    folder = arguments.packet.is_dir()
    with _Pictures(decoder, profile, arguments) as pictures:
        results, failed = work_through(
            jobs, 'decoding', folder=folder, work=lambda job: _decode(job, pictures))
    _print(results, failed, folder, as_json=arguments.json)
    return 1 if failed else 0


class _Pictures:
    """Makes the pictures of packets in the mode that is asked for; a context manager."""

    def __init__(self, decoder: FrameDecoder, profile: Profile,
                 arguments: argparse.Namespace) -> None:
        """
        Open the generator if there is to be one.

        :raises DataError: when it is missing, damaged, or made for another profile.
        :raises UsageError: when software that it needs is not installed.
        """
        self._decoder = decoder
        self._seed = arguments.seed
        self._settings = GenerationSettings(steps=arguments.steps, guidance=arguments.guidance)
        self._generator: Generator | None = None
        # In the packets of a stream a caption comes once, and is then named by its number.
        self._captions: dict[int | None, str] = {}
        if arguments.mode == 'generate':
            self._generator = _open(arguments.generator or DEFAULT_GENERATOR, profile)

    def __enter__(self) -> _Pictures:
        return self

    def __exit__(self, *_: object) -> None:
        if self._generator is not None:
            self._generator.close()

    def make(self, payload: bytes) -> tuple[Reconstruction, dict[str, object]]:
        """
        Return the picture of a packet, and what there is to say of its generation.

        :raises CodecError: when the packet is bad, or the generator fails.
        """
        frame = self._decoder.decode(payload)
        if self._generator is None:
            return frame, {}
        if frame.caption:
            self._captions[frame.caption_id] = frame.caption
        caption = frame.caption or self._captions.get(frame.caption_id, '')
        condition = self._decoder.condition(frame, caption, self._seed)
        start_s = time.perf_counter()
        (image,) = self._generator.generate([condition], self._settings)
        image = keep_regions(frame.image, frame.region_mask, image)
        said = {'generator': self._generator.name, 'seed': condition.seed,
                'steps': self._settings.steps or self._generator.steps,
                'generate_ms': 1e3 * (time.perf_counter() - start_s)}
        return replace(
            frame, image=image, mode='generate',
            confidence=generated_confidence(frame.image, frame.confidence, image)), said


def _check_options(arguments: argparse.Namespace) -> None:
    """Raise a UsageError when what is for a generator is given where none works."""
    for option in ('generator', 'seed', 'steps', 'guidance'):
        if arguments.mode != 'generate' and getattr(arguments, option) is not None:
            raise UsageError(f'--{option} needs --mode generate')


def _open(name: str, profile: Profile) -> Generator:
    try:
        return open_generator(
            name, threads=os.cpu_count() or 1, structure_hash=structure_hash(profile))
    except GeneratorError as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            raise UsageError(str(error)) from error
        raise DataError(str(error)) from error


def _decode(job: Job, pictures: _Pictures) -> dict:
    payload = read_bytes(job.source, MAX_PACKET_BYTES)
    try:
        reconstruction, said = pictures.make(payload)
    except CodecError as error:
        raise DataError(f'{job.source}: {error}') from error
    write_image(job.target, reconstruction.image)
    return _result(job, len(payload), reconstruction) | said


def _result(job: Job, size: int, reconstruction: Reconstruction) -> dict:
    """Return the object that `--json` prints for one packet, however its picture was made."""
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
        'objects': [asdict(item) for item in reconstruction.objects],
        'regions': [asdict(region) for region in reconstruction.regions],
    }


def _print(results: list[dict], failed: list[dict], folder: bool, as_json: bool) -> None:
    if as_json:
        total = {'packets': len(results), 'results': results, 'failed': failed}
        print(json.dumps(total if folder else results[0]))
        return
    for result in results:
        took_ms = result['decode_ms'] + result.get('generate_ms', 0.0)
        print(f'{result["output"]}: {result["width"]} x {result["height"]}, {result["bytes"]} '
              f'bytes, {result["mode"]}, {took_ms:.0f} ms')
