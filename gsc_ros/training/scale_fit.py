# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Fit what the integer entropy model makes of its linear forms: stream weights, networks, tables.

All of this is fitted to what the model's own integer walk over the symbols gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gsc_ros.codec.context import ContextModel, kinds_of, mirrored, PreviousSymbols, Visit
from gsc_ros.codec.context_tables import KIND_LEVELS, KIND_TRENDS, LIKENESSES, STREAM_INPUTS
from gsc_ros.codec.entropy import TOTAL
from gsc_ros.codec.interlace import ONE, PASSES
from gsc_ros.codec.packet import LATENT_CHANNELS
from gsc_ros.codec.residual import (
    ESCAPE,
    OFFSETS,
    RESIDUALS,
    shifts,
    SMALLEST,
    STEPS_PER_OCTAVE,
)
import numpy as np
import torch
from torch import nn, Tensor

Frames = np.ndarray | tuple[np.ndarray, np.ndarray]
"""Symbols of an image, integers [320, h, w], or of a frame and of the frame after it."""


@dataclass
class Samples:
    """
    What the walk has seen of some symbols; N of them in all, in parts.

    :param channel: int16 ``[N]``, with the quantizer: ``quantizer * 320 + channel``.
    :param pass_index: int8 ``[N]``.
    :param features: int16 ``[F, N]``.
    :param error: float32 ``[N]``, distance of the symbol from the prediction.
    :param likeness: int8 ``[N]``.
    :param inputs: float32 ``[4, N]``, of the second prediction.
    :param target: float32 ``[N]``, the symbol less its mean.
    """

    channel: list[np.ndarray] = field(default_factory=list)
    pass_index: list[np.ndarray] = field(default_factory=list)
    features: list[np.ndarray] = field(default_factory=list)
    error: list[np.ndarray] = field(default_factory=list)
    likeness: list[np.ndarray] = field(default_factory=list)
    inputs: list[np.ndarray] = field(default_factory=list)
    target: list[np.ndarray] = field(default_factory=list)

    def joined(self) -> Samples:
        """Return the samples in one part each; those without parts stay empty."""
        return Samples(**{
            name: [np.concatenate(parts, axis=-1)] if parts else []
            for name, parts in vars(self).items()})


class _Watcher:
    """A coder of known symbols that is told the kinds to use, and to be overridden."""

    def __init__(self, model: ContextModel, channels: np.ndarray, quantizer: int,
                 symbols: np.ndarray):
        self.model = model
        self.channels = channels
        self.quantizer = quantizer
        self.known = symbols.reshape(len(symbols), -1)

    def kinds(self, slots: slice, rows: np.ndarray, repeated: np.ndarray | None) -> np.ndarray:
        """Return the kinds of channels as an encoder chooses them."""
        return kinds_of(self.known[slots], repeated)

    def values(self, slots: np.ndarray, visit: Visit) -> np.ndarray:
        """Return the symbols of a visit."""
        return self.known[slots[:, None], visit.positions]


class _Collector(_Watcher):
    """Takes samples of the symbols that are coded."""

    def __init__(self, *args: object, samples: Samples, share: float, rng: np.random.Generator):
        super().__init__(*args)
        self.samples = samples
        self.share = share
        self.rng = rng

    def symbols(self, slots: np.ndarray, visit: Visit) -> np.ndarray:
        """Return the symbols of a visit."""
        values = self.values(slots, visit)
        slot, place = np.nonzero(self.rng.random(values.shape) < self.share)
        channel = self.channels[slots][slot]
        mean = self.model.tables.signed_mean[self.quantizer, channel] / ONE
        found, signed = values[slot, place], visit.signed[slot, place] / ONE
        samples = self.samples
        samples.channel.append(
            (self.quantizer * LATENT_CHANNELS + channel).astype(np.int16))
        samples.pass_index.append(np.full(len(slot), visit.pass_index, np.int8))
        samples.features.append(visit.features[:, slot, place].astype(np.int16))
        samples.error.append(np.abs(found - signed).astype(np.float32))
        if visit.inputs is not None:
            samples.likeness.append(visit.likeness[place].astype(np.int8))
            samples.inputs.append((visit.inputs[:, slot, place] / ONE).astype(np.float32))
            samples.target.append((found - mean).astype(np.float32))
        return values


