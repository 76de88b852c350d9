# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Train the importance network and write it as the codec's users run it.

The score learns by the quality focal loss (Li et al., "Generalized Focal Loss", 2020, eq. 6), which
takes targets between 0 and 1: what teachers doubt stays doubtful. The box learns by generalised
intersection over union (Rezatofighi et al., 2019), where there is something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import hashlib
import json
from pathlib import Path
import warnings

from gsc_ros.perception.source.importance_model import FORMAT, GRAPH_FILE, MANIFEST_FILE, PITCH
from gsc_ros.training.export import write_graph
from gsc_ros.training.generator.loop import Loop, LoopSettings
from gsc_ros.training.importance_data import (
    BOX_HEAT,
    CropMaker,
    Labelled,
    PIXELS,
    STRIDE,
)
from gsc_ros.training.importance_network import Exported, ImportanceNetwork
import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional

#: Pictures at the end of each archive, as a share, that are kept from training.
HELD_OUT = 0.06
_BOX_WEIGHT = 1.0
#: Batches over which the statistics of the normalisation are measured at the end.
CALIBRATION_BATCHES = 40


def held_out(labelled: Sequence[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
    """Return what to train on, and the last pictures of each archive of 16 or more."""
    training, validation = [], []
    for archive in labelled:
        count = len(archive.images)
        held = max(1, round(HELD_OUT * count)) if count >= 16 else 0
        training.append(Labelled(archive.name, archive.images[:count - held],
                                 archive.labels[:count - held]))
        if held:
            validation.append(Labelled(archive.name, archive.images[-held:],
                                       archive.labels[-held:]))
    return training, validation


def train_importance(
        labelled: Sequence[Labelled], settings: LoopSettings, batch: int, output: Path,
        weights: Mapping[str, float] | None = None, resume: bool = False,
        report: Callable[[Loop, dict[str, float]], None] | None = None) -> ImportanceNetwork:
    """
    Train; the weights and the state to go on from are written to `output`.

    :param labelled: pictures with labels, none of which may be in a benchmark.
    :param batch: crops of a step.
    :param weights: how often an archive is drawn, by name.
    :return: the network with averaged weights, ready to be exported.
    :raises DataError: the state is damaged, or the gradient stays infinite.
    """
    maker = CropMaker(labelled, weights)
    torch.manual_seed(settings.seed)
    network = ImportanceNetwork().to(memory_format=torch.channels_last)
    loop = Loop(network, settings, output, {'importance': FORMAT})
    loop.begin(resume)

    def objective(generator: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        crops = maker.batch(batch, generator)
        images, heat, boxes = (
            torch.from_numpy(array).to(loop.accelerator.device)
            for array in (crops.images, crops.heat, crops.boxes))
        score, box = network(images.contiguous(memory_format=torch.channels_last))
        of_score, of_box = losses(score, box, heat, boxes)
        return of_score + _BOX_WEIGHT * of_box, {'score': of_score, 'box': of_box}

    network.train()
    loop.run(objective, report)
    network.load_state_dict(loop.averaged())
    _calibrate(network, maker, batch, settings.seed)
    return network.cpu().eval()


def losses(score: Tensor, box: Tensor, heat: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """
    Return the losses of score and box, scalars.

    :param score: before the sigmoid, [N, 1, h, w]; `heat`: its target, 0..1.
    :param box: [N, 4, h, w] corners in pixels; `boxes`: their targets.
    """
    distance = (heat - score.sigmoid()).abs().square()
    loss = functional.binary_cross_entropy_with_logits(score, heat, reduction='none')
    weight = heat * (heat >= BOX_HEAT)
    things = weight.sum().clamp(min=1)
    of_box = ((1 - generalised_iou(box, boxes)) * weight[:, 0]).sum() / things
    return (distance * loss).sum() / things, of_box


def generalised_iou(one: Tensor, other: Tensor) -> Tensor:
    """Return generalised intersection over union, -1..1, of boxes [N, 4, h, w] as [N, h, w]."""
    def area(low: Tensor, high: Tensor) -> Tensor:
        return (high - low).clamp(min=0).prod(1)

    low, high = one[:, :2], one[:, 2:]
    other_low, other_high = other[:, :2], other[:, 2:]
    shared = area(torch.maximum(low, other_low), torch.minimum(high, other_high))
    union = area(low, high) + area(other_low, other_high) - shared
    hull = area(torch.minimum(low, other_low), torch.maximum(high, other_high)).clamp(min=1e-6)
    return shared / union.clamp(min=1e-6) - (hull - union) / hull


@torch.no_grad()
def _calibrate(network: nn.Module, maker: CropMaker, batch: int, seed: int) -> None:
    """Measure the statistics of the normalisation anew: those of training are not the average's."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    network.train()
    generator = np.random.default_rng((seed, 1 << 31))
    device = next(network.parameters()).device
    for _ in range(CALIBRATION_BATCHES):
        network(torch.from_numpy(maker.batch(batch, generator).images).to(device))


def export_importance(network: ImportanceNetwork, folder: Path, threshold: float,
                      training: Mapping[str, str]) -> int:
    """
    Write graph and manifest, see `gsc_ros.perception.source.importance_model`.

    :param threshold: certainty from which there is a thing, 0..1.
    :param training: where the weights come from, for the reader.
    :return: bytes of the graph.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = torch.export.Dim('rows', min=1, max=256)
    columns = torch.export.Dim('columns', min=1, max=256)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        write_graph(Exported(network.eval()), (torch.zeros(1, 3, 3 * PITCH, 5 * PITCH),),
                    ({2: PITCH * rows, 3: PITCH * columns},), ['image'], ['score', 'box'],
                    folder / GRAPH_FILE)
    graph = (folder / GRAPH_FILE).read_bytes()
    manifest = {
        'format': FORMAT, 'pixels': PIXELS, 'stride': STRIDE, 'threshold': threshold,
        'files': {GRAPH_FILE: hashlib.sha256(graph).hexdigest()}, 'training': dict(training)}
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + '\n', encoding='utf-8')
    return len(graph)
