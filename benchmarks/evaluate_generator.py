# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Print what a generator makes of the packets that the structure decoder shows at equal bytes.

    python benchmarks/evaluate_generator.py INPUT [--generator NAME_OR_DIR] [--profile NAME_OR_DIR]
        [--detector FILE] [--quantizers N ...] [--steps N ...] [--every N] [--count N]
        [--size 1216x352] [--objects] [--pictures DIR] [--json]

For each quantizer, one row for the structure decoder, one for its picture after an unsharp mask,
which invents nothing, and one for each number of steps: bytes of the packets, PSNR, MS-SSIM, the
agreement of a detector (F1 over all images), the spectrum's distance, flicker (with --every 1) and
time per image. The spectrum's distance is that of ``gsc_ros/evaluation/spectrum.py``; ``energy`` is
the difference with its sign: below 0 a picture is too smooth.

With --objects the detector's list of what is in the original goes along, in the bytes of a packet:
each number of steps gets two rows more, with that list (which counts in the bytes) and with a wrong
one, its boxes mirrored to the other side of the picture.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from itertools import islice
import json
from pathlib import Path
import sys
import time

import cv2
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder, Reconstruction
from gsc_ros.codec.generator.flicker import FlickerMeter
from gsc_ros.codec.generator.generator import GenerationSettings, Generator
from gsc_ros.codec.generator.opening import open_generator
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.region.object_list import (
    MAX_OBJECTS,
    ObjectBox,
    pack_objects,
    packed_bytes,
    unpack_objects,
)
from gsc_ros.evaluation.metric import ms_ssim, psnr
from gsc_ros.evaluation.resampling import centre
from gsc_ros.evaluation.spectrum import spectrum_gap
from gsc_ros.perception.network.agreement import Agreement, agreement
from gsc_ros.perception.network.fastestdet import Detector
from gsc_ros.sources.opening import open_source
import numpy as np

# Lists of objects that a picture is generated with.
KINDS = ('', 'list', 'wrong list')


@dataclass(frozen=True)
class Row:
    """Means over all images of one decoder at one quantizer; f1 is None without a detector."""

    quantizer: int
    decoder: str
    images: int
    bytes: float
    bpp: float
    psnr: float
    ms_ssim: float
    f1: float | None
    spectrum: float
    energy: float
    flicker: float | None
    milliseconds: float


def sharpened(image: np.ndarray) -> np.ndarray:
    """Return a picture uint8 with an unsharp mask of gain 1 and 3 pixels."""
    wide = image.astype(np.float32)
    made = 2 * wide - cv2.GaussianBlur(wide, (0, 0), 3)
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)


def listed(detector: Detector, image: np.ndarray) -> tuple[ObjectBox, ...]:
    """Return what a receiver is told of the objects of a picture."""
    found = detector(image)
    objects = [ObjectBox(int(kind), float(score), tuple(np.clip(box, 0, 1).tolist()))
               for box, kind, score in zip(found.boxes, found.classes, found.scores)]
    if not objects:
        return ()
    return tuple(unpack_objects(
        pack_objects(objects[:MAX_OBJECTS], image.shape[1], image.shape[0]),
        image.shape[1], image.shape[0])[0])


def mirrored(objects: tuple[ObjectBox, ...]) -> tuple[ObjectBox, ...]:
    """Return a list of the same objects on the other side of the picture."""
    return tuple(replace(one, box=(1 - one.box[2], one.box[1], 1 - one.box[0], one.box[3]))
                 for one in objects)


class Measurement:
    """Sums up one decoder at one quantizer."""

    def __init__(self, detector: Detector | None, steady: bool) -> None:
        self.detector = detector
        self.rows: list[tuple[float, ...]] = []
        self.agreement = Agreement()
        self.meter = FlickerMeter() if steady else None
        self.flicker: list[float] = []

    def add(self, original: np.ndarray, frame: Reconstruction, size: int, image: np.ndarray,
            seconds: float) -> None:
        """Take a picture."""
        gap = spectrum_gap(original, image)
        self.rows.append((size, psnr(original, image), ms_ssim(original, image),
                          float(np.abs(gap).mean()), float(gap.mean()), seconds * 1e3))
        if self.detector:
            self.agreement += agreement(self.detector(original), self.detector(image))
        if self.meter:
            self.flicker.append(self.meter.measure(frame.image, image))

    def row(self, quantizer: int, decoder: str, pixels: int) -> Row:
        """Return the means."""
        size, noise, similarity, spectrum, energy, milliseconds = np.mean(self.rows, axis=0)
        return Row(quantizer, decoder, len(self.rows), size, 8 * size / pixels, noise, similarity,
                   self.agreement.f1 if self.detector else None, spectrum, energy,
                   float(np.nanmean(self.flicker)) if len(self.flicker) > 1 else None,
                   milliseconds)