class _Counter(_Watcher):
    """Counts residuals and kinds by table."""

    def __init__(self, *args: object, counts: np.ndarray, kind_counts: np.ndarray):
        super().__init__(*args)
        self.counts = counts
        self.kind_counts = kind_counts
        self.shift = np.repeat(shifts(len(counts) // OFFSETS), OFFSETS)

    def kinds(self, slots: slice, rows: np.ndarray, repeated: np.ndarray | None) -> np.ndarray:
        """Return the kinds of channels, counted."""
        kinds = super().kinds(slots, rows, repeated)
        np.add.at(self.kind_counts, (rows, kinds), 1)
        return kinds

    def symbols(self, slots: np.ndarray, visit: Visit) -> np.ndarray:
        """Return the symbols of a visit, counted."""
        values = self.values(slots, visit)
        residuals = mirrored(values - visit.center, visit)
        shift = self.shift[visit.rows]
        quotient = np.clip((residuals + ((1 << shift) >> 1)) >> shift, -ESCAPE, ESCAPE) + ESCAPE
        self.counts += np.bincount(
            (visit.rows * RESIDUALS + quotient).ravel(), minlength=self.counts.size,
        ).reshape(self.counts.shape)
        return values


def _previous(frames: Frames, channels: np.ndarray, quantizer: int,
              ) -> tuple[np.ndarray, PreviousSymbols | None]:
    """Return the symbols of some channels, and those of the frame before."""
    if isinstance(frames, tuple):
        before, now = frames
        return now[channels], PreviousSymbols(before[channels], tuple(channels), quantizer)
    return frames[channels], None


def collect(
    model: ContextModel, chosen: Sequence[Sequence[Frames]], limit: int,
    rng: np.random.Generator,
) -> Samples:
    """
    Return samples of symbols.

    :param chosen: for each quantizer, images or pairs.
    :param limit: how many symbols to sample, about.
    """
    samples = Samples()
    size = sum(
        np.count_nonzero(_live(model, quantizer)) * np.asarray(frames[-1])[0].size
        for quantizer, images in enumerate(chosen)
        for frames in images)
    for quantizer, images in enumerate(chosen):
        channels = np.arange(LATENT_CHANNELS)
        for frames in images:
            symbols, previous = _previous(frames, channels, quantizer)
            collector = _Collector(
                model, channels, quantizer, symbols, samples=samples,
                share=min(limit / max(size, 1), 1.0), rng=rng)
            _exhaust(model.walk(channels, quantizer, symbols.shape[1:], collector, previous))
    return samples.joined()


def _live(model: ContextModel, quantizer: int) -> np.ndarray:
    """Return which channels have ever carried a symbol."""
    return model.tables.magnitude_mean[quantizer] > 0


def count(
    model: ContextModel, chosen: Sequence[Sequence[Frames]], rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return how often each table codes each residual, and each kind.

    Every fourth image is coded with a few channels.
    """
    counts = np.zeros(model.tables.frequency.shape, np.int64)
    kind_counts = np.zeros(model.tables.kind_frequency.shape, np.int64)
    for quantizer, images in enumerate(chosen):
        for turn, frames in enumerate(images):
            channels = np.arange(LATENT_CHANNELS)
            if turn % 4 == 3:
                channels = np.sort(rng.choice(LATENT_CHANNELS, 32, replace=False))
            symbols, previous = _previous(frames, channels, quantizer)
            counter = _Counter(
                model, channels, quantizer, symbols, counts=counts, kind_counts=kind_counts)
            _exhaust(model.walk(channels, quantizer, symbols.shape[1:], counter, previous))
    return counts, kind_counts


def _exhaust(walk: Iterator[int]) -> None:
    """Visit everything."""
    for _ in walk:
        pass


def fit_stream(samples: Samples, shape: tuple[int, int], ridge: float) -> np.ndarray:
    """
    Return the weights of the second prediction, int16 ``[Q, C, 2, 5, 4]``.

    A ridge regression for each channel, kind of pass and likeness; its prior is one for all
    channels of the quantizer, and the prior of that the spatial prediction alone.
    """
    channel, = samples.channel
    later = samples.pass_index[0] > 0
    place = (channel.astype(np.int64) * 2 + later) * LIKENESSES + samples.likeness[0]
    inputs, target = samples.inputs[0].astype(np.float64), samples.target[0].astype(np.float64)
    places = shape[0] * shape[1] * 2 * LIKENESSES
    gram = np.empty((places, STREAM_INPUTS, STREAM_INPUTS))
    moment = np.empty((places, STREAM_INPUTS))
    for row in range(STREAM_INPUTS):
        moment[:, row] = np.bincount(place, inputs[row] * target, places)
        for column in range(STREAM_INPUTS):
            gram[:, row, column] = np.bincount(place, inputs[row] * inputs[column], places)
    gram = gram.reshape(shape + (2 * LIKENESSES,) + gram.shape[1:])
    moment = moment.reshape(shape + (2 * LIKENESSES,) + moment.shape[1:])
    still = np.array([1.0, 0, 0, 0])
    small = 1e-3 * np.eye(STREAM_INPUTS)
    common = gram.sum(axis=1) + small
    prior = np.linalg.solve(common, (moment.sum(axis=1) + small @ still)[..., None])[..., 0]
    power = np.einsum('qcljj->qcl', gram)[..., None, None] * np.eye(STREAM_INPUTS) * 0.01
    penalty = power + ridge * np.eye(STREAM_INPUTS)
    weights = np.linalg.solve(
        gram + penalty, (moment + np.einsum('qclij,qlj->qcli', penalty, prior))[..., None])
    fixed = np.clip(np.rint(weights[..., 0] * ONE), -(1 << 15), (1 << 15) - 1).astype(np.int16)
    return fixed.reshape(shape + (2, LIKENESSES, STREAM_INPUTS))


class ScaleModel(nn.Module):
    """
    The network of :class:`gsc_ros.codec.context.ScaleNetwork` in real numbers.

    :param features: inputs.
    :param hidden: hidden units.
    """

    def __init__(self, features: int, hidden: int):
        super().__init__()
        self.input = nn.Linear(features, hidden)
        self.input_pass = nn.Parameter(torch.zeros(PASSES, hidden))
        self.output = nn.Linear(hidden, 1, bias=False)
        self.skip = nn.Parameter(torch.zeros(features))
        self.output_pass = nn.Parameter(torch.full((PASSES,), 32.0))
        nn.init.zeros_(self.output.weight)
        with torch.no_grad():
            # Eight steps of the magnitude form's logarithm are four of the scale.
            self.skip[1] = 16.0

    def forward(self, values: Tensor, pass_index: Tensor) -> Tensor:
        """Map normalised features [N, F] and passes [N] to scales [N]."""
        hidden = torch.relu(self.input(values) + self.input_pass[pass_index])
        return (4 * self.output(hidden)[:, 0] + values @ self.skip
                + self.output_pass[pass_index])


def normalised(features: Tensor) -> Tensor:
    """Return features of order one."""
    return (features - 64) / 32


def laplace_bits(scale: Tensor, error: Tensor) -> Tensor:
    """Return the bits of symbols at distances [N] from predictions of scales [N]."""
    magnitude = torch.exp2(scale / STEPS_PER_OCTAVE - SMALLEST)
    rate = 2 * torch.asinh(0.5 / magnitude)
    inner = 1 - 0.5 * (torch.exp(-rate * (0.5 - error).clamp(min=0))
                       + torch.exp(-rate * (0.5 + error)))
    outer = torch.log2(0.5 * -torch.expm1(-rate)) - rate * (error - 0.5) * 1.442695
    return torch.where(error > 0.5, -outer, -torch.log2(inner.clamp(min=1e-12)))


def fit_network(
    name: str, samples: Samples, scales: int, hidden: int, steps: int, seed: int,
) -> dict[str, np.ndarray]:
    """
    Return the arrays of a network that predicts the scale of errors.

    :param name: ``still`` or ``stream``.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    features = torch.from_numpy(samples.features[0])
    pass_index = torch.from_numpy(samples.pass_index[0].astype(np.int64))
    error = torch.from_numpy(samples.error[0])
    model = ScaleModel(len(features), hidden)
    if not error.numel():
        return network_arrays(name, model)
    values = normalised(features.float()).T.contiguous()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=steps)
    batch = 8192
    for _ in range(steps):
        chosen = torch.randint(len(error), (batch,), generator=generator)
        scale = model(values[chosen], pass_index[chosen])
        # Beyond the ends of the tables there is nothing to gain, but a way back.
        excess = (scale.clamp(0, scales - 1) - scale).abs()
        scale = scale.clamp(0.5, scales - 0.5)
        loss = laplace_bits(scale, error[chosen]).mean() + 1e-4 * excess.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network_arrays(name, model)


def network_tables(name: str, features: int) -> dict[str, np.ndarray]:
    """Return the arrays of a network that only passes the magnitude form on."""
    return network_arrays(name, ScaleModel(features, 1))


@torch.no_grad()
def network_arrays(name: str, model: ScaleModel) -> dict[str, np.ndarray]:
    """Return the integers of a network, its inputs' normalisation folded into its weights."""
    weight = model.input.weight.double() / 32
    bias = (model.input.bias + model.input_pass).double().T - 64 * weight.sum(dim=1)[:, None]
    skip = model.skip.double() / 32
    output_bias = model.output_pass.double() - 64 * skip.sum()
    output = torch.cat([4 * model.output.weight[0].double(), skip, output_bias])
    return {
        f'{name}_{part}': np.rint(values.numpy() * ONE).astype(np.int32)
        for part, values in (('input', weight), ('bias', bias), ('output', output))}


def scale_count(symbol_max: int) -> int:
    """Return how many scales residuals of such symbols need."""
    return int(np.ceil(np.log2(symbol_max) + SMALLEST)) * STEPS_PER_OCTAVE


def residual_frequencies(counts: np.ndarray, prior: float) -> np.ndarray:
    """
    Return integer tables from counts, smoothed towards discretised Laplace distributions.

    :param counts: ``[S * 5, 25]``.
    :param prior: symbols that the prior is worth.
    """
    residual = np.arange(RESIDUALS) - ESCAPE
    shift = shifts(len(counts) // OFFSETS)
    frequencies = np.zeros(counts.shape, np.uint32)
    for row, seen in enumerate(counts):
        scale, step = divmod(row, OFFSETS)
        offset = step / (2 * (OFFSETS - 1)) if not shift[scale] else 0.0
        group = counts[scale * OFFSETS:(scale + 1) * OFFSETS]
        magnitude = 2.0 ** ((scale + 0.5) / STEPS_PER_OCTAVE - SMALLEST - shift[scale])
        magnitude = (magnitude * 20 + (group * np.abs(residual)).sum()) / (20 + group.sum())
        shape = _laplace(residual - offset, max(magnitude, 1e-5))
        seen = seen + seen[::-1] if step == 0 else seen
        probability = seen + prior * shape
        frequencies[row] = _round_frequencies(probability / probability.sum())
    return frequencies


def kind_frequencies(counts: np.ndarray, prior: float) -> np.ndarray:
    """
    Return integer tables of kinds from counts.

    :param counts: ``[288, 3]``.
    :param prior: channels that the prior is worth.
    """
    level = np.arange(len(counts)) % KIND_LEVELS
    state, trend = np.divmod(np.arange(len(counts)) // KIND_LEVELS, KIND_TRENDS)
    # Two levels an octave of the expected sum of magnitudes, the first ones near 2**-12.
    silent = np.exp(-0.7 * 2.0 ** (level / 2 - SMALLEST))
    before = np.where(state == 2, np.where(trend > 0, 9.0, 0.05), 1e-6)
    prior_shape = np.stack([1 - silent, silent, before], axis=1) + 1e-6
    prior_shape /= prior_shape.sum(axis=1, keepdims=True)
    probability = counts + prior * prior_shape
    probability /= probability.sum(axis=1, keepdims=True)
    return np.stack([_round_frequencies(row) for row in probability]).astype(np.uint32)


def _laplace(distance: np.ndarray, magnitude: float) -> np.ndarray:
    """Return the masses of unit cells at these distances from the centre, summing to one."""
    # The mean magnitude is the sum of exp(-rate (k - 1/2)) over k > 0, 1 / (2 sinh(rate / 2)).
    rate = 2 * np.arcsinh(0.5 / magnitude)
    middle = np.clip(distance, -0.5, 0.5)
    inner = 1 - 0.5 * (np.exp(-rate * (middle + 0.5)) + np.exp(rate * (middle - 0.5)))
    outer = 0.5 * np.exp(-rate * (np.abs(distance) - 0.5)) * -np.expm1(-rate)
    mass = np.where(np.abs(distance) > 0.5, outer, inner)
    return mass / mass.sum()


def _round_frequencies(probability: np.ndarray) -> np.ndarray:
    """Return integers of at least one that sum to 2**24."""
    frequency = 1 + np.floor(probability * (TOTAL - len(probability))).astype(np.int64)
    frequency[np.argmax(frequency)] += TOTAL - frequency.sum()
    return frequency
