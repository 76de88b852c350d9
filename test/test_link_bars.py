# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bars of the link over minutes; `make bench-link` measures them over hours."""

from __future__ import annotations

from pathlib import Path
import sys

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'benchmarks'))

from link_scenario import bursts, control_latency, independent_loss, outage, use_of_link
from link_soak import Soak


@pytest.mark.parametrize('measure', [
    lambda: use_of_link(1200), lambda: independent_loss(300), lambda: bursts(300),
    lambda: outage(2), lambda: control_latency(120),
], ids=['use', 'independent losses', 'bursts', 'outage', 'control latency'])
def test_a_bar_holds(measure):
    for bar in measure():
        assert bar.holds, f'{bar.name}: {bar.must}, found {bar.found}'


def test_the_budget_holds_in_every_window_while_everything_that_may_happen_does():
    figures = Soak(seed=1).run(hours=0.05)
    assert figures.held and figures.restarts


def test_a_run_is_repeated_exactly():
    assert independent_loss(20, seed=2) == independent_loss(20, seed=2)
