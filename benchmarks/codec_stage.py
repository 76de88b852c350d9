# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Time encoding and decoding, stage by stage.

    python benchmarks/codec_stage.py [IMAGE ...] [--channels 32] [--profile tiny] [--json]

Without images, a picture of 1216x352 pixels that is computed here is used.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
import json
from pathlib import Path
import time

import cv2
from gsc_ros.codec import packet as wire
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import load_profile, Profile
from gsc_ros.codec.selection import score_channels
from gsc_ros.codec.structure import Analysis, quantize, Synthesis
import numpy as np


class Stopwatch:
    """Collects the times of named stages in milliseconds."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done within."""
        start = time.perf_counter()
        yield
        self.times[name].append((time.perf_counter() - start) * 1e3)

    def medians(self) -> dict[str, float]:
        """Return the median of each stage, the first and cold run left out."""
        return {name: float(np.median(times[1:] or times)) for name, times in self.times.items()}


def synthetic_image() -> np.ndarray:
    """Return a picture with structure at all scales, uint8 ``[352, 1216, 3]``."""
    rng = np.random.default_rng(0)
    image = np.full((352, 1216, 3), 128, np.float32)
    for size in (4, 16, 64):
        noise = rng.normal(0, 25, (352 // (352 // size), size * 3, 3)).astype(np.float32)
        image += cv2.resize(noise, (1216, 352), interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


def measure(
    image: np.ndarray, profile: Profile, settings: EncoderSettings, threads: int, repeats: int,
) -> dict[str, float]:
    """Return the median time of each stage for one image in milliseconds."""
    watch = Stopwatch()
    analysis, synthesis = Analysis(profile, threads), Synthesis(profile, threads)
    encoder, decoder = FrameEncoder(profile, threads), FrameDecoder(profile, threads)
    channels = tuple(range(settings.channels))
    quantizer = profile.manifest.default_quantizer
    for _ in range(repeats + 1):
        with watch.stage('encode: pad and reduce'):
            work = analysis.reduce(image)
        with watch.stage('encode: analysis'):
            latent = analysis.transform(work)
        with watch.stage('encode: SSIM of all channels (not in total)'):
            score_channels(latent, work)
        with watch.stage('encode: quantise'):
            symbols = quantize(latent[:len(channels)], profile.gains[quantizer][:len(channels)],
                               profile.manifest.symbol_max)
        with watch.stage('encode: entropy coding'):
            profile.context.encode(
                symbols, channels, quantizer, wire.layer_counts(len(channels)))
        with watch.stage('encode: total'):
            frame = encoder.encode(image, settings)
        packet = wire.parse(frame.payload)
        with watch.stage('decode: entropy decoding'):
            found = decoder.decode_symbols(packet)
        with watch.stage('decode: synthesis and enlarging'):
            synthesis.render(found, packet.channels, packet.quantizer, *image.shape[:2])
        with watch.stage('decode: total'):
            decoder.decode(frame.payload)
    return watch.medians()


def main() -> None:
    """Measure every image and print the medians over the images."""
    parser = argparse.ArgumentParser(description='Time encoding and decoding, stage by stage.')
    parser.add_argument('images', nargs='*', type=Path, help='images; default: a computed one')
    parser.add_argument('--channels', type=int, default=32, help='channels to send (default 32)')
    parser.add_argument('--profile', default='tiny', help='profile name or folder (default tiny)')
    parser.add_argument('--threads', type=int, default=1, help='ONNX Runtime threads (default 1)')
    parser.add_argument('--repeats', type=int, default=10, help='runs per image (default 10)')
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    arguments = parser.parse_args()
    start = time.perf_counter()
    profile = load_profile(arguments.profile)
    FrameEncoder(profile, arguments.threads)
    FrameDecoder(profile, arguments.threads)
    ready = (time.perf_counter() - start) * 1e3
    images = [cv2.imread(str(path))[:, :, ::-1].copy() for path in arguments.images]
    results = [
        measure(image, profile, EncoderSettings(channels=arguments.channels), arguments.threads,
                arguments.repeats)
        for image in images or [synthetic_image()]]
    stages = {'load profile and sessions': ready} | {
        name: float(np.median([result[name] for result in results])) for name in results[0]}
    if arguments.json:
        print(json.dumps({'profile': profile.name, 'milliseconds': stages}))
        return
    for name, milliseconds in stages.items():
        print(f'{name:46s} {milliseconds:8.2f} ms')


if __name__ == '__main__':
    main()
