# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sizes of the models, the only thing in which the generators differ.

A configuration holds the constructor arguments of the classes of diffusers and transformers, as
their `config.json` does: a transformer (FluxTransformer2DModel), an autoencoder (AutoencoderKL or
AutoencoderTiny), two text encoders (T5EncoderModel, CLIPTextModel) and the schedule.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gsc_ros.codec.generator.object_map import MAP_CHANNELS
from gsc_ros.codec.generator.schedule import Schedule
from gsc_ros.codec.generator.token import BYTE_VOCABULARY, END, PAD
from gsc_ros.codec.packet import LATENT_CHANNELS

# Text tokens of CLIP, whatever the model.
CLIP_TOKENS = 77


@dataclass(frozen=True)
class ControlConfig:
    """
    The control branch.

    :param multi: M, the first multi-stream blocks that are copied and steered, 4 in the paper.
    :param single: S, the first single-stream blocks likewise, 2 in the paper.
    :param channels: channels of the structure latent: all of them, those not sent being 0.
    :param picture: whether the autoencoder's latent of the structure decoder's picture is given,
        too.
    :param level: whether the quantizer's level is given, too.
    :param objects: whether the map of the object list is given, too.
    """

    multi: int = 4
    single: int = 2
    channels: int = LATENT_CHANNELS
    picture: bool = False
    level: bool = False
    objects: bool = False

    def inputs(self, in_channels: int) -> int:
        """Return the width of a condition token beside image tokens of ``in_channels``."""
        return (self.channels + (in_channels if self.picture else 0) + (1 if self.level else 0)
                + (MAP_CHANNELS if self.objects else 0))

    def to_dict(self) -> dict[str, Any]:
        """Return what :meth:`from_dict` takes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ControlConfig:
        """
        Return the configuration that a dictionary describes.

        :raises ValueError: when it has other fields or types than `to_dict` gives.
        """
        default = cls()
        for name, value in fields.items():
            if not hasattr(default, name) or type(value) is not type(getattr(default, name)):
                raise ValueError(f'a control branch has no {name!r} of {value!r}')
        found = cls(**fields)
        if min(found.multi, found.single) < 0 or found.multi + found.single == 0:
            raise ValueError(f'{found.multi} and {found.single} blocks cannot steer')
        if found.channels < 1:
            raise ValueError(f'{found.channels} structure channels are not positive')
        return found


@dataclass(frozen=True)
class GeneratorConfig:
    """
    One generator.

    :param name: its name.
    :param transformer: arguments of FluxTransformer2DModel.
    :param autoencoder_class: AutoencoderKL or AutoencoderTiny.
    :param autoencoder: its arguments.
    :param t5: arguments of T5Config.
    :param clip: arguments of CLIPTextConfig.
    :param text_tokens: text tokens of T5, at most and, padded, always.
    :param steps: default number of steps.
    :param guidance: default guidance scale; None where the model has none.
    :param schedule: the noise levels.
    :param scale: factor by which a picture is reduced for the model and enlarged afterwards.
    :param control: the control branch.
    """

    name: str
    transformer: dict[str, Any]
    autoencoder_class: str
    autoencoder: dict[str, Any]
    t5: dict[str, Any]
    clip: dict[str, Any]
    text_tokens: int
    steps: int
    guidance: float | None
    schedule: Schedule
    scale: int = 1
    control: ControlConfig = field(default_factory=ControlConfig)


_FLUX_TRANSFORMER = {
    'patch_size': 1, 'in_channels': 64, 'num_layers': 19, 'num_single_layers': 38,
    'attention_head_dim': 128, 'num_attention_heads': 24, 'joint_attention_dim': 4096,
    'pooled_projection_dim': 768, 'axes_dims_rope': (16, 56, 56)}
_FLUX_AUTOENCODER = {
    'in_channels': 3, 'out_channels': 3, 'latent_channels': 16, 'sample_size': 1024,
    'down_block_types': ('DownEncoderBlock2D',) * 4, 'up_block_types': ('UpDecoderBlock2D',) * 4,
    'block_out_channels': (128, 256, 512, 512), 'layers_per_block': 2, 'norm_num_groups': 32,
    'scaling_factor': 0.3611, 'shift_factor': 0.1159, 'use_quant_conv': False,
    'use_post_quant_conv': False}
_T5_XXL = {
    'vocab_size': 32128, 'd_model': 4096, 'd_kv': 64, 'd_ff': 10240, 'num_layers': 24,
    'num_heads': 64, 'feed_forward_proj': 'gated-gelu', 'relative_attention_num_buckets': 32,
    'relative_attention_max_distance': 128, 'dropout_rate': 0.1, 'tie_word_embeddings': False}
_CLIP_L = {
    'vocab_size': 49408, 'hidden_size': 768, 'intermediate_size': 3072, 'num_hidden_layers': 12,
    'num_attention_heads': 12, 'max_position_embeddings': CLIP_TOKENS, 'projection_dim': 768}

FLUX_DEV = GeneratorConfig(
    name='flux-dev', transformer=_FLUX_TRANSFORMER | {'guidance_embeds': True},
    autoencoder_class='AutoencoderKL', autoencoder=_FLUX_AUTOENCODER, t5=_T5_XXL, clip=_CLIP_L,
    text_tokens=512, steps=28, guidance=3.5, schedule=Schedule(shift=3.0, dynamic=True))
FLUX_SCHNELL = GeneratorConfig(
    name='flux-schnell', transformer=_FLUX_TRANSFORMER | {'guidance_embeds': False},
    autoencoder_class='AutoencoderKL', autoencoder=_FLUX_AUTOENCODER, t5=_T5_XXL, clip=_CLIP_L,
    text_tokens=256, steps=4, guidance=None, schedule=Schedule(shift=1.0))
# Trained by us, for two CPU cores: half the camera's size, text as bytes.
TINY = GeneratorConfig(
    name='tiny',
    transformer={
        'patch_size': 1, 'in_channels': 96, 'num_layers': 3, 'num_single_layers': 3,
        'attention_head_dim': 48, 'num_attention_heads': 4, 'joint_attention_dim': 96,
        'pooled_projection_dim': 96, 'axes_dims_rope': (8, 20, 20), 'guidance_embeds': False},
    # Behind a rearrangement of 8x8 pixels: see gsc_ros.training.generator.autoencoder.
    autoencoder_class='AutoencoderTiny',
    autoencoder={
        'in_channels': 192, 'out_channels': 192, 'latent_channels': 24,
        'encoder_block_out_channels': (24,), 'num_encoder_blocks': (0,),
        'decoder_block_out_channels': (192,), 'num_decoder_blocks': (3,)},
    t5={'vocab_size': BYTE_VOCABULARY, 'd_model': 96, 'd_kv': 24, 'd_ff': 192, 'num_layers': 2,
        'num_heads': 4, 'feed_forward_proj': 'gated-gelu', 'relative_attention_num_buckets': 32,
        'relative_attention_max_distance': 128, 'dropout_rate': 0.0,
        'tie_word_embeddings': False, 'pad_token_id': PAD, 'eos_token_id': END},
    clip={'vocab_size': BYTE_VOCABULARY, 'hidden_size': 96, 'intermediate_size': 192,
          'num_hidden_layers': 2, 'num_attention_heads': 4,
          'max_position_embeddings': CLIP_TOKENS, 'projection_dim': 96, 'pad_token_id': PAD,
          'bos_token_id': PAD, 'eos_token_id': END},
    text_tokens=48, steps=4, guidance=None, schedule=Schedule(shift=1.0), scale=2,
    control=ControlConfig(multi=2, single=1, picture=True, level=True, objects=True))

CONFIGS = {config.name: config for config in (TINY, FLUX_SCHNELL, FLUX_DEV)}
