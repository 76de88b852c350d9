# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gsc profile`: what it makes of a published checkpoint codes as any profile does."""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
import shutil
import subprocess
import sys

from codec_image import picture
from command_line import call
import cv2
from gsc_ros.cli.main import main
from gsc_ros.codec import structure
from gsc_ros.codec.error import CodecError, ProfileError
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.packet import parse
from gsc_ros.codec.profile import FILES, load_profile, MANIFEST_FILE, Profile
from gsc_ros.codec.selection import Selection
from gsc_ros.codec.structure import Analysis, quantize, Synthesis
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('compressai')
pytest.importorskip('onnx')

from compressai.models import CompressionModel, FactorizedPrior  # noqa: E402
from published_model import random_model  # noqa: E402

ARCHITECTURE = 'bmshj2018-factorized'


@dataclass(frozen=True)
class Example:
    """A model, its checkpoint, and the profile that was made of it."""

    model: CompressionModel
    checkpoint: Path
    folder: Path
    profile: Profile


@pytest.fixture(name='example', scope='session')
def imported_model(tmp_path_factory) -> Example:
    """Return what `gsc profile import` makes of a random model and two small pictures."""
    folder = tmp_path_factory.mktemp('import')
    model = random_model(FactorizedPrior)
    torch.save(model.state_dict(), folder / 'model.pth.tar')
    images = folder / 'images'
    images.mkdir()
    for index in range(2):
        cv2.imwrite(str(images / f'{index}.png'), picture(80, 96, index))
    words = ['profile', 'import', ARCHITECTURE, '--checkpoint', folder / 'model.pth.tar',
             '--quality', 8, '--images', images, '--views', 2, '--fit-steps', 20,
             '--output', folder / 'profile']
    assert main([str(word) for word in words]) == 0
    return Example(model, folder / 'model.pth.tar', folder / 'profile',
                   load_profile(folder / 'profile'))


def test_the_profile_says_where_it_comes_from(example, capsys):
    shown = call(capsys, 'profile', 'info', example.folder, '--json').json
    assert (shown['name'], shown['scale'], shown['stride']) == (f'{ARCHITECTURE}-q8', 1, 16)
    assert (shown['quantizers'], shown['default_quantizer'], shown['gains'][-1]) == (16, 15, 1)
    assert shown['stream_mode']
    notes = shown['training']
    assert (notes['architecture'], notes['quality']) == (ARCHITECTURE, 8)
    assert sorted(notes['channels']) == list(range(320))
    assert str(example.folder.parent) not in json.dumps(notes)


def test_torch_and_onnx_agree(example):
    image = picture(64, 96)
    order = example.profile.manifest.training['channels']
    medians = example.model.entropy_bottleneck.quantiles[:, 0, 1].detach()
    with torch.no_grad():
        y = example.model.g_a(torch.from_numpy(image / np.float32(255)).permute(2, 0, 1)[None])
        shifted = (y[0] - medians[:, None, None])[order].numpy()
        rendered = example.model.g_s(y)[0].numpy()
    analysis, synthesis = Analysis(example.profile), Synthesis(example.profile)
    found = analysis.transform(analysis.reduce(image))
    assert found == pytest.approx(shifted, rel=1e-4, abs=2e-3)
    assert synthesis.planes(shifted, 15) == pytest.approx(rendered, abs=1e-4)


def test_important_channels_come_first(example):
    latent = Analysis(example.profile).transform(np.float32(picture(64, 96)) / 255)
    energy = np.square(latent).mean(axis=(1, 2))
    assert energy[:8].min() > energy[64:].max()
    assert np.abs(latent).max() > 127  # more than the symbols of a byte


def test_large_symbols_are_coded_without_clipping(example):
    image = picture(97, 161)
    profile = example.profile
    frame = FrameEncoder(profile).encode(image, EncoderSettings(channels=320))
    packet = parse(frame.payload)
    decoded = FrameDecoder(profile).decode_symbols(packet)
    analysis = Analysis(profile)
    latent = analysis.transform(analysis.reduce(image))
    expected = quantize(latent, profile.gains[15], profile.manifest.symbol_max)
    assert np.array_equal(decoded, expected[list(packet.channels)])
    assert 127 < np.abs(decoded).max() < profile.manifest.symbol_max


