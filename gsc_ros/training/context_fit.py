# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Fit the integer entropy model of :mod:`gsc_ros.codec.context` to symbols.

The signed form is a ridge regression. The magnitude form is a generalised linear model with an
identity link, fitted by Fisher scoring: the error of a prediction has about a geometric
distribution of mean m, whose variance is m + m^2. Both are rounded to integers, and the frequency
tables are then counted with the integer model itself, so that they make up for what the linear
forms cannot say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from gsc_ros.codec.context import ContextModel
from gsc_ros.codec.context_tables import (
    ContextTables,
    KIND_LEVELS,
    KIND_STATES,
    KIND_TRENDS,
    KINDS,
    LIKENESSES,
    NO_CHANNEL,
    OWN,
    SLOPES,
    STILL_FEATURES,
    STREAM_FEATURES,
    STREAM_INPUTS,
)
from gsc_ros.codec.interlace import interlace, NEIGHBORS, ONE, PAD, PASSES, slopes, sum_around
from gsc_ros.codec.packet import LATENT_CHANNELS, LAYERS
from gsc_ros.codec.residual import OFFSETS, RESIDUALS
from gsc_ros.training.scale_fit import (
    collect,
    count,
    fit_network,
    fit_stream,
    Frames,
    kind_frequencies,
    network_tables,
    residual_frequencies,
    Samples,
    scale_count,
)
import numpy as np


@dataclass(frozen=True)
class FitSettings:
    """
    Size and effort of the model.

    :param signed_references: coded channels that predict a symbol.
    :param magnitude_references: coded channels that predict a magnitude.
    :param positions: latent positions used for the regressions, about.
    :param crop: largest height and width of what is taken of one image for them.
    :param counted: images, and pairs, of each quantizer that the integer model is fitted on.
    :param samples: symbols that stream weights and networks are fitted to.
    :param hidden: hidden units of the networks.
    :param steps: steps of gradient descent for each network.
    :param rounds: rounds of Fisher scoring.
    :param ridge: strength of the prior of the weights.
    :param prior: symbols that the prior of a frequency table is worth.
    :param kind_prior: channels that the prior of a table of kinds is worth.
    :param seed: of the choice of images and crops.
    :param groups: channel counts at which the model's groups end.
    """

    signed_references: int = 8
    magnitude_references: int = 16
    positions: int = 24000
    crop: tuple[int, int] = (12, 16)
    counted: int = 24
    samples: int = 1_500_000
    hidden: int = 24
    steps: int = 1500
    rounds: int = 4
    ridge: float = 4.0
    prior: float = 30.0
    kind_prior: float = 4.0
    seed: int = 0
    groups: tuple[int, ...] = LAYERS


@dataclass(frozen=True)
class _Data:
    """
    Symbols of many crops as inputs of the forms; P padded positions in all.

    Inputs are relative to their means, and zero where there is no symbol.

    :param symbols: float32 ``[C, P]``.
    :param signed_mean: float64 ``[C]``.
    :param magnitude_mean: float64 ``[C]``.
    :param signed: float32 ``[C, P]``.
    :param magnitude: float32 ``[C, P]``.
    :param around: float32 ``[C, P]``, sum of the magnitudes of the four neighbours.
    :param inside: int64 ``[n]``, where there are symbols.
    :param centers: by pass, int64 ``[n]``, the places of its symbols.
    :param neighbors: by pass, int64 ``[n, 4]``.
    """

    symbols: np.ndarray
    signed_mean: np.ndarray
    magnitude_mean: np.ndarray
    signed: np.ndarray
    magnitude: np.ndarray
    around: np.ndarray
    slopes: np.ndarray
    inside: np.ndarray
    centers: tuple[np.ndarray, ...]
    neighbors: tuple[np.ndarray, ...]


