# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Learned metrics are piq's with weights from a folder, and are said to be missing without."""

import math
from types import SimpleNamespace

from gsc_ros.evaluation.metric import psnr
from gsc_ros.evaluation.task.image import fid, ImageMetrics, join
from gsc_ros.evaluation.task.perceptual import frechet_distance
from gsc_ros.evaluation.task.weight import cache_folder, WeightError, WeightFolder
import numpy as np
import pytest

piq = pytest.importorskip('piq')
torch = pytest.importorskip('torch')
torchvision = pytest.importorskip('torchvision')

SIZE = (64, 80, 3)


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    """Leave the other cores to the other tests."""
    torch.set_num_threads(1)


@pytest.fixture(scope='module')
def features():
    """Return VGG16's convolutions with random weights."""
    torch.manual_seed(0)
    with torch.device('meta'):
        network = torchvision.models.vgg16(weights=None, init_weights=False).features
    network.to_empty(device='cpu')
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.03)
    return network


@pytest.fixture(scope='module')
def folder(features, tmp_path_factory):
    """Return a folder with all weights, as published but random."""
    path = tmp_path_factory.mktemp('weights')
    torch.save({f'features.{name}': tensor for name, tensor in features.state_dict().items()},
               path / 'vgg16-397923af.pth')
    channels = (64, 128, 256, 512, 512)
    torch.save([torch.rand(1, count, 1, 1) for count in channels], path / 'lpips_weights.pt')
    torch.save({name: torch.rand(1, 3 + sum(channels), 1, 1) / 3000 for name in ('alpha', 'beta')},
               path / 'dists_weights.pt')
    return path


@pytest.fixture
def images():
    """Return an image and a noisy one, uint8."""
    generator = np.random.default_rng(3)
    image = generator.integers(0, 256, SIZE, dtype=np.uint8)
    noisy = np.clip(image + generator.normal(0, 20, SIZE), 0, 255).astype(np.uint8)
    return image, noisy


def tensor(image):
    """Return what piq takes, 0..1."""
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize('name', ('lpips', 'dists'))
def test_learned_metrics_are_those_of_piq(name, folder, features, images, monkeypatch):
    # piq's own classes, which take everything from torch hub's cache.
    monkeypatch.setattr('piq.perceptual.vgg16', lambda **_: SimpleNamespace(features=features))
    monkeypatch.setattr('torch.hub.load_state_dict_from_url', lambda url, **_: torch.load(
        folder / url.rpartition('/')[2], weights_only=True))
    reference = {'lpips': piq.LPIPS, 'dists': piq.DISTS}[name]()
    with torch.inference_mode():
        expected = reference(tensor(images[1]), tensor(images[0])).item()
    row = ImageMetrics(WeightFolder(folder)).measure(*images)
    assert row[name] == pytest.approx(expected, rel=1e-4)
    assert row[name] > 0


def test_equal_images_are_perfect_in_every_metric(folder, images):
    metrics = ImageMetrics(WeightFolder(folder))
    row = metrics.measure(images[0], images[0])
    assert row['psnr'] == 100
    assert [row[name] for name in ('ssim', 'vsi')] == pytest.approx([1, 1], abs=1e-5)
    assert row['lpips'] == pytest.approx(0, abs=1e-6)


def test_missing_weights_are_said_with_the_files_that_are_wanted(tmp_path, images):
    metrics = ImageMetrics(WeightFolder(tmp_path))
    assert metrics.missing == {
        'lpips': f'vgg16-397923af.pth and lpips_weights.pt not found in {tmp_path}',
        'dists': f'vgg16-397923af.pth and dists_weights.pt not found in {tmp_path}',
        'fid': f'pt_inception-2015-12-05-6726825d.pth not found in {tmp_path}'}
    row = metrics.measure(*images)
    assert set(row) == {'psnr', 'ssim', 'ms_ssim', 'vsi'} == set(metrics.names)
    assert row['psnr'] == psnr(*images)
    assert not metrics.with_fid


def test_what_is_not_wanted_is_neither_measured_nor_missing(tmp_path, images):
    metrics = ImageMetrics(WeightFolder(tmp_path), without=('vsi', 'lpips', 'dists', 'fid'))
    assert metrics.missing == {}
    assert metrics.names == ('psnr', 'ssim', 'ms_ssim')


