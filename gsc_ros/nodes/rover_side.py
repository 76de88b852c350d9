# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The rover's side of the bridge: frames of the sender into the link, requests of the ground out.

    <camera>/gsc ────────────> gate ──> captions ──> the rover's end of the link
    <camera>/gsc/camera_info ─────────> announcement ──┘          │
    <camera>/gsc/taken <────── a frame leaves, or never will <────┤
    <camera>/gsc/refresh <──── gate <── complaint of the ground <─┘
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
import time

from gsc_ros.codec import packet
from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.endpoint import Delivery, ReceivedControl
from gsc_ros.link.schedule.message import FrameMessage
from gsc_ros.msg import GscFrame
from gsc_ros.nodes import calibration, stamp
from gsc_ros.nodes.admission import frame_defect
from gsc_ros.nodes.back_channel import RefreshRequest
from gsc_ros.nodes.caption_keeper import CaptionKeeper
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.lifecycle import LOG_PERIOD_S, ManagedNode
from gsc_ros.nodes.pump import SharedEnd
from gsc_ros.nodes.qos import frame_qos, latched_qos, notice_qos
from gsc_ros.nodes.stream_gate import StreamGate
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Empty, UInt32

# Seconds without a frame after which the sender counts as silent.
SILENCE_S = 5.0


@dataclass
class Camera:
    """One camera on the rover; its number is its place in the parameter `cameras`."""

    name: str
    number: int
    taken: Publisher
    refreshes: Publisher
    gate: StreamGate = field(default_factory=StreamGate)
    captions: CaptionKeeper = field(default_factory=CaptionKeeper)
    subscriptions: list[Subscription] = field(default_factory=list)
    calibration: bytes = b''
    announced: tuple[CameraAnnounce, int] | None = None  # and the session
    received: int = 0
    invalid: int = 0
    reported_invalid: int = 0
    key_regions: int = 0  # that the link was offered
    key_regions_shed: int = 0  # of those, cut off frames that left without them
    reported_shed: int = 0
    last_frame_s: float = 0.0


