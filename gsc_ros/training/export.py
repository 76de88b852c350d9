# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Export a trained structure model to a profile that the codec runs without torch.

A profile directory holds ``analysis.onnx``, ``synthesis.onnx``, ``tables.npz`` and
``manifest.json``; :mod:`gsc_ros.codec.profile` describes them. Graph weights are stored as float16
and cast to float32 when a session is made: half the bytes, the same speed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path

from gsc_ros.codec.entropy import PRECISION
from gsc_ros.codec.packet import LATENT_CHANNELS, LAYERS
from gsc_ros.codec.profile import (
    ANALYSIS_FILE,
    FILES,
    FORMAT,
    MANIFEST_FILE,
    SYNTHESIS_FILE,
    TABLES_FILE,
)
from gsc_ros.training.context_fit import fit_context
from gsc_ros.training.data import CropSampler, Split
from gsc_ros.training.model import Analysis, STRIDE, StructureModel
from gsc_ros.training.pair import Pair
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import torch
from torch import nn, Tensor

WORK_SCALE = 4
OPSET = 18
SYMBOL_MAX = 127
MIN_HALF_ELEMENTS = 256
"""Smaller weights (biases) stay float32: they cost nothing."""


class ExportError(ValueError):
    """The model cannot become a profile; the message says why."""


@dataclass(frozen=True)
class ManifestFields:
    """What only the exporter knows about a profile; ``training`` is free JSON for the reader."""

    name: str
    quantizers: int
    default_quantizer: int
    symbol_max: int
    training: dict[str, object]
    scale: int = WORK_SCALE
    stride: int = STRIDE


class UnfoldedAnalysis(nn.Module):
    """
    The analysis transform with pixel unshuffling folded into its first convolution.

    A 3x3 convolution over 4x4 blocks of pixels is a 12x12 convolution of stride 4: the same
    numbers in one node of the graph.
    """

    def __init__(self, analysis: Analysis) -> None:
        super().__init__()
        self.linear = analysis.linear
        unshuffle, first, *rest = analysis.layers
        block = unshuffle.downscale_factor
        width = first.out_channels
        self.first = nn.Conv2d(3, width, 3 * block, stride=block, padding=block)
        weight = first.weight.detach().reshape(width, 3, block, block, 3, 3)
        weight = weight.permute(0, 1, 4, 2, 5, 3).reshape(width, 3, 3 * block, 3 * block)
        self.first.weight = nn.Parameter(weight)
        self.first.bias = nn.Parameter(first.bias.detach())
        self.rest = nn.Sequential(*rest)

    def forward(self, image: Tensor) -> Tensor:
        """Map [B, 3, h, w] in [0, 1] to y [B, C, h/8, w/8]."""
        centered = image * 2 - 1
        return self.linear(centered) + self.rest(self.first(centered))


def reorder(model: StructureModel, order: Sequence[int]) -> None:
    """
    Renumber the latent channels in place: channel ``i`` becomes what ``order[i]`` was.

    :raises ExportError: when ``order`` is no permutation of the channels.
    """
    if sorted(order) != list(range(model.config.latent)):
        raise ExportError('order is not a permutation of the channels')
    index = torch.as_tensor(order)
    rate = model.rate
    # The rate model's matrices say how much an earlier channel (column) tells of a later one (row).
    between = (rate.far, rate.far_size, rate.far_around)
    by_row = (*model.g_a.linear.parameters(), *model.g_a.layers[-1].parameters(),
              model.g_s.linear.weight, *between)
    by_column = (model.g_s.enter.weight, model.log_gain, *between)
    by_last = (rate.near, rate.near_size, rate.near_spread, rate.base)
    with torch.no_grad():
        for parameter in by_row:
            parameter.copy_(parameter[index])
        for parameter in by_column:
            parameter.copy_(parameter[:, index])
        for parameter in by_last:
            parameter.copy_(parameter[..., index])


