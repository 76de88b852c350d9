# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Hypersim (Roberts et al., ICCV 2021): rendered rooms with exact depth.

The files hold the distance from the camera's centre, float16, NaN where nothing was hit. Depth
along the optical axis, which networks estimate, follows from it with the focal length of the
renderer's default camera, 886.81 pixels at a width of 1024. A few scenes were rendered with a
tilted lens, which this leaves out of account, as the evaluations in the literature do.
"""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
import re

from gsc_ros.evaluation.dataset.dataset import DatasetError, DepthTruth, Sample
from gsc_ros.evaluation.dataset.picture import (
    in_natural_order,
    read_rgb,
    require_same_size,
    unlike,
)
import numpy as np
import numpy.typing as npt

LAYOUT = """\
  ai_VVV_NNN/images/
    scene_cam_XX_final_preview/frame.IIII.tonemap.jpg
    scene_cam_XX_geometry_hdf5/frame.IIII.depth_meters.hdf5   (or .npy, a float array [H, W])
and, to take the official test split alone,
  metadata_images_split_scene_v1.csv"""

#: Metres: rooms are evaluated up to here.
CAP = 20.0
FOCAL_AT_1024 = 886.81
SPLIT = 'metadata_images_split_scene_v1.csv'

_PREVIEW = re.compile(r'scene_(cam_\d+)_final_preview')
_FRAME = re.compile(r'frame\.(\d+)\.tonemap\.jpg')


class Hypersim:
    """
    Hypersim's tone-mapped pictures with their depth.

    :param root: the folder with the scenes, or one scene. With the file of splits in it, the frames
        of the public test split; without, all frames that have a depth map.
    :raises DatasetError: it is laid out differently.
    """

    name = 'hypersim'
    title = 'Hypersim'
    truth = DepthTruth
    classes = ()

    def __init__(self, root: Path) -> None:
        self.root = root
        wanted = _test_split(root / SPLIT) if (root / SPLIT).is_file() else None
        self._pairs: list[tuple[Path, Path]] = []
        self.names: list[str] = []
        previews = _previews(root)
        for preview in previews:
            camera = _PREVIEW.fullmatch(preview.name)[1]
            scene = preview.parent.parent.absolute().name
            for image in in_natural_order(list(preview.glob('frame.*.tonemap.jpg'))):
                frame = _FRAME.fullmatch(image.name)
                depth = _depth_of(image, camera) if frame else None
                if depth is None or wanted is not None and (
                        scene, camera, int(frame[1])) not in wanted:
                    continue
                self._pairs.append((image, depth))
                self.names.append(f'{scene}/{camera}/{frame[1]}')
        if not self._pairs:
            what = 'no pictures with depth' + (' of the test split' if wanted is not None else '')
            raise unlike(root, what if previews else 'no scenes of Hypersim', LAYOUT)
        in_hdf5 = any(depth.suffix == '.hdf5' for _, depth in self._pairs)
        if in_hdf5 and find_spec('h5py') is None:
            raise DatasetError(
                f"{root}: its depth maps need h5py, which is not installed; try: pip install "
                "'gsc_ros[eval]' (or convert them to .npy beside themselves)")

    @staticmethod
    def matches(root: Path) -> bool:
        """Return whether the folder seems to be laid out so."""
        return bool(_previews(root))

    def read(self, index: int) -> Sample:
        """Return a sample; see Dataset."""
        image_path, depth_path = self._pairs[index]
        image, distance = read_rgb(image_path), _read_distance(depth_path)
        require_same_size(image, distance, image_path, depth_path)
        return Sample(self.names[index], image, DepthTruth(depth_of_distance(distance), CAP))


def depth_of_distance(distance: npt.NDArray) -> npt.NDArray[np.float32]:
    """
    Turn distance from the camera's centre into depth along the optical axis.

    :param distance: metres, float [H, W]; not finite where nothing was hit.
    :return: metres, float32 [H, W], 0 where nothing was hit.
    """
    height, width = distance.shape
    focal = FOCAL_AT_1024 * width / 1024
    x = np.arange(width) + 0.5 - width / 2
    y = (np.arange(height) + 0.5 - height / 2)[:, None]
    depth = distance.astype(np.float64) * (focal / np.sqrt(x ** 2 + y ** 2 + focal ** 2))
    return np.where(np.isfinite(depth), depth, 0).astype(np.float32)


def _previews(root: Path) -> list[Path]:
    for pattern in ('images/scene_cam_*_final_preview', 'ai_*/images/scene_cam_*_final_preview'):
        found = [path for path in root.glob(pattern) if _PREVIEW.fullmatch(path.name)]
        if found:
            return in_natural_order(found)
    return []


def _depth_of(image: Path, camera: str) -> Path | None:
    folder = image.parent.parent / f'scene_{camera}_geometry_hdf5'
    for suffix in ('hdf5', 'npy'):
        path = folder / image.name.replace('tonemap.jpg', f'depth_meters.{suffix}')
        if path.is_file():
            return path
    return None


def _read_distance(path: Path) -> npt.NDArray:
    try:
        if path.suffix == '.npy':
            distance = np.load(path, allow_pickle=False)
        else:
            distance = _read_hdf5(path)
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f'{path}: cannot be read: {error}') from error
    if distance.ndim != 2 or distance.dtype.kind != 'f':
        raise DatasetError(f'{path}: holds {distance.dtype} {list(distance.shape)}, not a float '
                           'array [H, W]')
    return distance


def _read_hdf5(path: Path) -> npt.NDArray:
    import h5py

    with h5py.File(path, 'r') as file:
        return file['dataset'][...]


def _test_split(path: Path) -> set[tuple[str, str, int]]:
    """Return scene, camera and frame of every public picture of the test split."""
    try:
        with path.open(encoding='utf-8', newline='') as file:
            return {(row['scene_name'], row['camera_name'], int(row['frame_id']))
                    for row in csv.DictReader(file)
                    if row['included_in_public_release'].strip().lower() == 'true'
                    and row['split_partition_name'].strip() == 'test'}
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise DatasetError(f'{path}: is not the list of splits that Hypersim comes with: {error!r}'
                           ) from error
