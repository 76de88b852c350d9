# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Flicker: by how much a generated sequence changes more than what it shows.

The picture before is moved along with the scene, by the optical flow between the structure
pictures, and compared with the present one (the warping error of Lai et al., "Learning Blind Video
Temporal Consistency", ECCV 2018). What the flow cannot follow (occlusion, noise of the structure
picture itself) changes the structure pictures likewise, so their warping error is taken off:

    flicker = mean |G_t - warp(G_t-1)| - mean |S_t - warp(S_t-1)|      gray levels of 255

0 is a generator as steady as the structure decoder; less is possible, where it smooths over time.
"""

from __future__ import annotations

import cv2
import numpy as np

# Width in pixels at which the flow is estimated; structure pictures hold nothing finer.
FLOW_WIDTH = 320
# Sides that the estimation of flow needs at least.
_LEAST_SIDE = 16


class FlickerMeter:
    """
    Measures the flicker of one camera, from one generated picture to the next.

    It remembers the last pictures, and gives the generated one as it would be now. Not for several
    threads at a time.
    """

    def __init__(self) -> None:
        """Begin before the first picture."""
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def measure(self, structure: np.ndarray, generated: np.ndarray) -> float:
        """
        Return the flicker since the pictures given last; NaN when there are none of this size.

        :param structure: uint8 ``[H, W, 3]`` RGB; kept until the next call, like the other.
        :param generated: uint8 ``[H, W, 3]`` RGB.
        """
        before, self._before = self._before, (structure, generated)
        if before is None or before[0].shape != structure.shape:
            return float('nan')
        place = self._where_it_was(before[0], structure)
        return _change(generated, before[1], place) - _change(structure, before[0], place)

    def moved_to(self, structure: np.ndarray) -> np.ndarray | None:
        """
        Return the last generated picture, moved along with the scene.

        :param structure: uint8 ``[H, W, 3]`` RGB, the structure picture to whose scene it is moved.
        :return: uint8 ``[H, W, 3]`` RGB; None when there is none of this size.
        """
        if self._before is None or self._before[0].shape != structure.shape:
            return None
        return _moved(self._before[1], self._where_it_was(self._before[0], structure))

    def _where_it_was(self, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Return where in the picture before each pixel of the present one was, [H, W, 2]."""
        height, width = now.shape[:2]
        small = (min(width, FLOW_WIDTH),
                 max(_LEAST_SIDE, round(height * min(1.0, FLOW_WIDTH / width))))
        # From the present picture to the one before.
        flow = self._flow.calc(_gray(now, small), _gray(before, small), None)
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        flow *= np.float32([width / small[0], height / small[1]])
        rows, columns = np.indices((height, width), np.float32)
        flow[..., 0] += columns
        flow[..., 1] += rows
        return flow


def _gray(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)


def _change(now: np.ndarray, before: np.ndarray, place: np.ndarray) -> float:
    """Return the mean absolute difference of a picture and the one before, moved to its place."""
    return float(cv2.absdiff(now, _moved(before, place)).mean())


def _moved(before: np.ndarray, place: np.ndarray) -> np.ndarray:
    return cv2.remap(before, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
