# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a data set is: named pictures, and what is true of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

#: The label of pixels that no metric looks at.
IGNORE = 255


class DatasetError(ValueError):
    """A folder is not laid out as the data set is published, or a file is damaged; names it."""


@dataclass(frozen=True, eq=False)
class DepthTruth:
    """
    Measured depth of some of the pixels.

    :param metres: float32 [H, W], along the optical axis; 0 where nothing was measured.
    :param cap: metres; by convention of the data set, pixels further away are not evaluated.
    """

    metres: npt.NDArray[np.float32] = field(repr=False)
    cap: float


@dataclass(frozen=True, eq=False)
class LabelTruth:
    """
    The class of each pixel.

    :param labels: int32 [H, W], indices of the data set's `classes`, or IGNORE.
    """

    labels: npt.NDArray[np.int32] = field(repr=False)


@dataclass(frozen=True, eq=False)
class BoxTruth:
    """
    The objects of a picture.

    :param boxes: float32 [N, 4]: left, top, right, bottom in pixels, as in `Detected`.
    :param classes: int64 [N], indices of the data set's `classes`.
    :param crowd: bool [N], true for a box around many objects that were not told apart.
    :param areas: float32 [N], pixels inside the objects' outlines, by which COCO tells small
        objects from large ones.
    :param image_id: the number of the picture in the annotations.
    """

    boxes: npt.NDArray[np.float32] = field(repr=False)
    classes: npt.NDArray[np.int64]
    crowd: npt.NDArray[np.bool_]
    areas: npt.NDArray[np.float32]
    image_id: int


Truth = DepthTruth | LabelTruth | BoxTruth


@dataclass(frozen=True, eq=False)
class Sample:
    """
    One picture of a data set.

    :param name: unique in the data set; a relative path without suffix, with `/` between parts.
    :param image: uint8 [H, W, 3] RGB.
    :param truth: of the same height and width; None in a data set without labels.
    """

    name: str
    image: npt.NDArray[np.uint8] = field(repr=False)
    truth: Truth | None = None


class Dataset(Protocol):
    """
    Pictures in a fixed order, read one by one.

    Reading in ascending order is fast for all of them, also for videos. One thread at a time reads
    from one; a process opens its own.
    """

    #: How commands and results call it, for example 'kitti-depth'.
    name: str
    #: How reports call it, for example 'KITTI depth'.
    title: str
    root: Path
    #: The names of all samples, in order; known without reading a picture.
    names: Sequence[str]
    #: What `truth` of its samples is; None in a data set without labels.
    truth: type[DepthTruth] | type[LabelTruth] | type[BoxTruth] | None
    #: Names of the classes of LabelTruth and BoxTruth; empty for the others.
    classes: tuple[str, ...]

    def read(self, index: int) -> Sample:
        """
        Return the sample `names[index]`.

        :raises DatasetError: a file of it is missing or damaged; names it.
        """
        ...


class Subset:
    """
    Some samples of a data set, which is one itself.

    :param dataset: where they come from.
    :param indices: which, in the order wanted.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        self.name = dataset.name
        self.title = dataset.title
        self.root = dataset.root
        self.truth = dataset.truth
        self.classes = dataset.classes
        self.names = [dataset.names[index] for index in indices]
        self._dataset = dataset
        self._indices = list(indices)

    def read(self, index: int) -> Sample:
        """Return the sample `names[index]`; see Dataset."""
        return self._dataset.read(self._indices[index])


class Unlabelled:
    """
    The pictures of a data set alone.

    :param dataset: where they come from.
    """

    truth = None
    classes = ()

    def __init__(self, dataset: Dataset) -> None:
        self.name = dataset.name
        self.title = dataset.title
        self.root = dataset.root
        self.names = dataset.names
        self._dataset = dataset

    def read(self, index: int) -> Sample:
        """Return the sample `names[index]`; see Dataset."""
        return replace(self._dataset.read(index), truth=None)


def evenly(dataset: Dataset, count: int | None) -> Dataset:
    """
    Return `count` samples spread evenly over the data set, or all when it has no more.

    :param count: at least 1; None is all.
    """
    total = len(dataset.names)
    if count is None or count >= total:
        return dataset
    if count < 1:
        raise DatasetError(f'{count} samples: at least 1')
    return Subset(dataset, [index * total // count for index in range(count)])
