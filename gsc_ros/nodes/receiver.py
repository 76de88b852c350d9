# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Receiver: coded frames in, images out.

    <prefix>/<camera>/gsc ──> queue ──> worker: order, decode ──> reconstructed/<camera>/image,
                                           ├─ `stream_wait`: frames whose reference is missing
                                           └─ `generation_view`: pictures that are generated
    <prefix>/<camera>/gsc/camera_info ──> scaled to the image ──>   camera_info, confidence,
                                                                    caption, status,
                                                                    detections, overlay
    <prefix>/<camera>/gsc/refresh <── a frame refers to one that will not come any more
    <prefix>/<camera>/gsc/region ──> `region_view` ──> reconstructed/<camera>/region/image, ...
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
import sys
import time

from gsc_ros.codec.error import MissingReferenceError, PacketError
from gsc_ros.codec.frame import FrameDecoder, ReadFrame
from gsc_ros.codec.generator.manifest import structure_hash
from gsc_ros.codec.profile import load_profile
from gsc_ros.msg import GscFrame
from gsc_ros.nodes import conversion, detection
from gsc_ros.nodes.admission import size_defect
from gsc_ros.nodes.diagnostic import Report
from gsc_ros.nodes.generation_view import GenerationView
from gsc_ros.nodes.lifecycle import LOG_PERIOD_S, ManagedNode
from gsc_ros.nodes.process import run
from gsc_ros.nodes.qos import ground_qos, image_qos, latched_qos, notice_qos
from gsc_ros.nodes.receiver_camera import Camera
from gsc_ros.nodes.receiver_output import Decoded, PictureTopics, structure_view, View
from gsc_ros.nodes.region_view import RegionView
from gsc_ros.nodes.schema import Mode, ReceiverParameters
from gsc_ros.nodes.sequence import Arrival
from gsc_ros.nodes.stream_wait import Held
from gsc_ros.nodes.worker import Worker
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.timer import Timer
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import String, UInt32

# Frames that wait for the decoder, at most; a link delivers in bursts.
QUEUE_DEPTH = 16
# Of a frame behind which more wait only the symbols are decoded, which others may refer to: old
# pictures are dull.
PICTURES_WAITING = 2
# How often to look whether frames have waited for long enough.
LOOK_PERIOD_S = 0.1


