# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Residuals of any size come back from small tables, and cost what they should."""

from __future__ import annotations

from gsc_ros.codec.entropy import SymbolDecoder, SymbolEncoder
from gsc_ros.codec.residual import OFFSETS, ResidualCode, RESIDUALS
from gsc_ros.training.scale_fit import residual_frequencies, scale_count
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

SCALES = scale_count(1 << 14)
CODE = ResidualCode(residual_frequencies(np.zeros((SCALES * OFFSETS, RESIDUALS)), 30.0))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1 << 32), length=st.integers(0, 60), most=st.integers(0, 15))
def test_residuals_come_back_at_any_scale(seed, length, most):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, SCALES * OFFSETS, length)
    residuals = rng.integers(-(1 << most), (1 << most) + 1, length)
    encoder = SymbolEncoder()
    CODE.encode(encoder, rows, residuals)
    stream = encoder.finish().stream
    assert (CODE.decode(SymbolDecoder(stream), rows) == residuals).all()
    assert len(stream) <= CODE.information(rows, residuals).sum() / 8 + 2


@pytest.mark.parametrize('magnitude', [0.02, 0.5, 3, 40, 700])
def test_a_residual_of_the_expected_magnitude_costs_about_its_entropy(magnitude):
    rng = np.random.default_rng(1)
    residuals = np.rint(rng.laplace(0, magnitude, 20000)).astype(np.int64)
    _, counts = np.unique(residuals, return_counts=True)
    entropy = -(counts * np.log2(counts / len(residuals))).sum()
    costs = []
    for scale in range(SCALES):
        rows = np.full(len(residuals), scale * OFFSETS)
        costs.append(CODE.information(rows, residuals).sum())
    assert min(costs) <= 1.05 * entropy + 100
