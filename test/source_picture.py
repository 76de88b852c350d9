# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures on disk for the tests of the sources."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 48, 32


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return a picture of one colour, RGB, whose red is `number`."""
    return np.full((height, width, 3), (number, 100, 200), np.uint8)


def write_pictures(folder: Path, names: Iterable[str], width: int = WIDTH,
                   height: int = HEIGHT) -> None:
    """Write numbered pictures in the order of the names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        bgr = cv2.cvtColor(picture(number, width, height), cv2.COLOR_RGB2BGR)
        assert cv2.imwrite(str(folder / name), bgr)


def numbers(frames: Iterable[object]) -> list[int]:
    """Return the numbers of the pictures that frames hold."""
    return [int(frame.image[0, 0, 0]) for frame in frames]
