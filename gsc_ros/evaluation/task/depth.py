# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Errors of predicted depth: delta1-3, AbsRel, RMSE and RMSE log.

With d* the prediction and d the truth in metres, over the pixels that have truth:

    delta_i   share of pixels with max(d*/d, d/d*) < 1.25^i
    AbsRel    mean of |d* - d| / d
    RMSE      root of the mean of (d* - d)^2, metres
    RMSE log  root of the mean of (ln d* - ln d)^2

as Eigen et al. 2014 define them and section 4.2 (1) of the paper quotes them (which prints only the
first of the two ratios of delta). Pixels count whose truth is measured and within MIN_DEPTH and the
data set's cap (80 m for KITTI); the aligned prediction is clipped to the same range, as is done
since Godard et al. 2017. A picture is one vote: figures of a data set are means over pictures.

Networks such as Depth Anything give inverse depth up to a scale and a shift. Before metres can be
compared, both are found from the truth of the same picture, by one of the ways of ALIGNMENTS; the
figures say nothing of absolute scale then. A scale found by least squares may be negative, as in
the code of Ranftl et al.: a map that has near and far the wrong way round is set right by it.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any, Literal

from gsc_ros.evaluation.dataset.dataset import DepthTruth
from gsc_ros.perception.network.network import DepthKind
import numpy as np
import numpy.typing as npt

Alignment = Literal['none', 'least-squares', 'median', 'robust']
#: What each alignment does, for reports.
ALIGNMENTS: dict[str, str] = {
    'none': 'metres as predicted',
    'least-squares': 'scale and shift per picture by least squares in disparity '
                     '(Ranftl et al. 2020)',
    'median': 'scale per picture by the ratio of the medians of depth (Zhou et al. 2017)',
    'robust': 'scale and shift per picture in disparity, by median and mean absolute deviation '
              '(Ranftl et al. 2020, eq. 6)',
}
METRICS = ('delta1', 'delta2', 'delta3', 'abs_rel', 'rmse', 'rmse_log')
DELTA_BASE = 1.25
#: Metres; nearer truth is not evaluated, and no prediction is nearer.
MIN_DEPTH = 1e-3
#: Without truth: pixels this many times further away than the median one are taken for background.
BACKGROUND = 20.0

_Map = npt.NDArray[np.floating]
_Mask = npt.NDArray[np.bool_]


class DepthError(ValueError):
    """Prediction and truth cannot be compared; the message says why."""


def measure(truth: DepthTruth, predicted: _Map, kind: DepthKind,
            alignment: Alignment = 'least-squares',
            region: _Mask | None = None) -> dict[str, Any] | None:
    """
    Return the errors of one picture.

    :param predicted: float [H, W], disparity or metres as `kind` says.
    :param alignment: see ALIGNMENTS; disparity has no metres, so 'none' is not for it.
    :param region: bool [H, W]; other pixels do not count. See `garg_region`.
    :return: METRICS, and `pixels`, how many counted; None when none did.
    :raises DepthError: the sizes differ, the prediction is not finite, or disparity is to be taken
        as it is.
    """
    metres = truth.metres
    if predicted.shape != metres.shape:
        raise DepthError(f'predicted depth has the shape {list(predicted.shape)}, '
                         f'the truth {list(metres.shape)}')
    counted = (metres >= MIN_DEPTH) & (metres <= truth.cap)
    if region is not None:
        counted &= region
    if not counted.any():
        return None
    actual = metres[counted].astype(np.float64)
    values = predicted[counted].astype(np.float64)
    if not np.isfinite(values).all():
        raise DepthError('predicted depth is not finite')
    return _errors(_aligned(values, actual, kind, alignment, truth.cap), actual)


def measure_agreement(original: _Map, predicted: _Map, kind: DepthKind) -> dict[str, Any] | None:
    """
    Return the errors against what the same network says of the original picture.

    The network's unit is the same in both, so nothing is aligned. Disparity becomes depth in units
    of the original's median depth, and background (beyond BACKGROUND units: sky, where a share
    means nothing) is left out; RMSE is in these units, or in metres.

    :param original: float [H, W], the prediction on the original.
    :param predicted: float [H, W], the prediction on the reconstruction.
    :return: as `measure`.
    :raises DepthError: the sizes differ or a prediction is not finite.
    """
    if not np.isfinite(original).all():
        raise DepthError('the depth predicted on the original is not finite')
    if kind == 'metres':
        cap = float(original.max(initial=MIN_DEPTH))
        return measure(DepthTruth(original.astype(np.float32), cap), predicted, kind, 'none')
    near = original[original > 0]
    if not near.size:
        return None
    unit = float(np.median(near))
    truth = np.where(original > 0, unit / np.maximum(original, np.finfo(np.float32).tiny), 0)
    depth = unit / np.maximum(predicted, unit / BACKGROUND)
    return measure(DepthTruth(truth.astype(np.float32), BACKGROUND), depth, 'metres', 'none')


