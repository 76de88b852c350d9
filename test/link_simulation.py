# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drive two ends of a simulated link through time, as fast as the processor allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gsc_ros.link.audit import Departure
from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.datagram.framing import CameraAnnounce
from gsc_ros.link.endpoint import Delivery, Endpoint, EndpointConfig, ReceivedFrame
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.schedule.scheduler import CameraPolicy, FrameMessage
from gsc_ros.link.transports.sim import connect

S = 1_000_000_000
MS = 1_000_000
# Stamps are wall-clock times, far from the monotonic time that drives the link.
EPOCH_NS = 1_750_000_000 * S + 123_456_789
ENDS = (40, 60, 90, 130, 180, 250)


def make_payload(sequence: int, length: int) -> bytes:
    """Return bytes that tell which frame they are of."""
    return (sequence.to_bytes(4, 'big') * (length // 4 + 1))[:length]


def make_frame(
    camera_id: int = 0,
    sequence: int = 0,
    *,
    now_ns: int = 0,
    ends: tuple[int, ...] = ENDS,
    priority: int = 0,
    session: int = 5,
    deadline_ns: int | None = None,
) -> FrameMessage:
    """Return a frame stamped with the time `now_ns` after `EPOCH_NS`."""
    return FrameMessage(
        camera_id, priority, sequence, session, EPOCH_NS + now_ns, ends,
        lambda layers: make_payload(sequence, ends[layers - 1]), 12.5, deadline_ns)


@dataclass
class Camera:
    """A camera that offers frames of the same size at an even rate."""

    camera_id: int
    fps: float = 10.0
    priority: int = 0
    ends: tuple[int, ...] = ENDS
    policy: CameraPolicy = field(default_factory=CameraPolicy)
    session: int = 5
    sequence: int = 0
    next_ns: int = 0

    @property
    def name(self) -> str:
        """Return the name it is announced by."""
        return f'camera{self.camera_id}'


class Simulation:
    """
    A rover that offers frames and a ground station that takes them.

    :param rate_bps: budget of the rover, and rate of the channel.
    :param channel: the channel both ways, when it is not just that rate.
    :param suite: how the datagrams are protected.
    :param two_way: whether there is a way back.
    :param overhead_bits: what the transport adds to each datagram.
    :param config: of the rover's end; ``repair`` of both.
    """

    def __init__(
        self,
        rate_bps: int,
        cameras: list[Camera],
        *,
        mtu: int = 256,
        back_bps: int = 2400,
        channel: ChannelConfig | None = None,
        back_channel: ChannelConfig | None = None,
        suite: Suite = Suite.NONE,
        two_way: bool = True,
        overhead_bits: int = 0,
        **config: object,
    ) -> None:
        self.now_ns = 0
        self.trace: list[Departure] = []
        self.back_trace: list[Departure] = []
        self.deliveries: list[Delivery] = []
        # Camera and sequence number of the frames that have left whole, and when.
        self.sent: dict[tuple[int, int], int] = {}
        self.rover_side, self.ground_side = connect(
            channel or ChannelConfig(rate_bps=rate_bps),
            back_channel or ChannelConfig(rate_bps=back_bps), mtu, overhead_bits)
        self.keys = None if suite is Suite.NONE else KeyRing.random()
        self._suite = suite
        self._two_way = two_way
        self._config = config
        self._back_bps = back_bps
        self.rate_bps = rate_bps
        self.cameras = cameras
        self.actions: list[tuple[int, Callable[[], None]]] = []
        self.start_rover(session=1)
        self.start_ground(session=2)

    def start_rover(self, session: int) -> None:
        """Replace the rover's end by one that knows nothing."""
        self.rover = Endpoint(
            EndpointConfig(
                self.rate_bps, record=self._record(Direction.ROVER, session), **self._config),
            self.rover_side, self.now_ns, self.trace.append)
        for camera in self.cameras:
            self.rover.set_policy(camera.camera_id, camera.policy)
            self.announce(camera)

    def start_ground(self, session: int) -> None:
        """Replace the ground's end by one that knows nothing."""
        repair = {'repair': self._config['repair']} if 'repair' in self._config else {}
        self.ground = Endpoint(
            EndpointConfig(
                self._back_bps, record=self._record(Direction.GROUND, session), **repair),
            self.ground_side, self.now_ns, self.back_trace.append)

    def announce(self, camera: Camera, calibration: bytes = b'c' * 150) -> None:
        """Announce a camera to the rover's end."""
        self.rover.announce(CameraAnnounce(
            camera.camera_id, camera.name, camera.name + '_optical', camera.priority,
            calibration))

    def at(self, time_ns: int, action: Callable[[], None]) -> None:
        """Call `action` at a time."""
        self.actions.append((time_ns, action))
        self.actions.sort(key=lambda entry: entry[0])

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_ns = self.now_ns + round(seconds * S)
        while self.now_ns < end_ns:
            while self.actions and self.actions[0][0] <= self.now_ns:
                self.actions.pop(0)[1]()
            for camera in self.cameras:
                self._offer(camera)
            wakes = [self.rover.poll(self.now_ns), self.ground.poll(self.now_ns), end_ns]
            wakes += [camera.next_ns for camera in self.cameras]
            wakes += [time_ns for time_ns, _ in self.actions[:1]]
            self.deliveries += self.ground.take_deliveries()
            self.now_ns = min(wakes)

    def decodable(self, since_ns: int = 0) -> float:
        """Return the share of the frames that have left since a time that also arrived."""
        sent = {place for place, sent_ns in self.sent.items() if sent_ns >= since_ns}
        arrived = {(frame.camera_id, frame.sequence) for frame in self.frames()}
        return len(sent & arrived) / len(sent)

    def frames(self, camera_id: int | None = None) -> list[ReceivedFrame]:
        """Return the frames that came through, of one camera or all."""
        return [
            delivery for delivery in self.deliveries if isinstance(delivery, ReceivedFrame)
            and camera_id in (None, delivery.camera_id)]

    def _record(self, direction: Direction, session: int) -> RecordConfig:
        return RecordConfig(
            direction, self._suite, self.keys, self._two_way, epoch=session.to_bytes(8, 'big'))

    def _offer(self, camera: Camera) -> None:
        if camera.next_ns > self.now_ns:
            return
        place = camera.camera_id, camera.sequence
        frame = make_frame(
            *place, now_ns=self.now_ns, ends=camera.ends, priority=camera.priority,
            session=camera.session)

        def note_sent() -> None:
            self.sent[place] = self.now_ns

        self.rover.offer_frame(replace(frame, on_sent=note_sent), self.now_ns)
        camera.sequence = (camera.sequence + 1) % (1 << 32)
        camera.next_ns += round(S / camera.fps)
