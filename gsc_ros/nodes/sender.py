# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sender: camera images in, coded frames out.

    <camera>/image_raw ──> throttle ──> newest wins ──> worker: convert, encode ──> <camera>/gsc
                                                        captioner's worker <──┘
    <camera>/camera_info ──> only what is new ────────────────────────> <camera>/gsc/camera_info
    <camera>/gsc/taken ────> in a stream: code the next image
    <camera>/gsc/refresh ──> in a stream: let it stand alone

Images are subscribed to only while somebody listens to `<camera>/gsc`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
import secrets
import sys
import time

from gsc_ros.codec.frame import EncoderSettings, FrameEncoder, Selection
from gsc_ros.codec.profile import load_profile, Profile
from gsc_ros.msg import GscFrame
from gsc_ros.nodes import calibration, conversion, stamp
from gsc_ros.nodes.captioning import Captioning
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.lifecycle import LOG_PERIOD_S, ManagedNode
from gsc_ros.nodes.process import run
from gsc_ros.nodes.qos import frame_qos, latched_qos, notice_qos, sensor_qos
from gsc_ros.nodes.schema import SenderCameraParameters, SenderParameters
from gsc_ros.nodes.throttle import FrameClock, Throttle
from gsc_ros.nodes.turn import Turn
from gsc_ros.nodes.worker import Worker
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.publisher import Publisher
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Empty, UInt32

# Seconds without an image after which the camera counts as gone.
SILENCE_S = 3.0


@dataclass
class SenderCounters:
    """What became of the images of one camera since the node was configured."""

    received: int = 0
    throttled: int = 0  # more than max_fps
    replaced: int = 0  # a newer image came before the encoder had time
    held_back: int = 0  # in a stream: a newer image came before the link had taken the last frame
    refused: int = 0  # not a picture that can be coded
    failed: int = 0  # the encoder could not, for example within max_bytes
    sent: int = 0
    sent_bytes: int = 0
    refreshes: int = 0  # asked for by the bridge or, through it, by the receiver


@dataclass
class Camera:
    """One camera of the sender."""

    name: str
    number: int
    parameters: SenderCameraParameters
    frames: Publisher
    calibrations: Publisher
    clock: FrameClock = field(default_factory=FrameClock)
    throttle: Throttle = field(default_factory=Throttle)
    turn: Turn[Image | CompressedImage] = field(default_factory=Turn)
    counters: SenderCounters = field(default_factory=SenderCounters)
    reported: SenderCounters = field(default_factory=SenderCounters)
    subscriptions: list[Subscription] = field(default_factory=list)
    notices: tuple[Subscription, ...] = ()
    calibration: CameraInfo | None = None
    sequence: int = 0
    stands_alone: bool = True  # the next frame of a stream
    trouble: str | None = None
    last_image_s: float = 0.0
    encode_ms: float = 0.0


