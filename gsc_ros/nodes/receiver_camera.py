# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera of the receiver: its topics, its counters, and what limits it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
import time

from gsc_ros.codec import packet
from gsc_ros.codec.caption.memory import CaptionMemory
from gsc_ros.codec.error import MissingReferenceError
from gsc_ros.codec.frame import FrameDecoder, ReadFrame
from gsc_ros.codec.stream import KEPT_FRAMES
from gsc_ros.msg import GscFrame, GscStatus
from gsc_ros.nodes.diagnostic import Level
from gsc_ros.nodes.generation import GenerationCounters
from gsc_ros.nodes.receiver_output import Decoded, PictureTopics, status_of, View
from gsc_ros.nodes.sequence import MODULUS, SequenceTracker
from gsc_ros.nodes.stream_wait import Held, StreamWait
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import String

# Seconds without a frame after which the link counts as silent. Thin links are slow.
SILENCE_S = 15.0


@dataclass
class ReceiverCounters:
    """What became of the frames of one camera since the node was activated."""

    received: int = 0
    lost: int = 0  # gaps in the sequence
    duplicate: int = 0
    out_of_order: int = 0
    undecodable: int = 0
    without_reference: int = 0  # in a stream: the frame that they refer to is not here
    waited: int = 0  # in a stream: decoded once a repair had brought the one before
    replaced: int = 0  # newer frames came before the decoder had time
    published: int = 0
    objects: int = 0  # that the frames told of
    key_regions: int = 0  # of the published pictures


@dataclass
class Camera:
    """
    One camera of the receiver.

    :param pictures: topics of the pictures.
    :param generated: topics of what is generated when the structure picture is shown at once; None
        in the other modes.
    """

    name: str
    inputs: tuple[Subscription, Subscription]
    caption: Publisher
    detections: Publisher
    refresh: Publisher
    decoder: FrameDecoder
    pictures: PictureTopics
    generated: PictureTopics | None = None
    generation: GenerationCounters = field(default_factory=GenerationCounters)
    # Session and number of the frames that the decoder remembers.
    decoded: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=KEPT_FRAMES))
    # Those that cannot be decoded yet.
    wait: StreamWait[GscFrame] = field(default_factory=lambda: StreamWait(0.0))
    tracker: SequenceTracker = field(default_factory=SequenceTracker)
    captions: CaptionMemory = field(default_factory=CaptionMemory)
    counters: ReceiverCounters = field(default_factory=ReceiverCounters)
    reported: ReceiverCounters = field(default_factory=ReceiverCounters)
    calibration: CameraInfo | None = None
    trouble: str | None = None
    last_frame_s: float = 0.0
    decode_ms: float = 0.0

    def restart(self, repair_wait_s: float) -> None:
        """Count from zero, and remember no frame; later ones wait so long for repairs."""
        self.wait = StreamWait(repair_wait_s)
        self.tracker = SequenceTracker()
        self.captions = CaptionMemory()
        self.decoded.clear()
        self.counters = ReceiverCounters()
        self.reported = ReceiverCounters()
        # In place: the generator counts in it.
        vars(self.generation).update(vars(GenerationCounters()))
        self.last_frame_s = time.monotonic()

    def cause(self) -> tuple[Level, str]:
        """Return what limits the camera now."""
        if self.trouble is not None:
            return Level.ERROR, self.trouble
        if time.monotonic() - self.last_frame_s > SILENCE_S:
            known = self.inputs[0].get_publisher_count() > 0
            return Level.WARN, 'no frames from the link' if known else 'no bridge'
        now, before = self.counters, self.reported
        if now.published == before.published and (
                now.duplicate + now.out_of_order > before.duplicate + before.out_of_order):
            return Level.WARN, 'old frames only'
        if now.without_reference > before.without_reference:
            return Level.WARN, 'frames refer to one that is lost'
        if now.replaced > before.replaced:
            return Level.WARN, 'CPU bound'
        if now.received == 0:
            return Level.OK, 'waiting for the first frame'
        return Level.OK, 'reconstructing'

    def leave_out(self, frames: Iterable[Held[GscFrame]]) -> None:
        """Count frames that will never be decoded, as their reference has not come."""
        for frame in frames:
            self.counters.lost += self.tracker.accept(frame.session, frame.sequence)
            self.counters.without_reference += 1

    def read(self, frame: GscFrame, payload: bytes, wanted: bool) -> ReadFrame | None:
        """
        Return a frame of which a picture can be made if it is wanted; else keep only the symbols.

        Those of old frames, too: where a recording begins again, the first frame that counts as
        new refers to one that does not.
        """
        # A checksum names one of 65536 packets: only the frame just before can be the one.
        before = frame.session, (frame.sequence - 1) % MODULUS
        if packet.parse(payload).stream_reference is not None and before not in self.decoded:
            raise MissingReferenceError(f'frame {before[1]} is not here')
        result = None
        if wanted:
            result = self.decoder.read(payload)
        else:
            self.decoder.follow(payload)
        self.decoded.append((frame.session, frame.sequence))
        return result

    def show(self, decoded: Decoded, view: View, profile_hash: bytes) -> None:
        """Publish a picture of a frame, on any thread."""
        self.decode_ms = decoded.result.decode_ms
        aside = self.generated is not None and view.mode == GscStatus.MODE_GENERATE
        if not aside:  # said once for a frame that is shown twice
            if decoded.caption.text:
                self.caption.publish(String(data=decoded.caption.text))
            self.counters.published += 1
            self.counters.key_regions += len(decoded.result.regions)
        topics = self.generated if aside else self.pictures
        counters, generation = self.counters, self.generation
        status = status_of(decoded, profile_hash)
        status.camera = self.name
        status.frames_received, status.frames_lost = counters.received, counters.lost
        status.frames_duplicate = counters.duplicate
        status.frames_out_of_order = counters.out_of_order
        status.frames_undecodable = counters.undecodable
        status.frames_without_reference = counters.without_reference
        status.frames_generated = generation.generated
        status.frames_not_generated = generation.not_generated
        status.frames_generator_failed = generation.generator_failed
        topics.publish(view, decoded, status)
