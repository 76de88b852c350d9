# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Print what a profile reaches on a drive or folder: real bytes, PSNR, SSIM, MS-SSIM by quantizer.

    python benchmarks/evaluate_profile.py INPUT [--profile NAME_OR_DIR] [--size 1216x352]
        [--every N] [--channels N ...] [--pictures DIR] [--json]

Bytes are those of whole packets without a caption. Images larger than ``--size`` are cropped
around their centre. ``--pictures`` writes each last image over its reconstructions.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
import json
from pathlib import Path
import sys

import cv2
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.evaluation.metric import ms_ssim, psnr, ssim
from gsc_ros.evaluation.resampling import centre
from gsc_ros.sources.opening import open_source
import numpy as np


@dataclass(frozen=True)
class Figures:
    """
    Means over all images at one operating point.

    Bits per pixel, dB, similarities in -1..1 and 0..1, and milliseconds per image.
    """

    quantizer: int
    channels: int
    images: int
    bytes: float
    bpp: float
    psnr: float
    ssim: float
    ms_ssim: float
    encode_ms: float
    decode_ms: float


def images(args: argparse.Namespace) -> Iterator[np.ndarray]:
    """Yield the input's images, uint8 [H, W, 3] RGB."""
    width, height = (int(side) for side in args.size.split('x'))
    for frame in islice(open_source(args.input), 0, None, args.every):
        image = frame.image
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        yield centre(image, width, height)


def evaluate(args: argparse.Namespace) -> list[Figures]:
    """Code every image at every operating point and average."""
    profile = load_profile(args.profile)
    encoder, decoder = (kind(profile, args.threads) for kind in (FrameEncoder, FrameDecoder))
    pictures = list(images(args))
    # The first frame pays for what later frames share.
    decoder.decode(encoder.encode(pictures[0]).payload)
    result = []
    stack = [pictures[-1]]
    for channels in args.channels:
        for quantizer in range(profile.manifest.quantizers):
            rows = []
            for image in pictures:
                frame = encoder.encode(
                    image, EncoderSettings(channels=channels, quantizer=quantizer))
                decoded = decoder.decode(frame.payload)
                rows.append((
                    len(frame.payload), 8 * len(frame.payload) / image[..., 0].size,
                    psnr(image, decoded.image), ssim(image, decoded.image),
                    ms_ssim(image, decoded.image), frame.encode_ms, decoded.decode_ms))
            stack.append(decoded.image)
            result.append(Figures(quantizer, channels, len(rows), *np.mean(rows, axis=0).tolist()))
    if args.pictures:
        args.pictures.mkdir(parents=True, exist_ok=True)
        path = args.pictures / f'{Path(args.input).name}.png'
        cv2.imwrite(str(path), np.vstack(stack)[..., ::-1])
    return result


def main() -> int:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('input', help='KITTI drive, folder of images, video or bag')
    parser.add_argument('--profile', default='tiny')
    parser.add_argument('--size', default='1216x352', help='largest width x height')
    parser.add_argument('--every', type=int, default=1, help='use every Nth image')
    parser.add_argument('--channels', type=int, nargs='+', default=[320])
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--pictures', type=Path, default=None)
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    figures = evaluate(args)
    if args.json:
        print(json.dumps([asdict(row) for row in figures]))
        return 0
    print('quantizer channels images    bytes     bpp    PSNR   SSIM MS-SSIM  encode  decode')
    for row in figures:
        print(f'{row.quantizer:9} {row.channels:8} {row.images:6} {row.bytes:8.1f} {row.bpp:7.4f} '
              f'{row.psnr:7.2f} {row.ssim:6.3f} {row.ms_ssim:7.3f} {row.encode_ms:5.0f}ms '
              f'{row.decode_ms:5.0f}ms')
    return 0


if __name__ == '__main__':
    sys.exit(main())
