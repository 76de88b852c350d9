# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gsc profile add`: weights that lie elsewhere become a generator with a name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import shutil
import subprocess
import sys

from command_line import call, HEIGHT, WIDTH, write_picture
import cv2
from flux_checkpoint import SMALL, small_parts, STRUCTURE, write_control, write_steered
from gsc_ros.cli import profile_add
from gsc_ros.cli.main import main
from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.frame import FrameEncoder
from gsc_ros.codec.generator.generator import Condition
from gsc_ros.codec.generator.manifest import read_manifest, structure_hash
from gsc_ros.codec.generator.opening import find_generator, open_generator
from gsc_ros.codec.profile import load_profile
import huggingface_hub
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
import numpy as np
import pytest


@pytest.fixture(name='checkpoint', scope='module')
def written_checkpoint(tmp_path_factory) -> Path:
    """Return the directory of a FLUX-shaped checkpoint, and a control file in it."""
    return write_steered(tmp_path_factory.mktemp('flux'))


@pytest.fixture(name='home', autouse=True)
def users_folder(tmp_path, monkeypatch) -> Path:
    """Return the folder of the user's generators, which is empty."""
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'data'))
    return tmp_path / 'data' / 'gsc_ros' / 'profiles' / 'generator'


def add(checkpoint: Path, *words: str, name: str = 'mine') -> list[str]:
    """Return the words of a command that adds the checkpoint."""
    return ['profile', 'add', name, '--transformer', str(checkpoint), '--control',
            str(checkpoint / 'control.safetensors'), '--precision', 'fp32', *words]


def test_a_generator_is_added_listed_and_opened_by_its_name(capsys, checkpoint, home):
    added = call(capsys, *add(checkpoint, '--steps', '2', '--json'))
    assert added.status == 0, added.err
    shown = added.json
    assert shown['name'] == 'mine'
    assert shown['folder'] == str(home / 'mine')
    assert (shown['structure'], shown['pitch'], shown['steps'], shown['guidance']) == (
        STRUCTURE, 16, 2, 3.5)
    assert set(shown['weights_bytes']) == {'transformer', 'autoencoder', 't5', 'clip', 'control'}
    assert shown['device_bytes'] > sum(shown['weights_bytes'].values())
    listed = call(capsys, 'profile', 'list', '--json').json
    assert {'name': 'mine', 'folder': str(home / 'mine')} in listed['generators']
    manifest = read_manifest(find_generator('mine') / 'manifest.json')
    assert manifest.schedule == SMALL.schedule
    generator = open_generator('mine', device='cpu')
    (picture,) = generator.generate([Condition(
        text='a road', latent=np.ones((320, 2, 3), np.float32), channels=(0,), level=1.0, seed=0,
        structure=np.zeros((32, 48, 3), np.uint8))])
    assert picture.shape == (32, 48, 3)


def test_a_packet_of_the_embedded_profile_is_decoded_by_an_added_generator(
        capsys, tmp_path, checkpoint):
    profile = load_profile('tiny')
    control = tmp_path / 'coarse.safetensors'
    write_control(control, small_parts(), structure_hash(profile), profile.pitch)
    assert call(capsys, *add(checkpoint), '--control', control).status == 0
    shown = call(capsys, 'profile', 'info', 'mine', '--json').json
    assert (shown['kind'], shown['pitch'], shown['structure']) == (
        'torch', profile.pitch, structure_hash(profile))
    assert shown['weights']['control'] == str(control)
    image = write_picture(tmp_path / 'frame.png')
    packet = tmp_path / 'frame.gsc'
    assert call(capsys, 'encode', image, '-o', packet, '--caption', 'a road').status == 0
    decoded = call(capsys, 'decode', packet, '-o', tmp_path / 'made.png', '--mode', 'generate',
                   '--generator', 'mine', '--steps', 2, '--json')
    assert decoded.status == 0, decoded.err
    assert (decoded.json['mode'], decoded.json['generator']) == ('generate', 'mine')
    made = cv2.imread(str(tmp_path / 'made.png'))
    assert made.shape == (HEIGHT, WIDTH, 3)


def test_a_generator_is_shown_by_its_folder_and_where_a_structure_profile_has_its_name(
        capsys, tmp_path, checkpoint):
    embedded = find_generator('tiny')
    for word in ('generator/tiny', embedded):
        shown = call(capsys, 'profile', 'info', word, '--json').json
        assert (shown['name'], shown['kind'], shown['folder']) == ('tiny', 'onnx', str(embedded))
    assert 'kind' not in call(capsys, 'profile', 'info', 'tiny', '--json').json
    assert call(capsys, *add(checkpoint, '--output', str(tmp_path / 'far'))).status == 0
    shown = call(capsys, 'profile', 'info', tmp_path / 'far', '--json').json
    assert (shown['name'], shown['kind']) == ('mine', 'torch')
    damaged = Path(shutil.copytree(embedded, tmp_path / 'damaged'))
    (damaged / 'text.onnx').write_bytes(b'')
    done = call(capsys, 'profile', 'info', damaged)
    assert (done.status, 'text.onnx is not the file' in done.err) == (1, True)


