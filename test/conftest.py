# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every test finds as it would in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
import sys

import pytest


@pytest.fixture(autouse=True)
def fresh_accelerator() -> Iterator[None]:
    """Forget accelerate's state of the process, which holds to the first precision it is told."""
    yield
    state = sys.modules.get('accelerate.state')
    if state is not None:
        state.AcceleratorState._reset_state(reset_partial_state=True)
        state.GradientState._reset_state()