def test_weights_are_looked_for_where_torch_hub_keeps_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    assert cache_folder() == tmp_path / 'hub' / 'checkpoints'
    assert str(cache_folder()) == f'{torch.hub.get_dir()}/checkpoints'
    monkeypatch.delenv('TORCH_HOME')
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    assert str(cache_folder()) == f'{torch.hub.get_dir()}/checkpoints'


@pytest.mark.parametrize('content', (b'', b'no tensors', None))
def test_damaged_weights_are_refused_with_their_name(content, folder, tmp_path, images):
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    damaged = tmp_path / 'lpips_weights.pt'
    damaged.unlink()
    if content is None:
        torch.save({'something': torch.zeros(2)}, damaged)
    else:
        damaged.write_bytes(content)
    with pytest.raises(WeightError, match=r'lpips_weights\.pt'):
        ImageMetrics(WeightFolder(tmp_path)).measure(*images)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (print, ('ran',))

    torch.save({'features.0.weight': Trap()}, tmp_path / 'lpips_weights.pt')
    with pytest.raises(WeightError):
        from gsc_ros.evaluation.task.weight import LPIPS
        WeightFolder(tmp_path).load(LPIPS)


def test_a_small_image_has_no_ms_ssim(tmp_path):
    small = np.zeros((40, 40, 3), np.uint8)
    row = ImageMetrics(WeightFolder(tmp_path), without=('vsi',)).measure(small, small)
    assert row['ms_ssim'] is None
    assert join([row])['ms_ssim'] is None


def test_means_leave_out_the_images_that_a_metric_does_not_apply_to():
    rows = [{'psnr': 20.0, 'ms_ssim': None}, {'psnr': 30.0, 'ms_ssim': 0.8}]
    assert join(rows)['psnr'] == 25
    assert join(rows)['ms_ssim'] == 0.8


def test_the_distance_of_two_sets_is_that_of_piq():
    generator = np.random.default_rng(0)
    ours = generator.normal(0, 1, (300, 24))
    other = generator.normal(0.3, 1.5, (200, 24)) @ generator.normal(0, 0.4, (24, 24))
    expected = piq.FID()(torch.from_numpy(ours), torch.from_numpy(other)).item()
    assert frechet_distance(ours, other) == pytest.approx(expected, rel=1e-3)


def test_the_distance_of_two_gaussians_in_one_dimension_is_in_closed_form():
    ours, other = np.array([[0.0], [2.0]]), np.array([[10.0], [16.0]])
    # Means 1 and 13, deviations sqrt 2 and sqrt 18: (m - m')^2 + (s - s')^2.
    expected = 12 ** 2 + (math.sqrt(2) - math.sqrt(18)) ** 2
    assert frechet_distance(ours, other) == pytest.approx(expected)
    assert frechet_distance(ours, ours) == pytest.approx(0, abs=1e-9)


def test_fid_of_fewer_than_two_images_is_none():
    assert fid([[1.0, 2.0]], [[1.0, 2.0]]) is None


def test_inception_is_the_network_of_piq(tmp_path, images, monkeypatch):
    from piq.feature_extractors import fid_inception
    with torch.device('meta'):
        with monkeypatch.context() as patch:
            patch.setattr(fid_inception, 'load_state_dict_from_url', lambda *_, **__: {})
            patch.setattr(torch.nn.Module, 'load_state_dict', lambda *_, **__: None)
            original = fid_inception.InceptionV3.fid_inception_v3()
    torch.manual_seed(1)
    original.to_empty(device='cpu')
    state = {}
    for name, value in original.state_dict().items():
        state[name] = (torch.rand_like(value) + 0.5 if name.endswith(('running_var', 'bn.weight'))
                       else torch.zeros_like(value) if value.dtype == torch.int64
                       else torch.randn_like(value) * 0.05)
    torch.save(state, tmp_path / 'pt_inception-2015-12-05-6726825d.pth')
    monkeypatch.setattr(fid_inception, 'load_state_dict_from_url', lambda *_, **__: state)
    with torch.inference_mode():
        expected = fid_inception.InceptionV3().eval()(tensor(images[0]))[0].reshape(-1).numpy()
    features = ImageMetrics(WeightFolder(tmp_path)).features(images[0])
    assert features.shape == (2048,)
    assert np.allclose(features, expected, rtol=1e-3, atol=1e-5)
