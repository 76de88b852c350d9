# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What limits a link, told from its statistics."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict

from gsc_ros.link.statistic import LinkStatistics
from gsc_ros.nodes.diagnostic import Level, Report

# A link of which less is used has room: frames that are dropped then wait for something else.
FULL_SHARE = 0.5
# Usage is averaged over this time, or over some bursts where these take longer.
WINDOW_S = 5.0
WINDOW_BURSTS = 4
MAX_HISTORY = 1000
# Announcements that have changed within the window, to be called a habit.
MANY_CHANGES = 2


class LinkReporter:
    """Compares each snapshot with those before it."""

    def __init__(self) -> None:
        """Begin before the first snapshot."""
        self._before: LinkStatistics | None = None
        # Time, bits sent and announcements changed up to then.
        self._history: deque[tuple[float, int, int]] = deque(maxlen=MAX_HISTORY)

    def report(self, now: LinkStatistics, now_s: float, changes: int) -> Report:
        """
        Return the state of the link.

        :param now_s: time of a steady clock in seconds.
        :param changes: how often the announcement of a camera or its session has changed so far.
        """
        before, self._before = self._before or now, now
        self._history.append((now_s, now.sent_bits, changes))
        window_s = max(WINDOW_S, WINDOW_BURSTS * now.burst_bits / now.budget_bps)
        while len(self._history) > 2 and self._history[0][0] < now_s - window_s:
            self._history.popleft()
        lost = now.dropped_superseded + now.dropped_expired > (
            before.dropped_superseded + before.dropped_expired)
        if now.dropped_too_large > before.dropped_too_large:
            level, message = Level.ERROR, 'frames too large for the link'
        elif now.dropped_invalid > before.dropped_invalid:
            level, message = Level.ERROR, 'invalid frames'
        elif (lost or now.layers_shed > before.layers_shed) and self._full(now):
            level, message = Level.WARN if lost else Level.OK, 'link full'
        elif now.sent_datagrams and not now.connected:
            level, message = Level.WARN, 'far side not heard'
        elif lost and changes - self._history[0][2] >= MANY_CHANGES:
            level, message = Level.WARN, (
                'waiting for announcements: calibration, frame_id or session keeps changing')
        elif lost:
            level, message = Level.WARN, 'frames wait although the budget is not used'
        else:
            level, message = Level.OK, 'carrying'
        return Report('link', level, message, asdict(now))

    def _full(self, now: LinkStatistics) -> bool:
        """Return whether much of the budget is used now, or has been on the average."""
        (first_s, first_bits, _), (last_s, last_bits, _) = self._history[0], self._history[-1]
        average_bps = (last_bits - first_bits) / max(last_s - first_s, 1.0)
        return max(average_bps / now.budget_bps, now.utilisation) >= FULL_SHARE
