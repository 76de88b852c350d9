# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The way of benchmarks/gpu.py, with a model of few weights on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
import sys

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'benchmarks'))

pytest.importorskip('bitsandbytes')


def test_every_row_is_measured(monkeypatch, capsys):
    import gpu

    monkeypatch.setattr(sys, 'argv', [
        'gpu.py', '--tiny', '--device', 'cpu', '--size', '64x32', '--steps', '1', '2',
        '--repeat', '1', '--json'])
    assert gpu.main() == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row['what'], row['precision']) for row in found['rows']] == [
        ('frame, 1 steps', 'bf16'), ('frame, 2 steps', 'bf16'), ('frame, 1 steps', 'int8'),
        ('frame, 2 steps', 'int8'), ('training step of 4 frames', 'bf16')]
    assert all(row['seconds'] > 0 and row['memory_gib'] > 0 for row in found['rows'])
    assert found['device']


def test_the_default_is_of_flux_dev_s_size():
    import gpu

    transformer, control = gpu._on_meta(gpu.FLUX_DEV)
    assert sum(weight.numel() for weight in transformer.parameters()) == pytest.approx(
        11.90e9, rel=1e-3)
    assert sum(weight.numel() for weight in control.parameters()) == pytest.approx(
        1.744e9, rel=1e-3)
