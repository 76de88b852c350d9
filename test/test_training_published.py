# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published checkpoints: every layout is read, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('compressai')
pytest.importorskip('onnx')
safetensors_torch = pytest.importorskip('safetensors.torch')

from compressai.layers import GDN  # noqa: E402
from compressai.models import (  # noqa: E402
    CompressionModel,
    FactorizedPrior,
    JointAutoregressiveHierarchicalPriors,
)
from gsc_ros.training.published import (  # noqa: E402
    ARCHITECTURES,
    check_choice,
    CheckpointError,
    from_file,
    MAX_FILE_BYTES,
    PlainGdn,
    PublishedModel,
)
from gsc_ros.training.published_export import calibration_pairs, ladder, middles  # noqa: E402
from published_model import random_model  # noqa: E402


@pytest.fixture(name='checkpoints', scope='module')
def saved_models(tmp_path_factory) -> dict[str, tuple[Path, CompressionModel]]:
    """Return a checkpoint and its model by architecture."""
    folder = tmp_path_factory.mktemp('checkpoint')
    found = {}
    for name, architecture in ARCHITECTURES.items():
        model = random_model(architecture.model)
        torch.save(model.state_dict(), folder / f'{name}.pth.tar')
        found[name] = folder / f'{name}.pth.tar', model
    return found


def same_transforms(loaded: PublishedModel, model: CompressionModel) -> bool:
    """Whether a loaded model maps images and latents as the original does."""
    image = torch.rand(1, 3, 48, 32)
    with torch.no_grad():
        y = model.g_a(image)
        return (torch.allclose(loaded.analysis(image), y, rtol=1e-4, atol=1e-3)
                and torch.allclose(loaded.synthesis(y), model.g_s(y), rtol=1e-4, atol=1e-3))


@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_a_saved_model_is_loaded_back(checkpoints, architecture):
    path, model = checkpoints[architecture]
    loaded = from_file(architecture, path)
    assert same_transforms(loaded, model)
    assert (loaded.medians is not None) == (architecture == 'bmshj2018-factorized')


def old_names(state: dict) -> dict:
    """Return a state dict with the names of the zoo's files, trained with DataParallel."""
    renamed = {}
    for name, value in state.items():
        for kind in ('matrices', 'biases', 'factors'):
            name = name.replace(f'entropy_bottleneck.{kind}.', f'entropy_bottleneck._{kind}.')
        renamed[f'module.{name}'] = value
    return renamed


def flat_names(state: dict) -> dict:
    """Return a state dict with the names of CompressAI 1.1 and 1.2."""
    pairs = (('matrices', 'matrix'), ('biases', 'bias'), ('factors', 'factor'))
    renamed = {}
    for name, value in state.items():
        for many, one in pairs:
            name = name.replace(f'entropy_bottleneck.{many}.', f'entropy_bottleneck._{one}')
        renamed[name] = value
    return renamed


@pytest.mark.parametrize('layout', [
    old_names, flat_names, lambda state: {'epoch': 3, 'state_dict': state}])
def test_state_dicts_of_older_versions_and_of_training_are_read(checkpoints, tmp_path, layout):
    _, model = checkpoints['bmshj2018-hyperprior']
    path = tmp_path / 'model.pth.tar'
    torch.save(layout(model.state_dict()), path)
    assert same_transforms(from_file('bmshj2018-hyperprior', path), model)


def test_safetensors_are_read(checkpoints, tmp_path):
    _, model = checkpoints['bmshj2018-factorized']
    path = tmp_path / 'model.safetensors'
    safetensors_torch.save_file(model.state_dict(), path)
    assert same_transforms(from_file('bmshj2018-factorized', path), model)


@pytest.mark.parametrize('claimed', ARCHITECTURES)
@pytest.mark.parametrize('saved', ARCHITECTURES)
def test_another_architecture_is_named(checkpoints, claimed, saved):
    if claimed == saved:
        return
    with pytest.raises(CheckpointError, match=f'is a model of {saved}, not of {claimed}'):
        from_file(claimed, checkpoints[saved][0])


def test_the_autoregressive_model_is_named(tmp_path):
    path = tmp_path / 'model.pth'
    torch.save(JointAutoregressiveHierarchicalPriors(192, 320).state_dict(), path)
    with pytest.raises(CheckpointError, match='is a model of mbt2018, not'):
        from_file('mbt2018-mean', path)


def test_a_lower_quality_is_told_apart(tmp_path):
    path = tmp_path / 'model.pth'
    torch.save(random_model(FactorizedPrior, 128, 192).state_dict(), path)
    with pytest.raises(CheckpointError, match='192 latent channels'):
        from_file('bmshj2018-factorized', path)


@pytest.mark.parametrize(('architecture', 'quality', 'metric'), [
    ('cheng2020-attn', 6, 'mse'), ('bmshj2018-factorized', 5, 'mse'), ('mbt2018-mean', 9, 'mse'),
    ('mbt2018-mean', 5, 'psnr')])
