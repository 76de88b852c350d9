# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steered transformer: where the branch acts, what learns, and how large it is for FLUX."""

from __future__ import annotations

from dataclasses import replace

from flux_checkpoint import open_zero_layers, SMALL, small_parts
from gsc_ros.codec.generator import token
from gsc_ros.codec.generator.flux.config import ControlConfig, FLUX_DEV
from gsc_ros.codec.generator.flux.control import ControlledTransformer, make_control
from gsc_ros.codec.generator.flux.parts import build
from gsc_ros.codec.generator.object_map import MAP_CHANNELS
import pytest
import torch

ROWS, COLUMNS = 2, 3


@pytest.fixture(name='transformer')
def small_transformer():
    """Return a transformer of 3 multi-stream and 4 single-stream blocks."""
    torch.set_num_threads(1)
    return small_parts().transformer


def inputs(batch: int = 2, width: int = 320) -> dict:
    """Return random inputs of the steered transformer."""
    draw = torch.Generator().manual_seed(7)
    sizes = SMALL.transformer

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw)

    return {
        'tokens': normal(batch, ROWS * COLUMNS, sizes['in_channels']),
        'structure': normal(batch, ROWS * COLUMNS, width),
        'text': normal(batch, 5, sizes['joint_attention_dim']),
        'pooled': normal(batch, sizes['pooled_projection_dim']),
        'sigma': torch.tensor([0.3, 0.9]), 'guidance': torch.full((batch,), 3.5),
        'image_ids': torch.from_numpy(token.image_ids(ROWS, COLUMNS)),
        'text_ids': torch.from_numpy(token.text_ids(5))}


def reached(model: ControlledTransformer) -> set[str]:
    """Return the names of the parameters that a backward pass gave a gradient other than zero."""
    given = inputs()
    model.zero_grad(set_to_none=True)
    model(**given).square().mean().backward()
    return {name for name, one in model.named_parameters()
            if one.grad is not None and bool(one.grad.any())}


@pytest.mark.parametrize('config', [
    ControlConfig(multi=2, single=1), ControlConfig(multi=3, single=4),
    ControlConfig(multi=0, single=2), ControlConfig(multi=1, single=0),
    ControlConfig(multi=2, single=1, picture=True, level=True),
    ControlConfig(multi=2, single=1, level=True, objects=True)])
def test_at_the_start_the_steered_model_equals_the_plain_one_bit_for_bit(transformer, config):
    model = ControlledTransformer(transformer, make_control(transformer, config))
    given = inputs(width=config.inputs(64))
    with torch.inference_mode():
        steered = model(**given)
        plain = model(**given | {'structure': None})
        original = transformer(
            hidden_states=given['tokens'], encoder_hidden_states=given['text'],
            pooled_projections=given['pooled'], timestep=given['sigma'],
            img_ids=given['image_ids'], txt_ids=given['text_ids'], guidance=given['guidance'],
            return_dict=False)[0]
    assert torch.equal(steered, original)
    assert torch.equal(plain, original)


def test_the_first_backward_pass_reaches_only_the_zero_layers_and_later_ones_only_the_branch(
        transformer):
    model = ControlledTransformer(
        transformer, make_control(transformer, ControlConfig(multi=2, single=1)))
    before = {name: one.clone() for name, one in model.transformer.named_parameters()}
    trained = torch.optim.SGD(
        [one for one in model.parameters() if one.requires_grad], lr=1e-3)
    first = reached(model)
    assert first
    assert all(name.startswith(('control.controlnet_blocks.', 'control.controlnet_single_blocks.'))
               for name in first)
    trained.step()
    second = reached(model)
    assert all(name.startswith('control.') for name in second)
    assert 'control.controlnet_x_embedder.linear.weight' in second
    trained.step()
    copied = {name.removeprefix('control.') for name in reached(model)}
    # The last single-stream block's text goes nowhere, but its layers are those of the image.
    for block in ('transformer_blocks.0', 'transformer_blocks.1', 'single_transformer_blocks.0'):
        assert any(name.startswith(f'{block}.') for name in copied)
    assert {'x_embedder.weight', 'context_embedder.weight'} <= copied
    assert all(torch.equal(before[name], one) for name, one in transformer.named_parameters())
    assert not any(one.requires_grad for one in transformer.parameters())


