# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare the entropy model of a profile with CompressAI's factorized coder on the same symbols.

The factorized coder is an EntropyBottleneck fitted to symbols of the training images, with its own
integer tables and its own ANS coder. Both code the symbols of each image alone; the channels that
carry no symbol in the training images are left out of both.

    python benchmarks/entropy_coding.py --train TRAIN_DATA IMAGES --stream
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
from pathlib import Path
import sys
import time

from compressai.entropy_models import EntropyBottleneck
import cv2
from gsc_ros.codec.context import PreviousSymbols
from gsc_ros.codec.profile import load_profile, Profile
from gsc_ros.codec.structure import Analysis, quantize
from gsc_ros.training.data import load_archives, split_archives
from gsc_ros.training.export import training_views
import numpy as np
import torch

SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp')


def fit_factorized(
        symbols: Sequence[np.ndarray], steps: int = 1000, seed: int = 0) -> EntropyBottleneck:
    """
    Return CompressAI's factorized coder, fitted to symbols.

    :param symbols: integers ``[C, h, w]`` of many images.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    values = np.concatenate([array.reshape(len(array), -1) for array in symbols], axis=1)
    model = EntropyBottleneck(len(values), init_scale=4)
    main = [value for name, value in model.named_parameters() if name != 'quantiles']
    optimizer = torch.optim.Adam(main, lr=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=steps)
    for _ in range(steps):
        chosen = rng.choice(values.shape[1], min(1024, values.shape[1]), replace=False)
        batch = torch.from_numpy(values[:, chosen].astype(np.float32))[None, :, :, None]
        _, likelihood = model(batch, training=False)
        loss = -likelihood.log2().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    quantiles = torch.optim.Adam([model.quantiles], lr=0.1)
    for _ in range(500):
        quantiles.zero_grad()
        model.loss().backward()
        quantiles.step()
    # The tables are centred at the medians, the symbols are whole numbers.
    model.quantiles.data[:, :, 1].round_()
    model.update(force=True)
    return model.eval()


@torch.no_grad()
def factorized_bytes(model: EntropyBottleneck, symbols: np.ndarray) -> int:
    """Return the size of symbols ``[C, h, w]`` in the factorized coder's own stream."""
    latent = torch.from_numpy(symbols.astype(np.float32))[None]
    (stream,) = model.compress(latent)
    assert torch.equal(model.decompress([stream], symbols.shape[1:]), latent)
    return len(stream)


def training_latents(
        analysis: Analysis, paths: Sequence[Path], count: int) -> list[np.ndarray]:
    """Return latents ``[320, h, w]`` of augmented crops of training images."""
    split = split_archives(load_archives(paths))
    return [analysis.transform(view.astype(np.float32) / 255)
            for view in training_views(split, count)]


def image_latents(analysis: Analysis, files: Sequence[Path]) -> list[np.ndarray]:
    """Return latents ``[320, h, w]`` of image files."""
    images = (np.ascontiguousarray(cv2.imread(str(file))[..., ::-1]) for file in files)
    return [analysis.transform(analysis.reduce(image)) for image in images]


def live_channels(symbols: Sequence[np.ndarray]) -> np.ndarray:
    """Return the channels of symbols ``[320, h, w]`` of which any is not zero."""
    return np.flatnonzero(np.any([array.any(axis=(1, 2)) for array in symbols], axis=0))


def compare(
        profile: Profile, training: Sequence[np.ndarray], latents: Sequence[np.ndarray],
        quantizer: int, stream: bool) -> dict[str, float]:
    """
    Return mean bytes of a frame and times at one quantizer.

    :param training: latents ``[320, h, w]`` of the training images.
    :param latents: latents of the images to code, in their order.
    :param stream: also code each image after the one before.
    """
    model, limit = profile.context, profile.manifest.symbol_max
    seen = [quantize(latent, profile.gains[quantizer], limit) for latent in training]
    coded = [quantize(latent, profile.gains[quantizer], limit) for latent in latents]
    channels = live_channels(seen)
    factorized = fit_factorized([array[channels] for array in seen])
    ours, theirs, following, entropy, seconds = [], [], [], [], 0.0
    before = None
    for array in coded:
        symbols = array[channels]
        start = time.perf_counter()
        result = model.encode(symbols, channels, quantizer, (len(channels),))
        seconds += time.perf_counter() - start
        ours.append(len(result.stream))
        entropy.append(model.entropy(symbols, channels, quantizer).sum() / 8)
        theirs.append(factorized_bytes(factorized, symbols))
        if stream and before is not None:
            following.append(len(model.encode(
                symbols, channels, quantizer, (len(channels),), before).stream))
        before = PreviousSymbols(symbols, tuple(channels), quantizer)
    found = {
        'quantizer': quantizer, 'channels': len(channels), 'bytes': float(np.mean(ours)),
        'entropy_bytes': float(np.mean(entropy)), 'factorized_bytes': float(np.mean(theirs)),
        'saved': 1 - float(np.mean(ours)) / float(np.mean(theirs)),
        'encode_ms': 1e3 * seconds / len(ours)}
    if following:
        found['stream_bytes'] = float(np.mean(following))
    return found


def main() -> None:
    """Compare at every quantizer; print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('images', type=Path, help='folder of images, in order')
    parser.add_argument('--train', type=Path, required=True, help='training images')
    parser.add_argument('--profile', default='tiny')
    parser.add_argument('--views', type=int, default=300, help='training crops')
    parser.add_argument('--limit', type=int, default=20, help='images coded, evenly chosen')
    parser.add_argument('--quantizer', type=int, nargs='*', help='default: all')
    parser.add_argument('--stream', action='store_true', help='also code each after the last')
    args = parser.parse_args()
    profile = load_profile(args.profile)
    analysis = Analysis(profile)
    training = training_latents(analysis, [args.train], args.views)
    files = sorted(f for f in args.images.rglob('*') if f.suffix.lower() in SUFFIXES)
    if not files:
        sys.exit(f'no images in {args.images}')
    # Runs of neighbours, so that stream mode has something to follow.
    step = max(len(files) // args.limit, 1)
    chosen = files[:args.limit] if args.stream else files[::step][:args.limit]
    latents = image_latents(analysis, chosen)
    for quantizer in args.quantizer or range(profile.manifest.quantizers):
        print(json.dumps(compare(profile, training, latents, quantizer, args.stream)), flush=True)


if __name__ == '__main__':
    main()
