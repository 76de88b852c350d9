# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Print how steady generated pictures are from one to the next, and what steadiness costs.

    python benchmarks/generation_steadiness.py DRIVE [--generator NAME_OR_DIR] [--every N]
        [--frames N] [--max-bytes B] [--strengths S ...] [--json]

Each way to start is run over the same packets: with the same noise for every frame, with new noise
for each, and from the picture before at some strengths. Flicker is that of codec.generator.flicker,
the distance of spectra that of evaluation.spectrum.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
import json
import sys

from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder, Reconstruction
from gsc_ros.codec.generator.flicker import FlickerMeter
from gsc_ros.codec.generator.generator import GenerationSettings, Generator
from gsc_ros.codec.generator.manifest import structure_hash
from gsc_ros.codec.generator.opening import open_generator
from gsc_ros.codec.profile import load_profile
from gsc_ros.evaluation.metric import ms_ssim, psnr
from gsc_ros.evaluation.spectrum import spectrum_distance
from gsc_ros.sources.opening import open_source
import numpy as np


@dataclass(frozen=True)
class Start:
    """What the pictures start from: noise that is new for each or not, and at which strength."""

    name: str
    new_noise: bool = False
    strength: float | None = None


@dataclass(frozen=True)
class Figures:
    """Means over the frames: dB, 0..1, dB, gray levels of 255."""

    start: str
    psnr: float
    ms_ssim: float
    spectrum_db: float
    flicker: float


def generate(
    start: Start, frames: Sequence[Reconstruction], decoder: FrameDecoder, generator: Generator,
) -> tuple[list[np.ndarray], float]:
    """Return the pictures of decoded frames, and their mean flicker."""
    meter = FlickerMeter()
    pictures, flicker = [], []
    for number, frame in enumerate(frames):
        before = None if start.strength is None else meter.moved_to(frame.image)
        condition = decoder.condition(
            frame, frame.caption, number % 256 if start.new_noise else None, before)
        (image,) = generator.generate(
            [condition], GenerationSettings(strength=start.strength or 1.0))
        flicker.append(meter.measure(frame.image, image))
        pictures.append(image)
    return pictures, float(np.nanmean(flicker))


def evaluate(args: argparse.Namespace) -> list[Figures]:
    """Run every way to start over the frames."""
    profile = load_profile(args.profile)
    encoder, decoder = FrameEncoder(profile), FrameDecoder(profile)
    generator = open_generator(args.generator, structure_hash=structure_hash(profile))
    originals = [frame.image for frame in islice(
        open_source(args.input), 0, args.frames * args.every, args.every)]
    settings = EncoderSettings(max_bytes=args.max_bytes, caption=args.caption)
    frames = [decoder.decode(encoder.encode(image, settings).payload) for image in originals]
    starts = [Start('the same noise'), Start('new noise', new_noise=True),
              *(Start(f'the picture before, {strength:g}', strength=strength)
                for strength in args.strengths)]
    runs = {'(structure)': ([frame.image for frame in frames], 0.0)}
    runs |= {start.name: generate(start, frames, decoder, generator) for start in starts}
    result = []
    for name, (pictures, flicker) in runs.items():
        rows = [(psnr(original, image), ms_ssim(original, image),
                 spectrum_distance(original, image))
                for original, image in zip(originals, pictures)]
        result.append(Figures(name, *np.mean(rows, axis=0).tolist(), flicker))
    return result


def main() -> int:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('input', help='KITTI drive, folder of images, video or bag')
    parser.add_argument('--profile', default='tiny')
    parser.add_argument('--generator', default='tiny')
    parser.add_argument('--every', type=int, default=4, help='use every Nth image')
    parser.add_argument('--frames', type=int, default=10)
    parser.add_argument('--max-bytes', type=int, default=384)
    parser.add_argument('--caption', default='')
    parser.add_argument('--strengths', type=float, nargs='*', default=[0.8, 0.6])
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    figures = evaluate(args)
    if args.json:
        print(json.dumps([asdict(row) for row in figures]))
        return 0
    print(f'{"start":24}   PSNR MS-SSIM spectrum flicker')
    for row in figures:
        print(f'{row.start:24} {row.psnr:6.2f} {row.ms_ssim:7.3f} {row.spectrum_db:8.2f} '
              f'{row.flicker:+7.2f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
