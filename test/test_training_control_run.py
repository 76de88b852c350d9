# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands `gsc train control` and `gsc train mix`, and a training in several processes."""

from __future__ import annotations

import argparse
from dataclasses import replace
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys

from gsc_ros.cli import train
from gsc_ros.cli.error import DataError, UsageError
import pytest

pytest.importorskip('torch')
pytest.importorskip('accelerate')
pytest.importorskip('diffusers')
pytest.importorskip('peft')

from accelerate.commands.config import load_config_from_file
from control_training import write_pictures
from flux_checkpoint import small_parts, write_checkpoint
from gsc_ros.codec.generator.flux.config import TINY
from gsc_ros.codec.generator.flux.control_file import LoraShape, read_info
from gsc_ros.codec.generator.flux.load import load
from gsc_ros.codec.generator.manifest import structure_hash
from gsc_ros.codec.generator.source import Precision, Source
from gsc_ros.codec.profile import load_profile
from gsc_ros.training.generator.guard import MAX_LOST, UpdateGuard
import numpy as np
from tiny_detector import write_rt_detr
import torch

ROOT = Path(__file__).resolve().parent.parent


def call(*words: object) -> int:
    """Run `gsc train` with the given words."""
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return train.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture(name='base', scope='module')
def checkpoint(tmp_path_factory) -> Path:
    """Return a FLUX-shaped generator on disk."""
    folder = tmp_path_factory.mktemp('base')
    write_checkpoint(folder, small_parts())
    return folder


@pytest.fixture(name='pictures', scope='module')
def picture_folder(tmp_path_factory) -> Path:
    """Return a folder of four pictures with captions."""
    return write_pictures(tmp_path_factory.mktemp('road'), count=4)


def control(base: Path, data: Path, output: Path, *words: object) -> int:
    """Run `gsc train control` for a small generator on the CPU."""
    return call('control', '--base', base, '--data', data, '--output', output, '--multi', 2,
                '--single', 1, '--accumulation', 2, '--precision', 'no', '--samples', 0,
                '--log-steps', 1, *words)


def test_a_training_leaves_a_control_file_that_the_generator_loads(
        base, pictures, tmp_path, capsys):
    common = ('--channels', 'random', '--hold-out', 1)
    assert control(base, pictures, tmp_path, *common, '--steps', 1) == 0
    assert control(
        base, pictures, tmp_path, *common, '--steps', 2, '--resume', '--samples', 1) == 0
    said = capsys.readouterr().err
    assert 'cached 9 of 9' in said
    assert 'cached 0 of 0' in said  # the second run found everything
    assert 'step 2 of 2' in said
    _, branch, info = load(Source.from_layout(
        base, control=tmp_path / 'control.safetensors', precision=Precision.FP32),
        torch.device('cpu'))
    assert branch is not None
    assert (info.channels, info.pitch, info.config.multi, info.config.single) == (
        'random', 32, 2, 1)
    assert info.structure == structure_hash(load_profile('tiny'))
    assert [file.name for file in (tmp_path / 'samples').iterdir()] == ['000002-0.png']


def test_a_branch_is_guided_by_what_a_detector_finds(base, pictures, tmp_path, capsys):
    car = write_rt_detr(tmp_path / 'car.onnx', np.array([[0, 0, 1, 1]]), np.array([2]), np.ones(1))
    assert control(base, pictures, tmp_path / 'run', '--steps', 1, '--detector', car,
                   '--cache', tmp_path / 'cache') == 0
    assert read_info(tmp_path / 'run' / 'control.safetensors').config.objects
    with pytest.raises(DataError, match='made with another detector'):
        control(base, pictures, tmp_path / 'other', '--steps', 1, '--cache', tmp_path / 'cache')
    with pytest.raises(DataError, match=r'none\.onnx'):
        control(base, pictures, tmp_path / 'none', '--detector', tmp_path / 'none.onnx')


def test_adapters_and_crops_with_the_structure_picture_can_be_asked_for(base, pictures, tmp_path):
    assert control(base, pictures, tmp_path, '--steps', 1, '--crop', 32, '--picture', '--level',
                   '--channels', 'any', '--selection', 'ordered', '--quantizers', '2-15',
                   '--lora-rank', 2, '--caption-template', 'a {folder}') == 0
    info = read_info(tmp_path / 'control.safetensors')
    assert info.lora == LoraShape(2, 2.0)
    assert (info.config.picture, info.config.level, info.channels) == (True, True, 'any')


def test_a_branch_of_the_embedded_configuration_is_trained_on_crops(pictures, tmp_path):
    write_checkpoint(tmp_path / 'base', small_parts(config=TINY))
    for tokenizer in ('tokenizer', 'tokenizer_2'):
        shutil.rmtree(tmp_path / 'base' / tokenizer)  # it reads bytes
    assert call('control', '--config', 'tiny', '--base', tmp_path / 'base', '--data', pictures,
                '--output', tmp_path / 'run', '--crop', 64, '--steps', 1, '--accumulation', 1,
                '--batch', 2, '--precision', 'no', '--samples', 1) == 0
    info = read_info(tmp_path / 'run' / 'control.safetensors')
    # Without a detector there are no lists of objects.
    assert info.config == replace(TINY.control, objects=False)
    assert (tmp_path / 'run' / 'samples' / '000001-0.png').is_file()


