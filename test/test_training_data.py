# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training data: loading, splitting without leaks, sampling and augmentation."""

from __future__ import annotations

import io
from pathlib import Path
import tarfile

import cv2
from gsc_ros.training.data import (
    Archive,
    augment,
    Augmentation,
    CropSampler,
    DataError,
    load_archives,
    split_archives,
    turned,
)
import numpy as np
import pytest


def picture(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    """Return a smooth random colour picture, uint8 [height, width, 3]."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def archive(name: str, count: int) -> Archive:
    """Return an archive of distinct pictures."""
    return Archive(name, tuple(picture(hash((len(name), i)) % 9999) for i in range(count)))


def write_tar(path: Path, images: dict[str, bytes]) -> None:
    """Write a tar file of the given members."""
    with tarfile.open(path, 'w') as tar:
        for name, raw in images.items():
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))


def png(image: np.ndarray) -> bytes:
    """Return an image as PNG bytes."""
    return cv2.imencode('.png', image[..., ::-1])[1].tobytes()


def test_tar_packs_become_archives_in_the_order_of_names(tmp_path):
    bright, dark = np.full((64, 64, 3), 200, np.uint8), np.full((64, 64, 3), 20, np.uint8)
    write_tar(tmp_path / 'scene.tar', {'b.png': png(bright), 'a.png': png(dark), 'x.txt': b'no'})
    (only,) = load_archives([tmp_path])
    assert only.name == 'scene'
    assert [int(image.mean()) for image in only.images] == [20, 200]
    assert only.images[0].shape == (32, 32, 3)


def test_folders_of_images_become_archives(tmp_path):
    for folder in ('one', 'two'):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / 'image.png'), picture(1))
    assert [a.name for a in load_archives([tmp_path])] == ['one', 'two']


def test_undecodable_members_are_skipped(tmp_path):
    write_tar(tmp_path / 'scene.tar', {'a.png': b'not a png', 'b.png': png(picture(1))})
    assert len(load_archives([tmp_path])[0].images) == 1


@pytest.mark.parametrize('content', [None, b'not a tar file'])
def test_missing_or_broken_data_is_named(tmp_path, content):
    path = tmp_path / 'scene.tar'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r'scene\.tar'):
        load_archives([path])


def test_no_image_is_in_training_and_validation():
    split = split_archives([archive('first', 40), archive('other scene', 30)], ['first'])
    training = {image.tobytes() for a in split.training for image in a.images}
    validation = {image.tobytes() for a in split.validation for image in a.images}
    assert training and validation
    assert not training & validation
    assert 'first' not in [a.name for a in split.training]


def test_the_held_out_run_is_the_last_one_with_a_gap_before_it():
    source = archive('scene', 40)
    split = split_archives([source], fraction=0.1, gap=3)
    assert len(split.training[0].images) == 33
    assert all(a is b for a, b in zip(split.training[0].images, source.images[:33]))
    assert all(a is b for a, b in zip(split.validation[0].images, source.images[36:]))


def test_an_unknown_archive_cannot_be_held_out():
    with pytest.raises(DataError, match='nowhere'):
        split_archives([archive('scene', 10)], ['nowhere'])


def test_crops_are_floats_in_range_and_repeat_with_the_seed():
    sampler = CropSampler([archive('scene', 5)], 64)
    first = sampler.batch(6, np.random.default_rng(3))
    again = sampler.batch(6, np.random.default_rng(3))
    assert first.shape == (6, 3, 64, 64)
    assert first.dtype == np.float32
    assert first.min() >= 0 and first.max() <= 1
    assert np.array_equal(first, again)


def test_an_image_smaller_than_the_crop_is_enlarged():
    small = Archive('small', (picture(1, 40, 30),))
    assert CropSampler([small], 64).batch(2, np.random.default_rng(0)).shape == (2, 3, 64, 64)


def test_a_weight_of_zero_silences_an_archive():
    dark = Archive('dark', (np.zeros((64, 64, 3), np.uint8),))
    bright = Archive('bright', (np.full((64, 64, 3), 255, np.uint8),))
    plain = Augmentation(gray=0, blur=0, noise=0, tone=0)
    sampler = CropSampler([dark, bright], 32, {'dark': 0.0}, plain)
    assert (sampler.batch(8, np.random.default_rng(0)) == 1).all()


def test_a_gray_augmentation_makes_the_channels_equal():
    settings = Augmentation(gray=1, blur=0, noise=0, tone=0)
    image = picture(4).astype(np.float32) / 255
    gray = augment(image, settings, np.random.default_rng(0))
    assert np.allclose(gray[..., 0], gray[..., 1]) and np.allclose(gray[..., 0], gray[..., 2])


def test_turning_the_hue_by_a_third_moves_red_to_the_next_primary():
    red = np.zeros((2, 2, 3), np.float32)
    red[..., 0] = 1
    assert np.allclose(turned(red, 1.0, 2 * np.pi / 3)[0, 0], [0, 1, 0], atol=1e-6)


def test_gray_has_no_hue_to_turn():
    gray = np.full((2, 2, 3), 0.3, np.float32)
    assert np.allclose(turned(gray, 1.7, 0.4), gray, atol=1e-6)


def test_every_augmentation_stays_in_range():
    settings = Augmentation(gray=0.5, blur=1, noise=1, tone=1)
    generator = np.random.default_rng(0)
    for seed in range(20):
        image = augment(picture(seed).astype(np.float32) / 255, settings, generator)
        assert np.isfinite(image).all()
        assert image.min() >= 0 and image.max() <= 1
