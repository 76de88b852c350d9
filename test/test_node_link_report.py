# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What limits a link, told from its statistics."""

from __future__ import annotations

from dataclasses import replace

from gsc_ros.link.statistic import LinkStatistics
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.link_report import LinkReporter
from gsc_ros.nodes.schema import BridgeParameters
from gsc_ros.nodes.transport import SimulatedLink
import pytest


def idle(link_bps: int = 20_000) -> LinkStatistics:
    """Return the statistics of a link that works and has nothing to do."""
    link = SimulatedLink(BridgeParameters(link_bps=link_bps), 0, None)
    return replace(link.rover.statistics(0), connected=True, sent_datagrams=1)


def last(*snapshots: LinkStatistics, changes: int = 0) -> Report:
    """Return the report of the last of some snapshots, a second apart."""
    reporter = LinkReporter()
    reports = [reporter.report(now, 100.0 + n, n * changes) for n, now in enumerate(snapshots)]
    return reports[-1]


@pytest.mark.parametrize('change, level, message', [
    ({}, Level.OK, 'carrying'),
    ({'connected': False}, Level.WARN, 'far side not heard'),
    ({'dropped_too_large': 1}, Level.ERROR, 'frames too large for the link'),
    ({'dropped_invalid': 1}, Level.ERROR, 'invalid frames'),
    ({'dropped_superseded': 1, 'sent_bits': 19_000}, Level.WARN, 'link full'),
    ({'dropped_expired': 1, 'utilisation': 0.9}, Level.WARN, 'link full'),
    ({'layers_shed': 1, 'sent_bits': 19_000}, Level.OK, 'link full'),
    ({'dropped_superseded': 1, 'connected': False}, Level.WARN, 'far side not heard'),
    ({'dropped_superseded': 1}, Level.WARN, 'frames wait although the budget is not used'),
])
def test_report_names_what_limits_the_link(
    change: dict[str, object], level: Level, message: str,
):
    report = last(idle(), replace(idle(), **change))
    assert (report.level, report.message) == (level, message)


def test_old_trouble_is_not_reported_again():
    worse = replace(idle(), dropped_invalid=3, dropped_superseded=3, dropped_too_large=3)
    assert last(idle(), worse, worse).message == 'carrying'


def test_link_that_is_hardly_used_is_not_called_full_when_announcements_keep_changing():
    snapshots = [replace(idle(), dropped_superseded=5 * n, sent_bits=300 * n, utilisation=0.015)
                 for n in range(10)]
    assert 'announcements' in last(*snapshots, changes=5).message
    assert 'announcements' not in last(*snapshots, changes=0).message


def test_slow_link_is_full_also_between_two_datagrams():
    # 2048 bits at 100 bit/s: most windows of a second hold no departure at all.
    snapshots = [replace(idle(100), dropped_superseded=n, sent_bits=2048 * (n // 20),
                         utilisation=0.0) for n in range(100)]
    assert last(*snapshots).message == 'link full'
