# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The noise a picture starts as, from the packet's seed, on the CPU.

Philox gives the same words on every machine and in every version of numpy, which its normal
distribution is not promised to do: that is made of the words here.
"""

from __future__ import annotations

import math

import numpy as np

_UNIT = 2.0 ** -53


def draw(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """
    Return standard normal noise, by the method of Box and Muller.

    :param seed: 0..2^64 - 1; a packet's is in 0..255.
    :param shape: shape of the noise.
    :return: float32 of that shape.
    """
    count = math.prod(shape)
    words = np.random.Philox(key=seed).random_raw(2 * -(-count // 2)).reshape(2, -1)
    # In (0, 1], so that the logarithm is finite.
    uniform = ((words >> np.uint64(11)) + np.uint64(1)) * _UNIT
    radius, angle = np.sqrt(-2 * np.log(uniform[0])), 2 * math.pi * uniform[1]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return normal[:count].astype(np.float32).reshape(shape)
