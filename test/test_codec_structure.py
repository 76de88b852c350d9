# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The structure codec: exact sizes, tiles without seams, and quantisation."""

from __future__ import annotations

from codec_image import picture
from gsc_ros.codec import structure
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.structure import Analysis, check_image, dequantize, quantize, Synthesis
import numpy as np
import pytest


@pytest.fixture(name='profile', scope='module')
def tiny_profile():
    """Return the embedded profile."""
    return load_profile('tiny')


def test_padding_repeats_the_edge_and_averaging_keeps_the_mean(profile):
    image = np.full((17, 33, 3), 60, np.uint8)
    image[:, -1] = 200
    work = Analysis(profile).reduce(image)
    assert work.shape == (8, 16, 3)
    assert work.dtype == np.float32
    assert work[:, 9:] == pytest.approx(200 / 255)
    assert work[:, :8] == pytest.approx(60 / 255)


def test_averaging_in_strips_equals_averaging_at_once(profile):
    image = picture(1500, 64)
    work = Analysis(profile).reduce(image)
    whole = image[:1500 // 32 * 32].reshape(-1, 4, 16, 4, 3).mean(axis=(1, 3)) / 255
    assert work[:len(whole)] == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize('size', [(16, 16), (33, 17), (64, 129), (100, 31)])
def test_a_picture_has_exactly_the_size_asked_for(profile, size):
    symbols = np.zeros((2, -(-size[0] // 32), -(-size[1] // 32)), np.int16)
    found = Synthesis(profile).render(symbols, (0, 5), 0, *size)
    assert found.image.shape == (*size, 3)
    assert found.confidence.shape == size
    assert found.image.dtype == found.confidence.dtype == np.uint8


def test_tiles_have_no_seams(profile, monkeypatch):
    image = picture(32 * 60, 32 * 50)
    analysis, synthesis = Analysis(profile), Synthesis(profile)
    work = analysis.reduce(image)
    whole = analysis.transform(work)
    symbols = quantize(whole[:32], profile.gains[-1][:32], profile.manifest.symbol_max)
    channels = tuple(range(32))
    quantizer = profile.manifest.quantizers - 1
    rendered = synthesis.render(symbols, channels, quantizer, *image.shape[:2])
    monkeypatch.setattr(structure, 'WHOLE', 0)
    monkeypatch.setattr(structure, 'TILE', 224)
    assert analysis.transform(work) == pytest.approx(whole, abs=1e-3)
    tiled = synthesis.render(symbols, channels, quantizer, *image.shape[:2])
    difference = np.abs(tiled.image.astype(int) - rendered.image)
    assert difference.max() <= 2


def test_quantisation_rounds_clips_and_survives_bad_numbers():
    latent = np.array([[[0.24, 0.26, -9, np.nan, np.inf]]], np.float32)
    symbols = quantize(latent, np.float32([2]), 5)
    assert symbols.tolist() == [[[0, 1, -5, 0, 5]]]
    assert symbols.dtype == np.int16
    assert dequantize(symbols, np.float32([2]))[0, 0, :3] == pytest.approx([0, 0.5, -2.5])


@pytest.mark.parametrize('image', [
    np.zeros((15, 64, 3), np.uint8), np.zeros((64, 8193, 3), np.uint8),
    np.zeros((64, 64), np.uint8), np.zeros((64, 64, 4), np.uint8),
    np.zeros((64, 64, 3), np.float32), [[0]], np.zeros((0, 64, 3), np.uint8)])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(CodecError):
        check_image(image)
