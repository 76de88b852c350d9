# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Add a trained region model to a profile: two graphs, integer tables, and what the manifest says.

See :mod:`gsc_ros.codec.profile` for the files. The integer entropy model is fitted to the symbols
of boxes of many sizes, cut out of augmented training views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import json
from pathlib import Path

from gsc_ros.codec.context import REGION_GROUPS
from gsc_ros.codec.digest import sha256_of_file
from gsc_ros.codec.packet import LATENT_CHANNELS
from gsc_ros.codec.profile import (
    MANIFEST_FILE,
    REGION_ANALYSIS_FILE,
    REGION_FILES,
    REGION_SYNTHESIS_FILE,
    REGION_TABLES_FILE,
)
from gsc_ros.training.context_fit import fit_context, FitSettings
from gsc_ros.training.data import CropSampler, Split
from gsc_ros.training.export import ExportError, observed_maximum, write_graph
from gsc_ros.training.model import STRIDE, StructureModel
from gsc_ros.training.region.model import RegionModel
from gsc_ros.training.region.prediction import predict
import numpy as np
import torch

FIT = FitSettings(counted=160, positions=30_000, crop=(16, 16), groups=REGION_GROUPS)
SIDE = 128
"""Of a view that boxes are cut out of, in work pixels."""
LEAST_CELLS, MOST_CELLS = 2, 14
"""Rows and columns of a box."""


def export_graphs(model: RegionModel, directory: Path) -> None:
    """Write ``region_analysis.onnx`` and ``region_synthesis.onnx``, for any number of cells."""
    if model.config.latent != LATENT_CHANNELS:
        raise ExportError(
            f'the model has {model.config.latent} latent channels, packets {LATENT_CHANNELS}')
    rows = torch.export.Dim('rows', min=1, max=1024)
    columns = torch.export.Dim('columns', min=1, max=1024)
    picture = {2: STRIDE * rows, 3: STRIDE * columns}
    example = torch.zeros(1, 3, 5 * STRIDE, 7 * STRIDE)
    # Two tensors: one that is given twice would become one input of the graph.
    write_graph(
        model.g_a, (example, torch.rand_like(example)), (picture, picture),
        ['image', 'prediction'], ['y'], directory / REGION_ANALYSIS_FILE)
    write_graph(
        model.g_s, (torch.zeros(1, LATENT_CHANNELS, 5, 7), example, torch.zeros(1)),
        ({2: rows, 3: columns}, picture, None), ['y_hat', 'prediction', 'level'],
        ['image', 'error'], directory / REGION_SYNTHESIS_FILE)


@torch.no_grad()
def region_symbols(
        model: RegionModel, base: StructureModel, split: Split, count: int, seed: int = 0,
        ) -> list[np.ndarray]:
    """
    Return the symbols of boxes at every level, int16 [Q, C, h, w] of different sizes.

    :param base: codes the base, from which regions are predicted.
    :param count: how many boxes.
    """
    generator = np.random.default_rng(seed)
    sampler = CropSampler(split.training, SIDE)
    boxes = []
    for _ in range(count):
        image = torch.from_numpy(sampler.batch(1, generator))
        prediction = predict(base, model, image, generator)
        height, width = generator.integers(LEAST_CELLS, MOST_CELLS + 1, 2) * STRIDE
        top, left = (int(generator.integers((SIDE - side) // STRIDE + 1)) * STRIDE
                     for side in (height, width))
        box = np.s_[..., top:top + height, left:left + width]
        y = model.g_a(image[box], prediction[box])
        levels = torch.arange(model.config.quantizers)
        gain = model.gains[:, :, None, None]
        symbols = model.quantised(y.expand(len(levels), -1, -1, -1), levels) * gain
        boxes.append(symbols.round().to(torch.int16).numpy())
    return boxes


def add_to_profile(
        model: RegionModel, boxes: Sequence[np.ndarray], directory: Path, default_quantizer: int,
        training: dict[str, object], settings: FitSettings = FIT) -> None:
    """
    Write the files of the region model into a profile's folder and name them in its manifest.

    :param boxes: see :func:`region_symbols`.
    :param default_quantizer: what is used unless told otherwise.
    :param training: where the model comes from, free JSON for the reader.
    :raises ExportError: when the folder is no profile.
    """
    path = directory / MANIFEST_FILE
    try:
        manifest = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise ExportError(f'{path}: {error}') from error
    export_graphs(model, directory)
    limit = observed_maximum(boxes)
    boxes = [np.clip(box, -limit, limit) for box in boxes]
    gains = model.gains.numpy().astype(np.float32)
    fitted = fit_context(
        [[box[level] for box in boxes] for level in range(model.config.quantizers)], limit,
        settings=replace(settings, groups=REGION_GROUPS), gains=gains)
    np.savez_compressed(
        directory / REGION_TABLES_FILE, **dict(sorted(({'gains': gains} | fitted).items())))
    manifest['regions'] = {
        'quantizers': model.config.quantizers, 'default_quantizer': default_quantizer,
        'symbol_max': limit}
    manifest['files'] |= {name: sha256_of_file(directory / name) for name in REGION_FILES}
    manifest['training'] = manifest.get('training', {}) | {'regions': training}
    path.write_text(json.dumps(manifest, indent=2) + '\n', encoding='utf-8')