@pytest.mark.parametrize(('words', 'message'), [
    (('--picture',), 'needs --crop'), (('--quantizers', 'x'), 'quantizers'),
    (('--steps', '0'), 'positive'), (('--hold-out', '4'), 'held out'),
    (('--quantizers', '3-99'), 'quantizers 0'), (('--multi', '9'), 'cannot be copied')])
def test_a_call_that_makes_no_sense_is_a_usage_error(base, pictures, tmp_path, words, message):
    with pytest.raises(UsageError, match=message):
        control(base, pictures, tmp_path, *words)


def test_a_run_is_neither_overwritten_nor_trusted_when_damaged(base, pictures, tmp_path):
    assert control(base, pictures, tmp_path, '--steps', 1) == 0
    before = (tmp_path / 'control.safetensors').read_bytes()
    with pytest.raises(UsageError, match='--resume goes on'):
        control(base, pictures, tmp_path, '--steps', 1)
    assert (tmp_path / 'control.safetensors').read_bytes() == before
    (tmp_path / 'state.safetensors').write_bytes(b'junk')
    with pytest.raises(DataError, match='state.safetensors: damaged'):
        control(base, pictures, tmp_path, '--steps', 2, '--resume')
    (tmp_path / 'cache' / 'cache.json').write_text('[1]')
    with pytest.raises(DataError, match='cache.json: damaged'):
        control(base, pictures, tmp_path, '--steps', 2, '--resume')


def test_a_generator_whose_weights_are_no_numbers_is_not_trained_for_days(pictures, tmp_path):
    parts = small_parts()
    torch.nn.init.constant_(parts.transformer.proj_out.weight, float('nan'))
    write_checkpoint(tmp_path / 'base', parts)
    with pytest.raises(DataError, match='not finite in the last 2 updates'):
        control(tmp_path / 'base', pictures, tmp_path / 'run', '--steps', 2)
    assert not (tmp_path / 'run' / 'control.safetensors').exists()
    guard = UpdateGuard()
    for finite in (True, *[False] * (MAX_LOST - 1), True):  # some may overflow
        guard.note(finite)
    with pytest.raises(ValueError, match=f'last {MAX_LOST} updates'):
        for _ in range(MAX_LOST):
            guard.note(False)


def test_what_is_missing_is_told(base, pictures, tmp_path):
    with pytest.raises(DataError, match='nowhere'):
        control(tmp_path / 'nowhere', pictures, tmp_path)
    with pytest.raises(DataError, match='no images'):
        control(base, tmp_path, tmp_path / 'run')
    with pytest.raises(DataError, match='none.safetensors'):
        control(base, pictures, tmp_path, '--start', tmp_path / 'none.safetensors')


def test_the_mix_is_written_as_a_table_that_training_reads(tmp_path, capsys):
    images = write_pictures(tmp_path / 'coco' / 'train2017', count=3)
    for file in images.glob('*.png'):
        file.rename(file.with_suffix('.jpg'))
    assert call('mix', '--coco', tmp_path / 'coco', '--count', 2, '--output',
                tmp_path / 'mix.jsonl') == 0
    lines = [json.loads(line) for line in (tmp_path / 'mix.jsonl').read_text().splitlines()]
    assert len(lines) == 2
    assert all(Path(line['image']).is_file() for line in lines)
    assert '2 images of coco' in capsys.readouterr().err
    with pytest.raises(DataError, match='3 training images'):
        call('mix', '--coco', tmp_path / 'coco', '--output', tmp_path / 'mix.jsonl')
    with pytest.raises(UsageError, match='--kitti'):
        call('mix', '--output', tmp_path / 'mix.jsonl')


def test_processes_train_one_model_with_copies_of_the_weights_and_with_shares(tmp_path):
    environment = os.environ | {
        'ACCELERATE_USE_CPU': 'true', 'OMP_NUM_THREADS': '1',
        'PYTHONPATH': os.pathsep.join([str(ROOT), str(ROOT / 'test')])}
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2',
         str(ROOT / 'test' / 'control_process.py'), str(tmp_path)],
        env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / 'found.json').read_text())
    assert found['processes'] == 2
    assert found['copies resume']
    assert found['shares resume']
    assert found['difference'] < 1e-5


def test_accelerate_reads_the_configuration_of_fsdp():
    config = load_config_from_file(str(ROOT / 'config' / 'accelerate_fsdp.yaml'))
    assert config.distributed_type == 'FSDP'
    assert config.mixed_precision == 'bf16'
    assert config.fsdp_config['fsdp_version'] == 2
    blocks = config.fsdp_config['fsdp_transformer_layer_cls_to_wrap'].split(',')
    import diffusers.models.transformers.transformer_flux as flux
    assert all(hasattr(flux, block) for block in blocks)
