# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The classes of messages that are no frames, each with its share of the link."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

from gsc_ros.link.datagram.framing import FramingError
from gsc_ros.link.schedule.message import DropReason, Outgoing, QueuedMessage
from gsc_ros.link.shaper import TokenBucket
from gsc_ros.link.statistic import UsageMeter

NS_PER_S = 1_000_000_000
# What the classes leave to frames is judged by their usage over this long.
_USAGE_WINDOW_NS = 10 * NS_PER_S


class Beyond(Enum):
    """When a class may go beyond its share."""

    ALWAYS = 'always'
    IDLE = 'idle'
    NEVER = 'never'


class Share:
    """
    A part of the budget, perhaps of several classes together.

    :param part: of the budget, 0..1.
    :param rate_bps: the budget.
    :param datagram_bits: size of the largest datagram.
    :param saved: how many of those can be saved up for; with one, what accrues is lost while
        another class sends.
    """

    def __init__(
        self, part: float, rate_bps: int, datagram_bits: int, now_ns: int, saved: int = 1,
    ) -> None:
        """Begin with enough for one datagram."""
        self._part = part
        self._datagram_bits = datagram_bits
        self._burst_bits = saved * datagram_bits
        self._bucket = TokenBucket(
            self._bps(rate_bps), self._burst_bits, now_ns, credit_bits=datagram_bits)
        self._usage = UsageMeter(_USAGE_WINDOW_NS)

    def set_rate(self, rate_bps: int, now_ns: int) -> None:
        """Change the budget."""
        self._bucket.set_rate(self._bps(rate_bps), self._burst_bits, now_ns)

    def wait_ns(self, bits: int, now_ns: int) -> int:
        """Return how long until the share covers so many bits."""
        return self._bucket.wait_ns(min(bits, self._datagram_bits), now_ns)

    def note(self, bits: int, now_ns: int) -> None:
        """Count bits that leave, within the share or beyond."""
        self._bucket.admit(bits, now_ns)
        self._usage.add(bits, now_ns)

    def used_bps(self, now_ns: int) -> int:
        """Return what is lately used of the share, and no more than it."""
        used = self._usage.bits(now_ns) * NS_PER_S // _USAGE_WINDOW_NS
        return min(used, self._bucket.rate_bps)

    def _bps(self, rate_bps: int) -> int:
        return max(1, int(rate_bps * self._part))


class ClassQueue:
    """
    The messages of one class, first come, first served.

    :param share: what the class may use.
    :param beyond: when it may use more.
    :param bits: from the bytes of a body and the time to its bits on the wire.
    :param give_up: called with what is dropped after it was queued, and why.
    """

    def __init__(
        self, share: Share, beyond: Beyond, bits: Callable[[int, int], int],
        give_up: Callable[[DropReason, QueuedMessage], object],
    ) -> None:
        """Start empty."""
        self._share = share
        self._bits = bits
        self._give_up = give_up
        self._messages: deque[QueuedMessage] = deque()
        self.beyond = beyond

    def __len__(self) -> int:
        """Return how many messages wait or are being sent."""
        return len(self._messages)

    @property
    def left_bits(self) -> int:
        """Return how many bits they are, at least."""
        return 8 * sum(message.cut.left for message in self._messages)

    @property
    def kind(self) -> str:
        """Return what the first message is called in the trace."""
        return self._messages[0].kind

    def offer(self, message: QueuedMessage) -> None:
        """Queue a message."""
        self._messages.append(message)

    def expire(self, now_ns: int) -> None:
        """Give up the messages whose deadline has passed."""
        late = [m for m in self._messages if m.deadline_ns is not None and m.deadline_ns <= now_ns]
        for message in late:
            self._messages.remove(message)
            self._give_up(DropReason.EXPIRED, message)

    def clear(self) -> None:
        """Give up all messages."""
        while self._messages:
            self._give_up(DropReason.SUPERSEDED, self._messages.popleft())

    def next_bits(self, now_ns: int) -> int | None:
        """Return the bits on the wire of the next datagram; None: nothing waits."""
        if not self._messages:
            return None
        return self._bits(self._messages[0].cut.size(now_ns), now_ns)

    def wait_ns(self, bits: int, now_ns: int) -> int:
        """Return how long until the share lets the next datagram go."""
        return self._share.wait_ns(bits, now_ns)

    def open(self, now_ns: int) -> Outgoing | None:
        """Return the next body; None when its message had to be given up."""
        message = self._messages[0]
        try:
            body = message.cut.take(now_ns)
        except FramingError:
            self._give_up(DropReason.TOO_LARGE, self._messages.popleft())
            return None
        return Outgoing(body, message.cut.strong, message.useful_ns)

    def sent(self, bits: int, now_ns: int) -> bool:
        """Note that the body last opened has left; return whether it was its message's last."""
        self._share.note(bits, now_ns)
        message = self._messages[0]
        message.cut.advance()
        if message.cut.left:
            return False
        self._messages.popleft()
        if message.on_sent is not None:
            message.on_sent(now_ns)
        return True
