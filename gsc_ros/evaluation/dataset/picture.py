# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the files of data sets, and what is wrong with them in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
from gsc_ros.evaluation.dataset.dataset import DatasetError
from gsc_ros.sources import SourceError
from gsc_ros.sources.folder import natural_key
from gsc_ros.sources.sequence import read_image
import numpy as np
import numpy.typing as npt


def unlike(path: Path, what: str, layout: str) -> DatasetError:
    """
    Return the error of a folder in which `what` is missing.

    :param layout: the expected files, one a line, indented as they lie in each other.
    """
    return DatasetError(f'{path}: {what}; expected there:\n{layout}')


def in_natural_order(files: Sequence[Path]) -> list[Path]:
    """Return the files with `2.png` before `10.png`, folder by folder."""
    return sorted(files, key=lambda path: [natural_key(part) for part in path.parts])


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """
    Read a picture as uint8 [H, W, 3] RGB; a gray one gets three equal channels.

    :raises DatasetError: it is not there, or no picture of 8 bits.
    """
    try:
        image = read_image(path)
    except SourceError as error:
        raise DatasetError(str(error)) from None
    return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)


def read_plane(path: Path, dtype: type[np.generic]) -> npt.NDArray:
    """
    Read a picture of one channel that holds numbers, not light.

    :param dtype: np.uint8 or np.uint16.
    :return: [H, W] of that type.
    :raises DatasetError: it is not there, or of another kind.
    """
    try:
        plane = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except FileNotFoundError:
        raise DatasetError(f'{path}: is not there') from None
    except (OSError, cv2.error):
        plane = None
    if plane is None:
        raise DatasetError(f'{path}: cannot be read as an image')
    if plane.ndim != 2 or plane.dtype != dtype:
        channels = 1 if plane.ndim == 2 else plane.shape[2]
        raise DatasetError(f'{path}: has {channels} channel(s) of {plane.dtype}, not one of '
                           f'{np.dtype(dtype)}')
    return plane


def require_same_size(image: npt.NDArray, truth: npt.NDArray, image_path: Path,
                      truth_path: Path) -> None:
    """
    Refuse a truth that cannot be laid over the picture.

    :raises DatasetError: height or width differ; names both files.
    """
    if image.shape[:2] != truth.shape[:2]:
        raise DatasetError(
            f'{truth_path}: {truth.shape[1]} x {truth.shape[0]} pixels, but {image_path} has '
            f'{image.shape[1]} x {image.shape[0]}')
