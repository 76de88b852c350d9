# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of classes, and which of two lists mean the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gsc_ros.perception.network.network import NetworkError
import numpy as np
import numpy.typing as npt

#: COCO's 80 classes in the order of their category ids, with the gaps of the ids closed.
COCO = (
    'person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train', 'truck', 'boat',
    'traffic light', 'fire hydrant', 'stop sign', 'parking meter', 'bench', 'bird', 'cat', 'dog',
    'horse', 'sheep', 'cow', 'elephant', 'bear', 'zebra', 'giraffe', 'backpack', 'umbrella',
    'handbag', 'tie', 'suitcase', 'frisbee', 'skis', 'snowboard', 'sports ball', 'kite',
    'baseball bat', 'baseball glove', 'skateboard', 'surfboard', 'tennis racket', 'bottle',
    'wine glass', 'cup', 'fork', 'knife', 'spoon', 'bowl', 'banana', 'apple', 'sandwich', 'orange',
    'broccoli', 'carrot', 'hot dog', 'pizza', 'donut', 'cake', 'chair', 'couch', 'potted plant',
    'bed', 'dining table', 'toilet', 'tv', 'laptop', 'mouse', 'remote', 'keyboard', 'cell phone',
    'microwave', 'oven', 'toaster', 'sink', 'refrigerator', 'book', 'clock', 'vase', 'scissors',
    'teddy bear', 'hair drier', 'toothbrush')

#: The 21 classes of Pascal VOC's segmentation, in its order.
PASCAL_VOC = (
    'background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair',
    'cow', 'dining table', 'dog', 'horse', 'motorbike', 'person', 'potted plant', 'sheep', 'sofa',
    'train', 'tv monitor')

# Words of Pascal VOC and of darknet's list for classes of COCO, without spaces.
_ALIASES = {'aeroplane': 'airplane', 'motorbike': 'motorcycle', 'sofa': 'couch',
            'tvmonitor': 'tv', 'hairdryer': 'hairdrier'}

_MOST_CLASSES = 100_000


def class_map(classes: Sequence[str], targets: Sequence[str]) -> npt.NDArray[np.int64]:
    """
    Find the classes of a network among those of a data set, or of another network.

    Case, spaces and the few words that differ between Pascal VOC and COCO do not matter.

    :return: int64 [len(classes)]: the index in `targets`, or -1 where there is no such class.
    """
    index = {_plain(name): number for number, name in reversed(list(enumerate(targets)))}
    return np.array([index.get(_plain(name), -1) for name in classes], np.int64)


def _plain(name: str) -> str:
    plain = ''.join(letter for letter in name.lower() if letter.isalnum())
    return _ALIASES.get(plain, plain)


def read_names(path: Path) -> tuple[str, ...]:
    """
    Read class names, one a line; empty lines at the end do not count.

    :raises NetworkError: the file cannot be read or holds no names.
    """
    try:
        lines = path.read_text(encoding='utf-8').rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NetworkError(f'{path}: cannot be read: {error}') from None
    names = tuple(line.strip() for line in lines)
    if not names or len(names) > _MOST_CLASSES or not all(names):
        raise NetworkError(f'{path}: is not a list of class names, one a line')
    return names