DECODE = """
import hashlib, sys
from gsc_ros.codec.frame import FrameDecoder
from gsc_ros.codec.packet import parse
from gsc_ros.codec.profile import load_profile
decoder = FrameDecoder(load_profile(sys.argv[1]), threads=2)
symbols = decoder.decode_symbols(parse(open(sys.argv[2], 'rb').read()))
print(hashlib.sha256(symbols.tobytes()).hexdigest())
"""


@pytest.mark.parametrize('selection', Selection)
@pytest.mark.parametrize('quantizer', [3, 15])
def test_every_selection_decodes_to_the_same_symbols_in_another_process(
        example, tmp_path, selection, quantizer):
    frame = FrameEncoder(example.profile).encode(
        picture(97, 161), EncoderSettings(channels=4, quantizer=quantizer, selection=selection))
    path = tmp_path / 'frame.gsc'
    path.write_bytes(frame.payload)
    symbols = FrameDecoder(example.profile).decode_symbols(parse(frame.payload))
    assert symbols.any()
    done = subprocess.run(
        [sys.executable, '-c', DECODE, example.folder, path], capture_output=True, text=True,
        check=True)
    assert done.stdout.strip() == hashlib.sha256(symbols.tobytes()).hexdigest()


def test_a_frame_is_coded_from_the_one_before(example):
    encoder, decoder = FrameEncoder(example.profile), FrameDecoder(example.profile)
    sizes = []
    for _ in range(2):
        frame = encoder.encode(picture(97, 161), EncoderSettings(channels=16, stream=True))
        decoder.decode(frame.payload)
        sizes.append(len(frame.payload))
    assert sizes[1] < sizes[0] / 2


@pytest.mark.parametrize('limit', [60, 400, 3000])
def test_a_limit_in_bytes_holds(example, limit):
    frame = FrameEncoder(example.profile).encode(
        picture(97, 161), EncoderSettings(channels=320, max_bytes=limit))
    assert limit / 2 < len(frame.payload) <= limit
    found = FrameDecoder(example.profile).decode(frame.payload)
    assert found.image.shape == (97, 161, 3)


def test_tiles_of_large_pictures_have_no_seams(example, monkeypatch):
    image = picture(16 * 22, 16 * 4)
    analysis, synthesis = Analysis(example.profile), Synthesis(example.profile)
    work = analysis.reduce(image)
    whole = analysis.transform(work)
    symbols = quantize(whole, example.profile.gains[15], example.profile.manifest.symbol_max)
    rendered = synthesis.render(symbols, tuple(range(320)), 15, *image.shape[:2])
    monkeypatch.setattr(structure, 'WHOLE', 0)
    monkeypatch.setattr(structure, 'TILE', 128)
    assert analysis.transform(work) == pytest.approx(whole, rel=1e-4, abs=2e-3)
    tiled = synthesis.render(symbols, tuple(range(320)), 15, *image.shape[:2])
    assert np.abs(tiled.image.astype(int) - rendered.image).max() <= 1


def test_confidence_is_the_measured_error(example):
    profile, synthesis = example.profile, Synthesis(example.profile)
    analysis = Analysis(profile)
    latent = analysis.transform(analysis.reduce(picture(80, 96, 0)))
    symbols = quantize(latent, profile.gains[15], profile.manifest.symbol_max)
    found = [synthesis.render(symbols[:count], tuple(range(count)), 15, 80, 96)
             for count in (1, 320)]
    assert all(len(np.unique(part.confidence)) == 1 for part in found)


