# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The bars of the link as runs in simulated time, of any length.

Every function returns bars: what must be, what was found, and whether it holds. Security is on in
all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gsc_ros.link.budget import choose_return_bps
from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.channel.loss import LossKind, Outage
from gsc_ros.link.endpoint import EndpointConfig
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.repair.repair import RepairConfig, RepairMode
from gsc_ros.link.trial.run_summary import RunSummary, summarize
from gsc_ros.link.trial.simulation import (
    Fate,
    Feed,
    LinkRun,
    LinkSetup,
    synthetic_frame,
)

S = 1_000_000_000
MS = 1_000_000
DRAIN_S = 30.0
# What a feed of `make_feeds` offers: about what 32 channels of a picture take.
LEAST_BYTES, WHOLE_BYTES = 40, 1200


@dataclass(frozen=True)
class Bar:
    """
    A bar.

    :param name: of what.
    :param must: what is asked for.
    :param found: what was measured.
    :param holds: whether that is enough.
    """

    name: str
    must: str
    found: str
    holds: bool


def make_setup(
    rate_bps: int, mtu: int, forward: ChannelConfig, *, back_bps: int = 0,
    repair: RepairMode = RepairMode.AUTO, suite: Suite = Suite.AES_CCM,
) -> LinkSetup:
    """Return a link whose way back has the same channel with a luck of its own."""
    keys = None if suite is Suite.NONE else KeyRing.random()
    back_bps = back_bps or choose_return_bps(rate_bps, lambda size: 8 * size)
    ends = [
        EndpointConfig(bps, record=RecordConfig(direction, suite, keys),
                       repair=RepairConfig(mode=repair))
        for direction, bps in ((Direction.ROVER, rate_bps), (Direction.GROUND, back_bps))]
    return LinkSetup(
        *ends, replace(forward, rate_bps=rate_bps),
        replace(forward, rate_bps=back_bps, seed=forward.seed + 1), mtu)


def make_feeds(
    cameras: int, fps: float, least_bytes: int = LEAST_BYTES, whole_bytes: int = WHOLE_BYTES,
) -> list[Feed]:
    """Return cameras that are alike and evenly shifted."""
    frame = synthetic_frame(least_bytes, whole_bytes)
    return [
        Feed(f'camera{number}', [frame], fps, start_ns=round(number * S / fps / cameras))
        for number in range(cameras)]


def use_of_link(seconds: float, seed: int = 0) -> list[Bar]:
    """
    Saturate 2.4 kbit/s with packets of 3 kB that cannot be cut, so that one always waits.

    Smaller ones pay more for their own headers; those that can be cut leave the scheduler's margin
    of 2 % unused.
    """
    bars = []
    for mtu, must in ((128, 0.90), (512, 0.94)):
        setup = make_setup(2400, mtu, ChannelConfig(delay_ns=300 * MS, seed=seed))
        summary = _run(setup, make_feeds(1, 1.0, 3000, 3000), seconds)
        bars.append(Bar(
            f'use of a saturated 2.4 kbit/s link, MTU {mtu}', f'>= {must:.0%} payload',
            f'{summary.payload_share:.2%}, {summary.forward.used_share:.2%} in use',
            summary.payload_share >= must and _held(summary)))
    return bars


def independent_loss(seconds: float, seed: int = 0) -> list[Bar]:
    """Lose 10 % at a round trip of 1.2 s and 9.6 kbit/s."""
    channel = ChannelConfig(delay_ns=600 * MS, loss=0.1, seed=seed)
    summary = _run(make_setup(9600, 128, channel), make_feeds(1, 5.0), seconds)
    return [
        Bar('10 % Bernoulli, RTT 1.2 s, 9.6 kbit/s', '>= 99 % decodable', _decodable(summary),
            summary.decodable_share >= 0.99 and _held(summary)),
        Bar('  its parity', '<= 30 % of the budget',
            f'{summary.parity_share:.2%}, repeats {summary.repeat_share:.2%}',
            summary.parity_share <= 0.30)]


