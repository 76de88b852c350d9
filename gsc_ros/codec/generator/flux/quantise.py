# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Weights in fewer bits: the linear layers of a model, replaced one by one.

The layers and their arithmetic are those of bitsandbytes (LLM.int8 and NF4) and torchao. Going
layer by layer, only one of them is held twice, and it works with and without a GPU.
"""

from __future__ import annotations

import logging

from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator.source import Precision
import torch
from torch import nn

# T5 looks at the type of this layer's weight to choose that of its input.
_LEFT_ALONE = ('wo',)


def quantise(
    model: nn.Module, precision: Precision, device: torch.device, place: torch.device,
) -> nn.Module:
    """
    Quantise the linear layers of a model and put all of it in its place.

    :param model: it is changed; its weights are in ``precision.dtype_name``.
    :param precision: a quantised one; another only moves the model.
    :param device: where it is to compute, which quantises fastest.
    :param place: where it is to wait: the device, or the CPU.
    :raises GeneratorError: when a package is not installed.
    """
    if precision is Precision.INT8_TORCHAO:
        _with_torchao(model)
    elif precision.quantised:
        _with_bitsandbytes(model, precision, device, place)
    return model.to(place)


def is_quantised(layer: nn.Module, name: str) -> bool:
    """Return whether a layer of that name is one of those that are quantised."""
    return isinstance(layer, nn.Linear) and name.rpartition('.')[2] not in _LEFT_ALONE


def _with_torchao(model: nn.Module) -> None:
    try:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_
    except ImportError as error:
        raise GeneratorError("needs torchao: pip install 'gsc_ros[flux]'") from error
    quantize_(model, Int8WeightOnlyConfig(), filter_fn=is_quantised)


def _with_bitsandbytes(
    model: nn.Module, precision: Precision, device: torch.device, place: torch.device,
) -> None:
    try:
        import bitsandbytes
    except ImportError as error:
        raise GeneratorError("needs bitsandbytes: pip install 'gsc_ros[flux]'") from error
    # It says at every product that it computes in half precision, which is its way.
    logging.getLogger('bitsandbytes').setLevel(logging.ERROR)
    layers = bitsandbytes.nn
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if not is_quantised(layer, name):
                continue
            sizes = {'input_features': layer.in_features, 'output_features': layer.out_features,
                     'bias': layer.bias is not None, 'device': 'meta'}
            weight = layer.weight.data
            if precision is Precision.NF4:
                new = layers.Linear4bit(**sizes, quant_type='nf4', compute_dtype=getattr(
                    torch, precision.dtype_name))
                new.weight = layers.Params4bit(weight, requires_grad=False, quant_type='nf4')
            else:
                new = layers.Linear8bitLt(**sizes, has_fp16_weights=False)
                new.weight = layers.Int8Params(
                    weight, requires_grad=False, has_fp16_weights=False)
            new.bias = layer.bias
            # The move is what quantises.
            setattr(parent, name, new.to(device).to(place).requires_grad_(False))
