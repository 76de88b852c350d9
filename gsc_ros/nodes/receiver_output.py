# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the receiver publishes of a decoded frame: pictures, each with how it was made.

    <topics>/image, <topics>/camera_info, <topics>/confidence, <topics>/status
    <topics>/overlay, with the parameter `overlay`: the image with objects and regions drawn into it

All have the stamp and the frame_id of the source.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
import math

from gsc_ros.codec.caption.memory import CaptionView
from gsc_ros.codec.frame import FrameDecoder, ReadFrame, Reconstruction
from gsc_ros.codec.packet import SECTIONS
from gsc_ros.codec.region.canvas import PlacedRegion
from gsc_ros.msg import CodedRegion, GscFrame, GscStatus
from gsc_ros.nodes import calibration, conversion, overlay, stamp
from gsc_ros.nodes.badge import badge
from gsc_ros.nodes.lifecycle import ManagedNode
from gsc_ros.nodes.qos import image_qos
import numpy as np
from rclpy.publisher import Publisher
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image


@dataclass(eq=False)
class Decoded:
    """
    A frame of a camera, and what is known of its caption.

    Its structure picture is made when it is first asked for, by one thread at a time: in mode
    generate nobody asks for those of frames that are not generated.

    :param frame: as it came.
    :param read: what was read of it.
    :param caption: its caption, which may have come with an earlier frame.
    :param decoder: makes the picture.
    """

    frame: GscFrame
    read: ReadFrame
    caption: CaptionView
    decoder: FrameDecoder

    @cached_property
    def result(self) -> Reconstruction:
        """The structure picture."""
        return self.decoder.render(self.read)


@dataclass(frozen=True)
class View:
    """
    One picture of a decoded frame.

    :param image: uint8 ``[H, W, 3]`` RGB.
    :param confidence: uint8 ``[H, W]``.
    :param mode: ``GscStatus.MODE_STRUCTURE`` or ``MODE_GENERATE``.
    :param generator: name of the generator; empty for none.
    :param generate_ms: wall time of the generation; NaN for none.
    :param flicker: gray levels, see codec.generator.flicker; NaN when it is not known.
    """

    image: np.ndarray
    confidence: np.ndarray
    mode: str
    generator: str = ''
    generate_ms: float = math.nan
    flicker: float = math.nan


def structure_view(result: Reconstruction) -> View:
    """Return the picture of the structure decoder."""
    return View(result.image, result.confidence, GscStatus.MODE_STRUCTURE)


class PictureTopics:
    """The topics of one kind of pictures of one camera; publish from any thread."""

    def __init__(self, node: ManagedNode, prefix: str, names: Sequence[str],
                 calibration_of: Callable[[], CameraInfo | None]) -> None:
        """
        Advertise the topics.

        :param node: the receiver.
        :param prefix: of the topics.
        :param names: of the classes of objects that COCO does not have.
        :param calibration_of: returns what is known of the camera's calibration.
        """
        self._node = node
        self._names = names
        self._calibration_of = calibration_of
        topics = [('image', Image), ('camera_info', CameraInfo), ('confidence', Image),
                  ('status', GscStatus)]
        if node.settings.overlay:
            topics.append(('overlay', Image))
        self._publishers = [
            node.create_lifecycle_publisher(
                message, f'{prefix}/{topic}', image_qos(),
                qos_overriding_options=QoSOverridingOptions.with_default_policies())
            for topic, message in topics]
        self._image, self._camera_info, self._confidence, self._status, *overlays = (
            self._publishers)
        self._overlay: Publisher | None = overlays[0] if overlays else None

    def publish(self, view: View, decoded: Decoded, status: GscStatus) -> None:
        """
        Publish a picture of a frame.

        :param status: see :func:`status_of`; how the picture was made is filled in here.
        """
        settings, header = self._node.settings, decoded.frame.header
        image = conversion.fit_width(view.image, settings.output_width)
        confidence = conversion.fit_width(view.confidence, settings.output_width)
        if settings.badge:
            image = badge(image, 'generated' if view.generator else view.mode)
        height, width = confidence.shape
        self._image.publish(conversion.to_message(image, header))
        known = self._calibration_of()
        if known is not None:
            info = calibration.scale(known, width, height)
            info.header = header
            self._camera_info.publish(info)
        self._confidence.publish(conversion.to_message(confidence, header))
        status.mode, status.generator = view.mode, view.generator
        status.generate_ms, status.flicker = view.generate_ms, view.flicker
        stamp_ns = stamp.to_ns(header.stamp)
        now_ns = self._node.get_clock().now().nanoseconds  # 0 while simulated time has not begun
        status.age = (now_ns - stamp_ns) / 1e9 if stamp_ns and now_ns else math.nan
        self._status.publish(status)
        if self._overlay is not None and self._overlay.get_subscription_count():
            self._overlay.publish(conversion.to_message(
                overlay.draw(image, decoded.read.objects, _shares(status), self._names), header))

    def close(self) -> None:
        """Release the topics."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)


def status_of(decoded: Decoded, profile_hash: bytes) -> GscStatus:
    """Return the status of a decoded frame, without the camera's name and counters."""
    frame, result, caption = decoded.frame, decoded.result, decoded.caption
    height, width = result.confidence.shape
    total = sum(result.sections.values())
    return GscStatus(
        header=frame.header, sequence=frame.sequence, width=width, height=height,
        **{f'bytes_{section}': result.sections.get(section, 0) for section in SECTIONS},
        bytes_total=total, bpp=8 * total / (width * height),
        channels=array('H', result.channels), layers_received=result.layers, layers_sent=0,
        regions=[_message_of(region) for region in result.regions],
        caption_state=caption.state.value,
        caption_id=-1 if caption.caption_id is None else caption.caption_id,
        profile=result.profile, profile_hash=profile_hash.hex(), encode_ms=frame.encode_ms,
        decode_ms=result.decode_ms)


def _message_of(region: PlacedRegion) -> CodedRegion:
    left, top, right, bottom = region.box
    return CodedRegion(
        x=left, y=top, width=right - left, height=bottom - top, scale=region.scale,
        level=region.level, tracked=region.tracked)


def _shares(status: GscStatus) -> list[tuple[float, float, float, float]]:
    """Return the boxes of a frame's regions as shares of its picture."""
    return [(region.x / status.width, region.y / status.height,
             (region.x + region.width) / status.width,
             (region.y + region.height) / status.height) for region in status.regions]