def test_models_without_320_channels_are_no_choice(architecture, quality, metric):
    with pytest.raises(ValueError, match='no |not in'):
        check_choice(architecture, quality, metric)


@pytest.mark.parametrize('share', [0, 0.001, 0.3, 0.9, 0.9999])
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_a_truncated_file_is_refused(checkpoints, tmp_path, share, suffix):
    source, model = checkpoints['bmshj2018-factorized']
    path = tmp_path / f'model{suffix}'
    if suffix == '.safetensors':
        safetensors_torch.save_file(model.state_dict(), path)
        content = path.read_bytes()
    else:
        content = source.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(CheckpointError, match=str(path)):
        from_file('bmshj2018-factorized', path)


@pytest.mark.parametrize('content', [
    b'\x00' * 100, b'not weights', b'PK\x03\x04', b'\x80\x02.', b'{"a": 1}'])
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_what_is_no_checkpoint_is_refused(tmp_path, content, suffix):
    path = tmp_path / f'model{suffix}'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=str(path)):
        from_file('bmshj2018-factorized', path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / 'none.pth', tmp_path):
        with pytest.raises(CheckpointError, match='cannot read'):
            from_file('bmshj2018-factorized', path)


def test_a_file_larger_than_any_model_is_not_opened(tmp_path):
    path = tmp_path / 'model.pth'
    with path.open('wb') as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(CheckpointError, match='more than any'):
        from_file('bmshj2018-factorized', path)


class Code:
    """An object whose unpickling makes a folder."""

    def __init__(self, folder: Path):
        self._folder = str(folder)

    def __reduce__(self) -> tuple:
        """Pickle as a call."""
        return os.mkdir, (self._folder,)


def test_code_in_a_checkpoint_is_not_executed(tmp_path):
    path, trace = tmp_path / 'model.pth', tmp_path / 'executed'
    torch.save({'g_a.0.weight': Code(trace)}, path)
    with pytest.raises(CheckpointError, match='tensors alone'):
        from_file('bmshj2018-factorized', path)
    assert not trace.exists()


@pytest.mark.parametrize('change', [
    {'g_a.2.weight': torch.zeros(1).expand(1 << 40)},
    {'g_a.1.beta': torch.zeros(3)},
    {'g_a.0.weight': torch.zeros(192)},
    {'g_s.6.weight': 'text'},
    {'context_free.weight': torch.zeros(3)},
    {'g_s.0.bias': torch.full((192,), torch.nan)},
])
def test_tensors_of_no_model_are_refused(checkpoints, tmp_path, change):
    _, model = checkpoints['bmshj2018-factorized']
    path = tmp_path / 'model.pth'
    torch.save(model.state_dict() | change, path)
    with pytest.raises(CheckpointError, match=str(path)):
        from_file('bmshj2018-factorized', path)


@pytest.mark.parametrize('inverse', [False, True])
def test_plain_normalisation_equals_that_of_compressai(inverse):
    torch.manual_seed(1)
    layer = GDN(12, inverse=inverse)
    with torch.no_grad():
        layer.gamma.add_(0.3 * torch.randn(12, 12))  # some below the bound
        layer.beta.mul_(torch.rand(12))
        x = 5 * torch.randn(2, 12, 4, 6)
        assert torch.allclose(PlainGdn(layer)(x), layer(x), rtol=1e-5)


def test_zero_stands_for_a_typical_value_on_the_grid_of_the_checkpoint(checkpoints):
    ys = [np.full((320, 2, 2), 7.4, np.float32)]
    factorized, mean = (
        from_file(name, checkpoints[name][0]) for name in ('bmshj2018-factorized', 'mbt2018-mean'))
    medians = checkpoints['bmshj2018-factorized'][1].entropy_bottleneck.quantiles[:, 0, 1]
    assert torch.equal(middles(factorized, ys), medians)
    assert torch.equal(middles(mean, ys), torch.full((320,), 7.0))


@pytest.mark.parametrize('peak', [0.0, 0.2, 3.0, 8.0, 300.0, 5000.0])
def test_quantizers_are_a_ladder_that_ends_at_the_step_of_the_checkpoint(peak):
    gains = ladder(peak)
    assert np.isfinite(gains).all()
    assert np.diff(np.log(gains)) == pytest.approx(np.log(gains[-1] / gains[0]) / 15, rel=1e-3)
    assert gains[-1] == 1 or peak < 8
    assert gains[-1] >= 1


def test_calibration_takes_views_of_any_picture(tmp_path):
    images = [np.zeros(size, np.uint8) for size in ((40, 17, 3), (8, 900, 3), (300, 400, 3))]
    views = [view for pair in calibration_pairs(images, 2) for view in pair]
    assert {view.shape for view in views} == {(32, 16, 3), (256, 256, 3)}
    assert len(views) == 8
