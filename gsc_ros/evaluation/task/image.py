# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How near a reconstruction is to its original: PSNR, SSIM, MS-SSIM, VSI, LPIPS, DISTS and FID.

The first four are always there, defined in `evaluation/metric.py` and `evaluation/saliency.py`; the
others only where their weights are, see `weight.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
import importlib.util
import math
from typing import Any

from gsc_ros.evaluation import saliency
from gsc_ros.evaluation.metric import ms_ssim, MS_SSIM_MIN_SIDE, psnr, ssim
from gsc_ros.evaluation.score import MAX_PSNR
from gsc_ros.evaluation.task import perceptual
from gsc_ros.evaluation.task.weight import DISTS, INCEPTION, LPIPS, VGG16, WeightFolder
import numpy as np
import numpy.typing as npt

#: Of one image. FID is of many.
METRICS = ('psnr', 'ssim', 'ms_ssim', 'vsi', 'lpips', 'dists')
_FILES = {'lpips': (VGG16, LPIPS), 'dists': (VGG16, DISTS), 'fid': (INCEPTION,)}
_PACKAGES = ('torch', 'torchvision', 'piq')

Image = npt.NDArray[np.uint8]


class ImageMetrics:
    """
    Everything that can be measured here. One thread at a time uses one.

    :param weights: where the learned metrics find theirs.
    :param without: metrics that are not wanted, of METRICS and 'fid'.
    """

    def __init__(self, weights: WeightFolder, without: Sequence[str] = ()) -> None:
        self._weights = weights
        #: What cannot be measured, and why.
        self.missing: dict[str, str] = {
            name: reason for name in ('vsi', *_FILES) if name not in without
            if (reason := self._reason(name)) is not None}
        self._wanted = {name for name in (*METRICS, 'fid')
                        if name not in without and name not in self.missing}
        self._made: dict[str, Any] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the metrics of one image that are measured."""
        return tuple(name for name in METRICS if name in self._wanted)

    @property
    def with_fid(self) -> bool:
        """Return whether `features` can be used."""
        return 'fid' in self._wanted

    def measure(self, original: Image, image: Image) -> dict[str, float | None]:
        """
        Return `names` of one reconstruction.

        PSNR in dB, at most 100 so that equal images have a mean; LPIPS and DISTS are 0 for equal
        images, the others 1. None where one does not apply: MS-SSIM of less than 161 pixels.

        :param original: uint8 [H, W, 3] RGB, 11 pixels a side or more.
        :param image: uint8, of the same size.
        :raises WeightError: a file of weights is damaged.
        """
        whole = min(original.shape[:2]) >= MS_SSIM_MIN_SIDE
        of = {'psnr': lambda: min(psnr(original, image), MAX_PSNR),
              'ssim': lambda: ssim(original, image),
              'ms_ssim': lambda: ms_ssim(original, image) if whole else None,
              'vsi': lambda: saliency.vsi(original, image),
              'lpips': lambda: self._network('lpips', perceptual.lpips)(original, image),
              'dists': lambda: self._network('dists', perceptual.dists)(original, image)}
        return {name: of[name]() for name in self.names}

    def features(self, image: Image) -> npt.NDArray[np.float32]:
        """
        Return what FID compares, float32 [2048]; see `fid`.

        :raises WeightError: the weights are damaged.
        """
        return self._network('fid', perceptual.inception)(image)

    def _network(self, name: str, make: Any) -> Any:
        if name not in self._made:
            self._made[name] = make(self._weights)
        return self._made[name]

    def _reason(self, name: str) -> str | None:
        if name == 'vsi':
            return saliency.missing()
        for package in _PACKAGES:
            if importlib.util.find_spec(package) is None:
                return f'{package} is not installed'
        return self._weights.missing(*_FILES[name])


def join(rows: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """Return the means over images; None for a metric that no image has."""
    found = {name: [row[name] for row in rows if row.get(name) is not None] for name in METRICS}
    return {name: math.fsum(values) / len(values) if values else None
            for name, values in found.items()}


def fid(originals: Sequence[npt.ArrayLike], images: Sequence[npt.ArrayLike]) -> float | None:
    """
    Return the distance between two sets of images, from their `features`; see perceptual.py.

    None for fewer than two images.
    """
    if min(len(originals), len(images)) < 2:
        return None
    return perceptual.frechet_distance(np.array(originals), np.array(images))
