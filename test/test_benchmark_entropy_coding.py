# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The entropy model beats CompressAI's factorized coder, fitted to and coding the same symbols."""

from __future__ import annotations

from pathlib import Path
import sys

from gsc_ros.codec.context import ContextModel
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.structure import Analysis, quantize
from gsc_ros.training.context_fit import fit_context, FitSettings
import numpy as np
import pytest
from shared_data import kitti_drive, shared_data

pytest.importorskip('compressai')
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'benchmarks'))

from entropy_coding import (
    factorized_bytes,
    fit_factorized,
    image_latents,
    live_channels,
    training_latents,
)

SAVED = 0.15


def field(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return symbols ``[320, h, w]`` of which eight live, as images have them."""
    coarse = rng.normal(size=(height // 4 + 2, width // 4 + 2)).repeat(4, 0).repeat(4, 1)
    coarse = coarse[1:height + 1, 2:width + 2]
    symbols = np.zeros((320, height, width))
    symbols[:8] = rng.laplace(size=(8, height, width)) * np.exp(1.2 * coarse - 1)
    symbols[0] += 5 * coarse
    return np.clip(np.rint(symbols), -9, 9).astype(np.int16)


def test_fifteen_percent_are_saved_on_symbols_like_those_of_images():
    rng = np.random.default_rng(0)
    training = [field(rng, 16, 16) for _ in range(40)]
    model = ContextModel.from_tables(fit_context([training], 9, FitSettings(
        counted=20, samples=100_000, hidden=8, steps=300)))
    channels = np.arange(8)
    factorized = fit_factorized([symbols[channels] for symbols in training], 300)
    coded = [field(rng, 20, 40)[channels] for _ in range(4)]
    ours = sum(len(model.encode(symbols, channels, 0, (8,)).stream) for symbols in coded)
    theirs = sum(factorized_bytes(factorized, symbols) for symbols in coded)
    assert ours <= (1 - SAVED) * theirs


@pytest.mark.skipif(
    kitti_drive() is None or shared_data('train') is None, reason='the shared data are not here')
def test_fifteen_percent_are_saved_on_a_drive_that_neither_has_seen():
    profile = load_profile()
    quantizer, limit = profile.manifest.default_quantizer, profile.manifest.symbol_max
    gains = profile.gains[quantizer]
    packs = ('highway_a', 'rover_sim', 'street', 'photo')
    training = [quantize(latent, gains, limit) for latent in training_latents(
        Analysis(profile), [shared_data('train', f'{name}.tar') for name in packs], 120)]
    files = sorted((kitti_drive() / 'image_02' / 'data').glob('*.png'))[::10]
    coded = [quantize(latent, gains, limit)
             for latent in image_latents(Analysis(profile), files)]
    channels = live_channels(training)
    factorized = fit_factorized([symbols[channels] for symbols in training], 400)
    assert len(coded) > 6
    ours = sum(len(profile.context.encode(
        symbols[channels], channels, quantizer, (len(channels),)).stream) for symbols in coded)
    theirs = sum(factorized_bytes(factorized, symbols[channels]) for symbols in coded)
    assert ours <= (1 - SAVED) * theirs