def test_the_branch_steers_exactly_the_first_blocks(transformer):
    control = make_control(transformer, ControlConfig(multi=2, single=1))
    open_zero_layers(control)
    model = ControlledTransformer(transformer, control)
    given = inputs()
    entered: list[torch.Tensor] = []
    left: list[torch.Tensor] = []
    blocks = [*transformer.transformer_blocks, *transformer.single_transformer_blocks]
    for block in blocks:
        block.register_forward_pre_hook(
            lambda _, __, named: entered.append(named['hidden_states']), with_kwargs=True)
        block.register_forward_hook(lambda _, __, out: left.append(out[1]))
    ends: list[torch.Tensor] = []
    transformer.norm_out.register_forward_pre_hook(lambda _, args: ends.append(args[0]))
    with torch.inference_mode():
        model(**given)
        multi, single = control(
            hidden_states=given['tokens'], controlnet_cond=given['structure'],
            encoder_hidden_states=given['text'], pooled_projections=given['pooled'],
            timestep=given['sigma'], img_ids=given['image_ids'], txt_ids=given['text_ids'],
            guidance=given['guidance'], return_dict=False)
    following = [*entered[1:], *ends]
    # What a block gives and the next one gets differ by what the branch adds.
    added = [after - out for out, after in zip(left, following)]
    expected = [*multi, None, *single, None, None, None]
    assert len(added) == len(expected) == 7
    for found, residual in zip(added, expected):
        if residual is None:
            assert not found.any()
        else:
            assert residual.abs().max() > 0.01
            torch.testing.assert_close(found, residual, atol=1e-5, rtol=1e-4)


def test_structure_and_its_scale_matter_once_the_zero_layers_are_open(transformer):
    control = make_control(transformer, ControlConfig(multi=2, single=1))
    open_zero_layers(control)
    model = ControlledTransformer(transformer, control)
    given = inputs()
    with torch.inference_mode():
        steered = model(**given)
        other = model(**given | {'structure': given['structure'].flip(1)})
        control.controlnet_x_embedder.structure_scale.fill_(2)
        scaled = model(**given | {'structure': given['structure'] / 2})
        off = model(**given, control_scale=0.0)
        plain = model(**given | {'structure': None})
    assert (steered - other).abs().max() > 1e-3
    torch.testing.assert_close(scaled, steered, atol=1e-5, rtol=1e-4)
    assert torch.equal(off, plain)


def test_a_branch_that_never_saw_objects_steers_the_same_bit_for_bit_with_a_layer_for_them(
        transformer):
    trained = make_control(transformer, ControlConfig(multi=2, single=1))
    open_zero_layers(trained)
    widened = make_control(transformer, ControlConfig(multi=2, single=1, objects=True))
    missing, unexpected = widened.load_state_dict(trained.state_dict(), strict=False)
    assert (missing, unexpected) == (['controlnet_x_embedder.objects.weight'], [])
    given = inputs(width=320 + MAP_CHANNELS)
    with torch.inference_mode():
        before = ControlledTransformer(transformer, trained)(
            **given | {'structure': given['structure'][..., :320]})
        model = ControlledTransformer(transformer, widened)
        assert torch.equal(model(**given), before)
        torch.nn.init.normal_(widened.controlnet_x_embedder.objects.weight, std=0.1)
        told = model(**given)
        given['structure'][..., 320:] = 0
        assert torch.equal(model(**given), before)
    assert (told - before).abs().max() > 1e-3


def test_more_blocks_than_the_transformer_has_cannot_be_copied(transformer):
    with pytest.raises(ValueError, match='cannot be copied'):
        make_control(transformer, ControlConfig(multi=4, single=1))
    with pytest.raises(ValueError, match='cannot steer'):
        ControlConfig.from_dict({'multi': 0, 'single': 0})
    with pytest.raises(ValueError, match="'multi'"):
        ControlConfig.from_dict({'multi': True})


def test_flux_has_the_sizes_of_the_paper():
    with torch.device('meta'):
        parts = build(FLUX_DEV)
        sizes = {name: sum(one.numel() for one in model.parameters())
                 for name, model in parts.modules().items()}
        control = make_control(
            parts.transformer, replace(FLUX_DEV.control, channels=16), copy=False)
    assert sizes['transformer'] / 1e9 == pytest.approx(11.90, abs=0.005)
    assert sizes['t5'] / 1e9 == pytest.approx(4.76, abs=0.005)
    assert sizes['clip'] / 1e6 == pytest.approx(123.1, abs=0.1)
    assert sizes['autoencoder'] / 1e6 == pytest.approx(83.8, abs=0.1)
    trained = sum(one.numel() for one in control.parameters())
    assert trained / 1e9 == pytest.approx(1.744, abs=0.0005)
