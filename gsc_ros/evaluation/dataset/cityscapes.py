# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Cityscapes (Cordts et al., CVPR 2016): German streets with the class of every pixel.

The files hold the 34 label ids of the annotation; the 19 classes of the benchmark are picked out of
them as its own scripts do, and all others are ignored.
"""

from __future__ import annotations

from pathlib import Path

from gsc_ros.evaluation.dataset.dataset import DatasetError, IGNORE, LabelTruth, Sample
from gsc_ros.evaluation.dataset.picture import (
    in_natural_order,
    read_plane,
    read_rgb,
    require_same_size,
    unlike,
)
import numpy as np

LAYOUT = """\
  leftImg8bit/val/CITY/CITY_SSSSSS_FFFFFF_leftImg8bit.png
  gtFine/val/CITY/CITY_SSSSSS_FFFFFF_gtFine_labelIds.png"""

#: Label id of the annotation by class of the benchmark, in the order of its train ids.
LABEL_IDS = {
    'road': 7, 'sidewalk': 8, 'building': 11, 'wall': 12, 'fence': 13, 'pole': 17,
    'traffic light': 19, 'traffic sign': 20, 'vegetation': 21, 'terrain': 22, 'sky': 23,
    'person': 24, 'rider': 25, 'car': 26, 'truck': 27, 'bus': 28, 'train': 31, 'motorcycle': 32,
    'bicycle': 33}
CLASSES = tuple(LABEL_IDS)

_TRAIN_ID = np.full(256, IGNORE, np.int32)
_TRAIN_ID[list(LABEL_IDS.values())] = np.arange(len(LABEL_IDS))

_IMAGE_END, _LABEL_END = '_leftImg8bit.png', '_gtFine_labelIds.png'


class Cityscapes:
    """
    The validation pictures of Cityscapes with fine annotation, 2048 x 1024.

    :param root: the folder that holds leftImg8bit and gtFine.
    :raises DatasetError: it is laid out differently.
    """

    name = 'cityscapes'
    title = 'Cityscapes'
    truth = LabelTruth
    classes = CLASSES

    def __init__(self, root: Path) -> None:
        self.root = root
        pictures, labels = root / 'leftImg8bit' / 'val', root / 'gtFine' / 'val'
        for folder in (pictures, labels):
            if not folder.is_dir():
                raise unlike(root, f'no {folder.relative_to(root)}', LAYOUT)
        self._images = in_natural_order(list(pictures.glob(f'*/*{_IMAGE_END}')))
        if not self._images:
            raise unlike(root, 'no pictures of Cityscapes', LAYOUT)
        self.names = [image.name[:-len(_IMAGE_END)] for image in self._images]
        self._labels = [labels / image.parent.name / f'{name}{_LABEL_END}'
                        for image, name in zip(self._images, self.names)]
        missing = [label for label in self._labels if not label.is_file()]
        if missing:
            raise unlike(root, f'{len(missing)} of {len(self._images)} pictures have no annotation;'
                         f' the first that is missing is {missing[0].relative_to(root)}', LAYOUT)

    @staticmethod
    def matches(root: Path) -> bool:
        """Return whether the folder seems to be laid out so."""
        return (root / 'leftImg8bit').is_dir() or (root / 'gtFine').is_dir()

    def read(self, index: int) -> Sample:
        """Return a sample; see Dataset."""
        image = read_rgb(self._images[index])
        labels = read_plane(self._labels[index], np.uint8)
        require_same_size(image, labels, self._images[index], self._labels[index])
        if labels.max() > max(LABEL_IDS.values()) and labels.max() != 255:
            raise DatasetError(f'{self._labels[index]}: has label {labels.max()}, which Cityscapes '
                               'does not know')
        return Sample(self.names[index], image, LabelTruth(_TRAIN_ID[labels]))