def join(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """
    Return the means over pictures.

    :param rows: what `measure` returned, without the Nones.
    :raises DepthError: there are none.
    """
    if not rows:
        raise DepthError('no picture has a pixel with known depth')
    return {name: math.fsum(row[name] for row in rows) / len(rows) for name in METRICS}


def garg_region(height: int, width: int) -> _Mask:
    """
    Return the pixels of a KITTI frame that Garg et al. 2016 evaluate, bool [H, W].

    Without the sky, the car's own bonnet and the edges. For whole frames only: the official
    `val_selection_cropped` is evaluated everywhere.
    """
    region = np.zeros((height, width), bool)
    region[int(0.40810811 * height):int(0.99189189 * height),
           int(0.03594771 * width):int(0.96405229 * width)] = True
    return region


def _errors(predicted: _Map, actual: _Map) -> dict[str, Any]:
    ratio = np.maximum(predicted / actual, actual / predicted)
    difference = predicted - actual
    logarithm = np.log(predicted) - np.log(actual)
    deltas = {f'delta{power}': float((ratio < DELTA_BASE ** power).mean()) for power in (1, 2, 3)}
    return {**deltas, 'abs_rel': float((np.abs(difference) / actual).mean()),
            'rmse': float(np.sqrt((difference ** 2).mean())),
            'rmse_log': float(np.sqrt((logarithm ** 2).mean())), 'pixels': int(actual.size)}


def _aligned(values: _Map, actual: _Map, kind: DepthKind, alignment: Alignment,
             cap: float) -> _Map:
    """Return metres within the range that is evaluated, float64 [N]."""
    if alignment == 'none':
        if kind == 'disparity':
            raise DepthError('disparity is not in metres: choose an alignment for it')
        return np.clip(values, MIN_DEPTH, cap)
    if alignment == 'median':
        return np.clip(_scaled(_inverse(values) if kind == 'disparity' else values, actual),
                       MIN_DEPTH, cap)
    disparity = values if kind == 'disparity' else _inverse(np.maximum(values, MIN_DEPTH))
    wanted = 1 / actual
    fit = _least_squares if alignment == 'least-squares' else _robust
    scale, shift = fit(disparity, wanted)
    return 1 / np.clip(scale * disparity + shift, 1 / cap, 1 / MIN_DEPTH)


def _inverse(values: _Map) -> _Map:
    """Return 1 / x; what is not positive lies infinitely far away."""
    return np.divide(1.0, values, out=np.full_like(values, np.inf), where=values > 0)


def _scaled(depth: _Map, actual: _Map) -> _Map:
    """Scale depth so that its median is that of the truth."""
    middle, wanted = float(np.median(depth)), float(np.median(actual))
    if not math.isfinite(middle) or middle <= 0:
        # Most of it at infinity, or behind the camera: nothing to take a scale from.
        return np.full_like(actual, wanted)
    return depth * (wanted / middle)


def _least_squares(disparity: _Map, wanted: _Map) -> tuple[float, float]:
    """Return the scale and shift that bring disparity nearest to what is wanted."""
    spread = disparity - disparity.mean()
    power = float(spread @ spread)
    scale = float(spread @ (wanted - wanted.mean())) / power if power > 0 else 0.0
    return scale, float(wanted.mean() - scale * disparity.mean())


def _robust(disparity: _Map, wanted: _Map) -> tuple[float, float]:
    """Return the scale and shift that give both the same median and mean absolute deviation."""
    (middle, deviation), (other, target) = (
        (float(np.median(one)), float(np.abs(one - np.median(one)).mean()))
        for one in (disparity, wanted))
    scale = target / deviation if deviation > 0 else 0.0
    return scale, other - scale * middle
