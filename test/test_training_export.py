# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Export: ONNX graphs that agree with torch, and a manifest that vouches for its files."""

from __future__ import annotations

import hashlib
import json

import cv2
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import load_profile
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('compressai')
onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')

from gsc_ros.training.export import (  # noqa: E402
    export_graphs,
    export_profile,
    ExportError,
    importance_order,
    ManifestFields,
    reorder,
    symbol_arrays,
    write_manifest,
    write_tables,
)
from gsc_ros.training.model import StructureConfig, StructureModel  # noqa: E402

CONFIG = StructureConfig(
    analysis=((16, 1), (16, 1)), synthesis=((16, 1), (16, 1), (16, 1)), quantizers=2, knots=2)
FIELDS = ManifestFields('test', 2, 1, 127, {'command': 'none'})


@pytest.fixture(name='model', scope='module')
def small_model() -> StructureModel:
    """Return an untrained model with 320 latent channels; its weights are exact in float16."""
    torch.manual_seed(0)
    model = StructureModel(CONFIG).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter + 0.02 * torch.randn_like(parameter)).half().float())
    return model


@pytest.fixture(name='profile', scope='module')
def exported_profile(model, tmp_path_factory):
    """Return a directory with the model's graphs and tables."""
    directory = tmp_path_factory.mktemp('profile')
    export_graphs(model, directory)
    write_tables(directory, {'gains': model.gains.detach().numpy()})
    return directory


@pytest.mark.parametrize(('height', 'width'), [(8, 8), (24, 16), (88, 304)])
def test_onnx_and_torch_agree_at_any_size(model, profile, height, width):
    image = np.random.default_rng(height).random((1, 3, height, width), np.float32)
    with torch.no_grad():
        y = model.g_a(torch.from_numpy(image))
        expected, error = model.g_s(y, torch.tensor([0.3]))
    (found,) = onnxruntime.InferenceSession(profile / 'analysis.onnx').run(None, {'image': image})
    assert found.shape == (1, 320, height // 8, width // 8)
    np.testing.assert_allclose(found, y.numpy(), atol=2e-4)
    decoded, expected_error = onnxruntime.InferenceSession(profile / 'synthesis.onnx').run(
        ['image', 'error'], {'y_hat': y.numpy(), 'level': np.array([0.3], np.float32)})
    np.testing.assert_allclose(decoded, expected.numpy(), atol=2e-4)
    np.testing.assert_allclose(expected_error, error.numpy(), atol=2e-4)


def test_graphs_carry_nothing_of_the_machine_that_made_them(profile):
    for name in ('analysis.onnx', 'synthesis.onnx'):
        graph = onnx.load(profile / name)
        for tensor in graph.graph.initializer:
            tensor.ClearField('raw_data')
        rest = graph.SerializeToString()
        assert b'.py' not in rest
        assert b'site-packages' not in rest and b'pkg.torch' not in rest


def test_large_weights_are_stored_as_half_precision(profile):
    kinds = {t.data_type for t in onnx.load(profile / 'synthesis.onnx').graph.initializer
             if np.prod(t.dims) >= 256}
    assert kinds == {onnx.TensorProto.FLOAT16}


def test_reordering_renumbers_symbols_and_keeps_the_image(model):
    image = np.random.default_rng(1).integers(0, 256, (32, 40, 3), np.uint8)
    order = np.random.default_rng(2).permutation(320)
    before = symbol_arrays(model, [image])[0]
    level, keep = torch.tensor([1]), torch.ones(1, 320)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        picture = model(batch, level, keep).image
        reorder(model, order.tolist())
        again = model(batch, level, keep).image
    after = symbol_arrays(model, [image])[0]
    reorder(model, np.argsort(order).tolist())
    assert np.array_equal(after, before[:, order])
    torch.testing.assert_close(again, picture, atol=1e-4, rtol=0)


def test_an_order_that_is_no_permutation_is_refused(model):
    with pytest.raises(ExportError, match='permutation'):
        reorder(model, [0] * 320)


def test_symbols_are_bounded_integers_of_every_level(model):
    image = np.full((30, 41, 3), 255, np.uint8)
    (symbols,) = symbol_arrays(model, [image], symbol_max=2)
    assert symbols.dtype == np.int16
    assert symbols.shape == (2, 320, 3, 5)
    assert abs(symbols).max() <= 2


def test_silent_channels_come_last_and_the_others_keep_their_order():
    symbols = np.zeros((2, 5, 3, 3), np.int16)
    symbols[1, 1] = symbols[0, 3] = 1
    assert importance_order([symbols]) == [1, 3, 0, 2, 4]


def test_the_manifest_vouches_for_every_file(profile):
    content = write_manifest(profile, FIELDS)
    raw = (profile / 'manifest.json').read_bytes()
    manifest = json.loads(raw)
    assert content == hashlib.sha256(raw).hexdigest()
    assert set(manifest['files']) == {'analysis.onnx', 'synthesis.onnx', 'tables.npz'}
    for name, digest in manifest['files'].items():
        assert hashlib.sha256((profile / name).read_bytes()).hexdigest() == digest
    assert manifest['layers'][-1] == manifest['latent_channels'] == 320


def test_a_manifest_of_missing_files_is_refused(tmp_path):
    with pytest.raises(ExportError, match=r'analysis\.onnx'):
        write_manifest(tmp_path, FIELDS)


def test_a_model_of_other_channels_is_no_profile(tmp_path):
    small = StructureModel(StructureConfig(latent=12, quantizers=2))
    with pytest.raises(ExportError, match='12 latent channels'):
        export_graphs(small, tmp_path)


def test_an_exported_profile_is_one_that_the_codec_codes_with(model, tmp_path):
    generator = np.random.default_rng(4)
    views = [cv2.resize(generator.integers(0, 256, (5, 5, 3), np.uint8), (64, 64),
                        interpolation=cv2.INTER_CUBIC) for _ in range(4)]
    pairs = list(zip(views, views[1:]))
    content = export_profile(model, views, pairs, tmp_path, 'test', 1, {'command': 'none'})
    profile = load_profile(tmp_path)
    assert profile.content_hash.hex() == content
    image = cv2.resize(views[0], (200, 150))
    frame = FrameEncoder(profile).encode(image, EncoderSettings(channels=8))
    assert frame.quantizer == 1
    assert FrameDecoder(profile).decode(frame.payload).image.shape == image.shape


def test_a_default_quantizer_outside_the_model_is_refused(model, tmp_path):
    with pytest.raises(ExportError, match='quantizer 2'):
        export_profile(model, [], [], tmp_path, 'test', 2, {})
