# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COCO 2017 (Lin et al., ECCV 2014): everyday scenes with boxes around objects of 80 classes."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from gsc_ros.evaluation.dataset.dataset import BoxTruth, DatasetError, Sample
from gsc_ros.evaluation.dataset.picture import read_rgb, unlike
import numpy as np

_log = logging.getLogger(__name__)

LAYOUT = """\
  annotations/instances_val2017.json
  val2017/IIIIIIIIIIII.jpg   (or images/val2017/)"""

ANNOTATIONS = 'annotations/instances_val2017.json'
PICTURES = ('val2017', 'images/val2017')


class Coco:
    """
    The validation pictures of COCO 2017; those that have no objects are among them.

    Classes are numbered in the order of their category ids, without the gaps these have.

    :param root: the folder that holds the annotations and the pictures. Where only some of the
        pictures are there, these are the data set.
    :raises DatasetError: it is laid out differently, or the annotations are damaged.
    """

    name = 'coco'
    title = 'COCO 2017'
    truth = BoxTruth

    def __init__(self, root: Path) -> None:
        self.root = root
        folders = [root / name for name in PICTURES if (root / name).is_dir()]
        if not folders or not (root / ANNOTATIONS).is_file():
            raise unlike(root, f'no {PICTURES[0] if not folders else ANNOTATIONS}', LAYOUT)
        try:
            content = json.loads((root / ANNOTATIONS).read_bytes())
            categories = {int(entry['id']): str(entry['name']) for entry in content['categories']}
            numbers = {category: index for index, category in enumerate(sorted(categories))}
            self.classes = tuple(categories[category] for category in sorted(categories))
            pictures = {int(entry['id']): folders[0] / Path(str(entry['file_name'])).name
                        for entry in content['images']}
            self._objects: dict[int, list[tuple[Any, ...]]] = {number: [] for number in pictures}
            for entry in content['annotations']:
                left, top, width, height = (float(number) for number in entry['bbox'])
                self._objects[int(entry['image_id'])].append((
                    (left, top, left + width, top + height), numbers[int(entry['category_id'])],
                    bool(entry.get('iscrowd', 0)), float(entry['area'])))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f'{root / ANNOTATIONS}: is not an annotation of COCO: {error!r}'
                               ) from error
        self._pictures = sorted((number, path) for number, path in pictures.items()
                                if path.is_file())
        if not self._pictures:
            raise unlike(root, f'none of the {len(pictures)} pictures that the annotations name',
                         LAYOUT)
        if len(self._pictures) < len(pictures):
            _log.warning('%s: only %d of %d pictures are there', root, len(self._pictures),
                         len(pictures))
        self.names = [path.stem for _, path in self._pictures]

    @staticmethod
    def matches(root: Path) -> bool:
        """Return whether the folder seems to be laid out so."""
        return (root / ANNOTATIONS).is_file() or any((root / name).is_dir() for name in PICTURES)

    def read(self, index: int) -> Sample:
        """Return a sample; see Dataset."""
        number, path = self._pictures[index]
        boxes, classes, crowd, areas = zip(*self._objects[number]) if self._objects[number] else (
            (), (), (), ())
        return Sample(self.names[index], read_rgb(path), BoxTruth(
            np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int64),
            np.array(crowd, bool), np.array(areas, np.float32), number))