def test_a_taken_name_is_refused_until_it_is_to_be_replaced(capsys, checkpoint):
    assert call(capsys, *add(checkpoint)).status == 0
    refused = call(capsys, *add(checkpoint))
    assert refused.status == 2
    assert '--replace' in refused.err
    assert call(capsys, *add(checkpoint, '--replace', '--guidance', '5')).status == 0
    assert read_manifest(find_generator('mine') / 'manifest.json').guidance == 5
    assert call(capsys, *add(checkpoint, '--replace', '--guidance', '0')).status == 0
    assert read_manifest(find_generator('mine') / 'manifest.json').guidance == 0


def test_without_a_control_branch_the_caption_alone_guides(capsys, checkpoint):
    added = call(
        capsys, 'profile', 'add', 'plain', '--transformer', str(checkpoint / 'transformer'),
        '--precision', 'nf4', '--offload', 'model', '--json')
    assert added.status == 0, added.err
    assert 'caption alone' in added.err
    shown = added.json
    assert shown['pitch'] == 32  # that of the structure profile tiny
    assert 'control' not in shown['weights_bytes']
    assert shown['host_bytes'] >= sum(shown['weights_bytes'].values())


@pytest.mark.parametrize(('words', 'status', 'message'), [
    (['--transformer', '/nowhere'], 1, 'there is no /nowhere'),
    (['--control', '/nowhere.safetensors'], 1, 'nowhere.safetensors'),
    (['--vae', '/nowhere'], 1, 'no directory /nowhere for the autoencoder'),
    (['--pipeline', '/tmp'], 1, 'no directory /tmp/vae'),
    (['--precision', 'int3'], 2, 'int3'),
    (['--steps', '0'], 2, 'steps')])
def test_what_cannot_be_added_is_told(capsys, checkpoint, home, words, status, message):
    refused = call(capsys, *add(checkpoint), *words)
    assert refused.status == status
    assert message in refused.err
    assert not (home / 'mine').exists()


def test_names_that_are_none_are_refused(capsys, checkpoint):
    for name in ('', '.hidden', 'a/b'):
        refused = call(capsys, *add(checkpoint, name=name))
        assert refused.status == 2
        assert 'not a name' in refused.err


def test_a_control_file_of_another_transformer_is_refused(capsys, tmp_path, checkpoint):
    other = replace(SMALL, transformer=SMALL.transformer | {'joint_attention_dim': 32})
    write_control(tmp_path / 'other.safetensors', small_parts(config=other))
    refused = call(
        capsys, *add(checkpoint), '--control', str(tmp_path / 'other.safetensors'))
    assert refused.status == 1
    assert 'does not fit' in refused.err
    assert 'context_embedder.weight is [64, 32], not [64, 64]' in refused.err


class Answer:
    """What the hub answers with."""

    status_code = 403
    headers: dict = {}
    request = None


@pytest.mark.parametrize(('error', 'message'), [
    (GatedRepoError('no', response=Answer()), 'is gated: accept its licence'),
    (RepositoryNotFoundError('no', response=Answer()), 'neither a directory nor a repository'),
    (OSError('no route to host'), 'cannot be downloaded: no route')])
def test_what_the_hub_refuses_is_told(monkeypatch, error, message):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, 'snapshot_download', refuse)
    with pytest.raises(GeneratorError, match=message):
        profile_add._local('black-forest-labs/FLUX.1-dev')


def test_a_repository_of_the_hub_is_fetched_without_its_second_copy(
        capsys, monkeypatch, checkpoint):
    asked = {}

    def fetch(name, allow_patterns):
        asked[name] = allow_patterns
        return str(checkpoint)

    monkeypatch.setattr(huggingface_hub, 'snapshot_download', fetch)
    assert call(capsys, *add(checkpoint), '--transformer', 'owner/FLUX.1-dev').status == 0
    assert 'transformer/*' in asked['owner/FLUX.1-dev']
    assert not any(pattern.startswith('*') for pattern in asked['owner/FLUX.1-dev'])


def test_without_torch_the_missing_extra_is_named(checkpoint, tmp_path):
    packet = tmp_path / 'frame.gsc'
    packet.write_bytes(FrameEncoder(load_profile('tiny')).encode(
        np.zeros((32, 48, 3), np.uint8)).payload)
    decode = ['decode', str(packet), '-o', str(tmp_path / 'frame.png'), '--mode', 'generate',
              '--generator', str(tmp_path / 'mine')]
    assert main(add(checkpoint, '--output', str(tmp_path / 'mine'))) == 0
    manifest = tmp_path / 'mine' / 'manifest.json'
    manifest.write_text(manifest.read_text().replace(STRUCTURE, ''))
    code = (
        'import sys\n'
        'sys.modules["torch"] = None\n'
        'from gsc_ros.cli.main import main\n'
        f'print([main(words) for words in {[add(checkpoint), decode]!r}])\n')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip() == '[2, 2]', done.stderr
    assert done.stderr.count("needs torch: pip install 'gsc_ros[flux]'") == 2
