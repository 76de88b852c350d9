# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Bridge: coded frames over a thin link, within its bit budget.

    <camera>/gsc ────────────> rover's end ═══ simulated ═══ ground's end ──> <prefix>/<camera>/gsc
    <camera>/gsc/camera_info ───'    '── hard budget           '─> <prefix>/<camera>/gsc/camera_info
    <camera>/gsc/taken <────── stream's                       .─── <prefix>/<camera>/gsc/refresh
    <camera>/gsc/refresh <──── gate <════ link's way back ════'

`link.endpoint` decides what leaves when; this node only gives it frames and the time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
import sys
import time

from gsc_ros.codec import packet
from gsc_ros.link.endpoint import (
    Delivery,
    ReceivedCalibration,
    ReceivedControl,
    ReceivedFrame,
)
from gsc_ros.link.framing import CameraAnnounce
from gsc_ros.link.scheduler import FrameMessage
from gsc_ros.msg import GscFrame, LinkStatus
from gsc_ros.nodes import calibration, stamp
from gsc_ros.nodes.admission import frame_defect
from gsc_ros.nodes.caption_keeper import CaptionKeeper
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.lifecycle import LOG_PERIOD_S, ManagedNode
from gsc_ros.nodes.link_report import LinkReporter
from gsc_ros.nodes.process import run
from gsc_ros.nodes.pump import LinkPump
from gsc_ros.nodes.qos import frame_qos, ground_qos, latched_qos, notice_qos
from gsc_ros.nodes.refresh import ask_period_s, RefreshRequest
from gsc_ros.nodes.schema import BridgeParameters
from gsc_ros.nodes.stream_gate import StreamGate
from gsc_ros.nodes.trace import TraceFile
from gsc_ros.nodes.transport import burst_refusal, return_bps, SimulatedLink
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Empty, UInt32

STATUS_PERIOD_S = 1.0
# Seconds without a frame after which the sender counts as silent.
SILENCE_S = 5.0


@dataclass
class Camera:
    """One camera of the bridge; its number is its place in the parameter `cameras`."""

    name: str
    number: int
    frames: Publisher
    calibrations: Publisher
    taken: Publisher
    refreshes: Publisher
    gate: StreamGate = field(default_factory=StreamGate)
    captions: CaptionKeeper = field(default_factory=CaptionKeeper)
    subscriptions: list[Subscription] = field(default_factory=list)
    calibration: bytes = b''
    announced: tuple[CameraAnnounce, int] | None = None  # and the session
    received: int = 0
    invalid: int = 0
    delivered: int = 0
    reported_invalid: int = 0
    last_frame_s: float = 0.0
    arrived: tuple[int, int] | None = None  # session and number of the newest frame on the ground
    requested_s: float = 0.0


