# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the scheduler knows about one camera and its frames."""

from __future__ import annotations

from dataclasses import dataclass, field

from gsc_ros.link.datagram.cutting import Cut
from gsc_ros.link.schedule.message import CameraPolicy, CameraState, DropReason, FrameMessage

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

# Until a camera's frame interval has been measured it is taken to be this.
_FIRST_INTERVAL_NS = 100 * NS_PER_MS
_SHORTEST_INTERVAL_NS = NS_PER_MS
# A camera counts as active for this many of its intervals, within these bounds.
_ACTIVE_INTERVALS = 3
_ACTIVE_AT_LEAST_NS = NS_PER_S
_ACTIVE_AT_MOST_NS = 30 * NS_PER_S
# The weight of a new interval in the running mean is one eighth.
_MEAN_SHIFT = 3


@dataclass
class FrameCounter:
    """Cumulative counts; ``dropped`` has an entry for every reason."""

    dropped: dict[DropReason, int] = field(
        default_factory=lambda: dict.fromkeys(DropReason, 0))
    sent_messages: int = 0
    sent_frames: int = 0
    sent_payload_bits: int = 0
    layers_shed: int = 0
    frames_shed: int = 0


@dataclass
class Sending:
    """A frame of which datagrams have left or are about to."""

    message: FrameMessage
    cut: Cut
    payload_bits: int
    progress_ns: int
    useful_ns: int
    worth: int


@dataclass
class Camera:
    """What the scheduler knows about one camera."""

    camera_id: int
    policy: CameraPolicy
    priority: int = 0
    held: bool = False
    waiting: FrameMessage | None = None
    sending: Sending | None = None
    arrival_ns: int | None = None
    interval_ns: int = _FIRST_INTERVAL_NS
    measured: bool = False
    floor_bits: int = 0
    full_bits: int = 0
    carry_bits: int = 0
    work: int = 0

    @property
    def state(self) -> CameraState:
        """Return where its frames are."""
        if self.sending is None:
            return CameraState.EMPTY if self.waiting is None else CameraState.WAITING
        return CameraState.SENDING if self.waiting is None else CameraState.BOTH

    @property
    def ready(self) -> bool:
        """Return whether it has something that may leave."""
        return self.sending is not None or (self.waiting is not None and not self.held)

    @property
    def urgency(self) -> int:
        """Return the priority of what it would send."""
        return self.sending.message.priority if self.sending else self.priority

    @property
    def frame_ns(self) -> int:
        """Return the time one frame may take up: the offered interval, or the target's."""
        target = self.policy.target_fps
        return max(self.interval_ns, int(NS_PER_S / target)) if target else self.interval_ns

    def floor(self, message: FrameMessage) -> int:
        """Return with how many layers a frame leaves at least."""
        return min(self.policy.min_layers, len(message.ends))

    def active(self, now_ns: int) -> bool:
        """Return whether frames of it are to be expected."""
        if self.waiting is not None:
            return True
        if self.arrival_ns is None:
            return False
        span = _ACTIVE_INTERVALS * self.interval_ns
        span = min(max(span, _ACTIVE_AT_LEAST_NS), _ACTIVE_AT_MOST_NS)
        return now_ns - self.arrival_ns <= span

    def note_arrival(self, now_ns: int) -> None:
        """Measure the interval between its frames."""
        if self.arrival_ns is not None and now_ns - self.arrival_ns <= _ACTIVE_AT_MOST_NS:
            sample = max(_SHORTEST_INTERVAL_NS, now_ns - self.arrival_ns)
            if not self.measured:
                self.interval_ns, self.measured = sample, True
            elif self.active(now_ns):
                self.interval_ns += (sample - self.interval_ns) >> _MEAN_SHIFT
            else:
                # A pause, or a camera that has become much slower: that shows in a few frames.
                self.interval_ns = min(sample, 2 * self.interval_ns)
        self.arrival_ns = now_ns