@torch.no_grad()
def symbol_arrays(
        model: StructureModel, images: Iterable[np.ndarray], symbol_max: int = SYMBOL_MAX
        ) -> list[np.ndarray]:
    """
    Return the symbols of each image at every quantizer, int16 [Q, C, h/8, w/8].

    :param images: uint8 [H, W, 3] RGB at work scale; cut to multiples of 8.
    """
    gains = model.gains[:, :, None, None]
    result = []
    for image in images:
        height, width = (side // STRIDE * STRIDE for side in image.shape[:2])
        batch = torch.from_numpy(np.ascontiguousarray(image[:height, :width]))
        y = model.g_a(batch.permute(2, 0, 1)[None].float() / 255)
        symbols = (y * gains).round().clamp(-symbol_max, symbol_max)
        result.append(symbols.to(torch.int16).numpy())
    return result


def importance_order(symbols: Sequence[np.ndarray]) -> list[int]:
    """
    Return the order in which a profile numbers the channels.

    Training with random prefixes has put the channels in order already; what is left is to move
    those that never carry a symbol behind all others.

    :param symbols: int16 [Q, C, h, w] of several images, see :func:`symbol_arrays`.
    """
    active = np.zeros(symbols[0].shape[1], bool)
    for array in symbols:
        active |= (array != 0).any(axis=(0, 2, 3))
    return sorted(range(len(active)), key=lambda channel: (not active[channel], channel))


def export_graphs(model: StructureModel, directory: Path) -> None:
    """
    Write ``analysis.onnx`` and ``synthesis.onnx``, for any image size in multiples of 8.

    :raises ExportError: when the model has another number of latent channels than a packet.
    """
    if model.config.latent != LATENT_CHANNELS:
        raise ExportError(
            f'the model has {model.config.latent} latent channels, packets {LATENT_CHANNELS}')
    directory.mkdir(parents=True, exist_ok=True)
    model.eval()
    rows = torch.export.Dim('rows', min=1, max=1024)
    columns = torch.export.Dim('columns', min=1, max=1024)
    write_graph(
        UnfoldedAnalysis(model.g_a), (torch.zeros(1, 3, 5 * STRIDE, 7 * STRIDE),),
        ({2: STRIDE * rows, 3: STRIDE * columns},), ['image'], ['y'], directory / ANALYSIS_FILE)
    write_graph(
        model.g_s, (torch.zeros(1, LATENT_CHANNELS, 5, 7), torch.zeros(1)),
        ({2: rows, 3: columns}, None), ['y_hat', 'level'], ['image', 'error'],
        directory / SYNTHESIS_FILE)


def write_graph(
        module: nn.Module, example: tuple[Tensor, ...],
        dynamic: tuple[dict[int, object] | None, ...], inputs: list[str], outputs: list[str],
        path: Path, half: bool = True) -> None:
    """
    Export one module to ONNX with nothing about this machine in it.

    :param half: store the weights as float16.
    """
    program = torch.onnx.export(
        module.eval(), example, input_names=inputs, output_names=outputs, opset_version=OPSET,
        dynamo=True, external_data=False, dynamic_shapes=dynamic, verbose=False)
    graph = anonymous(program.model_proto)
    if half:
        graph = halved(graph)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save_model(graph, path)


def anonymous(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the exporter's notes (stack traces with the paths of the machine) from a graph."""
    model.doc_string = model.graph.doc_string = ''
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for item in [*model.graph.node, *model.graph.input, *model.graph.output,
                 *model.graph.value_info, *model.graph.initializer]:
        item.doc_string = ''
        del item.metadata_props[:]
    return model


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the large weights of a graph as float16 behind casts that the runtime folds away."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < MIN_HALF_ELEMENTS:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f'{name}_half'))
        casts.append(helper.make_node('Cast', [f'{name}_half'], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def training_views(split: Split, count: int, side: int = 128, seed: int = 0) -> list[np.ndarray]:
    """
    Return augmented square views of the training images to fit the entropy model on.

    :return: ``count`` arrays uint8 [side, side, 3] RGB at work scale.
    """
    batch = CropSampler(split.training, side).batch(count, np.random.default_rng(seed))
    return list(np.round(batch.transpose(0, 2, 3, 1) * 255).astype(np.uint8))


def observed_maximum(symbols: Sequence[np.ndarray]) -> int:
    """Return the largest magnitude among the symbols, in 1..127: larger ones will be clipped."""
    return int(np.clip(max(int(np.abs(array).max()) for array in symbols), 1, SYMBOL_MAX))


def export_profile(
        model: StructureModel, views: Sequence[np.ndarray], pairs: Sequence[Pair],
        directory: Path, name: str, default_quantizer: int, training: dict[str, object]) -> str:
    """
    Write a whole profile: graphs, gains, the fitted integer entropy model and the manifest.

    The model's channels are renumbered in place by :func:`importance_order`.

    :param views: uint8 [H, W, 3] RGB at work scale, from the training images.
    :param pairs: consecutive frames of the same kind, to fit stream mode on.
    :return: the content hash of the profile, 64 hexadecimal digits.
    :raises ExportError: when the model cannot become a profile.
    """
    if not 0 <= default_quantizer < model.config.quantizers:
        raise ExportError(f'quantizer {default_quantizer} is not in the model')
    reorder(model, importance_order(symbol_arrays(model, views)))
    export_graphs(model, directory)
    symbols = symbol_arrays(model, views)
    limit = observed_maximum(symbols)
    before, after = (
        symbol_arrays(model, [pair[turn] for pair in pairs], limit) for turn in range(2))
    levels = range(model.config.quantizers)
    gains = model.gains.detach().numpy().astype(np.float32)
    fitted = fit_context(
        [[array[level] for array in symbols] for level in levels], limit, gains=gains,
        pairs=[[(first[level], second[level]) for first, second in zip(before, after)]
               for level in levels])
    write_tables(directory, {'gains': gains} | fitted)
    return write_manifest(directory, ManifestFields(
        name, model.config.quantizers, default_quantizer, limit, training))


def write_tables(directory: Path, tables: dict[str, np.ndarray]) -> None:
    """Write ``tables.npz`` reproducibly: the same arrays give the same bytes."""
    np.savez_compressed(directory / TABLES_FILE, **dict(sorted(tables.items())))


def write_manifest(directory: Path, fields: ManifestFields) -> str:
    """
    Write ``manifest.json`` with the SHA-256 of every file of a profile.

    :return: the content hash of the profile, 64 hexadecimal digits.
    :raises ExportError: when a file of the profile is missing.
    """
    hashes = {}
    for name in FILES:
        try:
            hashes[name] = hashlib.sha256((directory / name).read_bytes()).hexdigest()
        except OSError as error:
            raise ExportError(f'{directory / name}: {error.strerror}') from error
    text = json.dumps({
        'format': FORMAT, 'name': fields.name, 'latent_channels': LATENT_CHANNELS,
        'scale': fields.scale, 'stride': fields.stride, 'layers': list(LAYERS),
        'quantizers': fields.quantizers, 'default_quantizer': fields.default_quantizer,
        'symbol_max': fields.symbol_max, 'precision': PRECISION, 'files': hashes,
        'training': fields.training}, indent=2) + '\n'
    (directory / MANIFEST_FILE).write_text(text, encoding='utf-8')
    return hashlib.sha256(text.encode()).hexdigest()
