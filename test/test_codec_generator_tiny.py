# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The generator that comes with the package: what it makes of packets, and what guides it."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
import shutil

import cv2
from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.generator.flow import FlowGenerator
from gsc_ros.codec.generator.generator import Condition, GenerationSettings
from gsc_ros.codec.generator.manifest import read_manifest, structure_hash
from gsc_ros.codec.generator.onnx import GRAPHS
from gsc_ros.codec.generator.opening import find_generator, open_generator
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.region.object_list import ObjectBox
from gsc_ros.evaluation.metric import psnr
from gsc_ros.evaluation.spectrum import spectrum_gap
import numpy as np
import pytest

CAPTION = 'a road with cars, bright'
LARGEST = 26_000_000


def scene(height: int, width: int) -> np.ndarray:
    """Return a street of simple shapes with texture, uint8 [height, width, 3]."""
    generator = np.random.default_rng(5)
    image = np.full((height, width, 3), (150, 170, 200), np.uint8)
    image[height // 2:] = (90, 90, 95)
    for left in range(0, width, 90):
        cv2.rectangle(image, (left, height // 4), (left + 60, height // 2 + 10),
                      tuple(map(int, generator.integers(30, 220, 3))), -1)
        cv2.rectangle(image, (left + 15, height * 5 // 8), (left + 55, height * 6 // 8),
                      tuple(map(int, generator.integers(30, 220, 3))), -1)
    grain = cv2.GaussianBlur(generator.normal(0, 30, image.shape), (0, 0), 1)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def condition_of(image: np.ndarray, quantizer: int = 12) -> Condition:
    """Return what a packet of an image tells a generator."""
    profile = load_profile('tiny')
    packet = FrameEncoder(profile).encode(image, EncoderSettings(
        channels=320, quantizer=quantizer, caption=CAPTION, seed=7))
    decoder = FrameDecoder(profile)
    frame = decoder.decode(packet.payload)
    return decoder.condition(frame, frame.caption)


@pytest.fixture(scope='module')
def generator() -> FlowGenerator:
    """Return the shipped generator."""
    return open_generator(
        'tiny', structure_hash=structure_hash(load_profile('tiny')))


@pytest.fixture(scope='module')
def image() -> np.ndarray:
    """Return a scene whose sides are no multiples of anything."""
    return scene(187, 250)


@pytest.fixture(scope='module')
def condition(image: np.ndarray) -> Condition:
    """Return what its packet tells."""
    return condition_of(image)


@pytest.fixture(scope='module')
def made(generator: FlowGenerator, condition: Condition) -> np.ndarray:
    """Return what is generated from it in four steps."""
    return generator.generate([condition], GenerationSettings(steps=4))[0]


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean absolute difference of two pictures, gray levels."""
    return float(np.abs(one.astype(float) - other).mean())


def test_graphs_are_small() -> None:
    """All graphs together stay within what the package may hold."""
    folder = find_generator('tiny')
    assert sum((folder / name).stat().st_size for name in GRAPHS) < LARGEST


def test_same_packet_and_seed_give_the_same_picture(
        generator: FlowGenerator, condition: Condition, made: np.ndarray) -> None:
    """Whether alone or in a batch, in one session or another; another seed gives another one."""
    settings = GenerationSettings(steps=4)
    assert np.array_equal(generator.generate([condition], settings)[0], made)
    again = open_generator('tiny').generate([condition], settings)[0]
    assert np.array_equal(again, made)
    both = generator.generate([replace(condition, seed=8), condition], settings)
    assert difference(both[1], made) < 0.1
    assert difference(both[0], made) > 0.5


def test_picture_follows_the_structure(
        generator: FlowGenerator, image: np.ndarray, condition: Condition, made: np.ndarray,
        ) -> None:
    """With the branch the scene is recognised, without it there is another one."""
    (free,) = generator.generate([condition], GenerationSettings(steps=4, use_structure=False))
    assert made.shape == image.shape and made.dtype == np.uint8
    assert psnr(image, made) > psnr(image, condition.structure) - 2.5
    assert psnr(image, free) < psnr(image, made) - 4


def test_latent_and_caption_each_change_the_picture(
        generator: FlowGenerator, condition: Condition, made: np.ndarray) -> None:
    """Both y_sel and text are looked at."""
    settings = GenerationSettings(steps=4)
    blind = replace(condition, latent=np.zeros_like(condition.latent))
    assert difference(generator.generate([blind], settings)[0], made) > 0.2
    (wordless,) = generator.generate([condition], replace(settings, use_text=False))
    other = replace(condition, text='robots on a field, dark')
    (misled,) = generator.generate([other], settings)
    assert min(difference(wordless, made), difference(misled, made)) > 0.02


def test_lists_of_objects_are_not_looked_at(
        generator: FlowGenerator, condition: Condition, made: np.ndarray) -> None:
    """The shipped weights were trained without, and their manifest says so."""
    assert not read_manifest(find_generator('tiny') / 'manifest.json').geometry.objects
    told = replace(condition, objects=(ObjectBox(2, 0.9, (0.2, 0.4, 0.6, 0.8)),))
    assert np.array_equal(generator.generate([told], GenerationSettings(steps=4))[0], made)


def test_detail_comes_back(image: np.ndarray, condition: Condition, made: np.ndarray) -> None:
    """The generated picture lacks less of the original's fine detail than the structure's."""
    fine = slice(7, 11)
    lacking = spectrum_gap(image, condition.structure)[fine].mean()
    assert lacking < spectrum_gap(image, made)[fine].mean() < 6


def test_more_steps_approach_the_flow(
        generator: FlowGenerator, condition: Condition) -> None:
    """The distance from a path of many steps falls with the number of steps."""
    (exact,) = generator.generate([condition], GenerationSettings(steps=48))
    distances = [
        difference(generator.generate([condition], GenerationSettings(steps=steps))[0], exact)
        for steps in (1, 4, 16)]
    assert distances == sorted(distances, reverse=True)
    assert distances[2] < 0.6 * distances[0]


@pytest.mark.parametrize('size', [(16, 16), (33, 70), (64, 1600)])
def test_any_size(generator: FlowGenerator, size: tuple[int, int]) -> None:
    """Sides from 16 pixels, also where tiles are needed."""
    told = condition_of(scene(*size))
    (picture,) = generator.generate([told], GenerationSettings(steps=1))
    assert picture.shape == (*size, 3)
    assert psnr(told.structure, picture) > 15


def test_start_from_the_picture_before(
        generator: FlowGenerator, condition: Condition, made: np.ndarray) -> None:
    """A path that starts from a picture stays closer to it than one from other noise."""
    started = replace(condition, seed=9, start=made)
    (near,) = generator.generate([started], GenerationSettings(steps=4, strength=0.25))
    (far,) = generator.generate([started], GenerationSettings(steps=4))
    assert difference(near, made) < difference(far, made)


def test_damaged_profiles_are_refused(tmp_path: Path, condition: Condition) -> None:
    """A missing or changed graph, another structure profile, or a GPU: each says what is wrong."""
    with pytest.raises(GeneratorError, match='trained for structure profile'):
        open_generator('tiny', structure_hash='00' * 32)
    with pytest.raises(GeneratorError, match='CPU'):
        open_generator('tiny', device='cuda')
    folder = tmp_path / 'copy'
    shutil.copytree(find_generator('tiny'), folder)
    with (folder / 'text.onnx').open('ab') as file:
        file.write(b'x')
    with pytest.raises(GeneratorError, match='text.onnx is not the file'):
        open_generator(folder)
    (folder / 'text.onnx').unlink()
    with pytest.raises(GeneratorError, match=r'cannot read .*text.onnx'):
        open_generator(folder)
    shutil.copy(find_generator('tiny') / 'text.onnx', folder)
    fields = json.loads((folder / 'manifest.json').read_text())
    (folder / 'manifest.json').write_text(json.dumps(fields | {'level': False}))
    with pytest.raises(GeneratorError, match='conditions of 417 values, not 416'):
        open_generator(folder).generate([condition])
