# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One end of a link: frames in on one side, datagrams out on the other, and back.

Use::

    rover_side, ground_side = connect(ChannelConfig(rate_bps=2400), ChannelConfig(), mtu=128)
    rover = Endpoint(EndpointConfig(2400, record=RecordConfig(Direction.ROVER)), rover_side, now_ns)
    ground = Endpoint(
        EndpointConfig(1200, record=RecordConfig(Direction.GROUND)), ground_side, now_ns)
    rover.announce(CameraAnnounce(0, 'front', 'front_optical'))
    rover.offer_frame(FrameMessage(...), now_ns)
    wake_ns = min(rover.poll(now_ns), ground.poll(now_ns))
    for delivery in ground.take_deliveries():
        ...

An endpoint has no thread and no clock. Whoever owns it calls `poll` after every offer, when the
transport has something, and at the latest at the time that the last `poll` returned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import randrange
import struct

from gsc_ros.link.announcing import Announcer
from gsc_ros.link.audit import Departure
from gsc_ros.link.datagram.bulk import MAX_BULK_BYTES
from gsc_ros.link.datagram.cutting import PartCut, WholeCut
from gsc_ros.link.datagram.framer import FrameFramer
from gsc_ros.link.datagram.framing import (
    CameraAnnounce,
    Control,
    CONTROL_OVERHEAD_BYTES,
    Kind,
    MAX_PARTS,
    Receipt,
)
from gsc_ros.link.datagram.packetizer import CameraPacketizer
from gsc_ros.link.datagram.reassembly import Reassembler
from gsc_ros.link.datagram.wire import DatagramWire
from gsc_ros.link.delivery import (
    Delivery,
    ReceivedBulk,
    ReceivedCalibration,
    ReceivedControl,
    ReceivedFrame,
)
from gsc_ros.link.duty import DutyRoster
from gsc_ros.link.endpoint_config import EndpointConfig
from gsc_ros.link.receiving import ReceivingHalf
from gsc_ros.link.record.cipher import Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordLayer
from gsc_ros.link.repair.repair import PathMeasure, Repair, RepairMessage
from gsc_ros.link.schedule.message import (
    BulkRank,
    CameraPolicy,
    DropReason,
    FrameMessage,
    QueuedMessage,
    Rank,
)
from gsc_ros.link.schedule.scheduler import Scheduler
from gsc_ros.link.sending import SendingHalf
from gsc_ros.link.shaper import TokenBucket
from gsc_ros.link.snapshot import take_snapshot
from gsc_ros.link.statistic import LinkStatistics, PathMeter
from gsc_ros.link.transports import Transport

__all__ = [
    'BulkRank', 'Delivery', 'Endpoint', 'EndpointConfig', 'ReceivedBulk', 'ReceivedCalibration',
    'ReceivedControl', 'ReceivedFrame']

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

# When an announcement is due but cannot be queued yet, look again after this.
_RETRY_NS = 5 * NS_PER_MS
_SETTLE_NS = NS_PER_S
_MEASURE_NS = NS_PER_S
# How long repairing control and bulk messages is worth while.
_CONTROL_USEFUL_NS = 10 * NS_PER_S
_BULK_USEFUL_NS = 60 * NS_PER_S
# Frames are split in two where more than this is lost.
_SPLIT_LOSS = 0.005


class _Repairs:
    """The `scheduler.RepairSource` of an endpoint."""

    def __init__(self, repair: Repair, wire: DatagramWire) -> None:
        self._repair = repair
        self._wire = wire

    def nack(self, now_ns: int) -> RepairMessage | None:
        return self._repair.select_nack(now_ns, self._wire.whole_room(now_ns))

    def repair(self, now_ns: int) -> RepairMessage | None:
        return self._repair.select(now_ns, self._wire.whole_room(now_ns))


