# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Depth whose errors are known beforehand: the truth itself, and the truth made wrong on purpose.

They show that a table of depth is right from end to end. With a factor f on every pixel AbsRel is
|f - 1|, RMSE log is |ln f| and delta_i is 1 or 0; with f on every other measured pixel both are
those of half of the pixels. Nothing is coded, and nothing but depth is judged.
"""

from __future__ import annotations

from typing import Any

from gsc_ros.evaluation.dataset.dataset import DepthTruth, Sample
from gsc_ros.evaluation.run.method import (
    Group,
    MethodError,
    MethodSpec,
    Reconstructed,
    RunError,
    Scalar,
)
import numpy as np

KNOWN_OPTIONS: dict[str, Scalar] = {'factor': 1.0, 'every': 1}


class KnownDepth:
    """
    The true depth times a factor.

    :param spec: of kind 'known': `factor`, positive; `every`, the factor is on every n-th measured
        pixel.
    :raises RunError: an option is out of range.
    """

    group = Group.KNOWN

    def __init__(self, spec: MethodSpec) -> None:
        options = dict(KNOWN_OPTIONS) | dict(spec.options)
        try:
            self._factor, self._every = float(options['factor']), int(options['every'])
        except (TypeError, ValueError) as error:
            raise RunError(f'known: {error}') from error
        if self._factor <= 0 or self._every < 1:
            raise RunError('known: `factor` must be positive and `every` at least 1')
        self.series = 'known depth'
        self.title = 'true depth'
        if self._factor != 1:
            where = '' if self._every == 1 else f' on every {self._every}. pixel'
            self.title += f' x {self._factor:g}{where}'

    def identity(self, index: int, sample: Sample) -> dict[str, Any]:
        """Return the options; see `Method`."""
        return {'kind': 'known', 'factor': self._factor, 'every': self._every}

    def reconstruct(self, index: int, sample: Sample) -> Reconstructed:
        """Return the picture as it is, with the depth; see `Method`."""
        if not isinstance(sample.truth, DepthTruth):
            raise MethodError(f'{sample.name}: no depth is known of it')
        metres = sample.truth.metres.copy()
        rows, columns = np.nonzero(metres)
        chosen = slice(None, None, self._every)
        metres[rows[chosen], columns[chosen]] *= np.float32(self._factor)
        return Reconstructed(sample.image, sample.image.nbytes, depth=metres)


class Original:
    """The picture itself, uncompressed: the most there is to reach."""

    group = Group.REFERENCE
    title = series = 'original'

    def __init__(self, spec: MethodSpec) -> None:
        del spec

    def identity(self, index: int, sample: Sample) -> dict[str, Any]:
        """Return that it is the original; see `Method`."""
        return {'kind': 'original'}

    def reconstruct(self, index: int, sample: Sample) -> Reconstructed:
        """Return the picture, 24 bits per pixel; see `Method`."""
        return Reconstructed(sample.image, sample.image.nbytes)