def evaluate(args: argparse.Namespace, generator: Generator) -> list[Row]:
    """Decode every packet in every way."""
    profile = load_profile(args.profile)
    encoder, decoder = (kind(profile, args.threads) for kind in (FrameEncoder, FrameDecoder))
    detector = Detector(args.detector) if args.detector else None
    width, height = (int(side) for side in args.size.split('x'))
    frames = islice(open_source(args.input), 0, args.every * args.count, args.every)
    pictures = [centre(frame.image, width, height) for frame in frames]
    result = []
    for quantizer in args.quantizers:
        ways = [(f'generate {steps}{kind and f", {kind}"}', steps, kind)
                for steps in args.steps for kind in KINDS[:None if args.objects else 1]]
        names = ['structure', 'unsharp', *(name for name, _, _ in ways)]
        measured = {name: Measurement(detector, args.every == 1) for name in names}
        for image in pictures:
            packet = encoder.encode(image, EncoderSettings(
                channels=320, quantizer=quantizer, caption=args.caption))
            frame = decoder.decode(packet.payload)
            measured['structure'].add(
                image, frame, len(packet.payload), frame.image, frame.decode_ms / 1e3)
            began = time.perf_counter()
            sharp = sharpened(frame.image)
            measured['unsharp'].add(
                image, frame, len(packet.payload), sharp, time.perf_counter() - began)
            column = [image, frame.image, sharp]
            condition = decoder.condition(frame, frame.caption)
            objects = listed(detector, image) if args.objects else ()
            lists = dict(zip(KINDS, ((), objects, mirrored(objects))))
            for name, steps, kind in ways:
                told = replace(condition, objects=lists[kind])
                began = time.perf_counter()
                (made,) = generator.generate([told], GenerationSettings(
                    steps=steps, use_text=not args.no_text, use_structure=not args.no_structure))
                seconds = time.perf_counter() - began
                size = len(packet.payload) + packed_bytes(len(told.objects))
                measured[name].add(image, frame, size, made, seconds)
                column.append(made)
        pixels = pictures[0].shape[0] * pictures[0].shape[1]
        result += [one.row(quantizer, name, pixels) for name, one in measured.items()]
        if args.pictures:
            args.pictures.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(args.pictures / f'{Path(args.input).name}_{quantizer}.png'),
                        np.vstack(column)[..., ::-1])
    return result


def main() -> int:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('input', help='KITTI drive, folder of images, video or bag')
    parser.add_argument('--generator', default='tiny')
    parser.add_argument('--profile', default='tiny')
    parser.add_argument('--detector', type=Path, default=None, help='FastestDet as ONNX')
    parser.add_argument('--quantizers', type=int, nargs='+', default=[3, 8, 13])
    parser.add_argument('--steps', type=int, nargs='+', default=[1, 2, 4, 8])
    parser.add_argument('--caption', default='', help='sent with every packet')
    parser.add_argument('--no-text', action='store_true', help='do not look at the caption')
    parser.add_argument('--no-structure', action='store_true', help='leave the control out')
    parser.add_argument('--objects', action='store_true', help='with lists, too')
    parser.add_argument('--size', default='1216x352', help='largest width x height')
    parser.add_argument('--every', type=int, default=1, help='use every Nth image')
    parser.add_argument('--count', type=int, default=100_000, help='images at most')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--pictures', type=Path, default=None)
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    if args.objects and not args.detector:
        parser.error('--objects needs --detector')
    rows = evaluate(args, open_generator(args.generator, threads=args.threads))
    if args.json:
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    print(' q decoder           bytes    bpp   PSNR MS-SSIM    F1 spectrum energy flicker     ms')
    for row in rows:
        f1, flicker = (' ' * 5 if value is None else f'{value:5.2f}'
                       for value in (row.f1, row.flicker))
        print(f'{row.quantizer:2} {row.decoder:17} {row.bytes:6.0f} {row.bpp:.4f} {row.psnr:6.2f} '
              f'{row.ms_ssim:7.3f} {f1} {row.spectrum:8.2f} {row.energy:6.2f} {flicker:>7} '
              f'{row.milliseconds:6.0f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
