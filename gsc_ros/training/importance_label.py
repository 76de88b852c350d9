# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What an importance network learns from: boxes by weak teachers, with how far to trust them.

A small detector overlooks much of a whole frame, so it looks at windows of several sizes, too; a
box that a window cuts is not taken from it. A segmenter, where there is one, adds the outlines of
its things. What stands out by contrast alone is a faint label: there the network learns to look
where no class is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
from gsc_ros.perception.network.network import DetectionNetwork, SegmentationNetwork
from gsc_ros.perception.network.suppression import kept
from gsc_ros.perception.source.detector import DetectorSource
import numpy as np
import numpy.typing as npt

#: Least score of the detector: below, it is as often wrong as right.
MIN_SCORE = 0.45
#: Score from which a detection is trusted in full.
FULL_SCORE = 0.75
#: Trust in a patch of the segmenter, and in what merely stands out.
SEGMENT_TRUST = 0.7
CONTRAST_TRUST = 0.2
#: Larger boxes, as a share of the picture, are no regions: the whole frame is coded anyway.
MAX_AREA = 0.4
# Windows, as shares of the picture's sides, the number of them along each side, and the trust in
# what is seen in them: the detector was made for whole pictures.
_WINDOWS = ((1.0, 1, 1.0), (0.6, 2, 0.9), (0.4, 3, 0.75))
# A box that comes this near to an inner edge of its window, as a share of its side, may be cut.
_MARGIN = 0.02
_SAME_IOU = 0.5
# A picture less wide than this has too few pixels for the smallest windows.
_SMALL = 400
# Standard deviations above the mean from which contrast stands out, and how many of these boxes.
_STANDS_OUT = 2.2
_MOST_CONTRAST = 6


@dataclass(frozen=True)
class Labels:
    """
    The things of one picture.

    :param boxes: float32 [N, 4]: left, top, right, bottom as shares of width and height.
    :param trust: float32 [N], 0..1: how surely there is something.
    """

    boxes: npt.NDArray[np.float32]
    trust: npt.NDArray[np.float32]


def label(image: npt.NDArray[np.uint8], detector: DetectionNetwork,
          segmenter: SegmentationNetwork | None = None) -> Labels:
    """
    Look at a picture with all teachers.

    :param image: uint8 [H, W, 3] RGB.
    :param detector: with a least score of `MIN_SCORE` or less.
    :return: boxes that overlap by less than a half, most trusted first.
    """
    height, width = image.shape[:2]
    found = [_detections(image, window, trust, detector)
             for window, trust in windows(width, height)]
    if segmenter is not None:
        patches = DetectorSource(segmenter).find(image, 0)
        found.append([(*region.box, SEGMENT_TRUST) for region in patches])
    found.append([(*box, CONTRAST_TRUST) for box in contrasts(image)])
    rows = np.array([row for rows in found for row in rows], np.float32).reshape(-1, 5)
    area = (rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])
    rows = rows[area <= MAX_AREA * width * height]
    chosen = kept(rows[:, :4], np.zeros(len(rows), np.int64), rows[:, 4], _SAME_IOU)
    size = np.array([width, height, width, height], np.float32)
    return Labels(rows[chosen, :4] / size, rows[chosen, 4])


def windows(width: int, height: int) -> Iterator[tuple[tuple[int, int, int, int], float]]:
    """Yield the windows for the detector (left, top, right, bottom in pixels) with the trust."""
    for share, count, trust in _WINDOWS:
        if share < 0.5 and width < _SMALL:
            return
        wide, tall = round(width * share), round(height * share)
        for top in np.linspace(0, height - tall, count).round().astype(int):
            for left in np.linspace(0, width - wide, count).round().astype(int):
                yield (int(left), int(top), int(left) + wide, int(top) + tall), trust


def _detections(image: npt.NDArray[np.uint8], window: tuple[int, int, int, int],
                trust: float, detector: DetectionNetwork) -> list[tuple[float, ...]]:
    """Return boxes in pixels of the picture with the trust in them, but none that is cut."""
    height, width = image.shape[:2]
    left, top, right, bottom = window
    found = detector(image[top:bottom, left:right])
    margin_x, margin_y = _MARGIN * (right - left), _MARGIN * (bottom - top)
    rows = []
    for box, score in zip(found.boxes + np.array([left, top, left, top], np.float32),
                          found.scores):
        cut = (left > 0 and box[0] < left + margin_x or top > 0 and box[1] < top + margin_y
               or right < width and box[2] > right - margin_x
               or bottom < height and box[3] > bottom - margin_y)
        if not cut and score >= MIN_SCORE:
            certainty = min((float(score) - MIN_SCORE) / (FULL_SCORE - MIN_SCORE), 1.0)
            rows.append((*map(float, box), trust * (0.3 + 0.7 * certainty)))
    return rows


def contrasts(image: npt.NDArray[np.uint8]) -> list[tuple[float, float, float, float]]:
    """
    Return boxes around what differs from its surroundings, in color or in edges.

    :param image: uint8 [H, W, 3] RGB.
    :return: left, top, right, bottom in pixels, the most conspicuous first.
    """
    height, width = image.shape[:2]
    scale = 192 / max(height, width)
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    gray = lab[..., 0]
    edges = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    planes = np.dstack([lab, edges / 4])
    salience = np.zeros(small.shape[:2], np.float32)
    for near, far in ((2.0, 10.0), (4.0, 20.0)):
        difference = cv2.GaussianBlur(planes, (0, 0), near) - cv2.GaussianBlur(planes, (0, 0), far)
        salience += np.abs(difference).sum(axis=2)
    limit = salience.mean() + _STANDS_OUT * salience.std()
    _, _, stats, _ = cv2.connectedComponentsWithStats((salience > limit).astype(np.uint8))
    parts = [part for part in stats[1:].tolist() if 0.001 <= part[4] / salience.size <= 0.05]
    parts.sort(key=lambda part: -part[4])
    return [(left / scale, top / scale, min((left + wide) / scale, width),
             min((top + tall) / scale, height))
            for left, top, wide, tall, _ in parts[:_MOST_CONTRAST]]