def fit_context(
    symbols: Sequence[Sequence[np.ndarray]], symbol_max: int,
    settings: FitSettings = FitSettings(),
    pairs: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]] | None = None,
    gains: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """
    Fit a model.

    :param symbols: for each quantizer the symbols of many images, integers ``[320, h, w]``.
    :param symbol_max: largest magnitude of a symbol, L.
    :param settings: size and effort.
    :param pairs: for each quantizer the symbols of many frames and of the frames after them;
        without any for one of them the model has no stream mode.
    :param gains: symbols per unit of latent, positive ``[Q, 320]``; they relate the quantizers of
        consecutive frames. None: all alike.
    :return: the integer arrays of :class:`gsc_ros.codec.context.ContextTables`, by name.
    """
    if pairs is not None and not all(pairs):
        pairs = None
    rng = np.random.default_rng(settings.seed)
    fitted = [_fit_quantizer(_gather(images, settings, rng), settings) for images in symbols]
    stacked = {
        name: np.stack([part[name] for part in fitted]) for name in fitted[0]}
    shape = stacked['signed_mean'].shape
    gains = np.ones(shape) if gains is None else np.asarray(gains, np.float64)
    scales = scale_count(symbol_max)
    stream_shape = (shape[0] if pairs else 0, LATENT_CHANNELS, 2, LIKENESSES, STREAM_INPUTS)
    tables = ContextTables(
        frequency=residual_frequencies(np.zeros((scales * OFFSETS, RESIDUALS)), settings.prior),
        kind_frequency=kind_frequencies(
            np.zeros((KIND_STATES * KIND_TRENDS * KIND_LEVELS, KINDS)), settings.kind_prior),
        symbol_max=np.array([symbol_max], np.int32),
        gain=np.maximum(np.rint(gains / gains.min() * ONE), 1).astype(np.int32),
        **stacked, **network_tables('still', STILL_FEATURES),
        stream_weight=np.zeros(stream_shape, np.int16),
        **network_tables('stream', STREAM_FEATURES))
    chosen = [_chosen(images, settings, rng) for images in symbols]
    samples = collect(ContextModel(tables, settings.groups), chosen, settings.samples, rng)
    tables = replace(tables, **_network('still', samples, scales, settings))
    if pairs:
        doubles = [_varied(_chosen(images, settings, rng)) for images in pairs]
        samples = collect(ContextModel(tables, settings.groups), doubles, settings.samples, rng)
        tables = replace(tables, stream_weight=fit_stream(samples, shape, settings.ridge))
        samples = collect(ContextModel(tables, settings.groups), doubles, settings.samples, rng)
        tables = replace(tables, **_network('stream', samples, scales, settings))
        chosen = [single + double for single, double in zip(chosen, doubles)]
    counts, kinds = count(ContextModel(tables, settings.groups), chosen, rng)
    tables = replace(
        tables, frequency=residual_frequencies(counts, settings.prior),
        kind_frequency=kind_frequencies(kinds, settings.kind_prior))
    tables.validate()
    return asdict(tables)


def _network(
    name: str, samples: Samples, scales: int, settings: FitSettings,
) -> dict[str, np.ndarray]:
    """Return the arrays of a fitted network."""
    return fit_network(name, samples, scales, settings.hidden, settings.steps, settings.seed)


def _chosen(images: Sequence[Frames], settings: FitSettings, rng: np.random.Generator,
            ) -> list[Frames]:
    """Return some of the images, or of the pairs."""
    return [images[index] for index in rng.permutation(len(images))[:settings.counted]]


def _varied(pairs: list[Frames]) -> list[Frames]:
    """Return pairs of which one in eight stands still, and one in eight is of unlike scenes."""
    varied = []
    for index, (before, after) in enumerate(pairs):
        other = pairs[index - 1][0]
        if index % 8 == 1:
            before = after
        elif index % 8 == 5 and other.shape == after.shape:
            before = other
        varied.append((before, after))
    return varied


def _gather(
    images: Sequence[np.ndarray], settings: FitSettings, rng: np.random.Generator,
) -> _Data:
    """Return crops of the images, side by side in one padded row."""
    parts, inside, grids = [], [], []
    used = offset = 0
    for index in rng.permutation(len(images)):
        image = images[index]
        height = min(image.shape[1], settings.crop[0])
        width = min(image.shape[2], settings.crop[1])
        top = rng.integers(image.shape[1] - height + 1)
        left = rng.integers(image.shape[2] - width + 1)
        crop = image[:, top:top + height, left:left + width].astype(np.float32)
        padded = np.pad(crop, ((0, 0), (PAD, PAD), (PAD, PAD)))
        parts.append(padded.reshape(len(crop), -1))
        inside.append(np.pad(np.ones((height, width), bool), PAD).ravel())
        grids.append((height, width, offset))
        offset += parts[-1].shape[1]
        used += height * width
        if used >= settings.positions:
            break
    values = np.concatenate(parts, axis=1)
    mask = np.concatenate(inside)
    sizes = np.abs(values)
    signed_mean = values[:, mask].mean(axis=1, dtype=np.float64)
    magnitude_mean = sizes[:, mask].mean(axis=1, dtype=np.float64)
    signed = (values - signed_mean[:, None].astype(np.float32)) * mask
    magnitude = (sizes - magnitude_mean[:, None].astype(np.float32)) * mask
    around = np.empty_like(magnitude)
    change = np.zeros((2,) + values.shape, np.float32)
    for height, width, start in grids:
        shape = (height + 2 * PAD, width + 2 * PAD)
        stop = start + shape[0] * shape[1]
        part = magnitude[:, start:stop].reshape((-1,) + shape)
        around[:, start:stop] = sum_around(part).reshape(len(values), -1)
        inner = np.s_[..., PAD:-PAD, PAD:-PAD]
        change[..., start:stop].reshape((2, -1) + shape)[inner] = slopes(
            values[:, start:stop].reshape((-1,) + shape)[inner])
    centers, neighbors = [], []
    for index in range(PASSES):
        grid_parts = [(interlace(h, w)[index], start) for h, w, start in grids]
        centers.append(np.concatenate([part.padded + start for part, start in grid_parts]))
        neighbors.append(np.concatenate(
            [part.neighbors + start for part, start in grid_parts], axis=1))
    return _Data(values, signed_mean, magnitude_mean, signed, magnitude, around, change,
                 np.flatnonzero(mask), tuple(centers), tuple(neighbors))


