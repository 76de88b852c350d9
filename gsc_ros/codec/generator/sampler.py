# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The sampler: eq. (3) of the paper, Euler's method along the flow from noise to data.

::

    z_{i-1} = z_i + (t_{i-1} - t_i) v(z_i, t_i, text, y_sel)

One loop for every model. What gives the velocity, an ONNX graph or a torch module on a GPU, is
behind a callable.
"""

from __future__ import annotations

from collections.abc import Callable

from gsc_ros.codec.error import GeneratorError
import numpy as np

# (z float32 [B, N, C], sigma) -> v float32 [B, N, C]: noise - data, the slope of z over sigma.
VelocityField = Callable[[np.ndarray, float], np.ndarray]


def integrate(field: VelocityField, z: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """
    Follow the flow through the noise levels.

    :param field: the velocity.
    :param z: float32, the state at ``sigmas[0]``.
    :param sigmas: float32 ``[steps + 1]``.
    :return: float32, the state at ``sigmas[-1]``.
    :raises GeneratorError: when the velocity is not finite: weights or their precision are bad.
    """
    for sigma, following in zip(sigmas[:-1], sigmas[1:]):
        velocity = field(z, float(sigma))
        if not np.isfinite(velocity).all():
            raise GeneratorError(
                f'the velocity at sigma {sigma:.3f} is not finite; float16 overflows in FLUX: '
                'take bfloat16')
        z = z + (following - sigma) * velocity
    return z


def mix(data: np.ndarray, noise: np.ndarray, sigma: float) -> np.ndarray:
    """Return the state at ``sigma`` on the straight path from noise to data, eq. (4)."""
    return ((1 - sigma) * data + sigma * noise).astype(np.float32)
