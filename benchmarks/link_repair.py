# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what repair brings through and what it takes; the table of docs/repair.md.

    python benchmarks/link_repair.py [--seconds 1800]

In simulated time, both ends with AES-CCM, one camera that offers more than fits.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.channel.loss import LossKind
from gsc_ros.link.trial.run_summary import summarize
from gsc_ros.link.trial.simulation import LinkRun
from link_scenario import DRAIN_S, make_feeds, make_setup, MS, S


@dataclass(frozen=True)
class Path:
    """
    A way to the ground and back.

    :param name: in the table.
    :param rate_bps: budget of the rover.
    :param mtu: bytes of a datagram.
    :param fps: of the camera.
    :param channel: of both directions, but for the rate.
    """

    name: str
    rate_bps: int
    mtu: int
    fps: float
    channel: ChannelConfig


LOSS = Path('10 % independent loss, round trip 1.2 s, 9.6 kbit/s', 9600, 128, 5.0,
            ChannelConfig(delay_ns=600 * MS, loss=0.1))
BURSTS = ChannelConfig(
    delay_ns=100 * MS, loss=0.05, loss_model=LossKind.GILBERT_ELLIOTT, burst_ns=200 * MS)
NEAR = Path('bursts of 200 ms, 5 % of the time, 20 kbit/s, round trip 0.2 s', 20_000, 256, 10.0,
            BURSTS)
FAR = Path('bursts of 200 ms, 5 % of the time, 20 kbit/s, round trip 1.2 s', 20_000, 128, 10.0,
           replace(BURSTS, delay_ns=600 * MS))
CLEAN = Path('no loss, round trip 1.2 s, 9.6 kbit/s', 9600, 128, 5.0,
             ChannelConfig(delay_ns=600 * MS))
# With the seconds that a repair is of use.
ROWS = ((LOSS, 2.0), (LOSS, 6.0), (LOSS, 1.2), (NEAR, 2.0), (FAR, 2.0), (FAR, 6.0), (CLEAN, 2.0))


def measure(path: Path, useful_s: float, seconds: float) -> str:
    """Return a row of the table."""
    setup = make_setup(path.rate_bps, path.mtu, path.channel)
    ends = {name: replace(end, repair=replace(end.repair, useful_ns=round(useful_s * S)))
            for name, end in (('rover', setup.rover), ('ground', setup.ground))}
    run = LinkRun(replace(setup, **ends), make_feeds(1, path.fps))
    run.run(seconds, DRAIN_S)
    summary = summarize(run)
    return (f'| {path.name}, MTU {path.mtu} | {useful_s:g} s | {summary.decodable_share:.1%} '
            f'| {summary.parity_share:.0%} | {summary.repeat_share:.0%} |')


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--seconds', type=float, default=1800.0, help='simulated time of each row')
    arguments = parser.parse_args()
    print('| path | of use for | decodable | parity | repeats |')
    print('|---|---|---|---|---|')
    for path, useful_s in ROWS:
        print(measure(path, useful_s, arguments.seconds), flush=True)


if __name__ == '__main__':
    main()
