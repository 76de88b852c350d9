# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX files that answer as exported detectors do, with what a test wants to have found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto


def write_constant(path: Path, outputs: Mapping[str, np.ndarray], *, side: int | str = 64,
                   metadata: Mapping[str, str] | None = None, half: bool = False) -> Path:
    """
    Write a network that answers the same whatever the picture.

    :param outputs: float32 arrays by name, int64 ones for labels.
    :param side: of the input, [1, 3, side, side]; a word leaves it open.
    :param half: take float16 pixels.
    """
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    nodes, values = [], []
    for name, array in outputs.items():
        tensor = numpy_helper.from_array(array, f'{name}_value')
        nodes.append(helper.make_node('Constant', [], [name], value=tensor))
        values.append(helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape))
    image = helper.make_tensor_value_info('images', kind, [1, 3, side, side])
    return _write(path, nodes, [image], values, [], metadata)


def write_mean_colour(path: Path, side: int = 64) -> Path:
    """
    Write a YOLOv8 of three classes whose scores are the picture's mean red, green and blue.

    Its ten boxes fill the frame; all of them have those scores.
    """
    box = np.tile(np.array([side / 2, side / 2, side, side], np.float32)[:, None], (1, 10))
    nodes = [
        helper.make_node('ReduceMean', ['images'], ['mean'], axes=[2, 3], keepdims=0),
        helper.make_node('Unsqueeze', ['mean', 'last'], ['column']),
        helper.make_node('Expand', ['column', 'wide'], ['scores']),
        helper.make_node('Concat', ['box', 'scores'], ['output0'], axis=1)]
    constants = [numpy_helper.from_array(box[None], 'box'),
                 numpy_helper.from_array(np.array([2], np.int64), 'last'),
                 numpy_helper.from_array(np.array([1, 3, 10], np.int64), 'wide')]
    image = helper.make_tensor_value_info('images', TensorProto.FLOAT, [1, 3, side, side])
    output = helper.make_tensor_value_info('output0', TensorProto.FLOAT, [1, 7, 10])
    return _write(path, nodes, [image], [output], constants,
                  {'names': "{0: 'red', 1: 'green', 2: 'blue'}"})


def write_rt_detr(path: Path, shares: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> Path:
    """
    Write a network with the inputs and outputs of RT-DETR's own export.

    :param shares: float32 [N, 4], corners as shares of the picture, which it multiplies by the size
        that it is given: width and height.
    """
    nodes = [
        helper.make_node('Cast', ['orig_target_sizes'], ['size'], to=TensorProto.FLOAT),
        helper.make_node('Concat', ['size', 'size'], ['edges'], axis=1),
        helper.make_node('Unsqueeze', ['edges', 'middle'], ['scale']),
        helper.make_node('Mul', ['shares', 'scale'], ['boxes']),
        helper.make_node('Constant', [], ['labels'], value=numpy_helper.from_array(
            labels[None].astype(np.int64), 'l')),
        helper.make_node('Constant', [], ['scores'], value=numpy_helper.from_array(
            scores[None].astype(np.float32), 's'))]
    constants = [numpy_helper.from_array(shares[None].astype(np.float32), 'shares'),
                 numpy_helper.from_array(np.array([1], np.int64), 'middle')]
    count = len(labels)
    inputs = [helper.make_tensor_value_info('images', TensorProto.FLOAT, ['N', 3, 64, 64]),
              helper.make_tensor_value_info('orig_target_sizes', TensorProto.INT64, ['N', 2])]
    outputs = [helper.make_tensor_value_info('labels', TensorProto.INT64, [1, count]),
               helper.make_tensor_value_info('boxes', TensorProto.FLOAT, [1, count, 4]),
               helper.make_tensor_value_info('scores', TensorProto.FLOAT, [1, count])]
    return _write(path, nodes, inputs, outputs, constants, None)


def _write(path: Path, nodes: list, inputs: list, outputs: list, constants: list,
           metadata: Mapping[str, str] | None) -> Path:
    graph = helper.make_graph(nodes, 'detector', inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=10)
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
