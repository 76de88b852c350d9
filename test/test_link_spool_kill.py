# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Spools in processes of their own, killed with SIGKILL at random moments, over UDP."""

from __future__ import annotations

import os

import pytest
from spool_frames import make_packet, make_stamp_ns
from spool_process import kill_spools

# Kills of each end; `make bench-link` asks for more.
KILLS = int(os.environ.get('GSC_KILLS', '4'))


@pytest.mark.parametrize('quota', [1 << 26, 20_000], ids=['room', 'full'])
def test_kills_of_both_ends_lose_and_repeat_nothing_that_was_on_disk(tmp_path, quota):
    report = kill_spools(tmp_path, KILLS if quota > 20_000 else (KILLS + 1) // 2, 1, quota)
    stored = [frame.sequence for frame in report.stored]
    numbers = [frame.number for frame in report.stored]
    assert len(set(numbers)) == len(numbers)
    assert stored == sorted(set(stored))
    assert len(stored) + report.evicted == report.numbers
    for frame in report.stored:
        assert frame.packet == make_packet(frame.sequence, 100 + frame.sequence % 900)
        assert frame.stamp_ns == make_stamp_ns(frame.sequence)
        assert frame.camera.camera.name == f'camera{frame.sequence % 2}'
    assert report.handed == sorted(set(report.handed))
    assert set(report.handed) <= set(stored)
    assert len(report.durable) > 5 * len(report.killed)
    if report.evicted == 0:
        assert set(report.durable) <= set(stored)
    # A ground that is killed has noted, but not handed on, what it had just stored.
    assert len(report.handed) > len(stored) * 0.8
