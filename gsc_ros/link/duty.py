# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an endpoint sends of itself: greetings, heartbeats and receipts."""

from __future__ import annotations

from gsc_ros.link.datagram.cutting import WholeCut
from gsc_ros.link.datagram.framing import Heartbeat, Kind, MAX_WANTED, Receipt
from gsc_ros.link.datagram.reassembly import Reassembler
from gsc_ros.link.endpoint_config import EndpointConfig
from gsc_ros.link.record.layer import RecordLayer
from gsc_ros.link.repair.repair import Repair
from gsc_ros.link.schedule.message import QueuedMessage, Rank
from gsc_ros.link.schedule.scheduler import Scheduler
from gsc_ros.link.sending import SendingHalf

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

# When something is due but cannot be queued yet, look again after this.
_RETRY_NS = 5 * NS_PER_MS
# Until the far end accepts what this end sends, it is greeted this often, and answered this often.
_GREETING_NS = NS_PER_S
_ANSWER_NS = 250 * NS_PER_MS


class DutyRoster:
    """
    Know when a heartbeat or a receipt is due, and queue it.

    :param config: how often they are due at most.
    """

    def __init__(
        self, config: EndpointConfig, scheduler: Scheduler, sending: SendingHalf,
        record: RecordLayer, repair: Repair, reassembler: Reassembler,
    ) -> None:
        """Begin with a heartbeat that is due at once."""
        self._config = config
        self._scheduler = scheduler
        self._sending = sending
        self._record = record
        self._repair = repair
        self._reassembler = reassembler
        self._pending: set[Kind] = set()
        self._greeted_ns: int | None = None
        self._receipt_ns: int | None = None
        self._owes_receipt = False
        self._highest = -1
        self._highest_ns = 0

    def note_arrival(self, kind: int, now_ns: int) -> None:
        """Note a record that was opened, whose body is of a kind; repair has seen it."""
        if self._repair.highest != self._highest:
            self._highest, self._highest_ns = self._repair.highest, now_ns
        # What says that something arrived need not be answered itself.
        self._owes_receipt |= kind not in (Kind.RECEIPT, Kind.NACK)

    def greet(self, now_ns: int) -> int:
        """Send a heartbeat if one is due while nothing else is accepted; return when next."""
        pause_ns = _ANSWER_NS if self._record.owes_answer else _GREETING_NS
        due_ns = now_ns if self._greeted_ns is None else self._greeted_ns + pause_ns
        if due_ns > now_ns:
            return due_ns
        retry_ns = self._sending.send_body(Heartbeat().pack(), 'heartbeat', now_ns)
        if retry_ns is not None:
            return retry_ns
        self._greeted_ns = now_ns
        return now_ns + _ANSWER_NS

    def queue_due(self, now_ns: int) -> None:
        """Queue what is due."""
        receipt_ns = self._receipt_due_ns(now_ns)
        if receipt_ns is not None and receipt_ns <= now_ns:
            self._queue_receipt()
        if self._heartbeat_due_ns(now_ns) <= now_ns and not self._pending:
            self._queue_heartbeat()

    def next_ns(self, now_ns: int) -> int:
        """Return when something is due next."""
        if self._pending:
            # What waits for its turn leaves before anything else can be due.
            due_ns = now_ns + self._config.heartbeat_period_ns
        else:
            due_ns = self._heartbeat_due_ns(now_ns)
        receipt_ns = self._receipt_due_ns(now_ns)
        if receipt_ns is not None:
            due_ns = min(due_ns, receipt_ns)
        # What is due already waits for room in the queue.
        return max(due_ns, now_ns + _RETRY_NS)

    def _heartbeat_due_ns(self, now_ns: int) -> int:
        if self._sending.departed_ns is None:
            return now_ns
        due_ns = self._sending.departed_ns + self._config.heartbeat_period_ns
        tail_ns = self._repair.tail_ns()
        if tail_ns is not None:
            due_ns = min(due_ns, tail_ns)
        if self._record.owes_answer:
            greeted_ns = self._greeted_ns
            due_ns = min(due_ns, now_ns if greeted_ns is None else greeted_ns + _ANSWER_NS)
        return due_ns

    def _receipt_due_ns(self, now_ns: int) -> int | None:
        if not self._owes_receipt or Kind.RECEIPT in self._pending:
            return None
        if self._receipt_ns is None:
            return now_ns
        return self._receipt_ns + self._config.receipt_period_ns

    def _queue_heartbeat(self) -> None:
        body = Heartbeat().pack()

        def note_sent(sent_ns: int) -> None:
            self._pending.discard(Kind.HEARTBEAT)
            self._greeted_ns = sent_ns

        if self._scheduler.offer_message(QueuedMessage(
                'heartbeat', Rank.PROMPT, WholeCut(len(body), lambda _: body), note_sent)):
            self._pending.add(Kind.HEARTBEAT)

    def _queue_receipt(self) -> None:
        wanted = self._reassembler.take_wanted(MAX_WANTED)

        def build(sent_ns: int) -> bytes:
            held_ms = min(0xFFFF, (sent_ns - self._highest_ns) // NS_PER_MS)
            return Receipt(
                max(0, self._repair.highest), self._repair.received % (1 << 32),
                self._repair.runs % (1 << 16), held_ms, wanted).pack()

        def note_sent(sent_ns: int) -> None:
            self._pending.discard(Kind.RECEIPT)
            self._receipt_ns = sent_ns
            self._owes_receipt = False

        size = Receipt(0, 0, 0, 0, wanted).size
        if self._scheduler.offer_message(
                QueuedMessage('receipt', Rank.PROMPT, WholeCut(size, build), note_sent)):
            self._pending.add(Kind.RECEIPT)
