# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Export a published model as a profile, with everything that a checkpoint lacks.

What is measured on calibration images: where the middle of each channel lies, which channels carry
most, how coarse the quantizers may be, the integer entropy model, and how large the error of a
picture is when so many channels of such a quantizer have arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gsc_ros.codec.packet import LATENT_CHANNELS, MAX_QUANTIZERS
from gsc_ros.codec.profile import ANALYSIS_FILE, MAX_SYMBOL, SYNTHESIS_FILE
from gsc_ros.codec.structure import dequantize, quantize
from gsc_ros.training.context_fit import fit_context, FitSettings
from gsc_ros.training.export import ManifestFields, write_graph, write_manifest, write_tables
from gsc_ros.training.pair import Pair
from gsc_ros.training.published import PublishedModel, STRIDE
import numpy as np
import torch
from torch import nn, Tensor

QUANTIZERS = MAX_QUANTIZERS
DEFAULT_QUANTIZER = QUANTIZERS - 1
# The largest symbol that the coarsest quantizer makes, and that the finest makes at least.
COARSEST_PEAK, FINEST_PEAK = 2, 8
# Symbols may be so many times the largest one of calibration before they are clipped.
HEADROOM = 2
VIEW_SIDE = 256
MAX_SHIFT = 8
# The error of pictures is measured with these numbers of channels, quantizers, views and pixels.
ERROR_COUNTS = (1, 8, 64, LATENT_CHANNELS)
ERROR_QUANTIZERS = (0, 5, 10, QUANTIZERS - 1)
ERROR_VIEWS, ERROR_SIDE = 4, 128


@dataclass(frozen=True)
class Imported:
    """
    What an import made.

    :param content_hash: of the profile, 64 hexadecimal digits.
    :param active: channels that carry a symbol at the default quantizer on the calibration images.
    :param own_step: whether the default quantizer is the checkpoint's own, a step of 1; a model
        that makes hardly any symbol with it (it has not been trained) gets a finer one.
    """

    content_hash: str
    active: int
    own_step: bool


class AnalysisGraph(nn.Module):
    """The analysis transform with channels renumbered, and their middles at zero."""

    def __init__(self, model: PublishedModel, order: Sequence[int], middle: Tensor) -> None:
        super().__init__()
        *rest, last = model.analysis
        index = torch.as_tensor(order)
        renumbered = nn.Conv2d(
            last.in_channels, last.out_channels, last.kernel_size, last.stride, last.padding)
        renumbered.weight = nn.Parameter(last.weight.detach()[index])
        renumbered.bias = nn.Parameter((last.bias.detach() - middle)[index])
        self.layers = nn.Sequential(*rest, renumbered)

    def forward(self, image: Tensor) -> Tensor:
        """Map [B, 3, 16h, 16w] in [0, 1] to y [B, 320, h, w]."""
        return self.layers(image)


