# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Export the embedded generator to a profile that runs without torch.

A profile holds the four graphs of :mod:`gsc_ros.codec.generator.onnx` and a manifest. Large weights
are stored as 8-bit integers with a scale for each output, the decoder's as float16; ONNX Runtime
folds both into float32 when it opens a graph, so they cost space and not time.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
import warnings

from gsc_ros.codec.generator import token
from gsc_ros.codec.generator.flow import Geometry
from gsc_ros.codec.generator.flux.config import CLIP_TOKENS
from gsc_ros.codec.generator.manifest import GeneratorManifest, structure_hash
from gsc_ros.codec.generator.onnx import (
    DECODER_FILE,
    ENCODER_FILE,
    GRAPHS,
    TEXT_FILE,
    VELOCITY_FILE,
)
from gsc_ros.codec.profile import MANIFEST_FILE, Profile
from gsc_ros.training.export import write_graph
from gsc_ros.training.generator.autoencoder import PictureAutoencoder
from gsc_ros.training.generator.base import TinyFlow
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import torch
from torch import nn, Tensor

TILE = 48
"""Image tokens a side generated at once: 1,536 pixels of the camera."""
MIN_ELEMENTS = 4096
"""Smaller weights stay float32."""


class Velocity(nn.Module):
    """The steered transformer with the inputs of ``velocity.onnx``."""

    def __init__(self, model: TinyFlow) -> None:
        super().__init__()
        self.model = model
        self.register_buffer('text_ids', torch.from_numpy(
            token.text_ids(model.config.text_tokens)))

    def forward(self, z: Tensor, condition: Tensor, text: Tensor, pooled: Tensor, sigma: Tensor,
                ids: Tensor, control: Tensor) -> Tensor:
        """Return the velocity [B, N, C]."""
        return self.model.velocity(
            z, condition, text, pooled, sigma, ids, self.text_ids, control)


class Encoder(nn.Module):
    """The autoencoder's way in."""

    def __init__(self, model: PictureAutoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Map pictures to latents."""
        return self.model.encode(image)


class Decoder(nn.Module):
    """The autoencoder's way out."""

    def __init__(self, model: PictureAutoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, latent: Tensor) -> Tensor:
        """Map latents to pictures."""
        return self.model.decode(latent)


def export_graphs(model: TinyFlow, autoencoder: PictureAutoencoder, folder: Path) -> None:
    """Write the four graphs, for any batch and any picture size in multiples of 16."""
    folder.mkdir(parents=True, exist_ok=True)
    # Not traceable, and of no use, while graphs are written.
    for module in (model, autoencoder):
        module.eval().requires_grad_(False)
    config = model.config
    batch = torch.export.Dim('batch', min=1, max=64)
    count = torch.export.Dim('tokens', min=4, max=1 << 16)
    rows = torch.export.Dim('rows', min=1, max=4096)
    columns = torch.export.Dim('columns', min=1, max=4096)
    channels, latent = config.transformer['in_channels'], autoencoder.config.latent
    told = config.control.inputs(channels)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        write_graph(
            model.text, (torch.zeros(1, config.text_tokens, dtype=torch.long),
                         torch.ones(1, CLIP_TOKENS, dtype=torch.long)),
            (None, None), ['t5', 'clip'], ['text', 'pooled'], folder / TEXT_FILE)
        text, pooled = model.text(*model.text.ids(['', '']))
        write_graph(
            Velocity(model),
            (torch.zeros(2, 15, channels), torch.zeros(2, 15, told), text, pooled, torch.ones(2),
             torch.from_numpy(token.image_ids(3, 5)), torch.ones(1)),
            ({0: batch, 1: count}, {0: batch, 1: count}, {0: batch}, {0: batch}, {0: batch},
             {0: count}, None),
            ['z', 'condition', 'text', 'pooled', 'sigma', 'ids', 'control'], ['velocity'],
            folder / VELOCITY_FILE, half=False)
        write_graph(
            Encoder(autoencoder), (torch.zeros(2, 3, 48, 80),),
            ({0: batch, 2: 16 * rows, 3: 16 * columns},), ['image'], ['latent'],
            folder / ENCODER_FILE, half=False)
        write_graph(
            Decoder(autoencoder), (torch.zeros(2, latent, 6, 10),),
            ({0: batch, 2: 2 * rows, 3: 2 * columns},), ['latent'], ['image'],
            folder / DECODER_FILE)
    path = folder / VELOCITY_FILE
    onnx.save_model(quantised(onnx.load(path)), path)


def quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the large matrices of a graph as 8-bit integers times a scale, which are folded."""
    nodes = []
    scales = []
    transposed = {node.input[0] for node in model.graph.node if node.op_type == 'Transpose'}
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim != 2 or values.size < MIN_ELEMENTS:
            continue
        name = tensor.name
        # A Linear's matrix is [outputs, inputs] before it is transposed.
        axis = 1 if name in transposed else 0
        scale = np.abs(values).max(axis=axis, keepdims=True).clip(1e-12) / 127
        integers = np.rint(values / scale).astype(np.int8)
        tensor.CopyFrom(numpy_helper.from_array(integers, f'{name}_integers'))
        scales.append(numpy_helper.from_array(scale.astype(np.float32), f'{name}_scale'))
        nodes += [
            helper.make_node('Cast', [f'{name}_integers'], [f'{name}_float'],
                             to=TensorProto.FLOAT),
            helper.make_node('Mul', [f'{name}_float', f'{name}_scale'], [name])]
    model.graph.initializer.extend(scales)
    kept = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *kept])
    return model


def export_generator(
        model: TinyFlow, autoencoder: PictureAutoencoder, structure: Profile, folder: Path,
        name: str = 'tiny', steps: int | None = None,
        training: dict[str, object] | None = None) -> None:
    """
    Write a whole generator profile.

    :param structure: the structure profile that the generator was trained for.
    :param steps: default number of steps; None for the configuration's.
    :param training: free JSON for the reader.
    :raises ValueError: when the model has no control branch.
    """
    if model.control is None:
        raise ValueError('the flow has no control branch: train the joint stage first')
    export_graphs(model, autoencoder, folder)
    config = model.config
    manifest = GeneratorManifest(
        name=name, kind='onnx', structure=structure_hash(structure),
        geometry=Geometry(scale=config.scale, pitch=structure.pitch,
                          picture=config.control.picture, level=config.control.level,
                          objects=config.control.objects, tile=TILE),
        schedule=config.schedule, steps=steps or config.steps, guidance=config.guidance,
        in_channels=config.transformer['in_channels'],
        files={graph: hashlib.sha256((folder / graph).read_bytes()).hexdigest()
               for graph in GRAPHS},
        fields={'training': training or {}})
    (folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding='utf-8')
