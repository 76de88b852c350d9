# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A node that listens to both ends of the graph and writes down what it sees.

    <camera>/image_raw                    ──> sources
    <camera>/gsc                          ──> sizes before the link
    reconstructed/<camera>/{image, camera_info, confidence, caption, status}
                                          ──> frames, joined by stamp
    reconstructed/<camera>/generated/{image, confidence, status}
                                          ──> generated pictures, likewise
    reconstructed/<camera>/{overlay, detections}, also generated/overlay
                                          ──> what is known of objects and regions
    ground/<camera>/gsc                   ──> packets, of which other pictures can be made
    link_status, /diagnostics             ──> the last of each
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from gsc_ros.codec.packet import SECTIONS
from gsc_ros.demo.recording import (
    DiagnosticRecord,
    FrameRecord,
    ImageStore,
    LinkRecord,
    Recording,
    RegionRecord,
    SectionBytes,
    SourceRecord,
    StoredImage,
)
from gsc_ros.msg import CodedRegion, GscFrame, GscStatus, LinkStatus
from gsc_ros.nodes import conversion, detection
from gsc_ros.perception.source.class_id import class_name
from gsc_ros.sources.frame import Calibration
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

# Reliable, and deep enough that a short stall of this process loses nothing.
QOS = QoSProfile(depth=20)


OK_LEVEL = int.from_bytes(DiagnosticStatus.OK, 'big')
ERROR_LEVEL = int.from_bytes(DiagnosticStatus.ERROR, 'big')
# How the name of the receiver's report on its generator ends.
GENERATOR = ': generator'
# Reconstructions whose topics may be incomplete before the oldest is given up.
MAX_ARRIVING = 16
# States of a frame's caption in which the receiver publishes it.
KNOWN_CAPTIONS = (GscStatus.CAPTION_RECEIVED, GscStatus.CAPTION_AS_BEFORE)


@dataclass
class _Arriving:
    """A reconstruction of which some topics are still on their way; they come in any order."""

    received_ns: int = 0
    image: StoredImage | None = None
    confidence: StoredImage | None = None
    status: GscStatus | None = None
    overlay: StoredImage | None = None


class _Pictures:
    """Joins the topics of one kind of pictures by their stamps."""

    def __init__(self, store: ImageStore, overlays: bool,
                 finish: Callable[[_Arriving], None]) -> None:
        """
        Begin with none.

        :param store: gets the pictures.
        :param overlays: whether each has an overlay.
        :param finish: called with a reconstruction once all of it is there.
        """
        self._store = store
        self._overlays = overlays
        self._finish = finish
        self._arriving: dict[int, _Arriving] = {}

    def take_image(self, message: Image) -> None:
        """Take a picture."""
        received_ns = time.time_ns()
        arriving = self._at(message)
        arriving.received_ns = received_ns
        arriving.image = self._store.add(conversion.to_rgb(message))
        self._complete(message)

    def take_confidence(self, message: Image) -> None:
        """Take the confidence in a picture."""
        self._at(message).confidence = self._store.add(conversion.to_rgb(message)[..., 0])
        self._complete(message)

    def take_overlay(self, message: Image) -> None:
        """Take a picture with objects and regions drawn into it."""
        self._at(message).overlay = self._store.add(conversion.to_rgb(message))
        self._complete(message)

    def take_status(self, status: GscStatus) -> None:
        """Take what a picture cost."""
        self._at(status).status = status
        self._complete(status)

    def _at(self, message: Image | GscStatus) -> _Arriving:
        if len(self._arriving) > MAX_ARRIVING:
            del self._arriving[min(self._arriving)]
        return self._arriving.setdefault(_stamp_ns(message), _Arriving())

    def _complete(self, message: Image | GscStatus) -> None:
        arriving = self._arriving[_stamp_ns(message)]
        awaited = [arriving.image, arriving.confidence, arriving.status]
        if self._overlays:
            awaited.append(arriving.overlay)
        if None not in awaited:
            self._finish(self._arriving.pop(_stamp_ns(message)))


