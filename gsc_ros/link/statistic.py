# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an end of the link counts and measures: usage, loss and round trip."""

from __future__ import annotations

from collections import deque, OrderedDict
from dataclasses import dataclass
import math

NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class LinkStatistics:
    """
    A snapshot of one end of the link; the first half has the names of the LinkStatus message.

    Counts are cumulative since the endpoint was made; bits are bits on the wire.

    :param connected: the far end was heard lately.
    :param budget_bps: the hard budget, with ``burst_bits``.
    :param used_bps: bits that left in the last ``window`` seconds, per second.
    :param utilisation: ``used_bps / budget_bps``.
    :param window: seconds over which usage is measured.
    :param queued_messages: frames and control messages that wait or are being sent.
    :param queued_bits: bits of frames being sent and of control messages, and the first layers
        of the frames that wait.
    :param sent_messages: frames and control messages of which every datagram has left.
    :param delivered_messages: 0: this link has no acknowledgement of single messages.
    :param dropped_superseded: frames whose place a newer one of the same camera took.
    :param dropped_expired: frames older than their deadline.
    :param dropped_too_large: frames whose first layers do not fit into 256 datagrams.
    :param dropped_invalid: messages that are not well formed or that could not be cut.
    :param dropped_queue_full: control messages or cameras beyond the bound.
    :param layers_shed: layers cut off frames that were then sent.
    :param loss: share of our datagrams that the far end missed lately, 0..1; NaN when unknown.
    :param round_trip: seconds; NaN when unknown.
    :param sent_frames: frames of which every datagram has left.
    :param sent_payload_bits: packet bits inside the frame datagrams that have left.
    :param frames_shed: frames sent with fewer layers than offered.
    :param received_datagrams: datagrams that were understood.
    :param received_bits: their bits.
    :param received_frames: frames handed on.
    :param duplicates: fragments or frames that had already been received.
    :param incomplete: frames given up because a fragment never came or memory ran out.
    :param unannounced: frames of a camera whose announcement has not been received.
    :param malformed: datagrams that are not ours or are damaged.
    :param peer_restarts: how often the far end began a new session.
    :param heard_age: seconds since the far end was heard; NaN when never.
    """

    connected: bool
    budget_bps: int
    burst_bits: int
    used_bps: float
    utilisation: float
    window: float
    queued_messages: int
    queued_bits: int
    sent_messages: int
    sent_datagrams: int
    sent_bits: int
    delivered_messages: int
    dropped_superseded: int
    dropped_expired: int
    dropped_too_large: int
    dropped_invalid: int
    dropped_queue_full: int
    layers_shed: int
    loss: float
    round_trip: float
    sent_frames: int
    sent_payload_bits: int
    frames_shed: int
    received_datagrams: int
    received_bits: int
    received_frames: int
    duplicates: int
    incomplete: int
    unannounced: int
    malformed: int
    peer_restarts: int
    heard_age: float


class UsageMeter:
    """
    Sum the bits that left during a sliding window.

    :param window_ns: its length.
    """

    def __init__(self, window_ns: int = NS_PER_S) -> None:
        """Start with nothing sent."""
        self.window_ns = window_ns
        self._departures: deque[tuple[int, int]] = deque()
        self._bits = 0

    def add(self, bits: int, now_ns: int) -> None:
        """Count bits that leave now."""
        self._departures.append((now_ns, bits))
        self._bits += bits
        self._prune(now_ns)

    def bits(self, now_ns: int) -> int:
        """Return the bits that left in the window that ends now."""
        self._prune(now_ns)
        return self._bits

    def _prune(self, now_ns: int) -> None:
        while self._departures and self._departures[0][0] <= now_ns - self.window_ns:
            self._bits -= self._departures.popleft()[1]


class PathMeter:
    """
    Measure loss and round trip from the far end's receipts.

    The sender remembers which datagram left when, and as the how-manyth. A receipt names the
    newest datagram that arrived, how many arrived in all, and how long ago. So datagrams carry no
    number or time of their own, and a restart of either end only begins the measurement anew.

    :param window_ns: loss is measured between the receipts of this much time.
    :param memory: how many sent datagrams are remembered.
    """

    def __init__(self, window_ns: int = 30 * NS_PER_S, memory: int = 1024) -> None:
        """Start with nothing known."""
        self._window_ns = window_ns
        self._memory = memory
        self._sent: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._ordinal = 0
        self._points: deque[tuple[int, int, int]] = deque()
        self._receipt_ns: int | None = None
        self._session: int | None = None
        self._sent_since_receipt = 0
        self._round_trip_ns: int | None = None

    @property
    def round_trip_ns(self) -> int | None:
        """Return the smoothed round trip, or None while unknown."""
        return self._round_trip_ns

    def sent(self, name: int | None, now_ns: int) -> None:
        """
        Note a departure.

        :param name: what a receipt would call this datagram; None when receipts never name it.
        """
        self._ordinal += 1
        self._sent_since_receipt += 1
        if name is None:
            return
        self._sent.pop(name, None)
        self._sent[name] = (self._ordinal, now_ns)
        if len(self._sent) > self._memory:
            self._sent.popitem(last=False)

    def receipt(
        self, session: int, name: int, received: int, held_ns: int, now_ns: int,
    ) -> None:
        """
        Take in a receipt.

        :param session: the far end's session; counts of different sessions are not compared.
        :param name: the newest datagram it has received.
        :param received: how many it has received in all, modulo 2^32.
        :param held_ns: time from that datagram's arrival to the receipt's departure.
        """
        if session != self._session:
            self._points.clear()
            self._session = session
        self._receipt_ns = now_ns
        self._sent_since_receipt = 0
        known = self._sent.get(name)
        if known is None:
            return
        ordinal, sent_ns = known
        if self._points and self._points[-1][1] == ordinal:
            return
        sample = now_ns - sent_ns - held_ns
        if sample >= 0:
            smooth = self._round_trip_ns
            self._round_trip_ns = sample if smooth is None else (7 * smooth + sample) // 8
        self._points.append((now_ns, ordinal, received))
        while len(self._points) > 2 and self._points[0][0] < now_ns - self._window_ns:
            self._points.popleft()

    def loss(self, now_ns: int) -> float:
        """Return the share of datagrams lost lately, 0..1; NaN when unknown."""
        if self._receipt_ns is None:
            return math.nan
        if self._sent_since_receipt and now_ns - self._receipt_ns > self._window_ns:
            return 1.0
        if len(self._points) < 2:
            return math.nan
        _, first, first_received = self._points[0]
        _, last, last_received = self._points[-1]
        if last <= first:
            return math.nan
        arrived = (last_received - first_received) % (1 << 32)
        return min(1.0, max(0.0, 1.0 - arrived / (last - first)))