class Endpoint:
    """
    One end of a link; see the module's docstring for its use.

    :param config: budget, periods and bounds.
    :param transport: carries the datagrams.
    :param now_ns: the time on the monotonic clock that every later call uses.
    :param trace: called with every datagram that leaves.
    :raises ValueError: when the burst is smaller than one full datagram, or the MTU too small.
    """

    def __init__(
        self,
        config: EndpointConfig,
        transport: Transport,
        now_ns: int,
        trace: Callable[[Departure], None] | None = None,
    ) -> None:
        """Begin with an empty bucket and nothing announced."""
        self._config = config
        self._transport = transport
        self._now_ns = now_ns
        self._datagram_bits = transport.wire_bits(transport.mtu)
        self._record = RecordLayer(config.record, transport.mtu, now_ns)
        self._wire = DatagramWire(self._record, transport)
        self._repair = Repair(
            config.repair, config.rate_bps, self._wire.bits_lately, transport.mtu, now_ns)
        self._wire.repair = self._repair
        self._path = PathMeter(silence_ns=config.silence_ns)
        self._bucket = TokenBucket(
            config.rate_bps, self._burst(config.rate_bps, config.burst_bits), now_ns)
        framer = FrameFramer(self._wire)
        packetizer = CameraPacketizer(
            framer, self._wire, lambda camera_id: self._announcer.current(camera_id), self._splits)
        self._scheduler = Scheduler(
            config.scheduler, packetizer, config.rate_bps, self._datagram_bits, now_ns,
            _Repairs(self._repair, self._wire), config.repair.useful_ns)
        self._announcer = Announcer(
            self._scheduler, framer, config.scheduler.control_share, config.announce_period_ns)
        self._sending = SendingHalf(
            self._bucket, self._scheduler, self._record, self._repair, self._wire, transport,
            self._path, trace)
        self._reassembler = Reassembler(config.reassembly, config.repair.useful_ns)
        self._receiving = ReceivingHalf(
            transport, self._record, self._repair, self._reassembler, self._take_receipt)
        self._duties = DutyRoster(
            config, self._scheduler, self._sending, self._record, self._repair, self._reassembler)
        self._bulk_id = randrange(1 << 16)
        self._policies: dict[int, CameraPolicy] = {}
        self._measured_ns = now_ns
        self._heard_ns: int | None = None

    @property
    def max_control_bytes(self) -> int:
        """Return the most bytes of a control message."""
        return self._short_room - CONTROL_OVERHEAD_BYTES

    @property
    def max_bulk_bytes(self) -> int:
        """Return the most bytes of a bulk message."""
        return min(MAX_BULK_BYTES, (MAX_PARTS - 16) * self._bulk_room)

    @property
    def region_bps(self) -> int:
        """Return what bulk messages that an operator waits for get for certain, in bit/s."""
        return int(self._config.scheduler.region_share * self._bucket.rate_bps)

    def message_bits(self, data_bytes: int) -> int:
        """
        Return what a message takes on the wire: of one datagram where it fits, else a bulk message.

        :param data_bytes: of the message, >= 1.
        """
        wire_bits, mtu = self._transport.wire_bits, self._transport.mtu
        if data_bytes <= self.max_control_bytes:
            return wire_bits(mtu - self.max_control_bytes + data_bytes)
        whole, rest = divmod(data_bytes, self._bulk_room)
        return whole * wire_bits(mtu) + (
            wire_bits(mtu - self._bulk_room + rest) if rest else 0)

    def connected(self, now_ns: int) -> bool:
        """Return whether the far end was heard lately."""
        return self._heard_ns is not None and (
            self._advance(now_ns) - self._heard_ns <= self._config.silence_ns)

    def set_rate(self, rate_bps: int, now_ns: int, burst_bits: int = 0) -> None:
        """
        Change the budget live; the bound holds over the change (see `TokenBucket.set_rate`).

        :param rate_bps: new budget in bit/s, >= 1.
        :param burst_bits: new burst; 0 chooses it as at the beginning.
        :raises ValueError: when a value is out of range.
        """
        now_ns = self._advance(now_ns)
        if burst_bits < 0:
            raise ValueError(f'burst_bits must be >= 0, got {burst_bits}')
        before_bps = self._bucket.rate_bps
        self._bucket.set_rate(rate_bps, self._burst(rate_bps, burst_bits), now_ns)
        self._announcer.set_rate(before_bps, rate_bps, now_ns)
        self._scheduler.set_rate(rate_bps, now_ns)
        self._measure(now_ns)

    def set_policy(self, camera_id: int, policy: CameraPolicy) -> None:
        """Change how a camera's frames are treated, from its next frame on."""
        self._policies[camera_id] = policy
        self._scheduler.set_policy(camera_id, policy)

    def set_keys(self, keys: KeyRing) -> None:
        """
        Change the keys while the link is in use.

        :raises ValueError: when this end has none.
        """
        self._record.set_keys(keys)
        self._sending.follow_epoch(self._now_ns)

    def announce(self, camera: CameraAnnounce) -> None:
        """
        Say, or say again with changes, what camera a number stands for.

        It crosses the link when the next frame is offered; frames wait for it.

        :raises ValueError: when the announcement is not well formed.
        """
        defect = camera.defect()
        if defect:
            raise ValueError(defect)
        if not self._announcer.knows(camera.camera_id):
            policy = self._policies.get(camera.camera_id, self._config.policy)
            self._scheduler.set_policy(camera.camera_id, policy)
        self._announcer.announce(camera)

    def offer_frame(self, message: FrameMessage, now_ns: int) -> bool:
        """
        Offer a frame; it waits for its turn, and a newer one of its camera takes its place.

        :returns: False when it was dropped at once: not well formed, of a camera that has not been
            announced, or too large. The statistics say which. Never raises for bad content.
        """
        now_ns = self._advance(now_ns)
        if message.defect() or not self._announcer.knows(message.camera_id):
            self._scheduler.counter.dropped[DropReason.INVALID] += 1
            return False
        if not self._announcer.prepare(message):
            self._scheduler.counter.dropped[DropReason.SUPERSEDED] += 1
            return False
        if message.deadline_ns is None and self._config.expiry_ns:
            message = replace(message, deadline_ns=now_ns + self._config.expiry_ns)
        return self._scheduler.offer(message, now_ns)

    def offer_control(self, data: bytes, now_ns: int) -> bool:
        """
        Offer a message of the control class; the far end delivers it as `ReceivedControl`.

        :param data: at most `max_control_bytes`.
        :returns: False when the queue is full.
        :raises ValueError: when it does not fit into one datagram.
        """
        now_ns = self._advance(now_ns)
        if len(data) > self.max_control_bytes:
            raise ValueError(
                f'a control message has at most {self.max_control_bytes} bytes, got {len(data)}')
        body = Control(data).pack()
        return self._scheduler.offer_message(QueuedMessage(
            'control', Rank.PROMPT, WholeCut(len(body), lambda _: body),
            useful_ns=now_ns + _CONTROL_USEFUL_NS))

    def offer_bulk(
        self,
        data: bytes,
        rank: BulkRank,
        now_ns: int,
        deadline_ns: int | None = None,
        on_sent: Callable[[], None] | None = None,
        on_dropped: Callable[[], None] | None = None,
        useful_ns: int | None = None,
    ) -> bool:
        """
        Offer a message of several datagrams; the far end delivers it as `ReceivedBulk`.

        :param data: 1..`max_bulk_bytes` bytes.
        :param deadline_ns: it is given up if not all of it has left by then.
        :param on_sent: called when its last datagram has left.
        :param on_dropped: called when it is given up after it was taken.
        :param useful_ns: until when repairing what was lost of it is worth while; None: until the
            deadline, or for a minute.
        :returns: False when the queue is full.
        :raises ValueError: when it is empty or too large.
        """
        now_ns = self._advance(now_ns)
        if not 1 <= len(data) <= self.max_bulk_bytes:
            raise ValueError(
                f'a bulk message has 1..{self.max_bulk_bytes} bytes, got {len(data)}')
        self._bulk_id = (self._bulk_id + 1) % (1 << 16)
        cut = PartCut(self._wire, Kind.BULK, struct.pack('>H', self._bulk_id), data, strong=True)
        return self._scheduler.offer_message(QueuedMessage(
            rank.value, Rank(rank.value), cut, on_sent and (lambda _: on_sent()), on_dropped,
            deadline_ns, useful_ns or deadline_ns or now_ns + _BULK_USEFUL_NS))

    def poll(self, now_ns: int) -> int:
        """
        Take in what has arrived, send what may leave, and return when to call again.

        :returns: the time of the next deadline, later than `now_ns`.
        """
        now_ns = self._advance(now_ns)
        for position, datagram in enumerate(self._transport.receive(now_ns)):
            self._receive(position, datagram, now_ns)
        self._receiving.expire(now_ns)
        if now_ns - self._measured_ns >= _MEASURE_NS:
            self._measure(now_ns)
        wakes = [self._measured_ns + _MEASURE_NS, self._transport.next_arrival_ns(),
                 self._reassembler.next_ns(), self._repair.next_ns(now_ns)]
        if self._open:
            self._announcer.queue_due(self._bucket.rate_bps, self.connected(now_ns), now_ns)
            self._duties.queue_due(now_ns)
            send_ns = self._sending.send_due(now_ns)
            wakes += [send_ns, self._duties.next_ns(now_ns), self._announcement_due_ns(now_ns)]
            if send_ns is None:
                wakes.append(self._share_due_ns(now_ns))
        else:
            self._scheduler.expire(now_ns)
            wakes.append(self._duties.greet(now_ns))
        return max(now_ns + 1, min(wake_ns for wake_ns in wakes if wake_ns is not None))

    def take_deliveries(self) -> list[Delivery]:
        """Return what has come from the far end since the last call, in order."""
        return self._receiving.take_deliveries()

    def statistics(self, now_ns: int) -> LinkStatistics:
        """Return a snapshot of all counts and measurements."""
        now_ns = self._advance(now_ns)
        return take_snapshot(
            self._bucket, self._scheduler, self._sending, self._receiving, self._reassembler,
            self._record, self._repair, self._path, self.connected(now_ns), self._heard_ns, now_ns)

    # Time, size and state

    @property
    def _open(self) -> bool:
        """Return whether the far end hands on what this end sends, or need not say so."""
        config = self._config.record
        return self._record.accepted or not config.two_way or config.suite is Suite.NONE

    @property
    def _short_room(self) -> int:
        return self._transport.mtu - 1 - self._config.record.suite.tag_bytes

    @property
    def _bulk_room(self) -> int:
        """Return the bytes of a bulk message that a datagram carries in any case."""
        # What a record says of its session now and then, and what is left free for repair, makes
        # some parts smaller.
        return max(1, self._short_room - 12)

    def _advance(self, now_ns: int) -> int:
        """Return the time, which stands still while the caller's clock is behind."""
        self._now_ns = max(self._now_ns, now_ns)
        return self._now_ns

    def _burst(self, rate_bps: int, burst_bits: int) -> int:
        if burst_bits == 0:
            return self._datagram_bits + max(self._datagram_bits, rate_bps // 20)
        if burst_bits < self._datagram_bits:
            raise ValueError(
                f'burst_bits must hold one full datagram of {self._datagram_bits} bits, '
                f'got {burst_bits}')
        return burst_bits

    def _measure(self, now_ns: int) -> None:
        self._measured_ns = now_ns
        self._repair.measure(PathMeasure(
            self._path.loss(now_ns), self._path.burst(), self._path.round_trip_ns,
            self._bucket.rate_bps), now_ns)

    def _splits(self, now_ns: int) -> bool:
        expected = self._config.repair.least_loss
        return expected > _SPLIT_LOSS or self._path.loss(now_ns) > _SPLIT_LOSS

    def _announcement_due_ns(self, now_ns: int) -> int | None:
        due_ns = self._announcer.next_ns(now_ns)
        # One that is due and not queued waits for room in the queue.
        return None if due_ns is None else max(due_ns, now_ns + _RETRY_NS)

    def _share_due_ns(self, now_ns: int) -> int | None:
        wait_ns = self._scheduler.share_wait_ns(now_ns)
        return None if wait_ns is None else now_ns + wait_ns

    # Receiving

    def _receive(self, position: int, datagram: bytes, now_ns: int) -> None:
        opened = self._receiving.open(position, datagram, now_ns)
        self._sending.follow_epoch(now_ns)
        if opened is None:
            return
        self._heard_ns = now_ns
        if opened.restarted:
            self._note_restart(now_ns)
        self._receiving.take(opened, now_ns)
        self._duties.note_arrival(opened.body[0] >> 4, now_ns)

    def _note_restart(self, now_ns: int) -> None:
        """Tell the far end everything again: it has forgotten it."""
        self._scheduler.forgotten()
        self._announcer.forgotten()
        self._path.restart()
        self._repair.peer_restarted(now_ns)
        self._receiving.restart()

    def _take_receipt(self, receipt: Receipt, now_ns: int) -> None:
        if self._path.receipt(receipt.highest, receipt.received, receipt.runs,
                              receipt.held_ms * NS_PER_MS, now_ns):
            # The beginning of what is being sent is lost; what is newer has a better chance.
            self._scheduler.renew()
        self._measure(now_ns)
        # An announcement that is on its way must first have had the time to arrive.
        settled_ns = now_ns - max(_SETTLE_NS, 2 * (self._path.round_trip_ns or 0))
        self._announcer.want(receipt.wanted, settled_ns)