class RoverSide:
    """Cameras in, the rover's end of the link out."""

    def __init__(self, node: ManagedNode, end: SharedEnd) -> None:
        """Advertise what the senders are told; nothing is taken before :meth:`start`."""
        self._node = node
        self._end = end
        self._cameras = [
            Camera(name, number,
                   node.create_lifecycle_publisher(UInt32, f'{name}/gsc/taken', notice_qos()),
                   node.create_lifecycle_publisher(Empty, f'{name}/gsc/refresh', notice_qos()))
            for number, name in enumerate(node.settings.cameras)]
        # How often the announcement of a camera, or its session, has changed.
        self.changes = 0

    @property
    def invalid(self) -> int:
        """How many frames were not well formed."""
        return sum(camera.invalid for camera in self._cameras)

    @property
    def refused(self) -> int:
        """How many frames referred to one that never left."""
        return sum(camera.gate.refused for camera in self._cameras)

    def start(self) -> None:
        """Take frames."""
        for camera in self._cameras:
            camera.last_frame_s = time.monotonic()
            camera.subscriptions = [
                self._node.create_subscription(
                    GscFrame, f'{camera.name}/gsc',
                    lambda frame, camera=camera: self._take_frame(camera, frame), frame_qos()),
                self._node.create_subscription(
                    CameraInfo, f'{camera.name}/gsc/camera_info',
                    lambda info, camera=camera: self._take_calibration(camera, info),
                    latched_qos())]

    def stop(self) -> None:
        """Take no more frames."""
        for camera in self._cameras:
            for subscription in camera.subscriptions:
                self._node.destroy_subscription(subscription)
            camera.subscriptions = []

    def close(self) -> None:
        """Release the publishers."""
        for camera in self._cameras:
            self._node.destroy_lifecycle_publisher(camera.taken)
            self._node.destroy_lifecycle_publisher(camera.refreshes)

    def take(self, delivery: Delivery) -> bool:
        """Take a complaint of the ground, on the pump's thread; return whether it was one."""
        request = RefreshRequest.parse(delivery.data) if (
            isinstance(delivery, ReceivedControl)) else None
        if request is not None:
            self._take_request(request)
        return request is not None

    def diagnose(self) -> Iterable[Report]:
        """Yield one report per camera, named as it is."""
        for camera in self._cameras:
            if camera.invalid > camera.reported_invalid:
                level, message = Level.ERROR, 'invalid frames'
            elif time.monotonic() - camera.last_frame_s > SILENCE_S:
                known = camera.subscriptions[0].get_publisher_count() > 0
                level, message = Level.WARN, 'no frames from the sender' if known else 'no sender'
            elif camera.gate.broken:
                level, message = Level.WARN, 'waiting for a frame that stands alone'
            elif camera.key_regions_shed > camera.reported_shed:
                level, message = Level.OK, 'carrying, with key regions cut off: link full'
            else:
                level, message = Level.OK, 'carrying'
            camera.reported_invalid = camera.invalid
            camera.reported_shed = camera.key_regions_shed
            yield Report(camera.name, level, message, {
                'received': camera.received, 'invalid': camera.invalid,
                'refused': camera.gate.refused, 'refreshes': camera.gate.refreshes,
                'key_regions': camera.key_regions, 'key_regions_shed': camera.key_regions_shed,
                'calibration_bytes': len(camera.calibration)})

    def _take_frame(self, camera: Camera, frame: GscFrame) -> None:
        camera.received += 1
        announce = CameraAnnounce(
            camera.number, camera.name, frame.header.frame_id, frame.priority, camera.calibration)
        defect = frame_defect(frame, camera.name) or announce.defect()
        if defect is not None:
            camera.invalid += 1
            self._node.get_logger().error(
                f'{camera.name}: invalid frame: {defect}', throttle_duration_sec=LOG_PERIOD_S)
            return
        camera.last_frame_s = time.monotonic()
        announced = announce, frame.session
        self.changes += camera.announced not in (None, announced)
        camera.announced = announced
        payload = bytes(frame.payload)
        coded = packet.parse(payload)
        place = camera.gate.admit(
            frame.session, frame.sequence, coded, payload,
            cuttable=len(frame.layer_ends) > 1)
        if place is None:
            self._answer(camera, frame.sequence)
            return
        offered = camera.captions.complete(frame.session, payload, tuple(frame.layer_ends))

        left = False

        def leave(layers: int) -> bytes:
            nonlocal left
            data = camera.captions.leave(offered, layers)
            if not left:  # of a frame that leaves in two pieces the link asks twice, the base last
                left = True
                camera.key_regions += coded.region_count
                camera.key_regions_shed += min(coded.region_count, len(offered.ends) - layers)
                camera.gate.leaves(place)
                self._answer(camera, frame.sequence)
            return data

        def drop() -> None:
            camera.gate.dropped(place)
            self._answer(camera, frame.sequence)

        self._end.announce(announce)
        taken = self._end.offer_frame(FrameMessage(
            camera_id=camera.number, priority=frame.priority, sequence=frame.sequence,
            session=frame.session, stamp_ns=stamp.to_ns(frame.header.stamp), ends=offered.ends,
            render=leave, encode_ms=frame.encode_ms, on_dropped=drop, chained=place.chained))
        if not taken:
            drop()

    def _answer(self, camera: Camera, sequence: int) -> None:
        """Tell the sender that a frame has left or never will, and what that means."""
        self._refresh_if_due(camera)
        camera.taken.publish(UInt32(data=sequence))

    @staticmethod
    def _refresh_if_due(camera: Camera) -> None:
        if camera.gate.ask(time.monotonic()):
            camera.refreshes.publish(Empty())

    def _take_request(self, request: RefreshRequest) -> None:
        for camera in self._cameras:
            if camera.number == request.camera_id:
                camera.gate.complain(request.session, request.sequence)
                self._refresh_if_due(camera)

    def _take_calibration(self, camera: Camera, info: CameraInfo) -> None:
        try:
            camera.calibration = calibration.pack(info)
        except calibration.CalibrationError as error:
            self._node.get_logger().error(
                f'{camera.name}: calibration cannot cross the link: {error}')
