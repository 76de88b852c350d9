# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sender: camera images in, coded frames out.

    <camera>/image_raw ──> throttle ──> newest wins ──> worker: convert, encode ──> <camera>/gsc
                                                        captioner's worker <──┘
    <camera>/camera_info ──> only what is new ────────────────────────> <camera>/gsc/camera_info
    <camera>/gsc/taken ────> in a stream: code the next image
    <camera>/gsc/refresh ──> in a stream: let it stand alone
    <camera>/gsc/region_request ──> a box of an original, coded better ──> <camera>/gsc/region
    <camera>/regions/... ──> `key_region_watch`: boxes that are coded better in the next frames

Images are subscribed to only while somebody listens to `<camera>/gsc`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import partial
import secrets
import sys
import time

from gsc_ros.codec.frame import EncoderSettings, FrameEncoder, Selection
from gsc_ros.codec.profile import load_profile, Profile
from gsc_ros.msg import GscFrame, GscRegion, RegionRequest
from gsc_ros.nodes import calibration, conversion, detection, memory, stamp
from gsc_ros.nodes.captioning import Captioning
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.key_region_schema import RegionParameters, SourceName
from gsc_ros.nodes.key_region_watch import KeyRegionWatch
from gsc_ros.nodes.lifecycle import LOG_PERIOD_S, ManagedNode
from gsc_ros.nodes.process import run
from gsc_ros.nodes.qos import frame_qos, latched_qos, notice_qos, sensor_qos
from gsc_ros.nodes.region_desk import RegionDesk
from gsc_ros.nodes.schema import SenderCameraParameters, SenderParameters
from gsc_ros.nodes.sender_camera import Camera
from gsc_ros.nodes.worker import Worker
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Empty, UInt32


