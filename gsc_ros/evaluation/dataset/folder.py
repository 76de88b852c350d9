# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures without labels: any folder, video or bag. What counts there is agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
from gsc_ros.evaluation.dataset.dataset import DatasetError, Sample
from gsc_ros.evaluation.dataset.picture import in_natural_order, read_rgb, unlike
from gsc_ros.sources import open_source, SourceError, SourceFrame
from gsc_ros.sources.folder import list_images, SUFFIXES
from gsc_ros.sources.kitti import is_kitti

LAYOUT = """\
  *.png, *.jpg, *.webp, *.bmp, *.tif ... in it or in folders below it
or a KITTI drive, a rosbag2 bag, or a video file"""


class PictureFolder:
    """
    The pictures of a folder, or of the folders below it when it has none itself.

    :param root: the folder.
    :raises DatasetError: no picture is there.
    """

    name = 'folder'
    truth = None
    classes = ()

    def __init__(self, root: Path) -> None:
        self.root = root
        self.title = root.absolute().name
        try:
            self._files = list_images(root) or in_natural_order([
                path for path in root.rglob('*')
                if path.suffix.lower() in SUFFIXES and path.is_file()])
        except SourceError as error:
            raise DatasetError(str(error)) from None
        if not self._files:
            raise unlike(root, 'no pictures', LAYOUT)
        relative = [path.relative_to(root) for path in self._files]
        stems = [path.with_suffix('').as_posix() for path in relative]
        several = {stem for stem, count in Counter(stems).items() if count > 1}
        self.names = [path.as_posix() if stem in several else stem
                      for path, stem in zip(relative, stems)]

    def read(self, index: int) -> Sample:
        """Return a sample; see Dataset."""
        return Sample(self.names[index], read_rgb(self._files[index]))


class Recording:
    """
    The frames of a drive, video or bag, named by their number.

    :param root: its path.
    :param topic: image topic of a bag that has several.
    :raises DatasetError: nothing there can be read.
    """

    name = 'recording'
    truth = None
    classes = ()

    def __init__(self, root: Path, topic: str | None = None) -> None:
        self.root = root
        self.title = root.absolute().name
        try:
            self._source = open_source(root, topic=topic)
        except SourceError as error:
            raise DatasetError(str(error)) from None
        self.names = [f'{index:06d}' for index in range(len(self._source))]
        self._frames: Iterator[SourceFrame] = iter(())
        self._next = len(self.names)

    def read(self, index: int) -> Sample:
        """Return a sample; see Dataset. Going back starts from the beginning."""
        if index < self._next:
            self._frames, self._next = iter(self._source), 0
        try:
            frame = next(islice(self._frames, index - self._next, None), None)
        except SourceError as error:
            raise DatasetError(str(error)) from None
        if frame is None:
            self._next = len(self.names)
            raise DatasetError(f'{self.root}: ends before frame {index} of the {len(self.names)} '
                               'that it announces')
        self._next = index + 1
        image = frame.image
        return Sample(self.names[index], image if image.ndim == 3 else
                      cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))


def open_unlabelled(root: Path, topic: str | None = None) -> PictureFolder | Recording:
    """
    Open pictures that nothing is known about.

    :param topic: image topic of a bag that has several.
    :raises DatasetError: nothing there can be read.
    """
    is_bag = (root / 'metadata.yaml').is_file()
    if root.is_dir() and not is_bag and not is_kitti(root) and topic is None:
        return PictureFolder(root)
    return Recording(root, topic)
