# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A trained network as a judge of reconstructions: how far apart it finds two pictures.

The network is a quantised TFLite file, as embedded devices run them (DeepLab v3 on MobileNet v2,
say). Its convolutions are turned into torch, with float weights, up to the last layer that is
looked at. The distance of two pictures is that of their features, normalised at every position and
summed over the layers, as LPIPS takes it (Zhang et al. 2018) but without its learned weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import struct

import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional

# Of a TFLite file, behind the offset of its root.
_IDENTIFIER = b'TFL3'
_SAME, _RELU6 = 0, 3
_ACTIVATIONS = {0: None, 1: (0.0, None), _RELU6: (0.0, 6.0)}
# Layers that are compared: the last of each size up to a sixteenth, then every other.
COMPARED = 6


class TeacherError(ValueError):
    """The file is no network that can be used; the message says why."""


@dataclass(frozen=True)
class _Step:
    """One operation: its kind, the values it reads and writes, and its convolution if it is one."""

    kind: str
    inputs: tuple[int, ...]
    output: int
    layer: int
    stride: int
    dilation: int
    padded: bool
    limits: tuple[float, float | None] | None


class Teacher(nn.Module):
    """
    The convolutional part of a TFLite network, in float32, with frozen weights.

    :param path: the TFLite file; its first input is a picture, uint8 ``[1, h, w, 3]``.
    :raises TeacherError: when it cannot be read or has no convolutions.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        from ai_edge_litert import schema_py_generated as schema
        try:
            content = path.read_bytes()
            if content[4:8] != _IDENTIFIER:
                raise TeacherError(f'{path}: not a TFLite network')
            graph = schema.ModelT.InitFromPackedBuf(content, 0)
            tensors = graph.subgraphs[0].tensors
        except (OSError, IndexError, TypeError, struct.error) as error:
            raise TeacherError(f'{path}: not a TFLite network: {error}') from error
        names = {value: name for name, value in vars(schema.BuiltinOperator).items()
                 if isinstance(value, int)}
        self._convolutions = nn.ModuleList()
        self._steps: list[_Step] = []
        known = {int(graph.subgraphs[0].inputs[0])}
        self._entry = next(iter(known))
        for operator in graph.subgraphs[0].operators:
            code = graph.operatorCodes[operator.opcodeIndex]
            kind = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            if kind not in ('CONV_2D', 'DEPTHWISE_CONV_2D', 'ADD'):
                break
            layer = -1
            options = operator.builtinOptions
            if kind != 'ADD':
                layer = len(self._convolutions)
                self._convolutions.append(_convolution(
                    *(_values(tensors[index], graph.buffers) for index in operator.inputs[1:]),
                    depthwise=kind.startswith('DEPTH')))
            read = tuple(int(index) for index in operator.inputs[:2 if kind == 'ADD' else 1])
            if not known.issuperset(read):
                break
            self._steps.append(_Step(
                kind, read, int(operator.outputs[0]), layer, getattr(options, 'strideW', 1),
                getattr(options, 'dilationWFactor', 1), getattr(options, 'padding', 0) == _SAME,
                _ACTIVATIONS.get(options.fusedActivationFunction)))
            known.add(int(operator.outputs[0]))
        self._compared = self._chosen()
        if not self._compared:
            raise TeacherError(f'{path}: has no convolution that could be looked at')
        self.requires_grad_(False)

    def _chosen(self) -> list[int]:
        """Return the outputs to compare: of depthwise layers, evenly through the network."""
        spatial = [step.output for step in self._steps if step.kind.startswith('DEPTH')]
        picks = np.linspace(1, len(spatial) - 1, COMPARED).round().astype(int) if spatial else []
        return [spatial[index] for index in dict.fromkeys(picks)]

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the features [B, C, h', w'] of pictures [B, 3, h, w] in [0, 1] at each layer."""
        values = {self._entry: image * 2 - 1}
        for step in self._steps:
            first = values[step.inputs[0]]
            if step.kind == 'ADD':
                result = first + values[step.inputs[1]]
            else:
                layer = self._convolutions[step.layer]
                if step.padded:
                    first = functional.pad(first, _padding(
                        first.shape[-2:], layer.kernel_size[0], step.stride, step.dilation))
                result = functional.conv2d(
                    first, layer.weight, layer.bias, step.stride, 0, step.dilation, layer.groups)
            if step.limits:
                result = result.clamp(*step.limits)
            values[step.output] = result
            if step.output == self._compared[-1]:
                break
        return [values[index] for index in self._compared]

    def distance(self, image: Tensor, reference: Sequence[Tensor]) -> Tensor:
        """
        Return how far pictures are from others, [B], 0 for equal ones.

        :param image: [B, 3, h, w] in [0, 1].
        :param reference: the features of the others.
        """
        total = torch.zeros(len(image), device=image.device)
        for own, other in zip(self.features(image), reference):
            total = total + (_unit(own) - _unit(other)).square().sum(dim=1).mean(dim=(1, 2))
        return total


def _unit(features: Tensor) -> Tensor:
    """Return features of length 1 at every position."""
    return features / (features.square().sum(dim=1, keepdim=True) + 1e-4).sqrt()


def _padding(size: Sequence[int], kernel: int, stride: int, dilation: int) -> list[int]:
    """Return left, right, top and bottom of TensorFlow's SAME padding."""
    sides: list[int] = []
    for side in reversed(size):
        total = max((-(-side // stride) - 1) * stride + dilation * (kernel - 1) + 1 - side, 0)
        sides += [total // 2, total - total // 2]
    return sides


def _values(tensor: object, buffers: Sequence[object]) -> np.ndarray:
    """Return the constant that a quantised tensor holds, float32."""
    kinds = {2: np.int32, 3: np.uint8, 9: np.int8, 0: np.float32}
    data = buffers[tensor.buffer].data
    if data is None or tensor.type not in kinds:
        raise TeacherError('a convolution has no constant weights')
    raw = np.frombuffer(bytes(data), kinds[tensor.type]).reshape(tensor.shape).astype(np.float32)
    scale = tensor.quantization.scale if tensor.quantization is not None else None
    if scale is None or not len(scale):
        return raw
    return (raw - np.float32(tensor.quantization.zeroPoint[0])) * np.float32(scale[0])


def _convolution(weight: np.ndarray, bias: np.ndarray, depthwise: bool) -> nn.Conv2d:
    """Return a convolution of TFLite weights [out, h, w, in], or [1, h, w, out] depthwise."""
    order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
    weight = np.ascontiguousarray(weight.transpose(order))
    outputs, inputs = weight.shape[:2]
    layer = nn.Conv2d(inputs * (outputs if depthwise else 1), outputs, weight.shape[2],
                      groups=outputs if depthwise else 1)
    layer.weight.data = torch.from_numpy(weight)
    layer.bias.data = torch.from_numpy(bias.copy())
    return layer
