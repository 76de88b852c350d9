# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A profile with a region model that needs no training: the cosine transform of blocks."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
import shutil

from gsc_ros.codec.context import NO_CHANNEL
from gsc_ros.codec.packet import LATENT_CHANNELS
from gsc_ros.codec.profile import (
    FILES,
    find_profile,
    load_profile,
    MANIFEST_FILE,
    Profile,
    REGION_ANALYSIS_FILE,
    REGION_FILES,
    REGION_SYNTHESIS_FILE,
    REGION_TABLES_FILE,
    TABLES_FILE,
)
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

LEVELS = 16
_FLOAT = TensorProto.FLOAT


def region_profile(folder: Path) -> Profile:
    """Write `tiny` with a region model into a folder, and load it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(find_profile('tiny') / name, folder / name)
    manifest = json.loads((find_profile('tiny') / MANIFEST_FILE).read_text())
    weights = _cosines()
    onnx.save(_analysis(weights), folder / REGION_ANALYSIS_FILE)
    onnx.save(_synthesis(weights), folder / REGION_SYNTHESIS_FILE)
    with np.load(folder / TABLES_FILE) as arrays:
        tables = dict(arrays)
    finer = 0.8 * 12 ** (np.arange(LEVELS) / (LEVELS - 1))
    tables['gains'] = np.tile(finer[:, None], LATENT_CHANNELS).astype(np.float32)
    for name in ('signed', 'magnitude'):
        # What the channels of `tiny` say of each other does not hold here.
        tables[f'{name}_reference'] = np.full_like(tables[f'{name}_reference'], NO_CHANNEL)
        tables[f'{name}_weight'] = np.zeros_like(tables[f'{name}_weight'])
    np.savez_compressed(folder / REGION_TABLES_FILE, **tables)
    manifest['name'] = 'cosine'
    manifest['regions'] = {
        'quantizers': LEVELS, 'default_quantizer': 8, 'symbol_max': manifest['symbol_max']}
    manifest['files'] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in FILES + REGION_FILES}
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    return load_profile(folder)


def _cosines() -> np.ndarray:
    """Return orthonormal blocks float32 [320, 3, 8, 8], the smooth ones first, then zeros."""
    places = np.arange(8)
    waves = np.cos(np.pi * (2 * places + 1) * places[:, None] / 16) / 2
    waves[0] /= np.sqrt(2)
    colours = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
    blocks = [(row + column + 6 * (colour > 0), row, column, colour)
              for row in range(8) for column in range(8) for colour in range(3)]
    weights = np.zeros((LATENT_CHANNELS, 3, 8, 8), np.float32)
    for index, (_, row, column, colour) in enumerate(sorted(blocks)):
        weights[index] = colours[colour][:, None, None] * np.outer(waves[row], waves[column])
    return weights


def _analysis(weights: np.ndarray) -> onnx.ModelProto:
    nodes = [helper.make_node('Sub', ['image', 'prediction'], ['rest']),
             helper.make_node('Conv', ['rest', 'weights'], ['y'], strides=[8, 8])]
    return _model(nodes, ['image', 'prediction'], ['y'], {'weights': weights})


def _synthesis(weights: np.ndarray) -> onnx.ModelProto:
    nodes = [helper.make_node('ConvTranspose', ['y_hat', 'weights'], ['rest'], strides=[8, 8]),
             helper.make_node('Add', ['rest', 'prediction'], ['image']),
             helper.make_node('Conv', ['prediction', 'none', 'bias'], ['even']),
             helper.make_node('Mul', ['level', 'none_of_level'], ['nothing']),
             helper.make_node('Add', ['even', 'nothing'], ['error'])]
    return _model(
        nodes, ['y_hat', 'prediction', 'level'], ['image', 'error'],
        {'weights': weights, 'none': np.zeros((1, 3, 1, 1), np.float32),
         'bias': np.full(1, 0.02, np.float32), 'none_of_level': np.zeros(1, np.float32)})


def _model(
    nodes: list[onnx.NodeProto], inputs: list[str], outputs: list[str],
    constants: dict[str, np.ndarray],
) -> onnx.ModelProto:
    def tensor(name: str) -> onnx.ValueInfoProto:
        channels = {'y_hat': LATENT_CHANNELS, 'y': LATENT_CHANNELS, 'error': 1}.get(name, 3)
        shape = [1] if name == 'level' else [1, channels, f'{name}_h', f'{name}_w']
        return helper.make_tensor_value_info(name, _FLOAT, shape)
    graph = helper.make_graph(
        nodes, 'regions', [tensor(name) for name in inputs], [tensor(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
