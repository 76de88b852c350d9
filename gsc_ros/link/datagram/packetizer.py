# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cuts frames against the current announcements of their cameras."""

from __future__ import annotations

from collections.abc import Callable

from gsc_ros.link.datagram.cutting import FrameCut
from gsc_ros.link.datagram.framer import FrameFramer
from gsc_ros.link.datagram.framing import Announcement, FrameHeader, MAX_PARTS
from gsc_ros.link.datagram.splice import splice
from gsc_ros.link.datagram.wire import DatagramWire, LONG_RECORD_BYTES
from gsc_ros.link.schedule.camera_queue import Plan
from gsc_ros.link.schedule.message import FrameMessage


class CameraPacketizer:
    """
    The `camera_queue.Packetizer` of an endpoint.

    :param framer: makes the bodies.
    :param wire: says how large they are on the wire.
    :param current: from a camera's number to its announcement.
    :param splits: called with the time; whether datagrams are lost, so that frames are better sent
        in two pieces of which the first means something alone.
    """

    def __init__(
        self, framer: FrameFramer, wire: DatagramWire, current: Callable[[int], Announcement],
        splits: Callable[[int], bool],
    ) -> None:
        """Keep what is needed to cut."""
        self._framer = framer
        self._wire = wire
        self._current = current
        self._splits = splits

    @property
    def max_datagrams(self) -> int:
        """Return the most datagrams a frame may have."""
        return MAX_PARTS

    @property
    def slack_bits(self) -> int:
        """Return by how much a frame exceeds its plan when a long record comes among its own."""
        return 8 * LONG_RECORD_BYTES

    def bits(self, size: int, now_ns: int) -> int:
        """Return the bits on the wire of a body of ``size`` bytes."""
        return self._wire.bits(size, now_ns)

    def plan(self, message: FrameMessage, length: int, now_ns: int) -> Plan:
        """Return what a packet of ``length`` bytes would take."""
        header, announcement = self._describe(message)
        datagrams, bits = self._framer.plan(header, announcement, length, now_ns)
        first = bits if datagrams == 1 else self._wire.bits(
            self._wire.room(True, now_ns), now_ns)
        return Plan(datagrams, bits, first)

    def begin(
        self, message: FrameMessage, layers: int, floor: int, packet: bytes, now_ns: int,
    ) -> FrameCut:
        """Return a frame that is ready to leave, split where that pays."""
        header, announcement = self._describe(message)
        base = None
        if layers > floor and self._splits(now_ns):
            room = self._framer.base_room(header, announcement, now_ns)
            base = self._base(message, packet, layers, floor, room)
        return self._framer.cut(header, announcement, packet, base)

    @staticmethod
    def _base(
        message: FrameMessage, packet: bytes, layers: int, floor: int, room: int,
    ) -> bytes | None:
        """Return the packet of the most layers that fits into the first datagram."""
        if message.ends[layers - 1] <= room:
            return None
        fitting = [count for count in range(floor, layers) if message.ends[count - 1] <= room]
        # Of what can be shed last, as the regions of a packet, not every part can be a base.
        for count in reversed(fitting or [floor]):
            try:
                base = message.render(count)
            except ValueError:
                return None
            if len(base) != message.ends[count - 1]:
                return None
            if splice(base, packet) is not None:
                return base
        return None

    def _describe(self, message: FrameMessage) -> tuple[FrameHeader, Announcement]:
        header = FrameHeader(
            message.camera_id, message.sequence, message.stamp_ns, message.encode_ms)
        return header, self._current(message.camera_id)
