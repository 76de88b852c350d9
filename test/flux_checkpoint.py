# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FLUX-shaped checkpoints of some 100 kB, on disk in the layout of the Hugging Face hub."""

from __future__ import annotations

import json
from pathlib import Path

from diffusers import FlowMatchEulerDiscreteScheduler, FluxControlNetModel
from gsc_ros.codec.generator.flux.config import CLIP_TOKENS, ControlConfig, GeneratorConfig
from gsc_ros.codec.generator.flux.control import make_control
from gsc_ros.codec.generator.flux.control_file import ControlInfo, save_control
from gsc_ros.codec.generator.flux.parts import build, Parts
from gsc_ros.codec.generator.schedule import Schedule
from tokenizers import models, pre_tokenizers, Tokenizer
import torch
from transformers import CLIPTokenizer, T5TokenizerFast

SMALL = GeneratorConfig(
    name='small',
    transformer={
        'patch_size': 1, 'in_channels': 64, 'num_layers': 3, 'num_single_layers': 4,
        'attention_head_dim': 16, 'num_attention_heads': 4, 'joint_attention_dim': 64,
        'pooled_projection_dim': 64, 'axes_dims_rope': (4, 6, 6), 'guidance_embeds': True},
    autoencoder_class='AutoencoderKL',
    autoencoder={
        'in_channels': 3, 'out_channels': 3, 'latent_channels': 16, 'sample_size': 64,
        'down_block_types': ('DownEncoderBlock2D',) * 4,
        'up_block_types': ('UpDecoderBlock2D',) * 4, 'block_out_channels': (8, 8, 16, 16),
        'layers_per_block': 1, 'norm_num_groups': 4, 'scaling_factor': 0.3611,
        'shift_factor': 0.1159, 'use_quant_conv': False, 'use_post_quant_conv': False},
    t5={'vocab_size': 64, 'd_model': 64, 'd_kv': 16, 'd_ff': 64, 'num_layers': 2, 'num_heads': 4,
        'feed_forward_proj': 'gated-gelu', 'tie_word_embeddings': False},
    clip={'vocab_size': 64, 'hidden_size': 64, 'intermediate_size': 64, 'num_hidden_layers': 2,
          'num_attention_heads': 4, 'max_position_embeddings': CLIP_TOKENS,
          'projection_dim': 64, 'bos_token_id': 1, 'eos_token_id': 2},
    text_tokens=16, steps=3, guidance=3.5, schedule=Schedule(shift=3.0, dynamic=True),
    control=ControlConfig(multi=2, single=1))
STRUCTURE = 'ab' * 32
WORDS = ('a', 'road', 'with', 'two', 'cars', 'and', 'trees', 'in', 'rain')


def small_parts(seed: int = 0, config: GeneratorConfig = SMALL) -> Parts:
    """Return random models, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(config)


def write_checkpoint(folder: Path, parts: Parts) -> None:
    """Write models, tokenizers and the schedule as a pipeline's directory has them."""
    parts.transformer.save_pretrained(folder / 'transformer', max_shard_size='200KB')
    parts.autoencoder.save_pretrained(folder / 'vae')
    parts.text.clip.save_pretrained(folder / 'text_encoder')
    parts.text.t5.save_pretrained(folder / 'text_encoder_2')
    clip_tokenizer(folder).save_pretrained(folder / 'tokenizer')
    t5_tokenizer().save_pretrained(folder / 'tokenizer_2')
    FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True).save_pretrained(
        folder / 'scheduler')
    (folder / 'model_index.json').write_text(json.dumps({'_class_name': 'FluxPipeline'}))


def open_zero_layers(control: FluxControlNetModel) -> None:
    """Give the zero layers of a branch random weights, as if it had been trained."""
    embedder = control.controlnet_x_embedder
    layers = [embedder.linear, *control.controlnet_blocks, *control.controlnet_single_blocks]
    if embedder.objects is not None:
        layers.append(embedder.objects)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        for layer in layers:
            torch.nn.init.normal_(layer.weight, std=0.1)


def write_control(
    path: Path, parts: Parts, structure: str = STRUCTURE, pitch: int = 16,
    config: ControlConfig = SMALL.control,
) -> None:
    """Write a control branch for a transformer, its zero layers opened."""
    control = make_control(parts.transformer, config)
    open_zero_layers(control)
    save_control(path, control.state_dict(), ControlInfo(
        config=config, structure=structure, pitch=pitch, channels='4', base='small'))


def write_steered(folder: Path) -> Path:
    """Write a checkpoint, and `control.safetensors` beside its parts; return the folder."""
    torch.set_num_threads(1)
    parts = small_parts()
    write_checkpoint(folder, parts)
    write_control(folder / 'control.safetensors', parts)
    return folder


def clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """Return a tokenizer of CLIP's kind, with single letters."""
    letters = [chr(code) for code in range(ord('a'), ord('z') + 1)]
    names = ['<pad>', '<|startoftext|>', '<|endoftext|>', *letters,
             *(f'{letter}</w>' for letter in letters)]
    vocabulary, merges = folder / 'vocab.json', folder / 'merges.txt'
    vocabulary.write_text(json.dumps({name: index for index, name in enumerate(names)}))
    merges.write_text('#version: 0.2\n')
    return CLIPTokenizer(
        vocab=str(vocabulary), merges=str(merges), model_max_length=CLIP_TOKENS)


def t5_tokenizer() -> T5TokenizerFast:
    """Return a tokenizer of T5's kind, with a few words."""
    pieces = [('<pad>', 0.0), ('</s>', 0.0), ('<unk>', 0.0),
              *((f'▁{word}', -float(index + 2)) for index, word in enumerate(WORDS))]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return T5TokenizerFast(tokenizer_object=tokenizer, extra_ids=0)
