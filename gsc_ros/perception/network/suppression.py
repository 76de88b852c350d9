# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Of boxes on top of each other, keep the most certain."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

#: Candidates that are looked at, the most certain ones.
MAX_CANDIDATES = 30_000


def kept(boxes: npt.NDArray, classes: npt.NDArray, scores: npt.NDArray,
         iou: float) -> npt.NDArray[np.int64]:
    """
    Suppress what is not a maximum: greedily, class by class, as all detectors do.

    :param boxes: float [N, 4]: left, top, right, bottom.
    :param classes: int [N].
    :param scores: float [N], 0..1.
    :param iou: a box that overlaps a kept one of its class by more is dropped; intersection over
        union.
    :return: int64 [M], indices of those that stay, most certain first, in their own order where
        equally so.
    """
    order = np.argsort(-scores, kind='stable')[:MAX_CANDIDATES]
    if not len(order):
        return order
    corners = boxes[order].astype(np.float64)
    sizes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    # OpenCV sorts by score and leaves out those of 0: ranks are scores without either trouble.
    ranks = np.linspace(1, 0.5, len(order), dtype=np.float32)
    chosen: list[int] = []
    for kind in np.unique(classes[order]):
        of_kind = np.flatnonzero(classes[order] == kind)
        chosen.extend(of_kind[cv2.dnn.NMSBoxes(sizes[of_kind], ranks[of_kind], 0.0, iou)])
    return order[np.sort(np.array(chosen, np.int64))]
