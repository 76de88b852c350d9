# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The structure model: shapes, gains, dropped channels, and what it refuses."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('compressai')

from gsc_ros.training.model import StructureConfig, StructureModel  # noqa: E402

CONFIG = StructureConfig(
    latent=12, analysis=((16, 1), (16, 1)), synthesis=((16, 1), (16, 1), (16, 1)), quantizers=3,
    knots=2)


@pytest.fixture(name='model')
def tiny_model() -> StructureModel:
    """Return an untrained model of a few thousand weights."""
    torch.manual_seed(0)
    return StructureModel(CONFIG)


def test_forward_gives_an_image_an_error_and_bits_of_the_right_shapes(model):
    image = torch.rand(4, 3, 64, 96)
    result = model(image, torch.tensor([0, 0, 1, 2]), torch.ones(4, 12))
    assert result.image.shape == (4, 3, 64, 96)
    assert result.error.shape == (4, 1, 64, 96)
    assert result.bits.shape == (4,)
    assert result.symbols.shape == (4, 12, 8, 12)
    assert (result.error >= 0).all()
    assert (result.bits > 0).all()


def test_symbols_are_integers(model):
    result = model(torch.rand(1, 3, 64, 64), torch.tensor([2]), torch.ones(1, 12))
    assert torch.equal(result.symbols, result.symbols.round())


def test_gains_are_positive_and_grow_with_the_level(model):
    gains = model.gains
    assert gains.shape == (3, 12)
    assert (gains > 0).all()
    assert (gains[1:] > gains[:-1]).all()


def test_gains_between_the_knots_are_interpolated(model):
    with torch.no_grad():
        model.log_gain.copy_(torch.randn_like(model.log_gain))
    gains = model.gains.log()
    assert torch.allclose(gains[1], (gains[0] + gains[2]) / 2, atol=1e-5)


def test_the_order_of_the_levels_does_not_matter(model):
    images = torch.rand(1, 3, 32, 32).repeat(3, 1, 1, 1)
    keep = torch.ones(3, 12)
    mixed = model(images, torch.tensor([2, 0, 1]), keep)
    ordered = model(images, torch.tensor([0, 1, 2]), keep)
    assert torch.equal(mixed.symbols[[1, 2, 0]], ordered.symbols)
    # The rate uses random noise, so the figures agree only roughly.
    assert torch.allclose(mixed.bits[[1, 2, 0]], ordered.bits, rtol=0.3)


def test_what_is_coded_later_does_not_change_the_bits_of_what_comes_before(model):
    rate = model.rate
    with torch.no_grad():
        for parameter in rate.parameters():
            parameter.copy_(0.1 * torch.randn_like(parameter))
    rate.conditional.quantize = lambda values, mode, means=None: values  # no noise
    gain, blend = torch.ones(1, 12, 1, 1), model.blend[1:2]
    y = torch.randn(1, 12, 8, 8).round()
    before = rate(y, y, gain, blend)
    late = y.clone()
    late[:, 5, 1, 2] += 3  # of the last pass
    after = rate(late, late, gain, blend)
    same = torch.isclose(before, after)
    assert same[:, :5].all()
    assert same[:, 5].sum() == 63
    assert not same[:, 6:].all()


def test_dropped_channels_cost_no_bits(model):
    none = model(torch.rand(1, 3, 32, 32), torch.tensor([1]), torch.zeros(1, 12))
    assert none.bits.item() == 0


def test_a_prefix_decodes_as_if_the_other_channels_were_zero(model):
    model.eval()
    image, keep = torch.rand(1, 3, 32, 32), torch.zeros(1, 12)
    keep[:, :5] = 1
    result = model(image, torch.tensor([1]), keep)
    symbols = result.symbols.clone()
    symbols[:, 5:] = 0
    expected, _ = model.g_s(
        symbols / model.gains[1][None, :, None, None], torch.tensor([0.5]))
    assert torch.allclose(result.image, expected, atol=1e-5)


def test_gradients_reach_everything_but_not_the_features_through_the_error(model):
    result = model(torch.rand(2, 3, 32, 32), torch.tensor([0, 2]), torch.ones(2, 12))
    result.error.sum().backward()
    assert model.g_s.error_head[0].weight.grad is not None
    assert all(p.grad is None for p in model.g_a.parameters())
    assert all(p.grad is None for p in model.g_s.layers.parameters())


def test_a_size_that_is_no_multiple_of_the_stride_is_refused(model):
    with pytest.raises(ValueError, match='multiple of 8'):
        model(torch.rand(1, 3, 60, 64), torch.tensor([0]), torch.ones(1, 12))


def test_a_configuration_survives_its_own_json_form():
    assert StructureConfig.from_dict(CONFIG.to_dict()) == CONFIG


def test_a_configuration_with_missing_stages_is_refused():
    with pytest.raises(ValueError, match='stages'):
        StructureConfig(analysis=((16, 1),))