class Bridge(ManagedNode):
    """Lifecycle node `bridge`."""

    def __init__(self) -> None:
        """Create the node with the process's ROS arguments."""
        self._cameras: dict[str, Camera] = {}
        self._pump: LinkPump | None = None
        self._trace: TraceFile | None = None
        self._timer: Timer | None = None
        super().__init__('bridge', BridgeParameters)

    def configure(self) -> None:
        """Make both ends of the link, and advertise what will arrive."""
        settings = self.settings
        if settings.trace_file:
            self._trace = TraceFile(Path(settings.trace_file))
        self._link = SimulatedLink(
            settings, time.monotonic_ns(), self._trace.write if self._trace else None)
        self._pump = LinkPump(
            self._link.rover, self._link.ground, self._deliver, self._link_failed)
        self._judge = LinkReporter()
        self._changes = 0
        self._status = self.create_lifecycle_publisher(LinkStatus, 'link_status', 10)
        for number, name in enumerate(settings.cameras):
            topic = f'{settings.output_prefix}/{name}/gsc'
            self._cameras[name] = Camera(
                name, number, self.create_lifecycle_publisher(GscFrame, topic, ground_qos()),
                self.create_lifecycle_publisher(CameraInfo, f'{topic}/camera_info', latched_qos()),
                self.create_lifecycle_publisher(UInt32, f'{name}/gsc/taken', notice_qos()),
                self.create_lifecycle_publisher(Empty, f'{name}/gsc/refresh', notice_qos()))

    def activate(self) -> None:
        """Take frames and let the link run."""
        for camera in self._cameras.values():
            camera.last_frame_s = time.monotonic()
            camera.subscriptions = [
                self.create_subscription(
                    GscFrame, f'{camera.name}/gsc',
                    lambda frame, camera=camera: self._take_frame(camera, frame), frame_qos()),
                self.create_subscription(
                    CameraInfo, f'{camera.name}/gsc/camera_info',
                    lambda info, camera=camera: self._take_calibration(camera, info),
                    latched_qos()),
                self.create_subscription(
                    Empty, f'{self.settings.output_prefix}/{camera.name}/gsc/refresh',
                    lambda _, camera=camera: self._request_refresh(camera), notice_qos())]
        self._timer = self.create_timer(
            STATUS_PERIOD_S, self._publish_status, clock=self.steady_clock)
        self._pump.start()

    def deactivate(self) -> None:
        """Take no more frames and stop the link."""
        for camera in self._cameras.values():
            for subscription in camera.subscriptions:
                self.destroy_subscription(subscription)
            camera.subscriptions = []
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        if self._pump is not None:
            self._pump.stop()

    def cleanup(self) -> None:
        """Forget the link and close its trace."""
        for camera in self._cameras.values():
            for publisher in (
                    camera.frames, camera.calibrations, camera.taken, camera.refreshes):
                self.destroy_lifecycle_publisher(publisher)
        self._cameras.clear()
        if self._pump is not None:
            self.destroy_lifecycle_publisher(self._status)
        self._pump = None
        if self._trace is not None:
            self._trace.close()
            self._trace = None

    def settings_changed(self) -> None:
        """Change budget and policy of the running link."""
        if self._pump is not None:
            self._pump.use(lambda _, now_ns: self._link.change(self.settings, now_ns))

    def refusal(self, name: str, value: object) -> str | None:
        """Return why a burst is too small for the datagrams of the configured link, or None."""
        return burst_refusal(value, self.settings.mtu) if (
            name == 'burst_bits' and self._pump is not None) else None

    def diagnose(self) -> Iterable[Report]:
        """Yield one report for the link and one per camera."""
        statistics, _ = self._pump.statistics()
        yield self._judge.report(statistics, time.monotonic(), self._changes)
        if self._trace is not None and self._trace.lost:
            yield Report('trace', Level.WARN, f'incomplete: {self._trace.trouble}',
                         {'lost': self._trace.lost})
        for camera in self._cameras.values():
            yield self._diagnose_camera(camera)

    def _diagnose_camera(self, camera: Camera) -> Report:
        if camera.invalid > camera.reported_invalid:
            level, message = Level.ERROR, 'invalid frames'
        elif time.monotonic() - camera.last_frame_s > SILENCE_S:
            known = camera.subscriptions[0].get_publisher_count() > 0
            level, message = Level.WARN, 'no frames from the sender' if known else 'no sender'
        elif camera.gate.broken:
            level, message = Level.WARN, 'waiting for a frame that stands alone'
        else:
            level, message = Level.OK, 'carrying'
        camera.reported_invalid = camera.invalid
        return Report(camera.name, level, message, {
            'received': camera.received, 'invalid': camera.invalid,
            'delivered': camera.delivered, 'refused': camera.gate.refused,
            'refreshes': camera.gate.refreshes, 'calibration_bytes': len(camera.calibration)})

    def _take_frame(self, camera: Camera, frame: GscFrame) -> None:
        camera.received += 1
        announce = CameraAnnounce(
            camera.number, camera.name, frame.header.frame_id, frame.priority, camera.calibration)
        defect = frame_defect(frame, camera.name) or announce.defect()
        if defect is not None:
            camera.invalid += 1
            self.get_logger().error(
                f'{camera.name}: invalid frame: {defect}', throttle_duration_sec=LOG_PERIOD_S)
            return
        camera.last_frame_s = time.monotonic()
        announced = announce, frame.session
        self._changes += camera.announced not in (None, announced)
        camera.announced = announced
        payload = bytes(frame.payload)
        place = camera.gate.admit(
            frame.session, frame.sequence, packet.parse(payload), payload,
            cuttable=len(frame.layer_ends) > 1)
        if place is None:
            self._answer(camera, frame.sequence)
            return
        offered = camera.captions.complete(frame.session, payload, tuple(frame.layer_ends))

        def leave(layers: int) -> bytes:
            data = camera.captions.leave(offered, layers)
            camera.gate.leaves(place)
            self._answer(camera, frame.sequence)
            return data

        def drop() -> None:
            camera.gate.dropped(place)
            self._answer(camera, frame.sequence)

        self._pump.use(lambda rover, _: rover.announce(announce))
        taken = self._pump.offer(FrameMessage(
            camera_id=camera.number, priority=frame.priority, sequence=frame.sequence,
            session=frame.session, stamp_ns=stamp.to_ns(frame.header.stamp), ends=offered.ends,
            render=leave, encode_ms=frame.encode_ms, on_dropped=drop))
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

    def _request_refresh(self, camera: Camera) -> None:
        """Ask the rover, on behalf of a receiver, for a frame that stands alone."""
        now_s = time.monotonic()
        period_s = ask_period_s(len(self._cameras), return_bps(self.settings))
        if camera.arrived is None or now_s - camera.requested_s < period_s:
            return
        camera.requested_s = now_s
        self._pump.request(RefreshRequest(camera.number, *camera.arrived).pack())

    def _take_request(self, request: RefreshRequest) -> None:
        """Take a request of the ground, on the rover's end."""
        for camera in self._cameras.values():
            if camera.number == request.camera_id:
                camera.gate.complain(request.session, request.sequence)
                self._refresh_if_due(camera)

    def _take_calibration(self, camera: Camera, info: CameraInfo) -> None:
        try:
            camera.calibration = calibration.pack(info)
        except calibration.CalibrationError as error:
            self.get_logger().error(f'{camera.name}: calibration cannot cross the link: {error}')

    def _deliver(self, delivery: Delivery) -> None:
        """Publish what has reached an end of the link, on the pump's thread."""
        if isinstance(delivery, ReceivedControl):
            request = RefreshRequest.parse(delivery.data)
            if request is not None:
                self._take_request(request)
        elif isinstance(delivery, ReceivedFrame):
            camera = self._cameras[delivery.camera]
            frame = GscFrame(
                sequence=delivery.sequence, session=delivery.session, camera=delivery.camera,
                camera_id=delivery.camera_id, priority=delivery.priority,
                layer_ends=[len(delivery.payload)], encode_ms=delivery.encode_ms,
                payload=array('B', delivery.payload))
            frame.header.stamp = stamp.from_ns(delivery.stamp_ns)
            frame.header.frame_id = delivery.frame_id
            camera.arrived = delivery.session, delivery.sequence
            camera.frames.publish(frame)
            camera.delivered += 1
        elif isinstance(delivery, ReceivedCalibration) and delivery.calibration:
            info = calibration.unpack(delivery.calibration)
            info.header.frame_id = delivery.frame_id
            self._cameras[delivery.camera].calibrations.publish(info)

    def _link_failed(self, error: Exception) -> None:
        if self.context.ok():  # else the process ends, and nothing can be published
            self.get_logger().error(f'link: {error!r}', throttle_duration_sec=LOG_PERIOD_S)

    def _publish_status(self) -> None:
        rover, ground = self._pump.statistics()
        status = LinkStatus(transport=self.settings.transport)
        status.header.stamp = self.get_clock().now().to_msg()
        for name, value in asdict(rover).items():
            if hasattr(status, name):  # the statistics hold more than the message
                setattr(status, name, value)
        status.delivered_messages = ground.received_frames
        status.dropped_invalid += sum(camera.invalid for camera in self._cameras.values())
        status.dropped_reference = sum(camera.gate.refused for camera in self._cameras.values())
        self._status.publish(status)


def main() -> int:
    """Run the node as a process."""
    return run(Bridge)


if __name__ == '__main__':
    sys.exit(main())
