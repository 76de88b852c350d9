# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Run every bar of the link, and print what must be beside what was found.

    python benchmarks/link_bars.py [--quick] [--only budget,use,...] [--json]

Most of it is simulated time; `kills` are real processes, which need ROS 2 and the built package.
Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
from tempfile import TemporaryDirectory
import time

from gsc_ros.link.channel.loss import Outage
from gsc_ros.link.record.cipher import Suite
from link_hostile import measure
from link_scenario import (
    Bar,
    bursts,
    control_latency,
    independent_loss,
    outage,
    S,
    use_of_link,
)
from link_soak import Soak
from spool_power_loss import cut_power

ROOT = Path(__file__).resolve().parent.parent
# Tests that kill real processes, with the number of kills of each bridge in the environment.
KILL_TESTS = ('test/system/test_two_machines.py', 'test/test_link_process.py',
              'test/test_link_spool_kill.py')
KILL_VARIABLE = 'GSC_KILLS'


@dataclass(frozen=True)
class Group:
    """
    Bars that are measured together.

    :param name: for ``--only``.
    :param run: called with whether to be quick.
    """

    name: str
    run: Callable[[bool], list[Bar]]


def soak(quick: bool) -> list[Bar]:
    """Do everything that may happen to a link for hours of simulated time."""
    hours = 0.2 if quick else 10.0
    figures = Soak(0).run(hours)
    excess = max(figures.forward_excess_bits, figures.back_excess_bits)
    return [
        Bar(f'budget in every window, {hours:g} simulated hours', 'never exceeded',
            f'{0.0 - excess:.0f} bits left in the tightest of {figures.datagrams} datagrams',
            excess <= 0),
        Bar('  the longest time without a frame, through restarts at 1.2 kbit/s', '< 60 s',
            f'{figures.longest_gap_s:.0f} s', figures.longest_gap_s < 60)]


def hostile(quick: bool) -> list[Bar]:
    """Throw hostile datagrams at both suites."""
    bars = []
    for suite in (Suite.AES_CCM, Suite.CHACHA20_POLY1305):
        result = measure(suite, 50_000 if quick else 1_000_000)
        bars.append(Bar(
            f'{result.datagrams} hostile datagrams, {suite.name}',
            '0 accepted, 0 errors, flat memory, < 50 us',
            f'{result.accepted} accepted, {result.raised} errors, {result.grown_blocks} blocks, '
            f'{result.median_us:.1f} us (99 %: {result.p99_us:.1f})', result.held))
    return bars


def spool_outage(quick: bool) -> list[Bar]:
    """Cut a link with a spool for 60 s, several times, and look for every frame in order."""
    sys.path.insert(0, str(ROOT / 'test'))
    from spool_simulation import SpoolSimulation

    count = 2 if quick else 20
    with TemporaryDirectory() as folder:
        run = SpoolSimulation(
            Path(folder), loss=0.05, delay_ns=S // 10, outages=tuple(
                Outage((30 + 120 * number) * S, (90 + 120 * number) * S)
                for number in range(count)))
        run.run(30.0 + 120.0 * count)
        run.drain(3600.0)
        expected, found = run.offered, run.sequences
    return [Bar(
        f'spool: {count} outages of 60 s', 'nothing lost, order kept',
        f'{len(found)} of {len(expected)} frames, '
        + ('in order' if found == sorted(found) else 'OUT OF ORDER'), found == expected)]


def power(quick: bool) -> list[Bar]:
    """Open whatever a loss of power may leave of a spool; nothing where strace is missing."""
    if shutil.which('strace') is None:
        print('power: not measured, it needs strace', file=sys.stderr)
        return []
    moments = 20 if quick else 200
    found = [cut_power(role, moments, seed=0) for role in ('rover', 'ground')]
    defects = [defect for _, some in found for defect in some]
    return [Bar(
        f'spool: {sum(count for count, _ in found)} states after a loss of power',
        'all that was promised', defects[0] if defects else 'all there', not defects)]


def kills(quick: bool) -> list[Bar]:
    """Run the tests that kill bridges and spools of real processes."""
    bars = []
    each = 2 if quick else 25
    for path in KILL_TESTS:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, '-m', 'pytest', '-q', '-k', 'kill', path], cwd=ROOT,
            env={**os.environ, KILL_VARIABLE: str(each)}, capture_output=True, text=True)
        last = (done.stdout.strip().splitlines() or ['no output'])[-1]
        skipped = 'passed' not in last
        bars.append(Bar(
            f'kill -9, {each} times each end: {path}', 'recovers by itself, nothing lost',
            f'{last.strip("= ")}, {time.monotonic() - began:.0f} s',
            done.returncode == 0 and not skipped))
    return bars


GROUPS = (
    Group('budget', soak),
    Group('use', lambda quick: use_of_link(1200 if quick else 36_000)),
    Group('loss', lambda quick: independent_loss(300 if quick else 7200)),
    Group('bursts', lambda quick: bursts(300 if quick else 7200)),
    Group('outage', lambda quick: outage(3 if quick else 30)),
    Group('spool', spool_outage),
    Group('control', lambda quick: control_latency(120 if quick else 7200)),
    Group('hostile', hostile),
    Group('power', power),
    Group('kills', kills),
)


def main() -> int:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help='short runs of all')
    parser.add_argument('--only', default='', metavar='LIST',
                        help='of ' + ', '.join(group.name for group in GROUPS))
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    options = parser.parse_args()
    wanted = {word for word in options.only.split(',') if word}
    unknown = wanted - {group.name for group in GROUPS}
    if unknown:
        parser.error(f'no bars called {", ".join(sorted(unknown))}')
    bars: list[Bar] = []
    for group in GROUPS:
        if wanted and group.name not in wanted:
            continue
        began = time.monotonic()
        found = group.run(options.quick)
        bars += found
        for bar in found:
            verdict = 'holds' if bar.holds else 'MISSED'
            print(f'{verdict:6}  {bar.name:62}  {bar.must:43}  {bar.found}',
                  file=sys.stderr if options.json else sys.stdout, flush=True)
        print(f'{group.name}: {time.monotonic() - began:.0f} s', file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps({'bars': [asdict(bar) for bar in bars]}))
    return 0 if all(bar.holds for bar in bars) else 1


if __name__ == '__main__':
    sys.exit(main())
