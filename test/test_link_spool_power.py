# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a loss of power leaves of a spool, as far as the system calls of its process tell."""

from __future__ import annotations

from pathlib import Path
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'benchmarks'))
from spool_power_loss import cut_power


@pytest.mark.skipif(shutil.which('strace') is None, reason='needs strace')
@pytest.mark.parametrize('role', ['rover', 'ground'])
def test_whatever_a_loss_of_power_leaves_holds_all_that_was_promised(role: str) -> None:
    try:
        count, defects = cut_power(role, moments=20, seed=1)
    except subprocess.CalledProcessError as error:
        if b'PTRACE' not in error.stderr and b'ptrace' not in error.stderr:
            raise
        pytest.skip('tracing is not allowed here')
    assert count == 80
    assert defects == []