def bursts(seconds: float, seed: int = 0) -> list[Bar]:
    """Lose everything in bursts of 200 ms, 5 % of the time, at 20 kbit/s."""
    channel = ChannelConfig(
        delay_ns=100 * MS, loss=0.05, loss_model=LossKind.GILBERT_ELLIOTT, burst_ns=200 * MS,
        seed=seed)
    summary = _run(make_setup(20_000, 256, channel), make_feeds(1, 10.0), seconds)
    return [Bar(
        'bursts of 200 ms, 5 % of the time, 20 kbit/s', '>= 98 % decodable',
        f'{_decodable(summary)}, parity {summary.parity_share:.1%}, repeats '
        f'{summary.repeat_share:.1%}', summary.decodable_share >= 0.98 and _held(summary))]


def outage(count: int, seed: int = 0) -> list[Bar]:
    """Cut the link for 60 s, so many times, and wait for both ends and the newest frame."""
    waits, connects, holds = [], [], True
    for number in range(count):
        # At another place in the frames' and heartbeats' rhythm each time.
        begin_ns = 30 * S + number * 370 * MS
        end_ns = begin_ns + 60 * S
        channel = ChannelConfig(
            delay_ns=600 * MS, seed=seed + number, outages=(Outage(begin_ns, end_ns),))
        run = LinkRun(make_setup(9600, 128, channel), make_feeds(2, 5.0))
        heard_ns: list[int] = []

        def look(run: LinkRun = run, heard_ns: list[int] = heard_ns) -> None:
            ends = run.rover.statistics(run.now_ns), run.ground.statistics(run.now_ns)
            if all(end.connected for end in ends) and not heard_ns:
                heard_ns.append(run.now_ns)

        for step in range(200):
            run.at(end_ns + step * 50 * MS, look)
        run.run(120.0, DRAIN_S)
        fresh = [one.delivered_ns for one in run.outcomes if one.fate is Fate.DELIVERED
                 and one.offered_ns >= end_ns - 200 * MS and one.delivered_ns >= end_ns]
        waits.append((min(fresh, default=run.now_ns) - end_ns) / S)
        connects.append(((heard_ns or [run.now_ns])[0] - end_ns) / S)
        holds = holds and all(audit.holds for audit in run.audits())
    return [
        Bar('60 s outage, RTT 1.2 s: both ends hear each other', '<= 3 s after it',
            f'at most {max(connects):.2f} s of {count}', holds and max(connects) <= 3.0),
        Bar('  a frame of after the outage', '<= 3 s after it',
            f'at most {max(waits):.2f} s of {count}', holds and max(waits) <= 3.0)]


def control_latency(seconds: float, seed: int = 0) -> list[Bar]:
    """Send control messages at 1 Hz while two cameras of 10 Hz saturate 9.6 kbit/s."""
    setup = make_setup(9600, 256, ChannelConfig(delay_ns=100 * MS, seed=seed))
    run = LinkRun(setup, make_feeds(2, 10.0), S)
    run.run(seconds, DRAIN_S)
    summary = summarize(run)
    latency = summary.control_latency_s
    all_came = len(run.controls_ns) >= int(seconds)
    return [Bar(
        'control at 1 Hz beside two saturating cameras, 9.6 kbit/s', 'p99 <= 1 s',
        f'p99 {latency.p99:.2f} s, at most {latency.maximum:.2f} s of {len(run.controls_ns)}',
        all_came and latency.p99 <= 1.0 and _held(summary))]


def _run(setup: LinkSetup, feeds: Sequence[Feed], seconds: float) -> RunSummary:
    run = LinkRun(setup, feeds)
    run.run(seconds, DRAIN_S)
    return summarize(run)


def _held(summary: RunSummary) -> bool:
    return summary.forward.budget_holds and summary.backward.budget_holds


def _decodable(summary: RunSummary) -> str:
    frames = sum(camera.delivered + camera.lost for camera in summary.cameras)
    return f'{summary.decodable_share:.2%} of {frames} frames'