class Recorder(Node):
    """Node `demo_recorder`: fills a `Recording` while it is spun."""

    def __init__(self, camera: str, recording: Recording, context: Context,
                 overlays: bool = False) -> None:
        """
        Subscribe to everything.

        :param camera: name of the camera in the topics.
        :param recording: filled as messages come.
        :param overlays: whether the receiver publishes overlays.
        """
        super().__init__('demo_recorder', context=context)
        self._recording = recording
        self._caption = ''
        self.camera = camera
        self.last_activity_s = time.monotonic()
        # An error in a callback ends the run where it is spun: a full disk must not go unnoticed.
        prefix = f'reconstructed/{camera}'
        self.create_subscription(Image, f'{camera}/image_raw', self._take_source, QOS)
        self.create_subscription(GscFrame, f'{camera}/gsc', self._take_coded, QOS)
        self.create_subscription(GscFrame, f'ground/{camera}/gsc', self._take_packet, QOS)
        self.create_subscription(String, f'{prefix}/caption', self._take_caption, QOS)
        for topics, records in ((prefix, recording.frames),
                                (f'{prefix}/generated', recording.generated)):
            pictures = _Pictures(recording.store, overlays, self._finisher(records))
            for message, topic, take in (
                    (Image, 'image', pictures.take_image),
                    (Image, 'confidence', pictures.take_confidence),
                    (Image, 'overlay', pictures.take_overlay),
                    (GscStatus, 'status', pictures.take_status)):
                self.create_subscription(message, f'{topics}/{topic}', self._noted(take), QOS)
        self.create_subscription(
            detection.message_type(), f'{prefix}/detections', self._take_detections, QOS)
        self.create_subscription(
            CameraInfo, f'{prefix}/camera_info', self._take_calibration, QOS)
        self.create_subscription(LinkStatus, 'link_status', self._take_link, QOS)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._take_diagnostics,
                                 qos_profile_sensor_data)

    def graph_is_connected(self) -> bool:
        """Return whether bridge and receiver listen, and the sender waits for the camera."""
        # This node subscribes to the frames and the images, too.
        return (self.count_subscribers(f'{self.camera}/gsc') > 1
                and self.count_subscribers(f'ground/{self.camera}/gsc') > 1
                and self.count_subscribers(f'{self.camera}/image_raw') > 1
                and self.count_publishers(f'reconstructed/{self.camera}/image') > 0)

    def generator_is_ready(self) -> bool:
        """Return whether the receiver says that its generator works, or waits for a frame."""
        return any(record.name.endswith(GENERATOR) and record.level == OK_LEVEL
                   for record in self._recording.diagnostics.values())

    def trouble(self) -> str | None:
        """Return why a node cannot start, as it says on /diagnostics; None when all is well."""
        return next((f'{record.name}: {record.message}'
                     for record in self._recording.diagnostics.values()
                     if record.name.endswith((': lifecycle', GENERATOR))
                     and record.level >= ERROR_LEVEL), None)

    def _take_source(self, message: Image) -> None:
        self.last_activity_s = time.monotonic()
        picture = self._recording.store.add(conversion.to_rgb(message))
        self._recording.sources.append(SourceRecord(_stamp_ns(message), picture))

    def _take_coded(self, frame: GscFrame) -> None:
        self.last_activity_s = time.monotonic()
        self._recording.coded_bytes.append(len(frame.payload))

    def _take_packet(self, frame: GscFrame) -> None:
        self._recording.packets[_stamp_ns(frame)] = bytes(frame.payload)

    def _take_detections(self, message: Any) -> None:
        found = detection.from_message(message)
        if found:
            self._recording.objects[_stamp_ns(message)] = tuple(
                class_name(one.class_id) for one in found)

    def _take_caption(self, message: String) -> None:
        self._caption = message.data

    def _take_calibration(self, info: CameraInfo) -> None:
        self._recording.calibrations[_stamp_ns(info)] = Calibration(
            info.width, info.height, info.distortion_model, tuple(info.d), tuple(info.k),
            tuple(info.r), tuple(info.p))

    def _noted(self, take: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a callback that notes that something goes on, too."""
        def callback(message: Any) -> None:
            self.last_activity_s = time.monotonic()
            take(message)
        return callback

    def _finisher(self, records: list[FrameRecord]) -> Callable[[_Arriving], None]:
        """Return what moves a reconstruction of which all is there to the records."""
        def finish(arrived: _Arriving) -> None:
            status = arrived.status
            records.append(FrameRecord(
                stamp_ns=_stamp_ns(status), received_ns=arrived.received_ns,
                frame_id=status.header.frame_id, sequence=status.sequence,
                image=arrived.image, confidence=arrived.confidence,
                sections=SectionBytes(
                    **{name: getattr(status, f'bytes_{name}') for name in SECTIONS}),
                layers_received=status.layers_received, channels=len(status.channels),
                mode=status.mode, profile=status.profile,
                caption=self._caption if status.caption_state in KNOWN_CAPTIONS else '',
                encode_ms=status.encode_ms, decode_ms=status.decode_ms,
                generator=status.generator, generate_ms=status.generate_ms,
                flicker=status.flicker, not_generated=status.frames_not_generated,
                regions=tuple(map(_region, status.regions)), overlay=arrived.overlay))
        return finish

    def _take_link(self, status: LinkStatus) -> None:
        dropped = {name.removeprefix('dropped_'): getattr(status, name)
                   for name in status.get_fields_and_field_types() if name.startswith('dropped_')}
        self._recording.link = LinkRecord(
            budget_bps=status.budget_bps, burst_bits=status.burst_bits, used_bps=status.used_bps,
            layers_shed=status.layers_shed, dropped=dropped)

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            level = int.from_bytes(status.level, 'big')
            record = DiagnosticRecord(status.name, level, status.message)
            self._recording.diagnostics[status.name] = record
            if level >= ERROR_LEVEL:
                self._recording.errors[status.name] = record


def _region(region: CodedRegion) -> RegionRecord:
    return RegionRecord(
        (region.x, region.y, region.x + region.width, region.y + region.height), region.scale,
        region.level, region.tracked)


def _stamp_ns(message: Image | CameraInfo | GscFrame | GscStatus) -> int:
    return Time.from_msg(message.header.stamp).nanoseconds
