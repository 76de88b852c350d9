# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All metrics of reconstructions against their originals, and their means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
import math
from threading import Lock

from gsc_ros.evaluation import saliency
from gsc_ros.evaluation.metric import both_ssim, MS_SSIM_MIN_SIDE, psnr, ssim
from gsc_ros.evaluation.resampling import Picture
from gsc_ros.perception.network.agreement import Agreement, agreement
from gsc_ros.perception.network.network import Detected, DetectionNetwork
from gsc_ros.perception.source.class_id import class_ids
import numpy as np

# Equal images have no finite PSNR; a mean needs one. No codec here comes near.
MAX_PSNR = 100.0


@dataclass(frozen=True)
class Score:
    """
    Quality of one reconstruction, or the mean of many.

    PSNR in dB; the others are 1 for equal images. None where a metric does not apply: images of
    less than 161 pixels have no MS-SSIM, VSI and F1 were not asked for or nothing was detected.
    """

    psnr: float
    ssim: float
    ms_ssim: float | None
    vsi: float | None
    f1: float | None


class Scorer:
    """
    Scores reconstructions of a fixed set of originals; threads may share it.

    :param originals: uint8 [H, W, 3] RGB, 11 pixels a side or more.
    :param detector: for the agreement of detections; None for none.
    :param with_vsi: whether to compute VSI.
    """

    def __init__(self, originals: Sequence[Picture], detector: DetectionNetwork | None,
                 with_vsi: bool) -> None:
        self.originals = originals
        self.identity = f'vsi={with_vsi} detector={detector.identity if detector else None}'
        self._detector = detector
        self._with_vsi = with_vsi
        self._turn = Lock()  # of the detector, which serves one thread at a time
        self._detections = [detector(image) for image in originals] if detector else []

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Return the names of the detector's classes; None without a detector."""
        return None if self._detector is None else self._detector.classes

    def listed(self, lists: Sequence[Detected]) -> float | None:
        """
        Return F1 of objects that were told, against those the detector finds on the originals.

        :param lists: of each original; classes numbered as in lists of objects, see
            `gsc_ros.perception.source.class_id`.
        :return: None when there are none in either.
        """
        # What has no number cannot be told.
        ids = np.array([-1 if number is None else number
                        for number in class_ids(self.classes or ())], np.int64)
        found = Agreement()
        for truth, told in zip(self._detections, lists):
            found += agreement(replace(truth, classes=ids[truth.classes]), told)
        return found.f1

    def mean(self, images: Iterable[Picture]) -> Score:
        """Return the mean over reconstructions, in the order of the originals; F1 over all."""
        rows: list[tuple[float, ...]] = []
        found = Agreement()
        for index, (original, image) in enumerate(zip(self.originals, images)):
            whole = min(original.shape[:2]) >= MS_SSIM_MIN_SIDE
            rows.append((min(psnr(original, image), MAX_PSNR),
                         *(both_ssim(original, image) if whole
                           else (ssim(original, image), math.nan)),
                         saliency.vsi(original, image) if self._with_vsi else math.nan))
            if self._detector:
                with self._turn:
                    seen = self._detector(image)
                found += agreement(self._detections[index], seen)
        means = [None if math.isnan(value) else value for value in np.mean(rows, axis=0).tolist()]
        return Score(*means, f1=found.f1)
