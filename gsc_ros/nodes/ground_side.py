# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The ground's side of the bridge: what has crossed the link onto topics, complaints back.

    the ground's end of the link ──> <prefix>/<camera>/gsc, <prefix>/<camera>/gsc/camera_info
                              ^────── <prefix>/<camera>/gsc/refresh
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
import time

from gsc_ros.link.endpoint import Delivery, ReceivedCalibration, ReceivedFrame
from gsc_ros.msg import GscFrame
from gsc_ros.nodes import calibration, stamp
from gsc_ros.nodes.back_channel import ask_period_s, REFRESH_BYTES, RefreshRequest
from gsc_ros.nodes.diagnostic import brief, Level, Report
from gsc_ros.nodes.lifecycle import LOG_PERIOD_S, ManagedNode
from gsc_ros.nodes.pump import SharedEnd
from gsc_ros.nodes.qos import ground_qos, latched_qos, notice_qos
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import UInt32

# Seconds without a frame after which a camera counts as silent. Thin links are slow.
SILENCE_S = 15.0
# Names of cameras that are kept to be reported, at most.
MAX_STRANGERS = 16


@dataclass
class Camera:
    """One camera as it comes out of the link."""

    name: str
    frames: Publisher
    calibrations: Publisher
    subscription: Subscription | None = None
    delivered: int = 0
    # Number on the link and session of the newest frame that has arrived.
    arrived: tuple[int, int] | None = None
    last_frame_s: float = 0.0
    requested_s: float = 0.0


class GroundSide:
    """The ground's end of the link in, topics out."""

    def __init__(self, node: ManagedNode, end: SharedEnd) -> None:
        """Advertise what will arrive."""
        self._node = node
        self._end = end
        self._cameras: dict[str, Camera] = {}
        # Cameras that the rover carries and nobody here has asked for.
        self._strangers: set[str] = set()
        for name in node.settings.cameras:
            topic = self._topic(name)
            self._cameras[name] = Camera(
                name, node.create_lifecycle_publisher(GscFrame, topic, ground_qos()),
                node.create_lifecycle_publisher(CameraInfo, f'{topic}/camera_info', latched_qos()))

    def start(self) -> None:
        """Listen to the complaints of the receivers."""
        for camera in self._cameras.values():
            camera.last_frame_s = time.monotonic()
            camera.subscription = self._node.create_subscription(
                UInt32, f'{self._topic(camera.name)}/refresh',
                lambda sequence, camera=camera: self._request_refresh(camera, sequence.data),
                notice_qos())

    def stop(self) -> None:
        """Listen to nobody."""
        for camera in self._cameras.values():
            if camera.subscription is not None:
                self._node.destroy_subscription(camera.subscription)
                camera.subscription = None

    def close(self) -> None:
        """Release the publishers."""
        for camera in self._cameras.values():
            self._node.destroy_lifecycle_publisher(camera.frames)
            self._node.destroy_lifecycle_publisher(camera.calibrations)

    def take(self, delivery: Delivery) -> bool:
        """Publish a frame or calibration, on the pump's thread; return whether it was one."""
        if not isinstance(delivery, (ReceivedFrame, ReceivedCalibration)):
            return False
        camera = self._cameras.get(delivery.camera)
        if camera is None:
            self._meet(delivery.camera)
        elif isinstance(delivery, ReceivedFrame):
            self._publish_frame(camera, delivery)
        elif delivery.calibration:
            info = calibration.unpack(delivery.calibration)
            info.header.frame_id = delivery.frame_id
            camera.calibrations.publish(info)
        return True

    def diagnose(self) -> Iterable[Report]:
        """Yield one report per camera, named as it is, and one of cameras that nobody asked for."""
        for camera in self._cameras.values():
            if time.monotonic() - camera.last_frame_s > SILENCE_S:
                level, message = Level.WARN, 'no frames from the link'
            elif camera.arrived is None:
                level, message = Level.OK, 'waiting for the first frame'
            else:
                level, message = Level.OK, 'arriving'
            yield Report(camera.name, level, message, {'delivered': camera.delivered})
        if self._strangers:
            yield Report('cameras', Level.WARN, 'the rover has cameras that are not in `cameras`',
                         {'names': ', '.join(sorted(self._strangers))})

    def _topic(self, camera: str) -> str:
        return f'{self._node.settings.output_prefix}/{camera}/gsc'

    def _meet(self, camera: str) -> None:
        if len(self._strangers) < MAX_STRANGERS and brief(camera) not in self._strangers:
            self._strangers.add(brief(camera))
            self._node.get_logger().warning(
                f'the rover sends {brief(camera)!r}, which is not in the parameter cameras',
                throttle_duration_sec=LOG_PERIOD_S)

    @staticmethod
    def _publish_frame(camera: Camera, delivery: ReceivedFrame) -> None:
        frame = GscFrame(
            sequence=delivery.sequence, session=delivery.session, camera=delivery.camera,
            camera_id=delivery.camera_id, priority=delivery.priority,
            layer_ends=[len(delivery.payload)], encode_ms=delivery.encode_ms,
            payload=array('B', delivery.payload))
        frame.header.stamp = stamp.from_ns(delivery.stamp_ns)
        frame.header.frame_id = delivery.frame_id
        camera.arrived = delivery.camera_id, delivery.session
        camera.last_frame_s = time.monotonic()
        camera.frames.publish(frame)
        camera.delivered += 1

    def _request_refresh(self, camera: Camera, sequence: int) -> None:
        """
        Ask the rover, on behalf of a receiver, for a frame that stands alone.

        :param sequence: the newest frame that it cannot decode. Later ones may have arrived, and
            may be decodable: they wait for another repair.
        """
        now_s = time.monotonic()
        period_s = ask_period_s(
            len(self._cameras), self._end.budget_bps, self._end.message_bits(REFRESH_BYTES))
        if camera.arrived is None or now_s - camera.requested_s < period_s:
            return
        camera.requested_s = now_s
        camera_id, session = camera.arrived
        self._end.offer_control(RefreshRequest(camera_id, session, sequence).pack())