class SynthesisGraph(nn.Module):
    """The synthesis transform of the same channels, and the expected error of its picture."""

    def __init__(
            self, model: PublishedModel, order: Sequence[int], middle: Tensor,
            error: ExpectedError | None) -> None:
        super().__init__()
        first, *rest = model.synthesis
        index = torch.as_tensor(order)
        renumbered = nn.ConvTranspose2d(
            first.in_channels, first.out_channels, first.kernel_size, first.stride, first.padding,
            first.output_padding)
        renumbered.weight = nn.Parameter(first.weight.detach()[index])
        renumbered.bias = nn.Parameter(first.bias.detach())
        self.register_buffer('middle', middle[index][:, None, None])
        self.layers = nn.Sequential(renumbered, *rest)
        self.error = error

    def forward(self, y_hat: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """
        Map y_hat [1, 320, h, w] and the quantizer [1], 0 coarsest to 1 finest, to a picture.

        :return: image [1, 3, 16h, 16w] and error [1, 1, 16h, 16w], the same everywhere.
        """
        image = self.layers(y_hat + self.middle)
        return image, torch.zeros_like(image[:, :1]) + self.error(y_hat, level)


class ExpectedError(nn.Module):
    """
    The mean absolute error of a picture by quantizer and by the share of the energy that arrived.

    The share is that of the channels with any symbol, each weighted by the energy it carries on
    average. Between the measured points the error is interpolated, beyond them constant.

    :param weight: float [320], share of the energy of each channel.
    :param share: float [Q, K], ascending: where it was measured.
    :param error: float [Q, K], what was measured.
    """

    def __init__(self, weight: np.ndarray, share: np.ndarray, error: np.ndarray) -> None:
        super().__init__()
        width = np.diff(share)
        slope = np.where(width > 1e-6, np.diff(error) / np.maximum(width, 1e-6), 0)
        change = np.diff(slope, prepend=0, append=0)
        for name, values in (
                ('weight', weight), ('knot', share), ('start', error[:, 0]), ('change', change)):
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """Return the error [1] of y_hat [1, 320, h, w] made with a quantizer [1] of 0 to 1."""
        finest = self.start.shape[0] - 1
        quantizer = torch.round(level * finest).long().clamp(0, finest)
        present = (y_hat.abs().amax(dim=(0, 2, 3)) > 0).to(y_hat.dtype)
        share = (present * self.weight).sum()
        bend = torch.relu(share - self.knot[quantizer]) * self.change[quantizer]
        return (self.start[quantizer] + bend.sum(dim=1)).clamp(0, 1)


def calibration_pairs(
        images: Iterable[np.ndarray], count: int, side: int = VIEW_SIDE, seed: int = 0,
        ) -> list[Pair]:
    """
    Return square views of images, each with one of the same picture some pixels further.

    :param images: uint8 [H, W, 3] RGB; those of less than 16 pixels a side are left out.
    :param count: views of each image.
    :return: uint8 [h, w, 3] with sides in multiples of 16, at most ``side``.
    """
    rng = np.random.default_rng(seed)
    pairs = []
    for image in images:
        # Room to move, unless that leaves nothing.
        size = [min(max(length - MAX_SHIFT, min(length, STRIDE)), side) // STRIDE * STRIDE
                for length in image.shape[:2]]
        room = [length - used for length, used in zip(image.shape[:2], size)]
        for _ in range(count if min(size) else 0):
            first = rng.integers(0, np.add(room, 1))
            second = np.clip(first + rng.integers(-MAX_SHIFT, MAX_SHIFT + 1, 2), 0, room)
            pairs.append(tuple(
                np.ascontiguousarray(image[top:top + size[0], left:left + size[1]])
                for top, left in (first, second)))
    return pairs


@torch.no_grad()
def latents(analysis: nn.Module, views: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return y float32 [320, h, w] of views uint8 [16h, 16w, 3]."""
    return [
        analysis(torch.from_numpy(view).permute(2, 0, 1)[None].float() / 255)[0].numpy()
        for view in views]


def middles(model: PublishedModel, ys: Sequence[np.ndarray]) -> Tensor:
    """
    Return the value of each channel that zero stands for, float32 [320].

    A channel that is not sent has this value, so it should be a typical one; the values that
    symbols stand for must stay those of the checkpoint. So it is the median of a factorized prior,
    which is where the prior's own quantizer has its zero, or else the mean in whole steps.
    """
    if model.medians is not None:
        return model.medians.float()
    mean = np.concatenate([y.reshape(len(y), -1) for y in ys], axis=1).mean(axis=1)
    return torch.from_numpy(np.rint(mean)).float()


def ladder(peak: float) -> np.ndarray:
    """
    Return the gains of the quantizers, float32 [16], a geometric sequence.

    The finest is 1, the step that the checkpoint was trained for, and the coarsest leaves little
    more than the sign of the largest values.

    :param peak: largest magnitude of a latent.
    """
    peak = max(peak, 1e-6)
    finest = max(1.0, FINEST_PEAK / peak)
    coarsest = min(COARSEST_PEAK / peak, finest / 4)
    return np.geomspace(coarsest, finest, QUANTIZERS).astype(np.float32)


def import_profile(
        model: PublishedModel, pairs: Sequence[Pair], directory: Path, name: str,
        notes: dict[str, object], settings: FitSettings) -> Imported:
    """
    Write a published model as a profile.

    Its channels are renumbered by the energy they carry: the model was trained for one quantizer
    step in all of them, so that equal errors of theirs make equal errors of the picture.

    :param pairs: calibration images, see :func:`calibration_pairs`.
    :param directory: where to write; it exists.
    :param notes: free JSON for the manifest's ``training``; ``channels`` is added, the numbers
        that the profile's channels have in the checkpoint.
    :param settings: of the entropy model.
    """
    views = [first for first, _ in pairs]
    ys = latents(model.analysis, views)
    middle = middles(model, ys)
    centered = [y - middle.numpy()[:, None, None] for y in ys]
    energy = np.mean([np.square(y).mean(axis=(1, 2)) for y in centered], axis=0)
    order = np.argsort(-energy, kind='stable')
    gains = ladder(max(float(np.abs(y).max()) for y in centered))
    ys = [y[order] for y in centered]
    after = [y[order] - middle.numpy()[order, None, None]
             for y in latents(model.analysis, [second for _, second in pairs])]
    symbol_max = int(np.clip(
        HEADROOM * max(np.abs(y).max() for y in (*ys, *after)) * gains[-1], 1, MAX_SYMBOL))
    symbols, following = (
        [[quantize(y, np.full(LATENT_CHANNELS, gain, np.float32), symbol_max) for y in kind]
         for gain in gains] for kind in (ys, after))
    table = np.repeat(gains[:, None], LATENT_CHANNELS, axis=1)
    error = expected_error(
        SynthesisGraph(model, order, middle, None).eval(), views[:ERROR_VIEWS],
        [array[:ERROR_VIEWS] for array in symbols], table, energy[order])
    write_graphs(AnalysisGraph(model, order, middle),
                 SynthesisGraph(model, order, middle, error), directory)
    moved = [index for index, (first, second) in enumerate(pairs)
             if not np.array_equal(first, second)]
    fitted = fit_context(
        symbols, symbol_max, settings, gains=table,
        # Frames that stand still say nothing about symbols that change.
        pairs=[[(first[index], second[index]) for index in moved]
               for first, second in zip(symbols, following)] if moved else None)
    write_tables(directory, {'gains': table} | fitted)
    notes = notes | {
        'architecture': model.architecture, 'calibration_views': len(views),
        'confidence': 'one value for a picture, by quantizer and channels received',
        'channels': [int(channel) for channel in order]}
    content = write_manifest(directory, ManifestFields(
        name, QUANTIZERS, DEFAULT_QUANTIZER, symbol_max, notes, scale=1, stride=STRIDE))
    active = sum(any(array[channel].any() for array in symbols[DEFAULT_QUANTIZER])
                 for channel in range(LATENT_CHANNELS))
    return Imported(content, active, bool(gains[-1] == 1))


@torch.no_grad()
def expected_error(
        synthesis: SynthesisGraph, views: Sequence[np.ndarray],
        symbols: Sequence[Sequence[np.ndarray]], gains: np.ndarray, energy: np.ndarray,
        ) -> ExpectedError:
    """
    Measure the error of pictures by quantizer and by how many channels have arrived.

    What lies between the measured quantizers is interpolated.

    :param views: uint8 [H, W, 3]; their upper left corner is used.
    :param symbols: int16 [320, h, w] by quantizer and view.
    :param gains: float32 [Q, 320].
    :param energy: [320], what each channel carries.
    """
    positions = ERROR_SIDE // STRIDE
    weight = energy / max(energy.sum(), 1e-12)
    share, error = np.zeros((2, len(ERROR_QUANTIZERS), len(ERROR_COUNTS) + 1))
    for view, *arrays in zip(views, *(symbols[quantizer] for quantizer in ERROR_QUANTIZERS)):
        truth = view[:ERROR_SIDE, :ERROR_SIDE].transpose(2, 0, 1) / np.float32(255)
        size = [length // STRIDE for length in truth.shape[1:]]
        nothing = np.zeros((LATENT_CHANNELS, *size), np.float32)
        error[:, 0] += _difference(synthesis, nothing, truth)
        for row, (quantizer, array) in enumerate(zip(ERROR_QUANTIZERS, arrays)):
            y_hat = dequantize(array[:, :positions, :positions], gains[quantizer])
            present = y_hat.any(axis=(1, 2))
            for column, count in enumerate(ERROR_COUNTS, start=1):
                kept = y_hat.copy()
                kept[count:] = 0
                error[row, column] += _difference(synthesis, kept, truth)
                share[row, column] += weight[:count][present[:count]].sum()
    share, error = (
        np.stack([np.interp(np.arange(len(gains)), ERROR_QUANTIZERS, column)
                  for column in measured.T / len(views)], axis=1)
        for measured in (share, error))
    return ExpectedError(weight, share, error)


def _difference(synthesis: SynthesisGraph, y_hat: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean absolute error of the picture of y_hat [320, h, w]."""
    image = synthesis.layers(torch.from_numpy(y_hat)[None] + synthesis.middle)
    return float(np.abs(image[0].clamp(0, 1).numpy() - truth).mean())


def write_graphs(
        analysis: AnalysisGraph, synthesis: SynthesisGraph, directory: Path) -> None:
    """Write both graphs with float32 weights, for any image size in multiples of 16."""
    rows = torch.export.Dim('rows', min=1, max=1024)
    columns = torch.export.Dim('columns', min=1, max=1024)
    write_graph(
        analysis, (torch.zeros(1, 3, 5 * STRIDE, 7 * STRIDE),),
        ({2: STRIDE * rows, 3: STRIDE * columns},), ['image'], ['y'],
        directory / ANALYSIS_FILE, half=False)
    write_graph(
        synthesis, (torch.zeros(1, LATENT_CHANNELS, 5, 7), torch.zeros(1)),
        ({2: rows, 3: columns}, None), ['y_hat', 'level'], ['image', 'error'],
        directory / SYNTHESIS_FILE, half=False)
