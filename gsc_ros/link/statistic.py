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
    :param malformed: datagrams that are not ours, or whose content makes no sense.
    :param peer_restarts: how often the far end began a new epoch.
    :param heard_age: seconds since the far end was heard; NaN when never.
    :param peer_confirmed: an epoch of the far end is confirmed; what it sends is handed on.
    :param forged: datagrams with a wrong tag: noise, damage, another key.
    :param unknown_key: those of them that name a key that is not here.
    :param replayed: authentic datagrams that had already been received.
    :param unconfirmed: authentic datagrams of an end that has not answered this one yet.
    :param fec_share: share of the budget that parity took lately, 0..1.
    :param nack_share: share of the budget that repeats took lately, 0..1.
    :param recovered: lost datagrams that parity or repeats have brought back.
    :param received_bases: frames handed on with the layers of their base only.
    :param burst: lost datagrams in a row lately, on average; NaN when unknown.
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
    peer_confirmed: bool
    forged: int
    unknown_key: int
    replayed: int
    unconfirmed: int
    fec_share: float
    nack_share: float
    recovered: int
    received_bases: int
    burst: float


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


@dataclass(frozen=True)
class _Point:
    """What a receipt said, and when it came."""

    time_ns: int
    highest: int
    received: int
    runs: int


class PathMeter:
    """
    Measure loss and round trip from the far end's receipts.

    Every record has a counter. A receipt names the highest that has arrived, how many have arrived
    in all, in how many runs the others were lost, and how long ago that was. An outage is no loss:
    after a silence the measurement begins anew.

    :param window_ns: loss is measured between the receipts of this much time.
    :param silence_ns: after receipts have stayed out for so long, it is asked whether that was an
        outage.
    :param outage_ns: after so long the measurement begins anew in any case.
    :param memory: of how many records the departure is remembered.
    """

    def __init__(
        self, window_ns: int = 30 * NS_PER_S, silence_ns: int = 6 * NS_PER_S,
        outage_ns: int = 10 * NS_PER_S, memory: int = 1024,
    ) -> None:
        """Start with nothing known."""
        self._window_ns = window_ns
        self._silence_ns = silence_ns
        self._outage_ns = outage_ns
        self._memory = memory
        self._sent: OrderedDict[int, int] = OrderedDict()
        self._points: deque[_Point] = deque()
        self._newest: _Point | None = None
        self._receipt_ns: int | None = None
        self._sent_since_receipt = 0
        self._round_trip_ns: int | None = None

    @property
    def round_trip_ns(self) -> int | None:
        """Return the smoothed round trip, or None while unknown."""
        return self._round_trip_ns

    def sent(self, counter: int, answered: bool, now_ns: int) -> None:
        """
        Note the departure of a record.

        :param answered: whether the far end owes a receipt for it.
        """
        self._sent_since_receipt += answered
        self._sent[counter] = now_ns
        if len(self._sent) > self._memory:
            self._sent.popitem(last=False)

    def restart(self) -> None:
        """Begin anew, as one of the ends has begun to count anew."""
        self._points.clear()
        self._sent.clear()
        self._newest = None

    def receipt(self, highest: int, received: int, runs: int, held_ns: int, now_ns: int) -> bool:
        """
        Take in a receipt; return whether it ends an outage, in which most of what left was lost.

        :param highest: the highest counter that the far end has received.
        :param received: how many records it has received in all, modulo 2^32.
        :param runs: in how many runs the others were lost, modulo 2^16.
        :param held_ns: time from the arrival of the highest to the receipt's departure.
        """
        point = _Point(now_ns, highest, received, runs)
        silent_ns = 0 if self._receipt_ns is None else now_ns - self._receipt_ns
        outage = silent_ns > self._silence_ns and self._newest is not None and (
            2 * _lost(self._newest, point) > point.highest - self._newest.highest)
        if outage or (silent_ns > self._outage_ns and self._sent_since_receipt):
            self._points.clear()
        self._receipt_ns = now_ns
        self._sent_since_receipt = 0
        if self._newest is None or highest > self._newest.highest:
            self._newest = point
        sent_ns = self._sent.get(highest)
        if sent_ns is None or (self._points and self._points[-1].highest >= highest):
            return outage
        sample = now_ns - sent_ns - held_ns
        if sample >= 0:
            smooth = self._round_trip_ns
            self._round_trip_ns = sample if smooth is None else (7 * smooth + sample) // 8
        self._points.append(point)
        while len(self._points) > 2 and self._points[0].time_ns < now_ns - self._window_ns:
            self._points.popleft()
        return outage

    def loss(self, now_ns: int) -> float:
        """Return the share of datagrams lost lately, 0..1; NaN when unknown."""
        if self._receipt_ns is None:
            return math.nan
        if self._sent_since_receipt and now_ns - self._receipt_ns > self._window_ns:
            return 1.0
        if len(self._points) < 2:
            return math.nan
        first, last = self._points[0], self._points[-1]
        return _lost(first, last) / (last.highest - first.highest)

    def burst(self) -> float:
        """Return how many datagrams were lost in a row lately, on average; NaN when unknown."""
        if len(self._points) < 2:
            return math.nan
        first, last = self._points[0], self._points[-1]
        lost = _lost(first, last)
        return max(1.0, lost / max(1, (last.runs - first.runs) % (1 << 16))) if lost else math.nan


def _lost(first: _Point, last: _Point) -> int:
    """Return how many records were lost between two receipts."""
    sent = last.highest - first.highest
    return min(sent, max(0, sent - (last.received - first.received) % (1 << 32)))
