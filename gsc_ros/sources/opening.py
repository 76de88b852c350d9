# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the words a user types to the source they mean."""

from __future__ import annotations

from pathlib import Path

from gsc_ros.sources.frame import Source, SourceError
from gsc_ros.sources.timestamp import DEFAULT_FPS

TERRAIN = 'terrain'
DEFAULT_SIZE = (640, 384)


def open_source(spec: str | Path, *, topic: str | None = None, fps: float | None = None,
                seed: int = 0, size: tuple[int, int] = DEFAULT_SIZE,
                count: int | None = None) -> Source:
    """
    Open an input for reading.

    :param spec: 'terrain' (the built-in source), or the path of a KITTI raw drive, a KITTI
        odometry sequence, a folder of images, a rosbag2 (folder, .mcap or .db3), or a video.
    :param topic: image topic of a bag that has several.
    :param fps: frames per second: stamps are spaced evenly by it. None takes the recorded stamps,
        or 10 where there are none.
    :param seed: of the built-in source.
    :param size: width and height of the built-in source, pixels.
    :param count: frames of the built-in source; None is its default.
    :raises SourceError: there is nothing there, or nothing that can be read; names the path.
    """
    # Each kind of input is imported when it is met: reading bags alone takes 0.2 s to import.
    if str(spec) == TERRAIN:
        from gsc_ros.sources.terrain import DEFAULT_COUNT, TerrainSource
        return TerrainSource(seed=seed, width=size[0], height=size[1],
                             fps=DEFAULT_FPS if fps is None else fps,
                             count=DEFAULT_COUNT if count is None else count)
    path = Path(spec).expanduser()
    if not path.exists():
        raise SourceError(f'{path}: no such file or folder (and not the built-in `{TERRAIN}`)')
    if path.suffix in ('.mcap', '.db3') or (path / 'metadata.yaml').is_file():
        from gsc_ros.sources.bag import BagSource
        return BagSource(path, topic=topic, fps=fps)
    if topic is not None:
        raise SourceError(f'{path}: is not a bag and has no topic {topic!r}')
    if path.is_dir():
        from gsc_ros.sources import kitti
        if kitti.is_kitti(path):
            return kitti.open_kitti(path, fps=fps)
        from gsc_ros.sources.folder import FolderSource
        return FolderSource(path, fps=fps)
    from gsc_ros.sources.video import VideoSource
    return VideoSource(path, fps=fps)
