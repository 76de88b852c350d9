# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a path, and perhaps the name of a layout, to the data set."""

from __future__ import annotations

from pathlib import Path

from gsc_ros.evaluation.dataset.cityscapes import Cityscapes
from gsc_ros.evaluation.dataset.coco import Coco
from gsc_ros.evaluation.dataset.dataset import Dataset, DatasetError, Unlabelled
from gsc_ros.evaluation.dataset.folder import open_unlabelled
from gsc_ros.evaluation.dataset.hypersim import Hypersim
from gsc_ros.evaluation.dataset.kitti_depth import KittiDepth
from gsc_ros.evaluation.dataset.kodak import Kodak

#: In the order in which a folder is compared with them.
_LAYOUTS = (KittiDepth, Hypersim, Cityscapes, Coco, Kodak)
UNLABELLED = 'folder'
#: The words that name a layout.
LAYOUT_NAMES = (*(layout.name for layout in _LAYOUTS), UNLABELLED)


def open_dataset(path: str | Path, layout: str | None = None, topic: str | None = None) -> Dataset:
    """
    Open a data set.

    :param path: its folder; also a video or a bag, which have no labels.
    :param layout: one of LAYOUT_NAMES; None recognises it. 'folder' takes the pictures without
        their labels, also of a folder that has some.
    :param topic: image topic of a bag that has several.
    :raises DatasetError: the path is not laid out so; the message shows what was expected.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise DatasetError(f'{root}: no such file or folder')
    if layout is not None and layout not in LAYOUT_NAMES:
        raise DatasetError(f'{layout!r} is no layout; there are: {", ".join(LAYOUT_NAMES)}')
    for kind in _LAYOUTS:
        if layout == kind.name or layout is None and root.is_dir() and kind.matches(root):
            return kind(root)
    return _without_labels(root, topic)


def _without_labels(root: Path, topic: str | None) -> Dataset:
    for kind in _LAYOUTS:
        if root.is_dir() and kind.matches(root):
            try:
                return Unlabelled(kind(root))
            except DatasetError:  # its labels are not there, which nobody asked for
                break
    return open_unlabelled(root, topic)
