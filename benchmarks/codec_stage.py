# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Time encoding and decoding, stage by stage.

    python benchmarks/codec_stage.py [IMAGE ...] [--channels 32] [--profile tiny] [--json]

Without images, a picture of 1216x352 pixels that is computed here is used. The first run of each
stage is not counted: it opens what later ones use.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
import json
from pathlib import Path
import time

import cv2
from gsc_ros.codec import packet as wire
from gsc_ros.codec import text
from gsc_ros.codec.candidate import LatentCoder
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import load_profile, Profile
from gsc_ros.codec.selection import most_similar, Selection
from gsc_ros.codec.structure import Analysis, Synthesis
import numpy as np

CAPTION = (
    'A quiet residential street with parked cars on both sides, a cyclist in the distance and '
    'tall trees in full leaf. The asphalt is dry and evenly lit by the afternoon sun, and a white '
    'van is about to turn left at the crossing.')
PERCENTILES = (50, 90, 99)


class Stopwatch:
    """Collects the times of named stages in milliseconds."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done within."""
        start = time.perf_counter()
        yield
        self.add(name, (time.perf_counter() - start) * 1e3)

    def add(self, name: str, milliseconds: float) -> None:
        """Add a time that was taken elsewhere."""
        self.times[name].append(milliseconds)


def synthetic_image() -> np.ndarray:
    """Return a picture with structure at all scales, uint8 ``[352, 1216, 3]``."""
    rng = np.random.default_rng(0)
    image = np.full((352, 1216, 3), 128, np.float32)
    for size in (4, 16, 64):
        noise = rng.normal(0, 25, (352 // (352 // size), size * 3, 3)).astype(np.float32)
        image += cv2.resize(noise, (1216, 352), interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


class Stages:
    """
    What is timed.

    :param profile: the profile.
    :param threads: threads of ONNX Runtime.
    """

    def __init__(self, profile: Profile, threads: int) -> None:
        self.profile = profile
        self.analysis = Analysis(profile, threads)
        self.synthesis = Synthesis(profile, threads)
        self.encoder = FrameEncoder(profile, threads)
        self.decoder = FrameDecoder(profile, threads)


def measure(
    watch: Stopwatch, stages: Stages, image: np.ndarray, settings: EncoderSettings,
) -> None:
    """Time each stage once for one image."""
    profile, encoder, decoder = stages.profile, stages.encoder, stages.decoder
    analysis, synthesis = stages.analysis, stages.synthesis
    quantizer = profile.manifest.default_quantizer
    with watch.stage('encode: reduce'):
        work = analysis.reduce(image)
    with watch.stage('encode: analysis'):
        latent = analysis.transform(work)
    coder = LatentCoder(profile, latent)
    with watch.stage('encode: quantise'):
        channels, symbols = coder.quantize(range(settings.channels), quantizer)
    with watch.stage('encode: entropy'):
        profile.context.encode(symbols, channels, quantizer, wire.layer_counts(len(channels)))
    with watch.stage('encode: text'):
        caption = text.compress(CAPTION)
    with watch.stage('encode: total, no text'):
        frame = encoder.encode(image, settings)
    with watch.stage('choice: like the image (ssim)'):
        most_similar(settings.channels, coder.symbols(quantizer), work)
    limit = replace(settings, channels=wire.LATENT_CHANNELS, max_bytes=len(frame.payload))
    with watch.stage('encode: total, within a limit'):
        encoder.encode(image, limit)
    with watch.stage('encode: total, rate-distortion'):
        encoder.encode(image, replace(settings, selection=Selection.RATE_DISTORTION))
    packet = wire.parse(frame.payload)
    with watch.stage('decode: entropy'):
        found = decoder.decode_symbols(packet)
    whole = np.zeros((wire.LATENT_CHANNELS, *found.shape[1:]), np.float32)
    with watch.stage('decode: synthesis'):
        synthesis.planes(whole, packet.quantizer)
    with watch.stage('decode: synthesis and enlarging'):
        synthesis.render(found, packet.channels, packet.quantizer, *image.shape[:2])
    watch.add('decode: enlarging', watch.times['decode: synthesis and enlarging'][-1]
              - watch.times['decode: synthesis'][-1])
    with watch.stage('decode: text'):
        text.decompress(caption)
    with watch.stage('decode: total, no text'):
        decoder.decode(frame.payload)


def main() -> None:
    """Measure every image and print percentiles over all runs."""
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
    parts = Stages(profile, arguments.threads)
    ready = (time.perf_counter() - start) * 1e3
    images = [cv2.imread(str(path))[:, :, ::-1].copy() for path in arguments.images]
    settings = EncoderSettings(channels=arguments.channels)
    watch = Stopwatch()
    for image in images or [synthetic_image()]:
        for _ in range(arguments.repeats + 1):
            measure(watch, parts, image, settings)
    stages = {
        name: np.percentile(times[1:], PERCENTILES).tolist()
        for name, times in watch.times.items()}
    if arguments.json:
        print(json.dumps({
            'profile': profile.name, 'percentiles': PERCENTILES, 'ready_milliseconds': ready,
            'milliseconds': stages}))
        return
    print(f'load profile and sessions: {ready:.0f} ms')
    print(f'{"":36s}' + ''.join(f'{f"p{percentile}":>9s}' for percentile in PERCENTILES) + '  ms')
    for name, values in stages.items():
        print(f'{name:36s}' + ''.join(f'{value:9.2f}' for value in values))


if __name__ == '__main__':
    main()
