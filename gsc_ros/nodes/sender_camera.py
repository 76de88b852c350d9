# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera of the sender: its topics, its counters, and what limits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
import time

from gsc_ros.codec.frame import EncodedFrame
from gsc_ros.codec.region.object_list import OBJECT_BITS, OBJECT_COUNT_BITS
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.codec.region.spot import objects
from gsc_ros.nodes.diagnostic import Level
from gsc_ros.nodes.schema import SenderCameraParameters, SenderParameters
from gsc_ros.nodes.throttle import FrameClock, Throttle
from gsc_ros.nodes.turn import Turn
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

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
    key_regions: int = 0  # sent
    key_region_bytes: int = 0
    objects: int = 0  # sent
    objects_left_out: int = 0  # as max_bytes has no room for the whole list


@dataclass
class Camera:
    """One camera of the sender."""

    name: str
    number: int
    parameters: SenderCameraParameters
    frames: Publisher
    calibrations: Publisher
    regions: Publisher
    clock: FrameClock = field(default_factory=FrameClock)
    throttle: Throttle = field(default_factory=Throttle)
    turn: Turn[Image | CompressedImage] = field(default_factory=Turn)
    counters: SenderCounters = field(default_factory=SenderCounters)
    reported: SenderCounters = field(default_factory=SenderCounters)
    subscriptions: list[Subscription] = field(default_factory=list)
    notices: tuple[Subscription, ...] = ()
    perception: tuple[Subscription, ...] = ()  # what the robot says that it looks at
    calibration: CameraInfo | None = None
    sequence: int = 0
    stands_alone: bool = True  # the next frame of a stream
    trouble: str | None = None
    last_image_s: float = 0.0
    encode_ms: float = 0.0

    def coding(self, settings: SenderParameters) -> SenderParameters:
        """Return the node-wide parameters with those of the camera over them."""
        own = {field.name: getattr(self.parameters, field.name)
               for field in fields(SenderCameraParameters) if hasattr(settings, field.name)}
        own['regions'] = self.parameters.regions.over(settings.regions)
        return replace(settings, **{
            name: value for name, value in own.items() if value not in (-1, '')})

    def count(self, encoded: EncodedFrame, listed: Sequence[KeyRegion]) -> None:
        """
        Count a frame that was sent.

        :param listed: those of which the list of objects was to tell.
        """
        counters = self.counters
        counters.sent += 1
        counters.sent_bytes += len(encoded.payload)
        counters.key_regions += len(encoded.regions)
        counters.key_region_bytes += encoded.sections['regions']
        # Less than an object's bits are left over.
        sent = max(0, 8 * encoded.sections['objects'] - OBJECT_COUNT_BITS) // OBJECT_BITS
        counters.objects += sent
        counters.objects_left_out += len(
            objects(listed, encoded.width, encoded.height)) - sent

    def cause(self) -> tuple[Level, str]:
        """Return what limits the camera now."""
        if self.trouble is not None:
            return Level.ERROR, self.trouble
        if not self.subscriptions:
            return Level.OK, 'no subscriber'
        if time.monotonic() - self.last_image_s > SILENCE_S:
            known = self.subscriptions[0].get_publisher_count() > 0
            return Level.WARN, 'no images from the camera' if known else 'no camera'
        if self.counters.replaced > self.reported.replaced:
            return Level.WARN, 'CPU bound'
        if self.counters.held_back > self.reported.held_back:
            return Level.OK, 'coding as the link takes frames'
        if self.clock.stands_still:
            return Level.WARN, 'stamps stand still'
        if self.counters.objects_left_out > self.reported.objects_left_out:
            return Level.OK, 'coding, with objects left out: max_bytes'
        return Level.OK, 'coding'
