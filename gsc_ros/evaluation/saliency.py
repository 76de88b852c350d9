# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
VSI, the similarity of what draws the eye (Zhang et al. 2014), by piq.

piq computes in torch, which only those have who evaluate: both are imported on the first use.
"""

from __future__ import annotations

import importlib.util

import numpy as np


def missing() -> str | None:
    """Return why VSI cannot be computed here, or None."""
    for name in ('torch', 'piq'):
        if importlib.util.find_spec(name) is None:
            return f'{name} is not installed'
    return None


def vsi(reference: np.ndarray, image: np.ndarray) -> float:
    """
    Return the visual saliency-induced index.

    :param reference: uint8 [H, W, 3], RGB.
    :param image: uint8 [H, W, 3], RGB.
    :return: 0..1, 1 for equal images.
    """
    import piq
    import torch
    torch.set_num_threads(1)  # images are scored side by side instead
    x, y = (torch.from_numpy(np.array(array)).permute(2, 0, 1)[None].float()
            for array in (reference, image))
    with torch.inference_mode():
        return float(piq.vsi(x, y, data_range=255.0))
