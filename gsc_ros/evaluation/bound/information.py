# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The information measure U(X), the distribution P(X) of eq. (7), its entropy H, and what is kept.

The paper leaves U open. Here X is not a pixel but a detail of the picture, a coefficient of the
orthonormal Haar transform of its luma: there are as many as pixels, each has a place and a scale,
and they are far less alike than neighbouring pixels are. U(X) is the weighted energy of a
coefficient c at scale s (1: differences of neighbours; each further scale is twice as coarse):

    energy     U = c^2              sums to the variance of the luma
    gradient   U = c^2 4^(1 - s)    each scale as heavy as the squared steps from pixel to pixel in
                                    it: edges, whatever the light

What a reconstruction keeps is measured in the same coin: V = 1 - sum U(X - X') / sum U(X), with the
coefficients of both. 1 for the picture itself, 0 for its mean gray, and negative for one that
invents more than it keeps.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

#: The measures, in words for reports.
MEASURES: dict[str, str] = {
    'energy': 'energy of the luma, by Haar coefficient',
    'gradient': 'energy of the steps of the luma, by Haar coefficient',
}

Image = npt.NDArray[np.uint8]
_Array = npt.NDArray[np.float64]


class BoundError(ValueError):
    """No bound can be computed; the message says why."""


def information(image: Image, measure: str = 'energy') -> _Array:
    """
    Return U of each detail, float64 [N], N about the number of pixels.

    :param image: uint8 [H, W, 3] RGB.
    :param measure: of MEASURES.
    :raises BoundError: no such measure.
    """
    return _weighted_energy(_luma(image), measure)


def distribution(information_of: _Array) -> _Array:
    """
    Return P of eq. (7), float64 [N], which sums to 1.

    :raises BoundError: nothing holds information, as in a picture of one colour.
    """
    total = float(information_of.sum())
    if total <= 0:
        raise BoundError('a picture of one colour holds no information')
    return information_of / total


def entropy(probability: _Array) -> float:
    """Return H = -sum P log2 P, bits: how far the information is spread, at most log2 N."""
    occurring = probability[probability > 0]
    return float(-(occurring * np.log2(occurring)).sum())


def kept(original: Image, image: Image, measure: str = 'energy') -> float:
    """
    Return V, the share of the original's information that a reconstruction keeps.

    :param original: uint8 [H, W, 3] RGB.
    :param image: uint8, of the same size.
    :return: at most 1; negative when more is invented than kept.
    :raises BoundError: the sizes differ, the original is of one colour, or there is no such
        measure.
    """
    if original.shape != image.shape:
        raise BoundError(f'images differ in size: {list(original.shape)} and {list(image.shape)}')
    total = float(information(original, measure).sum())
    if total <= 0:
        raise BoundError('a picture of one colour holds no information')
    return 1 - float(_weighted_energy(_luma(original) - _luma(image), measure).sum()) / total


def haar(plane: _Array) -> list[_Array]:
    """
    Return the details of a plane by scale, the finest first: float64 [n] each.

    Orthonormal: for sides that are powers of two, the squares sum to those of the plane less its
    mean. An odd side is made even by repeating its last row or column.
    """
    scales = []
    while max(plane.shape) > 1:
        low, high = _halved(plane, axis=0)
        plane, across = _halved(low, axis=1)
        scales.append(np.concatenate([
            part.ravel() for part in (across, *_halved(high, axis=1))]))
    return scales


def _halved(plane: _Array, axis: int) -> tuple[_Array, _Array]:
    """Return sums and differences of neighbours along an axis, by the root of two."""
    if plane.shape[axis] <= 1:
        return plane, plane[:0]
    if plane.shape[axis] % 2:
        plane = np.concatenate([plane, plane.take([-1], axis)], axis)
    first, second = (plane.take(range(start, plane.shape[axis], 2), axis) for start in (0, 1))
    return (first + second) / math.sqrt(2), (first - second) / math.sqrt(2)


def _weighted_energy(plane: _Array, measure: str) -> _Array:
    if measure not in MEASURES:
        raise BoundError(f'no information measure {measure!r}; there are: {", ".join(MEASURES)}')
    ratio = 0.25 if measure == 'gradient' else 1.0
    return np.concatenate([detail ** 2 * ratio ** scale
                           for scale, detail in enumerate(haar(plane))] or [np.zeros(0)])


def _luma(image: Image) -> _Array:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
