# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
KITTI depth (Uhrig et al., Sparsity Invariant CNNs, 3DV 2017): street scenes with lidar depth.

A depth map is a 16-bit PNG: metres = value / 256, 0 = none. The benchmark's own validation
selection is 1216 x 352 pixels already. Everything else is cropped to that size, as the methods of
the benchmark do: as many rows from the bottom (the lidar does not see the sky), and the columns in
the middle, starting at (width - 1216) // 2.
"""

from __future__ import annotations

from dataclasses import dataclass
import logging
from pathlib import Path
import re

from gsc_ros.evaluation.dataset.dataset import DepthTruth, Sample
from gsc_ros.evaluation.dataset.picture import (
    in_natural_order,
    read_plane,
    read_rgb,
    require_same_size,
    unlike,
)
import numpy as np
import numpy.typing as npt

_log = logging.getLogger(__name__)

LAYOUT = """\
  depth_selection/val_selection_cropped/
    image/DATE_drive_NNNN_sync_image_IIIIIIIIII_image_02.png
    groundtruth_depth/DATE_drive_NNNN_sync_groundtruth_depth_IIIIIIIIII_image_02.png
or the depth of whole drives,
  val/DATE_drive_NNNN_sync/proj_depth/groundtruth/image_02/IIIIIIIIII.png   (or train/)
with their pictures in KITTI raw, beside val/ or in the same drive:
  DATE/DATE_drive_NNNN_sync/image_02/data/IIIIIIIIII.png"""

WIDTH, HEIGHT = 1216, 352
#: Metres: the range of the lidar by which depth on KITTI is evaluated.
CAP = 80.0
UNITS_PER_METRE = 256.0
#: The left colour camera; the selection holds both colour cameras.
CAMERA = 'image_02'

_SELECTION = ('', 'val_selection_cropped', 'depth_selection/val_selection_cropped')
_SELECTED = re.compile(r'(.+_sync)_image_(\d+_image_0[23])\.png')


@dataclass(frozen=True)
class _Pair:
    name: str
    image: Path
    depth: Path


class KittiDepth:
    """
    KITTI pictures with projected lidar.

    :param root: a folder with the selection or with drives; see LAYOUT. A folder that has several
        of them is read as the selection, else as `val/`, else as all its drives.
    :raises DatasetError: it is laid out differently.
    """

    name = 'kitti-depth'
    title = 'KITTI depth'
    truth = DepthTruth
    classes = ()

    def __init__(self, root: Path) -> None:
        self.root = root
        self._pairs = _selected(root) or _annotated(root)
        if not self._pairs:
            raise unlike(root, 'no KITTI depth maps', LAYOUT)
        self.names = [pair.name for pair in self._pairs]

    @staticmethod
    def matches(root: Path) -> bool:
        """Return whether the folder seems to be laid out so."""
        return _selection(root) is not None or bool(_drives(root))

    def read(self, index: int) -> Sample:
        """Return a sample; see Dataset."""
        pair = self._pairs[index]
        image = read_rgb(pair.image)
        metres = read_plane(pair.depth, np.uint16).astype(np.float32) / np.float32(UNITS_PER_METRE)
        require_same_size(image, metres, pair.image, pair.depth)
        return Sample(pair.name, bottom_crop(image), DepthTruth(bottom_crop(metres), CAP))


def bottom_crop(plane: npt.NDArray) -> npt.NDArray:
    """Return the lowest 352 rows and middle 1216 columns of [H, W, ...]; less where it has less."""
    top = max(0, plane.shape[0] - HEIGHT)
    left = max(0, (plane.shape[1] - WIDTH) // 2)
    return np.ascontiguousarray(plane[top:, left:left + WIDTH])


def _selection(root: Path) -> Path | None:
    for part in _SELECTION:
        if (root / part / 'image').is_dir() and (root / part / 'groundtruth_depth').is_dir():
            return root / part
    return None


def _selected(root: Path) -> list[_Pair]:
    folder = _selection(root)
    if folder is None:
        return []
    pairs = []
    for image in in_natural_order(list((folder / 'image').glob('*.png'))):
        parts = _SELECTED.fullmatch(image.name)
        if parts is None:
            raise unlike(image, 'is not named as the pictures of the selection', LAYOUT)
        depth = folder / 'groundtruth_depth' / f'{parts[1]}_groundtruth_depth_{parts[2]}.png'
        pairs.append(_Pair(image.stem, image, depth))
    return pairs


def _drives(root: Path) -> list[Path]:
    """Return the drives with depth: of the folder itself, of `val/`, or of all below it."""
    def has_depth(drive: Path) -> bool:
        return (drive / 'proj_depth' / 'groundtruth' / CAMERA).is_dir()

    if has_depth(root):
        return [root]
    for pattern in ('*_drive_*', 'val/*_drive_*', '*/*_drive_*'):
        found = [drive for drive in root.glob(pattern) if has_depth(drive)]
        if found:
            return in_natural_order(found)
    return []


def _annotated(root: Path) -> list[_Pair]:
    pairs: list[_Pair] = []
    missing: list[Path] = []
    for drive in _drives(root):
        images = _images(drive.absolute(), root.absolute())
        if images is None:
            missing.append(drive)
            continue
        depths = (drive / 'proj_depth' / 'groundtruth' / CAMERA).glob('*.png')
        pairs += [_Pair(f'{images.parent.parent.name}/{CAMERA}/{depth.stem}', images / depth.name,
                        depth) for depth in in_natural_order(list(depths))]
    if missing and not pairs:
        raise unlike(missing[0], f'has depth, but the pictures of {missing[0].absolute().name} are '
                     'not in the same drive nor beside it', LAYOUT)
    if missing:
        _log.warning('%s: %d drives left out, whose pictures are not there; the first: %s', root,
                     len(missing), missing[0].name)
    return pairs


def _images(drive: Path, root: Path) -> Path | None:
    """Return the folder with the pictures of a drive, which may be that of KITTI raw."""
    date = drive.name[:len('2011_09_26')]
    places = [drive]
    places += [base / date / drive.name for base in (root, *root.parents[:2])]
    places += [base / raw / date / drive.name for base in (root, *root.parents[:2])
               for raw in ('raw', 'raw_data')]
    for place in places:
        if (place / CAMERA / 'data').is_dir():
            return place / CAMERA / 'data'
    return None
