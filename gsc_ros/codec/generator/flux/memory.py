# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How much memory a generator takes, before any of it is loaded.

Weights are counted on torch's meta device, from the `config.json` files alone; what is computed
with them is estimated, from the sizes of the largest arrays that are alive at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator.flux.quantise import is_quantised
from gsc_ros.codec.generator.source import Offload, Precision
import torch
from torch import nn

GIB = 1 << 30


@dataclass(frozen=True)
class Estimate:
    """
    Memory that generating takes.

    :param weights: bytes of each model by name.
    :param largest_layer: bytes of the largest layer of all.
    :param activations: bytes that are computed with, beside the weights.
    :param staged: bytes of the largest model as it is read, before it is quantised.
    """

    weights: dict[str, int]
    largest_layer: int
    activations: int
    staged: int

    def device(self, offload: Offload) -> int:
        """Return the bytes that the computing device needs at most."""
        if offload is Offload.SEQUENTIAL:
            return 2 * self.largest_layer + self.activations
        if offload is Offload.MODEL:
            # The transformer and its branch take turns at every step, so they stay together.
            steered = self.weights.get('transformer', 0) + self.weights.get('control', 0)
            return max(steered, *self.weights.values()) + self.activations
        return sum(self.weights.values()) + self.activations

    def host(self, offload: Offload) -> int:
        """Return the bytes that the machine needs beside a GPU."""
        if offload is Offload.NONE:
            return self.staged
        return max(self.staged, sum(self.weights.values()))


def weight_bytes(model: nn.Module, precision: Precision) -> int:
    """Return the bytes of a model's weights; it may be on the meta device."""
    linear = {id(layer.weight): layer.weight.numel() for name, layer in model.named_modules()
              if is_quantised(layer, name)}
    every = {id(one): one.numel() for one in model.parameters()}
    others = sum(every.values()) - sum(linear.values())
    size = 4 if precision is Precision.FP32 else 2
    return int(sum(linear.values()) * precision.weight_bytes + others * size)


def layer_bytes(model: nn.Module, precision: Precision) -> int:
    """Return the bytes of the largest layer of a model."""
    return max((int(sum(one.numel() for one in layer.parameters(recurse=False))
                    * max(precision.weight_bytes, 0.5)) for layer in model.modules()), default=0)


def activation_bytes(tokens: int, inner: int, precision: Precision) -> int:
    """
    Return what one picture takes beside the weights.

    :param tokens: image and text tokens.
    :param inner: width of the transformer.
    """
    size = 4 if precision is Precision.FP32 else 2
    # A single-stream block holds about 16 arrays of the transformer's width; the last stage of the
    # autoencoder four of 256 channels at the picture's size, 256 pixels to a token.
    return max(16 * tokens * inner, 4 * 256 * 256 * tokens) * size


def free_bytes(device: torch.device) -> int | None:
    """Return the free memory of a device; None where that cannot be told."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    try:
        for line in Path('/proc/meminfo').read_text(encoding='ascii').splitlines():
            if line.startswith('MemAvailable:'):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def check_memory(estimate: Estimate, offload: Offload, device: torch.device) -> None:
    """
    Raise a GeneratorError when a generator will not fit.

    :param estimate: what it needs.
    :param device: where it computes.
    """
    needs = {device: estimate.device(offload)}
    machine = torch.device('cpu')
    if device.type == 'cpu':
        needs[machine] = max(needs[device], estimate.host(Offload.MODEL))
    else:
        needs[machine] = estimate.host(offload)
    for place, need in needs.items():
        free = free_bytes(place)
        if free is not None and need > free:
            parts = ', '.join(f'{name} {size / GIB:.1f}' for name, size in estimate.weights.items())
            raise GeneratorError(
                f'needs about {need / GIB:.1f} GiB of memory on {place}, {free / GIB:.1f} GiB are '
                f'free (weights in GiB: {parts}). Fewer bits (int8, nf4, GGUF) or offloading '
                '(model, sequential) take less: see `gsc profile add --help`')
