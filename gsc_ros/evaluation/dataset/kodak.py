# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The 24 pictures of the Kodak Lossless True Color Image Suite, 768 x 512 or upright."""

from __future__ import annotations

from pathlib import Path

from gsc_ros.evaluation.dataset.dataset import Sample
from gsc_ros.evaluation.dataset.picture import in_natural_order, read_rgb, unlike

LAYOUT = """\
  kodim01.png ... kodim24.png"""


class Kodak:
    """
    Kodak's pictures, which have no labels.

    :param root: the folder that holds them.
    :raises DatasetError: none is there.
    """

    name = 'kodak'
    title = 'Kodak'
    truth = None
    classes = ()

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files = _files(root)
        if not self._files:
            raise unlike(root, 'no pictures of Kodak', LAYOUT)
        self.names = [path.stem for path in self._files]

    @staticmethod
    def matches(root: Path) -> bool:
        """Return whether the folder seems to be laid out so."""
        return bool(_files(root))

    def read(self, index: int) -> Sample:
        """Return a sample; see Dataset."""
        return Sample(self.names[index], read_rgb(self._files[index]))


def _files(root: Path) -> list[Path]:
    return in_natural_order(list(root.glob('kodim[0-9][0-9].png')))
