# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rover with a spool and a ground with one, over a simulated link, in simulated time."""

from __future__ import annotations

from pathlib import Path

from gsc_ros.link.audit import Departure
from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.endpoint import Delivery, Endpoint, EndpointConfig, ReceivedFrame
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.schedule.scheduler import FrameMessage
from gsc_ros.link.spool.incoming import IncomingStore
from gsc_ros.link.spool.outgoing import OutgoingStore
from gsc_ros.link.spool.receiver import SpoolReceiver
from gsc_ros.link.spool.sender import SpoolSender
from gsc_ros.link.transports.sim import connect
from spool_frames import make_packet, make_stamp_ns

S = 1_000_000_000


class SpoolSimulation:
    """
    Both ends; a kill loses all that is in memory.

    :param folder: for the two files.
    :param rate_bps: of the link; the way back has a tenth.
    :param fps: frames per second while `offering`.
    :param priorities: one camera for each.
    :param forward: channel to the ground; loss and delay of it hold both ways.
    """

    def __init__(self, folder: Path, rate_bps: int = 9600, fps: float = 2.0,
                 priorities: tuple[int, ...] = (0,), quota: int = 1 << 24, mtu: int = 128,
                 packet_bytes: int = 200, suite: Suite = Suite.NONE, **channel: object) -> None:
        self.now_ns = 10 * S
        self.rate_bps = rate_bps
        self.quota = quota
        self.packet_bytes = packet_bytes
        self.priorities = priorities
        self.keys = None if suite is Suite.NONE else KeyRing.random()
        self.suite = suite
        self.offering = True
        self.contact = True
        self.sequence = 0
        self.offered: list[int] = []
        self.deliveries: list[Delivery] = []
        self.trace: list[Departure] = []
        self.files = folder / 'rover.spool', folder / 'ground.spool'
        self.sides = connect(
            ChannelConfig(rate_bps=rate_bps, seed=1, **channel),
            ChannelConfig(rate_bps=rate_bps, seed=2, **channel), mtu)
        self._interval_ns = round(S / fps)
        self._next_ns = self.now_ns
        self.start_rover()
        self.start_ground()

    def start_rover(self) -> None:
        """Begin anew with what is on disk."""
        self.outgoing = OutgoingStore(self.files[0], self.quota)
        self.rover = SpoolSender(
            self._endpoint(0, self.rate_bps, Direction.ROVER), self.outgoing, self.now_ns)
        for number, priority in enumerate(self.priorities):
            self.announce(number, priority)

    def start_ground(self) -> None:
        """Begin anew with what is on disk."""
        self.incoming = IncomingStore(self.files[1], 1 << 30)
        self.ground = SpoolReceiver(
            self._endpoint(1, self.rate_bps // 10, Direction.GROUND), self.incoming, self.now_ns)

    def announce(self, number: int, priority: int = 0, calibration: bytes = b'c' * 100) -> None:
        """Say what a camera is."""
        self.rover.announce(CameraAnnounce(
            number, f'camera{number}', f'optical{number}', priority, calibration))

    def kill_rover(self) -> None:
        """End the rover's process; only its file stays."""
        self.outgoing._file.close()
        self.start_rover()

    def kill_ground(self) -> None:
        """End the ground's process; only its file stays."""
        self.incoming._file.close()
        self.start_ground()

    def offer(self, count: int = 1) -> None:
        """Offer frames now, of one camera after the other."""
        for _ in range(count):
            sequence = self.sequence
            number = sequence % len(self.priorities)
            self.sequence += 1
            self.rover.offer_frame(self._frame(number, sequence), self.now_ns)
            self.offered.append(sequence)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_ns = self.now_ns + round(seconds * S)
        while self.now_ns < end_ns:
            if self.offering and self.now_ns >= self._next_ns:
                self.offer()
                self._next_ns = self.now_ns + self._interval_ns
            wakes = [self.rover.poll(self.now_ns), self.ground.poll(self.now_ns), end_ns]
            if self.offering:
                wakes.append(self._next_ns)
            self.deliveries += self.ground.take_deliveries()
            if not self.contact:
                for side in self.sides:
                    side.receive(1 << 62)
            self.now_ns = max(self.now_ns + 1, min(wakes))

    def drain(self, seconds: float = 600.0) -> None:
        """Offer no more, and let time pass until the ground knows all."""
        self.offering = False
        self.run(1.0)
        end_ns = self.now_ns + round(seconds * S)
        while self.now_ns < end_ns and self.outgoing.next_number != (
                self.incoming.next_number(self.outgoing.id)):
            self.run(1.0)
        self.run(1.0)

    @property
    def frames(self) -> list[ReceivedFrame]:
        """The frames that came through, in order."""
        return [frame for frame in self.deliveries if isinstance(frame, ReceivedFrame)]

    @property
    def sequences(self) -> list[int]:
        """Which frames came through, in order."""
        return [frame.sequence for frame in self.frames]

    def _frame(self, camera_id: int, sequence: int) -> FrameMessage:
        ends = 20, self.packet_bytes
        return FrameMessage(
            camera_id, self.priorities[camera_id], sequence, 5, make_stamp_ns(sequence), ends,
            lambda layers: make_packet(sequence, ends[layers - 1]), 12.5)

    def _endpoint(self, side: int, rate_bps: int, direction: Direction) -> Endpoint:
        return Endpoint(
            EndpointConfig(rate_bps, record=RecordConfig(direction, self.suite, self.keys)),
            self.sides[side], self.now_ns, self.trace.append if side == 0 else None)
