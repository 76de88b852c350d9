# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where tests find recordings that are not in the repository; every test does without, too."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def shared_data(*parts: str) -> Path | None:
    """
    Return a path below the shared data, or None when it is not there.

    The data are in ``GSC_SHARED_DATA``, else in ``shared/data`` beside the repository.

    :param parts: path below the shared data, for example ``'kitti'``
    """
    root = Path(os.environ.get('GSC_SHARED_DATA') or REPOSITORY.parent / 'shared' / 'data')
    path = root.joinpath(*parts)
    return path if path.exists() else None


def kitti_drive() -> Path | None:
    """Return the first drive of KITTI raw, or None when there is none."""
    root = shared_data('kitti')
    drives = sorted(root.glob('*/*_drive_*_sync')) if root else []
    return drives[0] if drives else None
