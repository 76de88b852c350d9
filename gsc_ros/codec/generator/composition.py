# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Key regions over a generated picture: what was measured there stays as it was measured."""

from __future__ import annotations

import numpy as np


def keep_regions(
    structure: np.ndarray, mask: np.ndarray | None, generated: np.ndarray,
) -> np.ndarray:
    """
    Return a generated picture with the key regions of its structure picture in it.

    :param structure: uint8 ``[H, W, 3]``, the structure picture, regions included.
    :param mask: uint8 ``[H, W]``: 255 where the pixels are those of a region, 0 elsewhere, the
        feather between; None without regions.
    :param generated: uint8 ``[H, W, 3]``.
    :return: uint8 ``[H, W, 3]``.
    """
    if mask is None:
        return generated
    weight = mask.astype(np.uint16)[..., None]
    mixed = structure * weight + generated * (255 - weight) + 127
    return (mixed // 255).astype(np.uint8)