def _fit_quantizer(data: _Data, settings: FitSettings) -> dict[str, np.ndarray]:
    """Return the integers of one quantizer, by their name in the tables."""
    count = LATENT_CHANNELS
    sloped = np.stack([data.signed, *data.slopes])[..., data.inside]
    signed_reference = _references(sloped, settings.signed_references, settings.groups)
    blurred = data.magnitude[:, data.inside] + 0.5 * data.around[:, data.inside]
    magnitude_reference = _references(
        blurred[None], settings.magnitude_references, settings.groups)
    out = {
        'signed_mean': _fixed(data.signed_mean, np.int32),
        'signed_reference': signed_reference,
        'signed_weight': np.zeros(
            (count, SLOPES, settings.signed_references), np.int16),
        'signed_neighbor': np.zeros((count, PASSES, NEIGHBORS), np.int16),
        'magnitude_mean': _fixed(data.magnitude_mean, np.int32),
        'magnitude_bias': np.zeros((count, PASSES), np.int32),
        'magnitude_reference': magnitude_reference,
        'magnitude_weight': np.zeros((count, 2, settings.magnitude_references), np.int16),
        'magnitude_neighbor': np.zeros((count, PASSES, OWN), np.int16),
    }
    order = np.concatenate(data.centers)
    bounds = np.cumsum([0] + [len(part) for part in data.centers])
    for channel in np.flatnonzero(data.symbols.any(axis=1)):
        far = signed_reference[channel][signed_reference[channel] != NO_CHANNEL]
        weights, error = _fit_signed(data, channel, far, order, bounds, settings)
        far_weights = weights[:SLOPES * len(far)].reshape(SLOPES, len(far))
        out['signed_weight'][channel, :, :len(far)] = _fixed(far_weights, np.int16)
        out['signed_neighbor'][channel] = _fixed(
            weights[SLOPES * len(far):].reshape(PASSES, NEIGHBORS), np.int16)
        far = magnitude_reference[channel][magnitude_reference[channel] != NO_CHANNEL]
        bias, weights = _fit_magnitude(data, channel, far, order, bounds, error, settings)
        out['magnitude_bias'][channel] = _fixed(bias, np.int32)
        far_weights = weights[:2 * len(far)].reshape(2, len(far))
        out['magnitude_weight'][channel, :, :len(far)] = _fixed(far_weights, np.int16)
        out['magnitude_neighbor'][channel] = _fixed(
            weights[2 * len(far):].reshape(PASSES, OWN), np.int16)
    return out


def _references(inputs: np.ndarray, count: int, groups: Sequence[int]) -> np.ndarray:
    """
    Return for each channel the ones of earlier groups that help most to predict it.

    Those with the largest standardised weights in a regression on all of them.

    :param inputs: float32 ``[I, C, n]``, of mean zero: what is to be predicted, which is an input
        for other channels as are the other ``I - 1`` measures of a channel.
    :param groups: channel counts at which groups end, the last one C or more.
    :return: int16 ``[C, count]``, -1 where there are fewer.
    """
    kinds, channels, positions = inputs.shape
    flat = inputs.reshape(kinds * channels, positions)
    live = np.flatnonzero(inputs[0].any(axis=1))
    rows = (np.arange(kinds)[:, None] * channels + live).ravel()
    covariance = (flat[rows] @ flat[rows].T).astype(np.float64) / positions
    deviation = np.sqrt(np.diag(covariance)) + 1e-9
    correlation = covariance / deviation[:, None] / deviation
    reference = np.full((channels, count), NO_CHANNEL, np.int16)
    ends = [min(end, channels) for end in groups]
    for start, end in zip(ends, ends[1:]):
        known = np.searchsorted(live, start)
        group = np.arange(known, np.searchsorted(live, end))
        earlier = (np.arange(kinds)[:, None] * len(live) + np.arange(known)).ravel()
        system = correlation[np.ix_(earlier, earlier)] + 0.02 * np.eye(len(earlier))
        weights = np.linalg.solve(system, correlation[np.ix_(earlier, group)])
        worths = np.square(weights).reshape(kinds, known, len(group)).sum(axis=0)
        for channel, worth in zip(live[group], worths.T):
            best = live[np.argsort(-worth, kind='stable')[:count]]
            reference[channel, :len(best)] = np.sort(best)
    return reference


