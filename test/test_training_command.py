# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gsc train`: what it accepts, what it refuses, what it leaves behind."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
from gsc_ros.cli import train
from gsc_ros.cli.error import DataError, UsageError
import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('compressai')
pytest.importorskip('accelerate')


def call(*words: object) -> int:
    """Run `gsc train` with the given words."""
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return train.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture(name='images')
def image_folder(tmp_path) -> Path:
    """Return a folder with a few small pictures."""
    folder = tmp_path / 'scene'
    folder.mkdir()
    for index in range(4):
        pixels = np.random.default_rng(index).integers(0, 256, (8, 8, 3), np.uint8)
        cv2.imwrite(str(folder / f'{index}.png'), cv2.resize(pixels, (128, 128)))
    return folder


def test_a_run_leaves_a_checkpoint_that_can_be_resumed_and_exported(images, tmp_path):
    common = ('--data', images, '--output', tmp_path / 'run', '--batch', 2, '--crop', 32)
    assert call('structure', *common, '--steps', 1) == 0
    assert call('structure', *common, '--steps', 2, '--resume') == 0
    assert call('export', tmp_path / 'run' / 'best.safetensors', '--data', images,
                '--output', tmp_path / 'profile', '--views', 2, '--name', 'mine') == 0
    assert (tmp_path / 'profile' / 'manifest.json').is_file()


def test_missing_data_is_bad_data(tmp_path):
    with pytest.raises(DataError, match='nowhere'):
        call('structure', '--data', tmp_path / 'nowhere', '--output', tmp_path / 'run')


def test_a_missing_checkpoint_is_bad_data(images, tmp_path):
    with pytest.raises(DataError, match='none'):
        call('export', tmp_path / 'none', '--data', images, '--output', tmp_path / 'profile')


@pytest.mark.parametrize('words', [
    ('--weight', 'scene'), ('--weight', 'scene=heavy'), ('--crop', '33'), ('--minutes', '0')])
def test_a_call_that_makes_no_sense_is_a_usage_error(images, tmp_path, words):
    with pytest.raises(UsageError):
        call('structure', '--data', images, '--output', tmp_path / 'run', *words)
