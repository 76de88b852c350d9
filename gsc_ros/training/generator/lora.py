# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Adapters of low rank (LoRA) in the place of a full copy, as in the second paper.

The blocks of the branch stay what they were copied from; beside each of their linear layers a pair
of small matrices is trained, and with them what has to start at zero: the layers after the blocks
and the embedder of the structure. Training then needs a tenth of the memory, the file a hundredth.
"""

from __future__ import annotations

from diffusers import FluxControlNetModel
from gsc_ros.codec.generator.flux.control_file import DOWN, LoraShape, UP
from peft import inject_adapter_in_model, LoraConfig

# Names inside of peft have the adapter's own, which files have not.
_ADAPTER = 'default'
# The linear layers of attention, of the feed-forward networks, and of the single-stream blocks.
TARGETS = (
    r'(single_)?transformer_blocks\.\d+\.'
    r'(attn\.(to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out)'
    r'|ff(_context)?\.net\.(0\.proj|2)|proj_mlp|proj_out)')
ZERO = ('controlnet_blocks.', 'controlnet_single_blocks.', 'controlnet_x_embedder.')


def add_adapters(control: FluxControlNetModel, shape: LoraShape) -> None:
    """Put adapters into a branch, and leave them and the layers that start at zero trainable."""
    config = LoraConfig(
        r=shape.rank, lora_alpha=shape.alpha, target_modules=TARGETS, bias='none')
    inject_adapter_in_model(config, control, _ADAPTER)
    for name, parameter in control.named_parameters():
        parameter.requires_grad_(f'.{_ADAPTER}.' in name or name.startswith(ZERO))


def file_name(name: str) -> str:
    """Return what a tensor of a branch with adapters is called in a control file."""
    for ending in (DOWN, UP):
        inside = f'{ending.removesuffix(".weight")}.{_ADAPTER}.weight'
        if name.endswith(inside):
            return name.removesuffix(inside) + ending
    return name
