# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What limits a link, told from its statistics."""

from __future__ import annotations

from dataclasses import asdict, replace

from gsc_ros.link.statistic import LinkStatistics
from gsc_ros.msg import LinkStatus
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.link import Link
from gsc_ros.nodes.link_report import LinkReporter, status_message
from gsc_ros.nodes.schema import BridgeParameters
import pytest


def idle(link_bps: int = 20_000) -> LinkStatistics:
    """Return the statistics of a link that works and has nothing to do."""
    link = Link(BridgeParameters(link_bps=link_bps), 0, None)
    return replace(link.rover.statistics(0), connected=True, sent_datagrams=1)


def last(*snapshots: LinkStatistics, changes: int = 0, secure: bool = False,
         deaf: bool = False) -> Report:
    """Return the report of the last of some snapshots, a second apart."""
    reporter = LinkReporter(secure, deaf)
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
    ({'dropped_superseded': 1, 'connected': False, 'sent_bits': 19_000}, Level.WARN,
     'far side not heard'),
    ({'layers_shed': 1, 'connected': False, 'sent_bits': 19_000}, Level.WARN, 'far side not heard'),
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


@pytest.mark.parametrize('change, secure, message', [
    ({'connected': False, 'forged': 3}, True, 'not heard: datagrams fail authentication'),
    ({'connected': False, 'forged': 3}, False, 'not heard: datagrams arrive damaged'),
    ({'connected': False, 'unconfirmed': 3}, True, 'ours do not reach it'),
    ({'forged': 3}, True, 'carrying, but datagrams fail authentication'),
    ({'forged': 3}, False, 'carrying, but datagrams arrive damaged'),
    ({'connected': False, 'forged': 3, 'unknown_key': 3}, True, 'not in our key_file'),
    ({'connected': False, 'forged': 3, 'unknown_key': 3}, False, 'security is none here'),
    ({'connected': False, 'malformed': 3}, True, 'of another security'),
    ({'connected': False, 'malformed': 3, 'forged': 1}, True, 'another key?'),
    ({'forged': 3, 'unknown_key': 3}, True, 'carrying, but datagrams fail authentication: noise'),
])
def test_report_names_what_is_wrong_with_what_arrives(
    change: dict[str, object], secure: bool, message: str,
):
    report = last(idle(), replace(idle(), **change), secure=secure)
    assert report.level is Level.WARN and message in report.message


def test_an_end_that_waits_to_be_called_says_so_after_a_while():
    alone = replace(idle(), connected=False, sent_datagrams=0)
    assert last(alone, alone).message == 'carrying'
    assert last(*[alone] * 5).message == 'far side not heard'
    assert 'authentication' in last(alone, replace(alone, forged=1), secure=True).message


def test_old_forgeries_are_not_reported_again():
    forged = replace(idle(), forged=3)
    assert last(idle(), *[forged] * 10, secure=True).message == 'carrying'


def test_a_noisy_line_does_not_change_its_report_each_second():
    noisy = [replace(idle(), forged=n // 3) for n in range(30)]
    assert all('carrying, but' in last(*noisy[:n], secure=True).message for n in range(5, 30))


def test_where_nothing_can_be_heard_silence_is_no_trouble():
    sent = replace(idle(), connected=False)
    assert last(*[sent] * 10, deaf=True).message == 'carrying'
    full = replace(sent, layers_shed=1, sent_bits=19_000)
    assert last(sent, full, deaf=True).message == 'link full'


def test_every_figure_of_the_status_message_comes_from_the_statistics():
    # What the bridge itself adds.
    own = {'header', 'role', 'transport', 'security', 'dropped_reference'}
    assert set(LinkStatus.get_fields_and_field_types()) - own <= set(asdict(idle()))


def test_status_says_who_speaks_and_with_both_ends_here_what_arrived_on_the_ground():
    settings = BridgeParameters(security='chacha20-poly1305')
    rover = replace(idle(), sent_bits=5, forged=1, received_frames=0)
    ground = replace(idle(), sent_bits=6, forged=2, received_frames=3)
    status = status_message(settings, rover, ground)
    assert (status.role, status.transport) == ('both', 'sim')
    assert status.security == 'chacha20-poly1305'
    assert (status.sent_bits, status.forged, status.received_frames) == (5, 2, 3)
    assert status.delivered_messages == 3


def test_an_end_that_is_alone_in_its_process_does_not_know_what_was_delivered():
    ground = replace(idle(), sent_messages=2, received_frames=3)
    status = status_message(BridgeParameters(role='ground', transport='udp'), ground)
    assert (status.sent_messages, status.received_frames, status.delivered_messages) == (2, 3, 0)
