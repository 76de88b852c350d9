# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the scheduler is given to send, and why it may give it up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
import math

from gsc_ros.link.datagram.cutting import Cut

MAX_LAYERS = 1024


class DropReason(Enum):
    """Why a message was given up."""

    SUPERSEDED = 'superseded'
    EXPIRED = 'expired'
    TOO_LARGE = 'too_large'
    QUEUE_FULL = 'queue_full'
    INVALID = 'invalid'


class CameraState(Enum):
    """Where a camera's frames are; the picture in the scheduler's docstring shows the changes."""

    EMPTY = 'empty'
    WAITING = 'waiting'
    SENDING = 'sending'
    BOTH = 'both'


@dataclass(frozen=True)
class CameraPolicy:
    """
    How a camera's frames are treated.

    :param weight: its part of the link among cameras of the same priority, 1..1000.
    :param target_fps: the frame rate that shedding aims at, in Hz; 0: the rate at which frames are
        offered. On a link that cannot carry every frame a low target buys better frames with
        fewer of them.
    :param min_layers: layers that are never shed, >= 1; a frame with fewer is sent whole.
    :raises ValueError: when a value is out of range.
    """

    weight: int = 1
    target_fps: float = 0.0
    min_layers: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 1 <= self.weight <= 1000:
            raise ValueError(f'weight must be within 1..1000, got {self.weight}')
        if not (math.isfinite(self.target_fps) and 0.0 <= self.target_fps <= 1000.0):
            raise ValueError(f'target_fps must be within 0..1000, got {self.target_fps}')
        if self.min_layers < 1:
            raise ValueError(f'min_layers must be >= 1, got {self.min_layers}')


@dataclass(frozen=True)
class FrameMessage:
    """
    A coded frame that asks to be sent; nothing is checked before it is offered.

    :param camera_id: number of the camera on this link, 0..255.
    :param priority: 0 (most urgent) .. 255.
    :param sequence: uint32, as the sender counts.
    :param session: uint16, drawn at random each time the sender starts.
    :param stamp_ns: exact source stamp.
    :param ends: ascending byte lengths of the decodable packets, one per number of layers.
    :param render: called with a number of layers k in 1..len(ends), returns the packet of
        ``ends[k - 1]`` bytes. Called when the frame's turn has come; again, with fewer layers,
        where the frame is split (see `docs/link.md`).
    :param encode_ms: time that coding took; NaN when unknown.
    :param deadline_ns: when the frame becomes useless if not begun, on the endpoint's clock; None:
        the endpoint's default.
    :param on_dropped: called when a frame that was taken in is given up, before or after it began
        to leave; not when the offer itself is refused.
    :param on_sent: called when its last datagram has left.
    :param useful_ns: until when repairing what was lost of it is worth while, on the endpoint's
        clock; None: for the configured time after all of it could have left.
    :param chained: whether later frames refer to it, and are lost with it.
    """

    camera_id: int
    priority: int
    sequence: int
    session: int
    stamp_ns: int
    ends: tuple[int, ...]
    render: Callable[[int], bytes]
    encode_ms: float = math.nan
    deadline_ns: int | None = None
    on_dropped: Callable[[], None] | None = None
    on_sent: Callable[[], None] | None = None
    useful_ns: int | None = None
    chained: bool = False

    def defect(self) -> str | None:
        """Return what is wrong with the message, or None."""
        for name, limit in (('camera_id', 1 << 8), ('priority', 1 << 8),
                            ('sequence', 1 << 32), ('session', 1 << 16)):
            if not 0 <= getattr(self, name) < limit:
                return f'{name} must be within 0..{limit - 1}'
        if not -(1 << 63) <= self.stamp_ns < 1 << 63:
            return 'stamp_ns must fit into 64 bits'
        if not 1 <= len(self.ends) <= MAX_LAYERS:
            return f'ends must have 1..{MAX_LAYERS} entries'
        if self.ends[0] < 1 or any(b <= a for a, b in zip(self.ends, self.ends[1:])):
            return 'ends must be positive and ascending'
        return None


class BulkRank(Enum):
    """How urgent a bulk message is."""

    REGION = 'region'
    BACKGROUND = 'background'


class Rank(Enum):
    """The classes of what is no frame, in the order in which they are asked."""

    PROMPT = 'prompt'
    URGENT = 'urgent'
    SLOW = 'slow'
    REGION = 'region'
    BACKGROUND = 'background'


@dataclass(frozen=True)
class QueuedMessage:
    """
    A message that is no frame, of one or more datagrams.

    :param kind: its name in the trace.
    :param rank: its class.
    :param cut: makes its bodies.
    :param on_sent: called with the time once the last datagram has left.
    :param on_dropped: called when it is given up after it was queued.
    :param deadline_ns: when it is given up if not all of it has left; None: never.
    :param useful_ns: until when repairing what was lost of it is worth while; None: it is not.
    """

    kind: str
    rank: Rank
    cut: Cut
    on_sent: Callable[[int], None] | None = None
    on_dropped: Callable[[], None] | None = None
    deadline_ns: int | None = None
    useful_ns: int | None = None


@dataclass(frozen=True)
class Outgoing:
    """
    A body that leaves now.

    :param body: its bytes.
    :param strong: whether the far end can do nothing without it.
    :param useful_ns: until when repairing it is worth while; None: it is not.
    :param worth: how many frames are lost with it, 1 or more.
    """

    body: bytes
    strong: bool
    useful_ns: int | None
    worth: int = 1