class Receiver(ManagedNode):
    """Lifecycle node `receiver`."""

    def __init__(self) -> None:
        """Create the node with the process's ROS arguments."""
        self._cameras: dict[str, Camera] = {}
        self._regions: RegionView | None = None
        self._generation: GenerationView | None = None
        self._timer: Timer | None = None
        # None: look whether frames have waited for long enough.
        self._worker: Worker[GscFrame | None] = Worker(
            'decoder', self._decode, self._decode_failed, QUEUE_DEPTH)
        super().__init__('receiver', ReceiverParameters)

    def configure(self) -> None:
        """Load the profile, advertise the reconstructions, subscribe to the frames."""
        self._profile = load_profile(self.settings.profile)
        self._names = detection.further_names(self.settings.labels)
        decoder = FrameDecoder(self._profile, threads=self.settings.decoder_threads)
        for name in self.settings.cameras:
            self._cameras[name] = self._open_camera(name, decoder)
        self._regions = RegionView(
            self, decoder, lambda name: self._cameras[name].calibration)
        if Mode(self.settings.mode) is not Mode.STRUCTURE:
            self._generation = GenerationView(
                self, decoder, structure_hash(self._profile),
                {name: camera.generation for name, camera in self._cameras.items()}, self._show)

    def activate(self) -> None:
        """Count from zero and start the decoder."""
        for camera in self._cameras.values():
            camera.restart(self.settings.repair_wait_s)
        self._worker.start()
        self._regions.start()
        if self._generation is not None:
            self._generation.start()
        self._timer = self.create_timer(
            LOOK_PERIOD_S, self._look_for_overdue, clock=self.steady_clock)

    def deactivate(self) -> None:
        """Stop the decoder; frames that arrive are ignored."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        self._worker.stop()
        for part in (self._regions, self._generation):
            if part is not None:
                part.stop()

    def cleanup(self) -> None:
        """Forget the cameras and the profile."""
        for camera in self._cameras.values():
            for subscription in camera.inputs:
                self.destroy_subscription(subscription)
            for publisher in (camera.caption, camera.detections, camera.refresh):
                self.destroy_lifecycle_publisher(publisher)
            for topics in (camera.pictures, camera.generated):
                if topics is not None:
                    topics.close()
        self._cameras.clear()
        for part in (self._regions, self._generation):
            if part is not None:
                part.close()
        self._regions = self._generation = None

    def diagnose(self) -> Iterable[Report]:
        """Yield one report per camera, and one of the generator."""
        if self._generation is not None:
            yield self._generation.diagnose()
        for camera in self._cameras.values():
            level, message = camera.cause()
            values = asdict(camera.counters) | {
                'waiting': len(camera.wait), 'decode_ms': camera.decode_ms,
                'calibrated': camera.calibration is not None}
            values |= self._regions.values(camera.name)
            if self._generation is not None:
                values |= self._generation.values(camera.name)
            camera.trouble = None
            camera.reported = replace(camera.counters)
            yield Report(camera.name, level, message, values)

    def _open_camera(self, name: str, decoder: FrameDecoder) -> Camera:
        frames, pictures = f'{self.settings.input_prefix}/{name}/gsc', f'reconstructed/{name}'
        inputs = (
            self.create_subscription(
                GscFrame, frames, lambda frame: self._take_frame(name, frame), ground_qos()),
            self.create_subscription(
                CameraInfo, f'{frames}/camera_info',
                lambda info: self._take_calibration(name, info), latched_qos()))
        caption, detections = (
            self.create_lifecycle_publisher(
                message, f'{pictures}/{topic}', image_qos(),
                qos_overriding_options=QoSOverridingOptions.with_default_policies())
            for message, topic in ((String, 'caption'), (detection.message_type(), 'detections')))
        refresh = self.create_lifecycle_publisher(UInt32, f'{frames}/refresh', notice_qos())
        kinds = [pictures]
        if Mode(self.settings.mode) is Mode.AUTO:
            kinds.append(f'{pictures}/generated')
        return Camera(name, inputs, caption, detections, refresh, decoder.branch(), *(
            PictureTopics(self, kind, self._names, lambda: self._cameras[name].calibration)
            for kind in kinds))

    def _take_frame(self, name: str, frame: GscFrame) -> None:
        if self.state != 'active':
            return
        camera = self._cameras[name]
        camera.counters.received += 1
        camera.last_frame_s = time.monotonic()
        camera.counters.replaced += self._worker.submit(name, frame)

    def _take_calibration(self, name: str, info: CameraInfo) -> None:
        self._cameras[name].calibration = info

    def _look_for_overdue(self) -> None:
        """Have the worker look after frames that nothing else reminds it of."""
        now_s = time.monotonic()
        for camera in self._cameras.values():
            deadline_s = camera.wait.deadline_s
            overdue = deadline_s is not None and deadline_s <= now_s
            if overdue and not self._worker.waiting(camera.name):
                self._worker.submit(camera.name, None)

    def _decode(self, name: str, frame: GscFrame | None) -> None:
        """Decode one frame and those that wait for it, on the worker's thread."""
        camera = self._cameras[name]
        now_s = time.monotonic()
        if frame is not None:
            self._take(camera, frame, now_s)
        lost = camera.wait.lost(now_s)
        if lost:
            camera.leave_out(lost)
            camera.refresh.publish(UInt32(data=lost[-1].sequence))

    def _take(self, camera: Camera, frame: GscFrame, now_s: float) -> None:
        """Decode a frame, and publish it unless it is old; or let it wait for a repair."""
        place = frame.session, frame.sequence
        if camera.wait.holds(*place):
            camera.counters.duplicate += 1
            return
        arrival = camera.tracker.classify(*place)
        new = arrival is Arrival.NEW
        if not new:
            camera.tracker.reject(frame.sequence)
            if arrival is Arrival.DUPLICATE:
                camera.counters.duplicate += 1
            else:
                camera.counters.out_of_order += 1
        payload, settings = bytes(frame.payload), self.settings
        defect = size_defect(payload, settings.max_pixels, settings.output_width)
        if defect is not None:
            raise PacketError(defect)
        followers = camera.wait.followers(*place)
        held = Held(*place, now_s, len(payload), frame)
        try:
            read = camera.read(
                frame, payload, new and self._is_in_time(camera, len(followers)))
        except MissingReferenceError:
            if new:
                camera.leave_out(camera.wait.hold(held))
            return
        if new:
            camera.counters.replaced += read is None and not followers
            self._accept(camera, held, read)
        for behind, follower in zip(reversed(range(len(followers))), followers):
            try:
                read = camera.read(
                    follower.item, bytes(follower.item.payload),
                    self._is_in_time(camera, behind))
            except PacketError as error:  # it will be found among the lost, and all behind it
                self._decode_failed(camera.name, error)
                return
            camera.counters.waited += 1
            self._accept(camera, follower, read)

    def _is_in_time(self, camera: Camera, behind: int) -> bool:
        """Return whether a picture is still of interest, with `behind` newer ones known of."""
        return behind + self._worker.waiting(camera.name) < PICTURES_WAITING

    def _accept(self, camera: Camera, frame: Held[GscFrame], read: ReadFrame | None) -> None:
        """Take a frame that was decoded for the newest, and publish its picture if it is wanted."""
        camera.leave_out(camera.wait.passed(frame.session, frame.sequence, frame.arrived_s))
        camera.counters.lost += camera.tracker.accept(frame.session, frame.sequence)
        if read is not None:
            self._publish(camera, frame.item, read)

    def _decode_failed(self, name: str, error: Exception) -> None:
        if not self.context.ok():  # the process ends
            return
        camera = self._cameras[name]
        camera.counters.undecodable += 1
        camera.trouble = f'undecodable frame: {error}'
        self.get_logger().error(f'{name}: {camera.trouble}', throttle_duration_sec=LOG_PERIOD_S)

    def _publish(self, camera: Camera, frame: GscFrame, read: ReadFrame) -> None:
        caption = camera.captions.take(
            frame.session, frame.sequence, read.packet.caption_id, read.caption)
        decoded = Decoded(frame, read, caption, camera.decoder)
        self._tell(camera, decoded)
        if self._generation is None:
            self._show(camera.name, decoded, structure_view(decoded.result))
        else:
            self._generation.take(camera.name, decoded)

    def _tell(self, camera: Camera, decoded: Decoded) -> None:
        """Publish what a frame tells of its original, before there is a picture."""
        frame, packet, objects = decoded.frame, decoded.read.packet, decoded.read.objects
        width, height = conversion.fitted_size(
            packet.width, packet.height, self.settings.output_width)
        camera.counters.objects += len(objects)
        camera.detections.publish(detection.to_message(
            objects, width, height, frame.header, frame.sequence, self._names))

    def _show(self, name: str, decoded: Decoded, view: View) -> None:
        self._cameras[name].show(decoded, view, self._profile.content_hash)


def main() -> int:
    """Run the node as a process."""
    return run(Receiver)


if __name__ == '__main__':
    sys.exit(main())