class Sender(ManagedNode):
    """Lifecycle node `sender`."""

    def __init__(self) -> None:
        """Create the node with the process's ROS arguments."""
        self._cameras: dict[str, Camera] = {}
        self._profile: Profile | None = None
        self._captioning: Captioning | None = None
        self._regions: RegionDesk | None = None
        self._watch: KeyRegionWatch | None = None
        self._worker: Worker[Image | CompressedImage] = Worker(
            'encoder', self._encode, self._encode_failed)
        super().__init__('sender', SenderParameters, SenderCameraParameters)

    def configure(self) -> None:
        """Load the profile and advertise the frames."""
        self._profile = load_profile(self.settings.profile)
        for name in [
                f'{prefix}{parameter}' for parameter in ('quantizer', 'stream')
                for prefix in ('', *(f'{camera}.' for camera in self.settings.cameras))]:
            reason = self.refusal(name, self.get_parameter(name).value)
            if reason is not None:
                raise ValueError(f'{name}: {reason}')
        encoder = FrameEncoder(self._profile, threads=self.settings.encoder_threads)
        self._captioning = Captioning(encoder, self.settings, self._log)
        self._regions = RegionDesk(self._profile, encoder, lambda: self.settings, self._log)
        self._session = secrets.randbelow(2 ** 16)
        self._has_sent_regions = False
        for number, name in enumerate(self.settings.cameras):
            events = PublisherEventCallbacks(matched=lambda _, name=name: self._follow(name))
            camera = self._cameras[name] = Camera(
                name, number, self.table.read(SenderCameraParameters, f'{name}.'),
                self.create_lifecycle_publisher(
                    GscFrame, f'{name}/gsc', frame_qos(), event_callbacks=events,
                    qos_overriding_options=QoSOverridingOptions.with_default_policies()),
                self.create_lifecycle_publisher(
                    CameraInfo, f'{name}/gsc/camera_info', latched_qos()),
                self.create_lifecycle_publisher(GscRegion, f'{name}/gsc/region', notice_qos()))
            # In this order: a frame that is not there is no use to the next image.
            camera.notices = (
                self.create_subscription(
                    Empty, f'{name}/gsc/refresh',
                    lambda _, camera=camera: self._take_refresh(camera), notice_qos()),
                self.create_subscription(
                    UInt32, f'{name}/gsc/taken',
                    lambda number, camera=camera: self._code(camera, camera.turn.taken(
                        number.data, camera.sequence, time.monotonic())), notice_qos()),
                self.create_subscription(
                    RegionRequest, f'{name}/gsc/region_request',
                    lambda request, camera=camera: self._take_region_request(camera, request),
                    notice_qos()))
        self._watch = KeyRegionWatch(
            {name: camera.coding(self.settings).regions for name, camera in self._cameras.items()},
            self._log)
        for camera in self._cameras.values():
            self._hear_perception(camera, camera.coding(self.settings).regions)

    def activate(self) -> None:
        """Start the encoder and follow the cameras that somebody listens to."""
        self._captioning.start()
        self._regions.start()
        self._worker.start()
        for camera in self._cameras.values():
            camera.calibration = None
            camera.stands_alone = True
            self._follow(camera.name, active=True)

    def deactivate(self) -> None:
        """Leave the cameras; nothing is encoded any more."""
        for camera in self._cameras.values():
            self._unsubscribe(camera)
            camera.turn.stop()
        if self._captioning is not None:
            self._captioning.stop()
        for part in (self._regions, self._watch):
            if part is not None:
                part.stop()
        self._worker.stop()

    def cleanup(self) -> None:
        """Forget the cameras and the profile."""
        for camera in self._cameras.values():
            for publisher in (camera.frames, camera.calibrations, camera.regions):
                self.destroy_lifecycle_publisher(publisher)
            for subscription in (*camera.notices, *camera.perception):
                self.destroy_subscription(subscription)
        self._cameras.clear()
        self._captioning = self._regions = self._watch = self._profile = None

    def settings_changed(self) -> None:
        """Take over live parameters; they hold from the next frame."""
        for name, camera in self._cameras.items():
            camera.parameters = self.table.read(SenderCameraParameters, f'{name}.')

    def refusal(self, name: str, value: object) -> str | None:
        """Return why the loaded profile has no such quantizer, or no stream mode, or None."""
        parameter = name.rpartition('.')[2]
        if self._profile is None or parameter not in ('quantizer', 'stream'):
            return None
        if parameter == 'stream':
            return None if value in (0, -1) or self._profile.context.streams else (
                f'profile {self._profile.name!r} has no stream mode')
        levels = self._profile.manifest.quantizers
        return None if value < levels else (
            f'{value} is not one of the quantizers 0 to {levels - 1} of {self._profile.name!r}')

    def diagnose(self) -> Iterable[Report]:
        """Yield one report per camera."""
        for camera in self._cameras.values():
            level, message = camera.cause()
            trouble = self._watch.take_trouble(camera.name)
            if level is Level.OK and trouble is not None:
                level, message = Level.WARN, trouble
            values = asdict(camera.counters) | {
                'encode_ms': camera.encode_ms, 'listeners': camera.frames.get_subscription_count()}
            values |= self._regions.values(camera.name) | self._watch.values(camera.name)
            camera.trouble = None
            camera.reported = replace(camera.counters)
            yield Report(camera.name, level, message, values)
        yield from self._captioning.diagnose()

    def _follow(self, name: str, active: bool | None = None) -> None:
        """Subscribe to a camera exactly while the node is active and somebody listens."""
        camera = self._cameras[name]
        active = self.state == 'active' if active is None else active
        if active:  # who begins to listen has no frame that the next one could refer to
            self._refresh(camera)
        wanted = active and camera.frames.get_subscription_count() > 0
        if wanted and not camera.subscriptions:
            compressed = camera.parameters.transport == 'compressed'
            topic = f'{name}/image_raw/compressed' if compressed else f'{name}/image_raw'
            camera.last_image_s = time.monotonic()
            camera.subscriptions = [
                self.create_subscription(
                    CompressedImage if compressed else Image, topic,
                    lambda image: self._take_image(camera, image), sensor_qos(),
                    qos_overriding_options=QoSOverridingOptions.with_default_policies()),
                self.create_subscription(
                    CameraInfo, f'{name}/camera_info',
                    lambda info: self._take_calibration(camera, info), sensor_qos())]
        elif not wanted:
            self._unsubscribe(camera)

    def _hear_perception(self, camera: Camera, regions: RegionParameters) -> None:
        """Subscribe to what the robot's own perception says, where that is a source."""
        if SourceName.TOPIC not in regions.names:
            return
        prefix, watch = f'{camera.name}/{regions.topic}', self._watch
        camera.perception = tuple(self.create_subscription(
            message, f'{prefix}/{topic}', partial(take, camera.name), sensor_qos(),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())
            for message, topic, take in (
                (detection.message_type(), 'detections', watch.take_detections),
                (RegionOfInterest, 'roi', watch.take_roi)))

    def _unsubscribe(self, camera: Camera) -> None:
        for subscription in camera.subscriptions:
            self.destroy_subscription(subscription)
        camera.subscriptions = []

    def _take_image(self, camera: Camera, image: Image | CompressedImage) -> None:
        camera.counters.received += 1
        camera.last_image_s = time.monotonic()
        time_ns = camera.clock.time_ns(stamp.to_ns(image.header.stamp), time.monotonic_ns())
        coding = camera.coding(self.settings)
        if not camera.throttle.admit(time_ns, coding.max_fps):
            camera.counters.throttled += 1
            return
        self._regions.keep(camera.name, image)
        # Without a bridge nobody says when a frame is taken.
        if coding.stream and camera.notices[1].get_publisher_count() > 0:
            coded = camera.turn.awaited != camera.sequence
            image, displaced = camera.turn.offer(image, camera.sequence, time.monotonic())
            camera.counters.held_back += displaced and coded
            camera.counters.replaced += displaced and not coded
        self._code(camera, image)

    def _code(self, camera: Camera, image: Image | CompressedImage | None) -> None:
        if image is not None:
            camera.counters.replaced += self._worker.submit(camera.name, image)

    def _refresh(self, camera: Camera) -> None:
        """Begin the stream anew: whatever the link had of it is of no use any more."""
        camera.stands_alone = True
        self._code(camera, camera.turn.end(camera.sequence, time.monotonic()))

    def _take_refresh(self, camera: Camera) -> None:
        camera.counters.refreshes += 1
        self._refresh(camera)

    def _take_region_request(self, camera: Camera, request: RegionRequest) -> None:
        if self.state == 'active':
            self._regions.ask(camera.name, request, camera.regions.publish)
            self._watch.ask(camera.name, request)

    def _take_calibration(self, camera: Camera, info: CameraInfo) -> None:
        if camera.calibration is None or not calibration.same(info, camera.calibration):
            camera.calibration = info
            camera.calibrations.publish(info)

    def _encode(self, name: str, message: Image | CompressedImage) -> None:
        """Convert, encode and publish one image, on the worker's thread."""
        camera = self._cameras[name]
        coding = camera.coding(self.settings)
        if camera.stands_alone or not coding.stream:
            # The link may cut frames that are of no stream: nothing can refer to them either.
            camera.stands_alone = not coding.stream
            self._captioning.refresh(name)
        original = conversion.to_rgb(message, coding.max_pixels)
        image = conversion.shrink(original, coding.max_width)
        start_s = time.perf_counter()
        key_regions = self._watch.look(
            name, image, original.shape[1::-1], stamp.to_ns(message.header.stamp))
        encoded = self._captioning.encode(name, image, coding, EncoderSettings(
            channels=coding.channels, max_bytes=coding.max_bytes or None,
            quantizer=None if coding.quantizer < 0 else coding.quantizer,
            selection=Selection(coding.selection), stream=bool(coding.stream),
            refresh_interval=coding.stream_refresh_interval,
            regions=coding.regions.settings()), key_regions,
            self._watch.judge(name, image) if key_regions and coding.regions.agreement else None)
        camera.encode_ms = 1e3 * (time.perf_counter() - start_s)
        frame = GscFrame(
            header=message.header, sequence=camera.sequence, session=self._session,
            camera_id=camera.number, camera=name, priority=camera.parameters.priority,
            layer_ends=encoded.layer_ends, encode_ms=camera.encode_ms,
            payload=array('B', encoded.payload))
        # Before the link can take the frame: the answer names it by its number.
        camera.sequence = (camera.sequence + 1) % 2 ** 32
        camera.frames.publish(frame)
        if encoded.regions and not self._has_sent_regions:
            # Their graphs are open now, which took more than they will.
            self._has_sent_regions = True
            memory.release_freed()
        if encoded.region_failure:
            self._watch.report(name, encoded.region_failure)
        camera.count(encoded, key_regions if coding.regions.objects else ())

    def _log(self, text: str) -> None:
        if self.context.ok():  # else the process ends
            self.get_logger().warning(text, throttle_duration_sec=LOG_PERIOD_S)

    def _encode_failed(self, name: str, error: Exception) -> None:
        if not self.context.ok():  # the process ends
            return
        camera = self._cameras[name]
        if isinstance(error, conversion.ImageError):
            camera.counters.refused += 1
        else:
            camera.counters.failed += 1
        camera.trouble = str(error)
        self.get_logger().error(f'{name}: {error}', throttle_duration_sec=LOG_PERIOD_S)
        self._code(camera, camera.turn.end(camera.sequence, time.monotonic()))


def main() -> int:
    """Run the node as a process."""
    return run(Sender)


if __name__ == '__main__':
    sys.exit(main())
