# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The block transform a model starts from: orthonormal, ordered, and a codec before any step."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('compressai')

from gsc_ros.training.klt import block_basis, start_from_blocks  # noqa: E402
from gsc_ros.training.model import StructureConfig, StructureModel  # noqa: E402

CONFIG = StructureConfig(
    latent=200, analysis=((16, 1), (16, 1)), synthesis=((16, 1), (16, 1), (16, 1)), quantizers=3,
    knots=2, step_coarse=1.0, step_fine=0.01)


def pictures(count: int = 40) -> np.ndarray:
    """Return smooth random pictures, float32 [count, 3, 32, 48] in [0, 1]."""
    generator = np.random.default_rng(0)
    images = [cv2.resize(generator.random((5, 6, 3), np.float32), (48, 32),
                         interpolation=cv2.INTER_LINEAR) for _ in range(count)]
    return np.stack(images).transpose(0, 3, 1, 2)


def test_the_basis_is_orthonormal_and_sorted_by_variance():
    basis, variance, _ = block_basis(pictures())
    flat = basis.reshape(192, 192)
    np.testing.assert_allclose(flat @ flat.T, np.eye(192), atol=1e-8)
    assert (np.diff(variance) <= 0).all()


def test_the_variances_are_those_of_the_coefficients():
    images = pictures() * 2 - 1
    basis, variance, mean = block_basis(images)
    blocks = images.reshape(40, 3, 4, 8, 6, 8).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 3, 8, 8)
    coefficients = np.tensordot(blocks - mean, basis, axes=((1, 2, 3), (1, 2, 3)))
    np.testing.assert_allclose(coefficients.var(axis=0), variance, atol=1e-6)


def started() -> tuple[StructureModel, torch.Tensor]:
    """Return a new model and some of the pictures that it was started from."""
    torch.manual_seed(0)
    model = StructureModel(CONFIG).eval()
    images = pictures()
    start_from_blocks(model, images)
    return model, torch.from_numpy(images[:4])


def test_a_new_model_codes_pictures_it_was_started_from():
    model, batch = started()
    with torch.no_grad():
        fine = model(batch, torch.full((4,), 2), torch.ones(4, 200))
        coarse = model(batch, torch.full((4,), 0), torch.ones(4, 200))
    error, rough = ((result.image - batch).square().mean() for result in (fine, coarse))
    assert error < 1e-4
    assert rough > 10 * error
    assert coarse.bits.mean() < 0.5 * fine.bits.mean()


def test_early_channels_carry_the_most():
    model, batch = started()
    errors = []
    with torch.no_grad():
        for count in (1, 4, 16, 64):
            keep = torch.zeros(4, 200)
            keep[:, :count] = 1
            output = model(batch, torch.full((4,), 2), keep)
            errors.append(float((output.image - batch).square().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.1 * errors[0]