class Sender(ManagedNode):
    """Lifecycle node `sender`."""

    def __init__(self) -> None:
        """Create the node with the process's ROS arguments."""
        self._cameras: dict[str, Camera] = {}
        self._profile: Profile | None = None
        self._captioning: Captioning | None = None
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
        self._captioning = Captioning(
            FrameEncoder(self._profile, threads=self.settings.encoder_threads), self.settings,
            lambda text: self.get_logger().warning(text, throttle_duration_sec=LOG_PERIOD_S))
        self._session = secrets.randbelow(2 ** 16)
        for number, name in enumerate(self.settings.cameras):
            events = PublisherEventCallbacks(matched=lambda _, name=name: self._follow(name))
            camera = self._cameras[name] = Camera(
                name, number, self.table.read(SenderCameraParameters, f'{name}.'),
                self.create_lifecycle_publisher(
                    GscFrame, f'{name}/gsc', frame_qos(), event_callbacks=events,
                    qos_overriding_options=QoSOverridingOptions.with_default_policies()),
                self.create_lifecycle_publisher(
                    CameraInfo, f'{name}/gsc/camera_info', latched_qos()))
            # In this order: a frame that is not there is no use to the next image.
            camera.notices = (
                self.create_subscription(
                    Empty, f'{name}/gsc/refresh',
                    lambda _, camera=camera: self._take_refresh(camera), notice_qos()),
                self.create_subscription(
                    UInt32, f'{name}/gsc/taken',
                    lambda number, camera=camera: self._code(camera, camera.turn.taken(
                        number.data, camera.sequence, time.monotonic())), notice_qos()))

    def activate(self) -> None:
        """Start the encoder and follow the cameras that somebody listens to."""
        self._captioning.start()
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
        self._worker.stop()

    def cleanup(self) -> None:
        """Forget the cameras and the profile."""
        for camera in self._cameras.values():
            self.destroy_lifecycle_publisher(camera.frames)
            self.destroy_lifecycle_publisher(camera.calibrations)
            for subscription in camera.notices:
                self.destroy_subscription(subscription)
        self._cameras.clear()
        self._captioning = self._profile = None

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
            level, message = self._cause(camera)
            values = asdict(camera.counters) | {
                'encode_ms': camera.encode_ms, 'listeners': camera.frames.get_subscription_count()}
            camera.trouble = None
            camera.reported = replace(camera.counters)
            yield Report(camera.name, level, message, values)
        yield from self._captioning.diagnose()

    def _cause(self, camera: Camera) -> tuple[Level, str]:
        if camera.trouble is not None:
            return Level.ERROR, camera.trouble
        if not camera.subscriptions:
            return Level.OK, 'no subscriber'
        if time.monotonic() - camera.last_image_s > SILENCE_S:
            known = camera.subscriptions[0].get_publisher_count() > 0
            return Level.WARN, 'no images from the camera' if known else 'no camera'
        if camera.counters.replaced > camera.reported.replaced:
            return Level.WARN, 'CPU bound'
        if camera.counters.held_back > camera.reported.held_back:
            return Level.OK, 'coding as the link takes frames'
        if camera.clock.stands_still:
            return Level.WARN, 'stamps stand still'
        return Level.OK, 'coding'

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

    def _unsubscribe(self, camera: Camera) -> None:
        for subscription in camera.subscriptions:
            self.destroy_subscription(subscription)
        camera.subscriptions = []

    def _take_image(self, camera: Camera, image: Image | CompressedImage) -> None:
        camera.counters.received += 1
        camera.last_image_s = time.monotonic()
        time_ns = camera.clock.time_ns(stamp.to_ns(image.header.stamp), time.monotonic_ns())
        coding = self._coding(camera)
        if not camera.throttle.admit(time_ns, coding.max_fps):
            camera.counters.throttled += 1
            return
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

    def _take_calibration(self, camera: Camera, info: CameraInfo) -> None:
        if camera.calibration is None or not calibration.same(info, camera.calibration):
            camera.calibration = info
            camera.calibrations.publish(info)

    def _encode(self, name: str, message: Image | CompressedImage) -> None:
        """Convert, encode and publish one image, on the worker's thread."""
        camera = self._cameras[name]
        coding = self._coding(camera)
        if camera.stands_alone or not coding.stream:
            # The link may cut frames that are of no stream: nothing can refer to them either.
            camera.stands_alone = not coding.stream
            self._captioning.refresh(name)
        image = conversion.shrink(
            conversion.to_rgb(message, coding.max_pixels), coding.max_width)
        encoded = self._captioning.encode(name, image, coding, EncoderSettings(
            channels=coding.channels, max_bytes=coding.max_bytes or None,
            quantizer=None if coding.quantizer < 0 else coding.quantizer,
            selection=Selection(coding.selection), stream=bool(coding.stream),
            refresh_interval=coding.stream_refresh_interval))
        frame = GscFrame(
            header=message.header, sequence=camera.sequence, session=self._session,
            camera_id=camera.number, camera=name, priority=camera.parameters.priority,
            layer_ends=encoded.layer_ends, encode_ms=encoded.encode_ms,
            payload=array('B', encoded.payload))
        # Before the link can take the frame: the answer names it by its number.
        camera.sequence = (camera.sequence + 1) % 2 ** 32
        camera.frames.publish(frame)
        camera.encode_ms = encoded.encode_ms
        camera.counters.sent += 1
        camera.counters.sent_bytes += len(encoded.payload)

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

    def _coding(self, camera: Camera) -> SenderParameters:
        """Return the node-wide parameters with those of the camera over them."""
        own = {field.name: getattr(camera.parameters, field.name)
               for field in fields(SenderCameraParameters) if hasattr(self.settings, field.name)}
        return replace(self.settings, **{
            name: value for name, value in own.items() if value not in (-1, '')})


def main() -> int:
    """Run the node as a process."""
    return run(Sender)


if __name__ == '__main__':
    sys.exit(main())
