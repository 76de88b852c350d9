# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A rectified-flow transformer steered by a copy of its first blocks: section 3.3 of the paper.

::

                     text ───────────────────────┐
    condition tokens ─zero Linear─┐              │
    z_t ─────────────Linear─────(+)─> copy of the first M multi-stream
     │                                and S single-stream blocks (trained)
     │                                   │ zero Linear after each block
     │                                  (+) to the same block's output, the others get nothing
     └──────────Linear─────────────────> the transformer's blocks (frozen) ──> velocity

At the start of training every zero Linear gives exactly 0, so the whole equals the transformer bit
for bit.
"""

from __future__ import annotations

from diffusers import FluxControlNetModel, FluxTransformer2DModel
from gsc_ros.codec.generator.flux.config import ControlConfig
from gsc_ros.codec.generator.object_map import MAP_CHANNELS
import torch
from torch import nn, Tensor

# Most tokens have no object: where one is, it learns faster for being larger.
OBJECTS_GAIN = 4.0


class ConditionEmbedder(nn.Module):
    """
    The zero-initialised Linear that takes the condition tokens to the width of the transformer.

    The map of the objects has a Linear of its own: while that is zero, as in weights that were
    trained without, what it adds is exactly 0.

    :param config: what a condition token holds.
    :param in_channels: channels of an image token.
    :param inner: width of the transformer.
    """

    def __init__(self, config: ControlConfig, in_channels: int, inner: int):
        super().__init__()
        self.objects = None
        told = config.inputs(in_channels)
        if config.objects:
            told -= MAP_CHANNELS
            self.objects = nn.Linear(MAP_CHANNELS, inner, bias=False)
            nn.init.zeros_(self.objects.weight)
        self.linear = nn.Linear(told, inner)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        # Factors for the structure channels, which differ in size by orders of magnitude. The
        # trainer measures them; they are saved with the weights.
        self.register_buffer('structure_scale', torch.ones(config.channels))

    def forward(self, tokens: Tensor) -> Tensor:
        """
        Embed condition tokens.

        :param tokens: ``[B, N, K]``: structure channels, then those of the picture, the level and
            the map of the objects where the configuration has them.
        :return: ``[B, N, inner]``.
        """
        channels = len(self.structure_scale)
        end = self.linear.in_features
        structure, others = tokens[..., :channels], tokens[..., channels:end]
        embedded = self.linear(torch.cat([structure * self.structure_scale, others], dim=-1))
        if self.objects is None:
            return embedded
        return embedded + self.objects(OBJECTS_GAIN * tokens[..., end:])


def make_control(
    transformer: FluxTransformer2DModel, config: ControlConfig, *, copy: bool = True,
) -> FluxControlNetModel:
    """
    Return a control branch: the first blocks and the embedders of a transformer, and zero layers.

    :param transformer: the transformer to steer.
    :param config: how many blocks, and what guides them.
    :param copy: False leaves the copied weights random, for a file to fill in: those of a
        quantised transformer cannot be copied.
    :raises ValueError: when the transformer has fewer blocks.
    """
    sizes = transformer.config
    if config.multi > sizes.num_layers or config.single > sizes.num_single_layers:
        raise ValueError(
            f'{config.multi} and {config.single} blocks cannot be copied from a transformer of '
            f'{sizes.num_layers} and {sizes.num_single_layers}')
    control = FluxControlNetModel.from_transformer(
        transformer, num_layers=config.multi, num_single_layers=config.single,
        attention_head_dim=sizes.attention_head_dim,
        num_attention_heads=sizes.num_attention_heads, load_weights_from_transformer=copy)
    control.controlnet_x_embedder = ConditionEmbedder(
        config, sizes.in_channels, control.inner_dim)
    return control


class ControlledTransformer(nn.Module):
    """
    The velocity of the flow: a transformer, frozen, and the branch that steers it.

    :param transformer: the transformer; its parameters are frozen here.
    :param control: a branch of :func:`make_control`; None leaves the transformer alone.
    """

    def __init__(self, transformer: FluxTransformer2DModel, control: FluxControlNetModel | None):
        super().__init__()
        self.transformer = transformer.requires_grad_(False)
        self.control = control

    def forward(
        self, tokens: Tensor, structure: Tensor | None, text: Tensor, pooled: Tensor,
        sigma: Tensor, image_ids: Tensor, text_ids: Tensor, guidance: Tensor | None = None,
        control_scale: Tensor | float = 1.0,
    ) -> Tensor:
        """
        Return the velocity, noise - data.

        :param tokens: z_t, ``[B, N, C]``.
        :param structure: condition tokens ``[B, N, K]``; None leaves the branch out.
        :param text: embedded text ``[B, L, D]``.
        :param pooled: pooled embedding of the text ``[B, P]``.
        :param sigma: noise level 0..1 ``[B]``.
        :param image_ids: positions ``[N, 3]``.
        :param text_ids: positions ``[L, 3]``.
        :param guidance: guidance scale ``[B]`` for a guidance-distilled transformer, else None.
        :param control_scale: factor on what the branch adds.
        :return: ``[B, N, C]``.
        """
        shared = {
            'encoder_hidden_states': text, 'pooled_projections': pooled, 'timestep': sigma,
            'img_ids': image_ids, 'txt_ids': text_ids, 'guidance': guidance, 'return_dict': False}
        multi = single = None
        if self.control is not None and structure is not None:
            multi, single = self.control(
                hidden_states=tokens, controlnet_cond=structure,
                conditioning_scale=control_scale, **shared)
            sizes = self.transformer.config
            multi = _first_blocks(multi, sizes.num_layers, tokens)
            single = _first_blocks(single, sizes.num_single_layers, tokens)
        return self.transformer(
            hidden_states=tokens, controlnet_block_samples=multi,
            controlnet_single_block_samples=single, **shared)[0]


def _first_blocks(
    residuals: list[Tensor] | None, blocks: int, like: Tensor,
) -> list[Tensor]:
    """
    Return one residual for each block: those given for the first ones, 0 for the others.

    diffusers would spread a shorter list over all blocks, several to each residual.
    """
    given = list(residuals or ())
    return given + [like.new_zeros(1)] * (blocks - len(given))
