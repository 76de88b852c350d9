# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hostile datagrams are refused, fast and without a trace; the million is a benchmark."""

from __future__ import annotations

from pathlib import Path
import sys

from gsc_ros.link.record.cipher import Suite
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'benchmarks'))

from link_hostile import MAX_GROWN_BLOCKS, measure


@pytest.mark.parametrize('suite', [Suite.AES_CCM, Suite.CHACHA20_POLY1305])
def test_hostile_datagrams_get_nowhere(suite: Suite):
    result = measure(suite, datagrams=100_000, seed=1)
    assert result.accepted == 0
    assert result.raised == 0
    assert result.grown_blocks <= MAX_GROWN_BLOCKS
    # The bar is 50 us; a machine that tests share may be slow.
    assert result.median_us < 200
    assert result.alive


def test_hostile_datagrams_get_nowhere_in_a_whole_endpoint():
    result = measure(datagrams=20_000, seed=1, whole=True)
    assert (result.accepted, result.raised, result.alive) == (0, 0, True)
    assert result.grown_blocks <= MAX_GROWN_BLOCKS
