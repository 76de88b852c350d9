# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two ends in two processes, over real sockets and a serial line, killed again and again."""

from __future__ import annotations

from contextlib import closing
import os
from pathlib import Path
import random
import socket

from gsc_ros.link.audit import read_trace, verify_budget
from link_process import EndSettings, kill_at_random, make_keys
import pytest
from serial_cable import SerialCable

ROVER_BPS = 20_000
GROUND_BPS = 4000
KILLS = 2 * int(os.environ.get('GSC_KILLS', '5'))  # of both ends together


def free_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(('127.0.0.1', 0))
        return f'127.0.0.1:{probe.getsockname()[1]}'


@pytest.fixture
def make(tmp_path):
    """Return a function that makes the settings of an end."""
    key_file = make_keys(tmp_path)

    def settings(role, **options):
        rate_bps = ROVER_BPS if role == 'rover' else GROUND_BPS
        return EndSettings(key_file, str(tmp_path / f'{role}.csv'), rate_bps, **options)

    return settings


def assert_recovers(rover, ground, burst_bits, seed, kills=KILLS):
    report = kill_at_random(rover, ground, kills, seed)
    assert len(report.recovery_s) == kills
    assert {'rover', 'ground'} == set(report.killed)
    assert report.damaged == 0
    for settings in (rover, ground):
        trace = read_trace(Path(settings.trace))
        assert trace
        # A process that is killed between sending and writing leaves one datagram out.
        assert verify_budget(trace, settings.rate_bps, burst_bits).holds


def test_two_ends_over_udp_outlive_kills_of_either(make):
    rover_address, ground_address = free_address(), free_address()
    assert_recovers(
        make('rover', bind=rover_address, peers=[ground_address]),
        make('ground', bind=ground_address, peers=[rover_address]),
        burst_bits=2 * 8 * (128 + 28), seed=1)


def test_a_ground_learns_where_a_rover_is_that_is_elsewhere_after_each_kill(make):
    ground_address = free_address()
    assert_recovers(
        make('rover', bind='127.0.0.1:0', peers=[ground_address]),
        make('ground', bind=ground_address, learn_peer=True),
        burst_bits=2 * 8 * (128 + 28), seed=2, kills=5)


def test_two_ends_over_a_noisy_serial_line_outlive_kills_of_either(make, tmp_path):
    draw = random.Random(3)

    def disturb(data):
        kind = draw.random()
        if kind < 0.03:
            return data[:draw.randrange(len(data))]
        if kind < 0.06:
            return draw.randbytes(draw.randrange(200)) + data
        return data

    with closing(SerialCable(tmp_path, disturb)) as cable:
        assert_recovers(
            make('rover', port=str(cable.near.path), baud=57_600),
            make('ground', port=str(cable.far.path), baud=57_600),
            burst_bits=2 * 10 * (128 + 3), seed=3)