def _fit_signed(
    data: _Data, channel: int, far: np.ndarray, order: np.ndarray, bounds: np.ndarray,
    settings: FitSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the weights of the signed form, and how far off it is at each symbol in pass order.

    Weights: of the far channels, then of the neighbours pass by pass.
    """
    target = data.signed[channel][order]
    common = np.concatenate(
        [part[far][:, order] for part in (data.signed, *data.slopes)])
    near = [data.signed[channel][part] for part in data.neighbors]
    size = len(common) + PASSES * NEIGHBORS
    gram, moment = np.zeros((size, size)), np.zeros(size)
    for index in range(PASSES):
        part = slice(bounds[index], bounds[index + 1])
        places = np.r_[:len(common), len(common) + index * NEIGHBORS + np.arange(NEIGHBORS)]
        inputs = np.concatenate([common[:, part], near[index]])
        gram[np.ix_(places, places)] += inputs @ inputs.T
        moment[places] += inputs @ target[part]
    power = np.diag(gram) + 1e-6
    # Prior: standardised weights of the order of one, against the noise of the target.
    noise = float(np.square(target).mean()) + 1e-9
    solution = np.linalg.solve(
        gram + np.diag(settings.ridge * power / len(order) + noise + 1e-6), moment)
    solution = np.round(np.clip(solution, -7, 7) * ONE) / ONE
    predicted = solution[:len(common)].astype(np.float32) @ common
    for index in range(PASSES):
        weights = solution[len(common) + index * NEIGHBORS:][:NEIGHBORS].astype(np.float32)
        predicted[bounds[index]:bounds[index + 1]] += weights @ near[index]
    return solution, np.abs(target - predicted)


def _fit_magnitude(
    data: _Data, channel: int, far: np.ndarray, order: np.ndarray, bounds: np.ndarray,
    error: np.ndarray, settings: FitSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return bias by pass and weights of the magnitude form.

    Weights: of the far channels, of what is around them, then pass by pass of the neighbours, of
    their spread, and of the mean magnitude and error of the channel so far.
    """
    common = np.concatenate([data.magnitude[far][:, order], data.around[far][:, order]])
    shared = len(common)
    own = OWN + 1
    blocks = []
    for index in range(PASSES):
        near = data.magnitude[channel][data.neighbors[index]]
        around = data.signed[channel][data.neighbors[index]]
        spread = np.abs(around - around.mean(axis=0)).mean(axis=0)
        own_inputs = np.stack([spread, np.ones(len(spread))])
        blocks.append(np.concatenate(
            [common[:, bounds[index]:bounds[index + 1]], near, own_inputs]).astype(np.float32))
    size = shared + PASSES * own
    floor = max(1.0 / ONE, 0.02 * float(error.mean()))
    average = max(float(error.mean()), floor)
    solution = np.zeros(size)
    solution[shared + own - 1::own] = average
    prior = solution.copy()
    powers = np.zeros(size)
    places = [
        np.r_[:shared, shared + index * own + np.arange(own)] for index in range(PASSES)]
    for index in range(PASSES):
        powers[places[index]] += np.square(blocks[index]).sum(axis=1) / len(order)
    # Prior: a standardised input changes the magnitude by the order of its average.
    penalty = settings.ridge * powers / (average * (average + 1)) + 1e-6
    for _ in range(settings.rounds):
        gram, moment = np.zeros((size, size)), np.zeros(size)
        for index, block in enumerate(blocks):
            expected = np.maximum(solution[places[index]].astype(np.float32) @ block, floor)
            weight = 1 / (expected * (1 + expected))
            weighted = block * weight
            gram[np.ix_(places[index], places[index])] += weighted @ block.T
            moment[places[index]] += weighted @ error[bounds[index]:bounds[index + 1]]
        solution = np.linalg.solve(gram + np.diag(penalty), moment + penalty * prior)
    own_weights = solution[shared:].reshape(PASSES, own)
    return own_weights[:, -1], np.concatenate([solution[:shared], own_weights[:, :-1].ravel()])


def _fixed(values: np.ndarray, dtype: type) -> np.ndarray:
    """Return values as integers with the model's fractional bits, saturated."""
    limits = np.iinfo(dtype)
    return np.clip(np.rint(np.asarray(values) * ONE), limits.min, limits.max).astype(dtype)