def test_a_profile_of_the_user_is_found_by_its_name(example, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path))
    home = tmp_path / 'gsc_ros' / 'profiles'
    home.mkdir(parents=True)
    shutil.copytree(example.folder, home / 'mine')
    assert load_profile('mine').content_hash == example.profile.content_hash
    listed = call(capsys, 'profile', 'list', '--json').json
    assert [profile['name'] for profile in listed['profiles']][-1] == example.profile.name
    assert listed['user_folder'] == str(home)
    (home / 'mine' / 'tables.npz').write_bytes(b'')
    assert 'tables.npz' in call(capsys, 'profile', 'list').out
    assert call(capsys, 'profile', 'info', 'mine').status == 1


@pytest.mark.parametrize('changes', [{'stride': 8}, {'stride': 32}])
def test_a_manifest_that_promises_another_geometry_is_an_error(example, tmp_path, changes):
    folder = tmp_path / 'copy'
    folder.mkdir()
    for name in FILES:
        (folder / name).symlink_to(example.folder / name)
    manifest = json.loads((example.folder / MANIFEST_FILE).read_text())
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest | changes))
    profile = load_profile(folder)
    with pytest.raises(CodecError):
        FrameEncoder(profile).encode(picture(97, 161))
    with pytest.raises(ProfileError):
        Synthesis(profile).render(np.zeros((1, 4, 4), np.int16), (0,), 0, 4 * 8, 4 * 8)


@pytest.mark.parametrize(('words', 'status', 'reason'), [
    (('cheng2020-attn', '--zoo', '--quality', 6), 2, 'no architecture'),
    (('mbt2018-mean', '--zoo'), 2, '--zoo needs --quality'),
    (('mbt2018-mean', '--zoo', '--quality', 4), 2, 'quality 5 to 8'),
    (('mbt2018-mean', '--quality', 6), 2, 'one of the arguments'),
    (('mbt2018-mean', '--checkpoint', 'none.pth'), 1, 'cannot read none.pth'),
    (('mbt2018-mean', '--checkpoint', 'x', '--name', '../evil'), 2, 'is not a name'),
    (('mbt2018-mean', '--checkpoint', 'x', '--name', 'tiny'), 2, 'of the package'),
])
def test_what_cannot_be_imported_is_said_in_one_line(
        tmp_path, monkeypatch, capsys, words, status, reason):
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path))
    outcome = call(capsys, 'profile', 'import', *words)
    assert (outcome.status, outcome.out) == (status, '')
    assert reason in outcome.err
    assert 'Traceback' not in outcome.err


def test_a_checkpoint_of_another_architecture_is_refused(example, tmp_path, capsys):
    outcome = call(capsys, 'profile', 'import', 'mbt2018-mean', '--checkpoint', example.checkpoint,
                   '--output', tmp_path / 'new')
    assert outcome.status == 1
    assert f'is a model of {ARCHITECTURE}' in outcome.err
    assert not (tmp_path / 'new').exists()


def test_an_existing_folder_is_left_alone(example, capsys):
    outcome = call(capsys, 'profile', 'import', ARCHITECTURE, '--checkpoint', example.checkpoint,
                   '--output', example.folder)
    assert outcome.status == 2
    assert 'exists' in outcome.err


def test_a_folder_without_pictures_is_refused(example, tmp_path, capsys):
    (tmp_path / 'broken.png').write_bytes(b'no picture')
    outcome = call(capsys, 'profile', 'import', ARCHITECTURE, '--checkpoint', example.checkpoint,
                   '--output', tmp_path / 'new', '--images', tmp_path)
    assert outcome.status == 1
    assert 'no picture that can be read' in outcome.err


@pytest.mark.parametrize(('version', 'reason'), [
    ((3, 13), 'Python 3.10 to 3.12'), ((3, 12), "pip install 'gsc_ros[train]'")])
def test_without_compressai_the_reason_is_given(tmp_path, monkeypatch, capsys, version, reason):
    for name in [name for name in sys.modules if name.startswith('gsc_ros.training.published')]:
        monkeypatch.delitem(sys.modules, name)
    for name in ('compressai.layers', 'compressai.models', 'compressai'):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(sys, 'version_info', version)
    outcome = call(capsys, 'profile', 'import', ARCHITECTURE, '--zoo', '--quality', 6)
    assert outcome.status == 2
    assert reason in outcome.err
