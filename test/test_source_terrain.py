# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The built-in terrain: image, depth, calibration and motion agree."""

from __future__ import annotations

import cv2
from gsc_ros.sources import open_source, SourceError, SourceFrame
from gsc_ros.sources.terrain import Pose, TerrainSource
import numpy as np
import pytest


@pytest.fixture(scope='module')
def terrain() -> TerrainSource:
    return TerrainSource(seed=0, width=320, height=192, count=30)


def seen_from(frame: SourceFrame, pose: Pose, other: Pose) -> tuple[np.ndarray, ...]:
    """Return where the pixels of a frame are in another view: columns, rows, depths, [H, W]."""
    k = frame.calibration.k
    height, width = frame.depth.shape
    rows, columns = np.mgrid[:height, :width]
    depth = np.where(np.isfinite(frame.depth), frame.depth, 1.0)
    points = np.stack([(columns - k[2]) / k[0] * depth, (rows - k[5]) / k[4] * depth, depth], -1)
    world = points @ pose.rotation.T + pose.position
    seen = (world - other.position) @ other.rotation
    return (seen[..., 0] / seen[..., 2] * k[0] + k[2], seen[..., 1] / seen[..., 2] * k[4] + k[5],
            seen[..., 2])


@pytest.mark.parametrize('step', [1, 5])
def test_a_frame_moved_by_its_depth_and_the_motion_is_the_next_frame(terrain, step):
    first, second = terrain.frame(10), terrain.frame(10 + step)
    columns, rows, depth = seen_from(first, terrain.pose(10), terrain.pose(10 + step))
    height, width = first.depth.shape
    both = (np.isfinite(first.depth) & (columns >= 0) & (columns <= width - 1)
            & (rows >= 0) & (rows <= height - 1))
    places = columns.astype(np.float32), rows.astype(np.float32)
    error = np.abs(cv2.remap(second.depth, *places, cv2.INTER_NEAREST)[both] / depth[both] - 1)
    assert np.median(error) < 0.005
    # The rest are edges, behind which something else comes into view.
    assert np.percentile(error, 90) < 0.03
    there = cv2.remap(second.image, *places, cv2.INTER_LINEAR).astype(float)
    moved = np.abs(there - first.image)[both].mean()
    unmoved = np.abs(second.image.astype(float) - first.image)[both].mean()
    assert moved < 6 and moved < 0.5 * unmoved


def test_the_sky_is_infinitely_far_and_everything_else_is_not(terrain):
    depth = terrain.frame(0).depth
    assert np.isinf(depth[0]).all() and np.isfinite(depth[-1]).all()
    assert 0.2 < np.isfinite(depth).mean() < 0.95
    assert depth.min() > 0.3 and depth[np.isfinite(depth)].max() > 50


def test_the_picture_has_texture_and_light_and_shade(terrain):
    gray = cv2.cvtColor(terrain.frame(0).image, cv2.COLOR_RGB2GRAY)
    ground = gray[np.isfinite(terrain.frame(0).depth)]
    assert np.percentile(ground, 98) - np.percentile(ground, 2) > 60


def test_the_same_seed_gives_the_same_frames_however_they_are_reached(terrain):
    again = list(TerrainSource(seed=0, width=320, height=192, count=4))[3]
    assert np.array_equal(again.image, terrain.frame(3).image)
    assert np.array_equal(again.depth, terrain.frame(3).depth)


def test_another_seed_is_another_terrain(terrain):
    other = TerrainSource(seed=1, width=320, height=192)
    assert not np.array_equal(other.frame(0).image, terrain.frame(0).image)


@pytest.mark.parametrize('size', [(64, 48), (97, 33), (16, 16), (48, 200)])
def test_any_size_can_be_rendered(size):
    source = TerrainSource(width=size[0], height=size[1])
    frame = source.frame(0)
    assert frame.image.shape == (size[1], size[0], 3) and frame.image.dtype == np.uint8
    assert frame.depth.shape == frame.image.shape[:2] and frame.depth.dtype == np.float32
    assert (frame.calibration.width, frame.calibration.height) == size


def test_stamps_follow_the_frame_rate_and_the_rover_its_time():
    slow, fast = TerrainSource(fps=5), TerrainSource(fps=20)
    assert fast.frame(4).stamp_ns == slow.frame(1).stamp_ns
    assert np.allclose(fast.pose(4).position, slow.pose(1).position)


def test_the_word_terrain_opens_it():
    source = open_source('terrain', seed=3, fps=4, size=(64, 48), count=2)
    stamps = [frame.stamp_ns for frame in source]
    assert len(source) == len(stamps) == 2 and stamps[1] - stamps[0] == 250_000_000


@pytest.mark.parametrize('arguments', [{'width': 8}, {'fps': 0}, {'count': 0}, {'seed': -1}])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(SourceError, match='terrain'):
        TerrainSource(**arguments)
