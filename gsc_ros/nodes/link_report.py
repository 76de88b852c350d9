# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What limits a link, told from its statistics; what its status message says."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import asdict
import math

from gsc_ros.link.spool.receiver import SpoolReceiver
from gsc_ros.link.spool.sender import SpoolSender
from gsc_ros.link.statistic import LinkStatistics
from gsc_ros.link.transports import Transport
from gsc_ros.link.transports.sim import SimTransport
from gsc_ros.msg import LinkStatus
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.link_security import security_of
from gsc_ros.nodes.schema import BridgeParameters

# A link of which less is used has room: frames that are dropped then wait for something else.
FULL_SHARE = 0.5
# An end that has nobody to send to yet, as it waits to be called, is given this long.
GREETING_S = 3.0
# Usage is averaged over this time, or over some bursts where these take longer; what fails is
# reported for as long.
WINDOW_S = 5.0
WINDOW_BURSTS = 4
MAX_HISTORY = 1000
# Announcements that have changed within the window, to be called a habit.
MANY_CHANGES = 2
# What the status says of arrivals; with both ends in one process, of those on the ground.
RECEIVED = frozenset((
    'received_frames', 'received_datagrams', 'received_bits', 'recovered', 'incomplete',
    'unannounced', 'forged', 'replayed', 'unconfirmed', 'malformed'))


class LinkReporter:
    """Compares each snapshot with those before it."""

    def __init__(self, secure: bool = False, deaf: bool = False) -> None:
        """
        Begin before the first snapshot.

        :param secure: whether datagrams are authenticated; else only damage makes them fail.
        :param deaf: whether nothing can be heard of the far side, as on a link without a way back.
        """
        self._secure = secure
        self._deaf = deaf
        self._before: LinkStatistics | None = None
        # When each of these counts last grew.
        self._grew_s = dict.fromkeys(
            ('unknown_key', 'forged', 'malformed', 'unconfirmed'), -math.inf)
        self._began_s: float | None = None
        # Time, bits sent and announcements changed up to then.
        self._history: deque[tuple[float, int, int]] = deque(maxlen=MAX_HISTORY)

    def report(self, now: LinkStatistics, now_s: float, changes: int) -> Report:
        """
        Return the state of the link.

        :param now_s: time of a steady clock in seconds.
        :param changes: how often the announcement of a camera or its session has changed so far.
        """
        before, self._before = self._before or now, now
        if self._began_s is None:
            self._began_s = now_s
        self._history.append((now_s, now.sent_bits, changes))
        window_s = max(WINDOW_S, WINDOW_BURSTS * now.burst_bits / now.budget_bps)
        while len(self._history) > 2 and self._history[0][0] < now_s - window_s:
            self._history.popleft()
        for name in self._grew_s:
            if getattr(now, name) > getattr(before, name):
                self._grew_s[name] = now_s
        lost = now.dropped_superseded + now.dropped_expired > (
            before.dropped_superseded + before.dropped_expired)
        if now.dropped_too_large > before.dropped_too_large:
            level, message = Level.ERROR, 'frames too large for the link'
        elif now.dropped_invalid > before.dropped_invalid:
            level, message = Level.ERROR, 'invalid frames'
        elif not (now.connected or self._deaf) and (
                now.sent_datagrams or now.forged or now_s - self._began_s >= GREETING_S):
            level, message = Level.WARN, self._why_unheard(now_s)
        elif (lost or now.layers_shed > before.layers_shed) and self._full(now):
            level, message = Level.WARN if lost else Level.OK, 'link full'
        elif lost and changes - self._history[0][2] >= MANY_CHANGES:
            level, message = Level.WARN, (
                'waiting for announcements: calibration, frame_id or session keeps changing')
        elif lost:
            level, message = Level.WARN, 'frames wait although the budget is not used'
        elif self._grows('forged', now_s):
            level, message = Level.WARN, 'carrying, but datagrams ' + (
                'fail authentication: noise, or a stranger' if self._secure else 'arrive damaged')
        else:
            level, message = Level.OK, 'carrying'
        return Report('link', level, message, asdict(now))

    def _why_unheard(self, now_s: float) -> str:
        if self._grows('unknown_key', now_s):
            return 'far side not heard: datagrams ' + (
                'name a key that is not in our key_file, or are of another security'
                if self._secure else 'are sealed, and security is none here')
        if self._grows('forged', now_s):
            return 'far side not heard: datagrams ' + (
                'fail authentication: another key?' if self._secure else 'arrive damaged')
        if self._grows('malformed', now_s):
            return 'far side not heard: what arrives is not ours, or of another security'
        if self._grows('unconfirmed', now_s):
            return 'far side not heard: its datagrams arrive, but ours do not reach it'
        return 'far side not heard'

    def _grows(self, name: str, now_s: float) -> bool:
        """Return whether something has been counted lately."""
        return now_s - self._grew_s[name] < WINDOW_S

    def _full(self, now: LinkStatistics) -> bool:
        """Return whether much of the budget is used now, or has been on the average."""
        (first_s, first_bits, _), (last_s, last_bits, _) = self._history[0], self._history[-1]
        average_bps = (last_bits - first_bits) / max(last_s - first_s, 1.0)
        return max(average_bps / now.budget_bps, now.utilisation) >= FULL_SHARE


def transport_reports(transports: Iterable[Transport]) -> Iterable[Report]:
    """Yield the state of each transport that reaches beyond this process."""
    for transport in transports:
        if not isinstance(transport, SimTransport):
            level = Level.WARN if transport.trouble else Level.OK
            yield Report('transport', level, transport.trouble or 'open', asdict(transport.counter))


def spool_reports(ends: Iterable[object]) -> Iterable[Report]:
    """Yield the state of the spools among the ends of the link."""
    for end in ends:
        if isinstance(end, (SpoolSender, SpoolReceiver)):
            statistics = end.statistics_of_spool()
            sends = isinstance(end, SpoolSender)
            message = statistics.trouble or (
                f'{statistics.phase.value}, {statistics.frames} frames wait' if sends else 'open')
            yield Report(
                'spool' if sends else 'spool on the ground',
                Level.ERROR if statistics.trouble else Level.OK, message, asdict(statistics))


def status_message(settings: BridgeParameters, sending: LinkStatistics,
                   receiving: LinkStatistics | None = None) -> LinkStatus:
    """
    Return the status of the link, without its stamp.

    :param sending: statistics of this process's end that sends frames, or of its only end.
    :param receiving: statistics of the end that they arrive at, where that is here, too.
    """
    status = LinkStatus(
        role=settings.role, transport=settings.transport, security=security_of(settings))
    for statistics, received in ((sending, False), (receiving or sending, True)):
        for name, value in asdict(statistics).items():
            # The statistics hold more than the message.
            if hasattr(status, name) and (name in RECEIVED) == received:
                setattr(status, name, value)
    if receiving is not None:
        status.delivered_messages = receiving.received_frames
    return status
