# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Repair between two whole ends, with security on."""

from __future__ import annotations

from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.channel.loss import LossKind
from gsc_ros.link.record.cipher import Suite
from gsc_ros.link.repair.repair import RepairConfig, RepairMode
from link_simulation import Camera, EPOCH_NS, make_payload, MS, S, Simulation
import pytest

ENDS = (40, 80, 140, 220, 320)


def simulate(
    seconds: float, rate_bps: int = 9600, useful_ns: int = 2 * S, fps: float = 4.0,
    mode: RepairMode = RepairMode.AUTO, two_way: bool = True, least_loss: float = 0.0,
    ends: tuple[int, ...] = ENDS, **channel: object,
) -> Simulation:
    """Return a run of one camera over a channel that is the same both ways."""
    back_bps = rate_bps // 10
    run = Simulation(
        rate_bps, [Camera(0, fps=fps, ends=ends)], mtu=128, back_bps=back_bps,
        channel=ChannelConfig(rate_bps=rate_bps, **channel),
        back_channel=ChannelConfig(rate_bps=back_bps, **{**channel, 'seed': 99}),
        suite=Suite.AES_CCM, two_way=two_way,
        repair=RepairConfig(mode=mode, useful_ns=useful_ns, least_loss=least_loss))
    run.run(seconds)
    for frame in run.frames():
        assert frame.payload == make_payload(frame.sequence, len(frame.payload))
        assert len(frame.payload) in ends
    sequences = [frame.sequence for frame in run.frames()]
    assert len(set(sequences)) == len(sequences)
    return run


def decodable(run: Simulation, useful_ns: int) -> float:
    """Return the share of the frames that left which arrived in time."""
    late_ns = [frame.received_ns + EPOCH_NS - frame.stamp_ns for frame in run.frames()]
    # The last ones have not had the time that they are given.
    left = run.rover.statistics(run.now_ns).sent_frames - round(useful_ns / S * 4)
    return sum(late <= useful_ns for late in late_ns) / left


def share(run: Simulation, kind: str) -> float:
    """Return the part of the budget that a kind took."""
    bits = sum(departure.bits for departure in run.trace if departure.kind == kind)
    return bits * S / (run.rate_bps * run.now_ns)


# How long the far end waits for the rest of a frame before it takes the base alone.
WAIT_NS = 2 * S + 500 * MS


@pytest.mark.parametrize('useful_ns, kind', [(2 * S, 'fec'), (6 * S, 'repeat')])
def test_at_10_percent_loss_99_percent_of_frames_can_be_decoded(useful_ns, kind) -> None:
    run = simulate(300, useful_ns=useful_ns, delay_ns=600 * MS, loss=0.1, seed=4)
    assert decodable(run, useful_ns + WAIT_NS) >= 0.99
    assert share(run, kind) > 0.05
    assert share(run, 'fec') <= 0.3
    assert share(run, 'repeat') <= 0.3


def test_through_bursts_98_percent_of_frames_can_be_decoded() -> None:
    run = simulate(
        200, 20_000, fps=8.0, delay_ns=100 * MS, loss=0.05, burst_ns=200 * MS,
        loss_model=LossKind.GILBERT_ELLIOTT, seed=4)
    assert decodable(run, 2 * S + WAIT_NS) >= 0.98
    assert share(run, 'fec') <= 0.3


def test_without_loss_nothing_is_spent_on_repair() -> None:
    run = simulate(60, delay_ns=600 * MS)
    assert share(run, 'fec') == share(run, 'repeat') == 0
    assert {departure.kind for departure in run.back_trace} <= {'receipt', 'heartbeat'}


def test_without_a_way_back_the_loss_that_is_reckoned_with_decides() -> None:
    run = simulate(200, two_way=False, least_loss=0.1, delay_ns=600 * MS, loss=0.1, seed=4)
    assert decodable(run, 2 * S + WAIT_NS) >= 0.98
    assert 0.1 < share(run, 'fec') <= 0.3


@pytest.mark.parametrize('mode', list(RepairMode))
def test_every_mode_brings_exact_frames(mode) -> None:
    run = simulate(60, mode=mode, useful_ns=4 * S, delay_ns=200 * MS, loss=0.2, seed=5,
                   duplicate=0.05, reorder=0.1, reorder_ns=300 * MS)
    assert len(run.frames()) > 100
