# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The way in of an endpoint: from datagrams to what is handed on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gsc_ros.link.datagram.bulk import BulkReassembler
from gsc_ros.link.datagram.framing import (
    Announcement,
    BulkPart,
    Control,
    FramingError,
    parse,
    Part,
    Receipt,
)
from gsc_ros.link.datagram.reassembly import FrameArrival, Reassembler
from gsc_ros.link.delivery import (
    Delivery,
    ReceivedBulk,
    ReceivedCalibration,
    ReceivedControl,
    ReceivedFrame,
)
from gsc_ros.link.record.layer import Opened, RecordLayer
from gsc_ros.link.repair.repair import Repair
from gsc_ros.link.transports import Transport

_MAX_DELIVERIES = 4096


@dataclass
class ReceivingCounter:
    """Cumulative counts; see `statistic.LinkStatistics` for their meaning."""

    datagrams: int = 0
    bits: int = 0
    frames: int = 0
    malformed: int = 0


class ReceivingHalf:
    """
    Open records, let repair see them, and put together what was cut.

    :param transport: brings the datagrams.
    :param take_receipt: called with each receipt and the time.
    """

    def __init__(
        self, transport: Transport, record: RecordLayer, repair: Repair, reassembler: Reassembler,
        take_receipt: Callable[[Receipt, int], None],
    ) -> None:
        """Start with nothing received."""
        self._transport = transport
        self._record = record
        self._repair = repair
        self._reassembler = reassembler
        self._take_receipt = take_receipt
        self._deliveries: deque[Delivery] = deque(maxlen=_MAX_DELIVERIES)
        self._shown: dict[int, Announcement] = {}
        self.bulk = BulkReassembler()
        self.counter = ReceivingCounter()

    def open(self, position: int, datagram: bytes, now_ns: int) -> Opened | None:
        """
        Return what a datagram holds if it is authentic and new.

        :param position: its place in what the transport brought.
        """
        unconfirmed = self._record.counter.unconfirmed
        opened = self._record.open(datagram, now_ns)
        if opened is not None:
            self._transport.note_authentic(position, confirmed=True)
            self.counter.datagrams += 1
            self.counter.bits += self._transport.wire_bits(len(datagram))
        elif self._record.counter.unconfirmed > unconfirmed and datagram[0] & 0x80:
            # A short record is counted as unconfirmed before its tag has been looked at.
            self._transport.note_authentic(position, confirmed=False)
        return opened

    def take(self, opened: Opened, now_ns: int) -> None:
        """Take in the body of a record, and what repair makes of it."""
        for counter, body in self._repair.receive(opened.counter, opened.body, now_ns):
            try:
                message = parse(body)
            except FramingError:
                self.counter.malformed += 1
                continue
            if isinstance(message, Receipt):
                self._take_receipt(message, now_ns)
            elif isinstance(message, Control):
                self._deliveries.append(ReceivedControl(message.data))
            elif isinstance(message, BulkPart):
                whole = self.bulk.accept(message, now_ns)
                if whole is not None:
                    self._deliveries.append(ReceivedBulk(whole))
            elif isinstance(message, Part):
                self._hand_on(self._reassembler.accept(message, counter, now_ns), now_ns)

    def expire(self, now_ns: int) -> None:
        """Give up what has waited for too long."""
        self._hand_on(self._reassembler.expire(now_ns), now_ns)
        self.bulk.expire(now_ns)

    def restart(self) -> None:
        """Forget what the far end has begun, as it has restarted."""
        self._reassembler.restart()
        self.bulk.restart()

    def take_deliveries(self) -> list[Delivery]:
        """Return what has come since the last call, in order."""
        deliveries = list(self._deliveries)
        self._deliveries.clear()
        return deliveries

    def _hand_on(self, arrivals: Iterable[FrameArrival], now_ns: int) -> None:
        for arrival in arrivals:
            announcement, header = arrival.announcement, arrival.header
            camera = announcement.camera
            # Repair changes the order: only a frame says to which calibration it belongs.
            if self._shown.get(camera.camera_id) != announcement:
                self._shown[camera.camera_id] = announcement
                self._deliveries.append(ReceivedCalibration(
                    camera.name, camera.camera_id, camera.frame_id, camera.calibration))
            self.counter.frames += 1
            self._deliveries.append(ReceivedFrame(
                camera.name, camera.camera_id, camera.frame_id, camera.priority,
                announcement.session, header.sequence, header.stamp_ns, header.encode_ms,
                arrival.payload, now_ns))
