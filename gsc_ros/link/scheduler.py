# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Decide what leaves next, and with how many layers.

::

    control messages ──> reserved share ─────────────────────────┐
    frames ──> newest wins per camera ──> strict priority,       ├──> one datagram at a time
               (one waits, one is sent)   fair among equals,     │
                                          cut at a layer ────────┘

Each camera is in one of four states (`CameraState`)::

    EMPTY ──offer──> WAITING ──first datagram──> SENDING ──last datagram──> EMPTY
                     │  ^ offer: newest wins     │  ^
                     │  └──────┐           offer │  │ expiry
                     └─expiry─> EMPTY            v  │
                               BOTH (one is sent, one waits) ──last datagram──> WAITING

The scheduler knows no bucket and no transport: its owner asks `select` what would leave next and
how large it is, waits until budget and transport allow it, then calls `open` for the bytes and
`sent` when they are gone. A frame is cut to its layers only at `open`, so until its first datagram
really leaves a newer frame can still take its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
import math
from typing import Protocol

from gsc_ros.link.shaper import TokenBucket
from gsc_ros.link.statistic import UsageMeter

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
MAX_CAMERAS = 256
MAX_LAYERS = 1024

# Until a camera's frame interval has been measured it is taken to be this.
_FIRST_INTERVAL_NS = 100 * NS_PER_MS
_SHORTEST_INTERVAL_NS = NS_PER_MS
# A camera counts as active for this many of its intervals, within these bounds.
_ACTIVE_INTERVALS = 3
_ACTIVE_AT_LEAST_NS = NS_PER_S
_ACTIVE_AT_MOST_NS = 30 * NS_PER_S
# The weight of a new interval in the running mean is one eighth.
_MEAN_SHIFT = 3
# Work of a camera in bits is divided by its weight; scaled up so that nothing is lost to rounding.
_WORK_SCALE = 1 << 16
# What control messages leave to frames is judged by their usage over this long.
_CONTROL_WINDOW_NS = 10 * NS_PER_S
# One part in so many of the budget is not handed out, so that small errors cannot build a queue.
_MARGIN = 50


class DropReason(Enum):
    """Why a message was given up."""

    SUPERSEDED = 'superseded'
    EXPIRED = 'expired'
    TOO_LARGE = 'too_large'
    QUEUE_FULL = 'queue_full'
    INVALID = 'invalid'


class CameraState(Enum):
    """Where a camera's frames are; the picture in the module's docstring shows the changes."""

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
        ``ends[k - 1]`` bytes. Called at most once, when the frame's turn has come.
    :param encode_ms: time that coding took; NaN when unknown.
    :param deadline_ns: when the frame becomes useless if not begun, on the endpoint's clock; None:
        the endpoint's default.
    :param on_dropped: called when a frame that was taken in is given up, before or after it began
        to leave; not when the offer itself is refused.
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


class ControlRank(Enum):
    """Order within the control class."""

    PROMPT = 'prompt'
    URGENT = 'urgent'
    BACKGROUND = 'background'


@dataclass(frozen=True)
class ControlMessage:
    """
    A message of the control class, of one or more datagrams.

    :param kind: its name in the trace.
    :param rank: PROMPT keeps to the reserved share while frames wait, BACKGROUND always; URGENT,
        what a camera's frames must wait for, does not.
    :param sizes: bits on the wire of each datagram.
    :param build: called with a datagram's index and the time when it leaves; returns its bytes.
    :param on_sent: called with the time once the last datagram has left.
    """

    kind: str
    rank: ControlRank
    sizes: tuple[int, ...]
    build: Callable[[int, int], bytes]
    on_sent: Callable[[int], None] | None = None


class Packetizer(Protocol):
    """Turns frames into datagrams on the scheduler's behalf."""

    def sizes(self, message: FrameMessage, length: int) -> list[int]:
        """Return the bits on the wire of each datagram for a packet of ``length`` bytes."""

    def cut(self, message: FrameMessage, payload: bytes) -> list[bytes]:
        """Return the datagrams, as `sizes` foretold."""

    @property
    def max_datagrams(self) -> int:
        """Return the most datagrams a frame may have."""


@dataclass(frozen=True)
class SchedulerConfig:
    """
    Bounds and shares.

    :param control_share: part of the link that is reserved for control messages, 0.01..0.5; what
        they leave of it goes to frames.
    :param control_queue: most control messages that wait, >= 1.
    :param stall_ns: a frame in the middle of which nothing has left for so long is given up: the
        far end has forgotten its beginning.
    :raises ValueError: when a value is out of range.
    """

    control_share: float = 0.1
    control_queue: int = 64
    stall_ns: int = 60 * NS_PER_S

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0.01 <= self.control_share <= 0.5:
            raise ValueError(f'control_share must be within 0.01..0.5, got {self.control_share}')
        if self.control_queue < 1 or self.stall_ns < 1:
            raise ValueError('control_queue and stall_ns must be >= 1')


@dataclass(frozen=True)
class Candidate:
    """
    The datagram that would leave next.

    :param bits: its size on the wire.
    :param kind: its name in the trace.
    :param rank: the queue it heads, when it is of the control class.
    :param camera_id: the camera, when it is part of a frame.
    :param layers: with how many layers the frame would be begun; 0 when it has been already.
    """

    bits: int
    kind: str
    rank: ControlRank | None = None
    camera_id: int | None = None
    layers: int = 0


@dataclass
class SchedulerCounter:
    """Cumulative counts; ``dropped`` has an entry for every reason."""

    dropped: dict[DropReason, int] = field(
        default_factory=lambda: dict.fromkeys(DropReason, 0))
    sent_messages: int = 0
    sent_frames: int = 0
    sent_payload_bits: int = 0
    layers_shed: int = 0
    frames_shed: int = 0


@dataclass
class _Sending:
    """A frame of which datagrams have left or are about to."""

    message: FrameMessage
    datagrams: deque[tuple[bytes, int]]
    payload_bits: int
    progress_ns: int


@dataclass
class _Camera:
    """What the scheduler knows about one camera."""

    camera_id: int
    policy: CameraPolicy
    priority: int = 0
    held: bool = False
    waiting: FrameMessage | None = None
    sending: _Sending | None = None
    arrival_ns: int | None = None
    interval_ns: int = _FIRST_INTERVAL_NS
    measured: bool = False
    floor_bits: int = 0
    full_bits: int = 0
    carry_bits: int = 0
    work: int = 0

    @property
    def state(self) -> CameraState:
        if self.sending is None:
            return CameraState.EMPTY if self.waiting is None else CameraState.WAITING
        return CameraState.SENDING if self.waiting is None else CameraState.BOTH

    @property
    def ready(self) -> bool:
        return self.sending is not None or (self.waiting is not None and not self.held)

    @property
    def urgency(self) -> int:
        return self.sending.message.priority if self.sending else self.priority

    @property
    def frame_ns(self) -> int:
        """Return the time one frame may take up: the offered interval, or the target's."""
        target = self.policy.target_fps
        return max(self.interval_ns, int(NS_PER_S / target)) if target else self.interval_ns

    def active(self, now_ns: int) -> bool:
        if self.waiting is not None:
            return True
        if self.arrival_ns is None:
            return False
        span = _ACTIVE_INTERVALS * self.interval_ns
        span = min(max(span, _ACTIVE_AT_LEAST_NS), _ACTIVE_AT_MOST_NS)
        return now_ns - self.arrival_ns <= span

    def note_arrival(self, now_ns: int) -> None:
        if self.arrival_ns is not None and self.active(now_ns):
            sample = max(_SHORTEST_INTERVAL_NS, now_ns - self.arrival_ns)
            if self.measured:
                self.interval_ns += (sample - self.interval_ns) >> _MEAN_SHIFT
            else:
                self.interval_ns, self.measured = sample, True
        self.arrival_ns = now_ns


class Scheduler:
    """
    Queue messages and say what leaves next; see the module's docstring.

    :param config: bounds and shares.
    :param packetizer: turns frames into datagrams.
    :param rate_bps: the whole budget, in bit/s.
    :param datagram_bits: size of the largest datagram on the wire.
    :param now_ns: the time.
    """

    def __init__(
        self,
        config: SchedulerConfig,
        packetizer: Packetizer,
        rate_bps: int,
        datagram_bits: int,
        now_ns: int,
    ) -> None:
        """Start with nothing queued."""
        self._config = config
        self._packetizer = packetizer
        self._rate = rate_bps
        self._datagram_bits = datagram_bits
        self._share = TokenBucket(
            self._share_bps(rate_bps), datagram_bits, now_ns, credit_bits=datagram_bits)
        self._control_usage = UsageMeter(_CONTROL_WINDOW_NS)
        self._control: dict[ControlRank, deque[ControlMessage]] = {
            rank: deque() for rank in ControlRank}
        self._begun: dict[ControlRank, int] = dict.fromkeys(ControlRank, 0)
        self._cameras: dict[int, _Camera] = {}
        self._reached: dict[int, int] = {}
        self.counter = SchedulerCounter()

    def set_rate(self, rate_bps: int, now_ns: int) -> None:
        """Change the whole budget, in bit/s."""
        self._rate = rate_bps
        self._share.set_rate(self._share_bps(rate_bps), self._datagram_bits, now_ns)

    def set_policy(self, camera_id: int, policy: CameraPolicy) -> None:
        """Change how a camera's frames are treated, from its next frame on."""
        self._camera(camera_id).policy = policy

    def hold(self, camera_id: int, held: bool) -> None:
        """Keep a camera's frames from being begun, or let them go."""
        self._camera(camera_id).held = held

    def state(self, camera_id: int) -> CameraState:
        """Return where a camera's frames are."""
        camera = self._cameras.get(camera_id)
        return camera.state if camera else CameraState.EMPTY

    def queued(self) -> tuple[int, int]:
        """Return how many messages wait or are being sent, and at least how many bits they are."""
        messages = bits = 0
        for rank, queue in self._control.items():
            messages += len(queue)
            bits += sum(sum(message.sizes) for message in queue)
            bits -= sum(queue[0].sizes[:self._begun[rank]]) if queue else 0
        for camera in self._cameras.values():
            if camera.waiting:
                messages += 1
                bits += camera.floor_bits
            if camera.sending:
                messages += 1
                bits += sum(size for _, size in camera.sending.datagrams)
        return messages, bits

    def offer(self, message: FrameMessage, now_ns: int) -> bool:
        """
        Queue a frame; it takes the place of one of the same camera that waits.

        :returns: False when it was dropped at once; `counter` says why.
        """
        if message.defect():
            return self._drop(DropReason.INVALID)
        camera = self._camera(message.camera_id)
        camera.note_arrival(now_ns)
        floor = message.ends[min(camera.policy.min_layers, len(message.ends)) - 1]
        sizes = self._packetizer.sizes(message, floor)
        if len(sizes) > self._packetizer.max_datagrams:
            return self._drop(DropReason.TOO_LARGE)
        if camera.waiting is not None:
            self._drop(DropReason.SUPERSEDED, camera.waiting)
        if camera.state is CameraState.EMPTY:
            # A camera that comes back competes from now on; it has no claim for its absence.
            camera.work = max(camera.work, self._reached.get(message.priority, 0))
        camera.waiting = message
        camera.priority = message.priority
        camera.floor_bits = sum(sizes)
        camera.full_bits = sum(self._packetizer.sizes(message, message.ends[-1]))
        return True

    def offer_control(self, message: ControlMessage) -> bool:
        """Queue a control message; False when the queue is full."""
        if sum(map(len, self._control.values())) >= self._config.control_queue:
            return self._drop(DropReason.QUEUE_FULL)
        self._control[message.rank].append(message)
        return True

    def expire(self, now_ns: int) -> None:
        """Give up frames past their deadline, and begun ones that the far end has forgotten."""
        for camera in self._cameras.values():
            waiting, sending = camera.waiting, camera.sending
            if waiting and waiting.deadline_ns is not None and waiting.deadline_ns <= now_ns:
                camera.waiting = None
                self._drop(DropReason.EXPIRED, waiting)
            if sending and now_ns - sending.progress_ns > self._config.stall_ns:
                camera.sending = None
                self._drop(DropReason.EXPIRED, sending.message)

    def select(self, now_ns: int, credit_bits: int = 0) -> Candidate | None:
        """
        Return what would leave next, or None when nothing waits but for its share.

        Nothing changes by asking, but that expired frames are given up.

        :param credit_bits: what the budget would let leave at once.
        """
        self.expire(now_ns)
        camera = min(
            (camera for camera in self._cameras.values() if camera.ready),
            key=lambda c: (c.urgency, c.sending is None, c.work, c.camera_id),
            default=None,
        )
        for rank in ControlRank:
            candidate = self._control_candidate(rank)
            if candidate is None:
                continue
            in_share = self._share.wait_ns(candidate.bits, now_ns) == 0
            idle = camera is None and rank is ControlRank.PROMPT
            if in_share or idle or rank is ControlRank.URGENT:
                return candidate
        return None if camera is None else self._frame_candidate(camera, now_ns, credit_bits)

    def background_wait_ns(self, now_ns: int) -> int | None:
        """Return how long until the reserved share lets a background message go on, or None."""
        candidate = self._control_candidate(ControlRank.BACKGROUND)
        return None if candidate is None else self._share.wait_ns(candidate.bits, now_ns)

    def open(self, candidate: Candidate, now_ns: int) -> bytes | None:
        """
        Return the bytes of a candidate that `select` has just named.

        A frame that begins is rendered here; when that fails it is dropped as invalid, None is
        returned and the caller asks `select` again.
        """
        if candidate.rank is not None:
            message = self._control[candidate.rank][0]
            return message.build(self._begun[candidate.rank], now_ns)
        camera = self._cameras[candidate.camera_id]
        if camera.sending is None and not self._begin(camera, candidate.layers, now_ns):
            return None
        return camera.sending.datagrams[0][0]

    def sent(self, candidate: Candidate, now_ns: int) -> None:
        """Note that the opened candidate has left."""
        if candidate.rank is not None:
            self._control_sent(candidate, now_ns)
            return
        camera = self._cameras[candidate.camera_id]
        sending = camera.sending
        sending.datagrams.popleft()
        sending.progress_ns = now_ns
        self._reached[sending.message.priority] = camera.work
        camera.work += candidate.bits * _WORK_SCALE // camera.policy.weight
        if not sending.datagrams:
            camera.sending = None
            self.counter.sent_messages += 1
            self.counter.sent_frames += 1
            self.counter.sent_payload_bits += sending.payload_bits

    def allowance_bits(self, camera_id: int, now_ns: int, credit_bits: int = 0) -> int:
        """
        Return how many bits the waiting frame of a camera may take, at least its first layers.

        First every active camera gets its first layers at its frame rate. What the budget leaves
        is handed out by priority, and among equals by weight to those who can use it, up to whole
        frames. When not even the first layers fit there is nothing to hand out.
        """
        camera = self._cameras[camera_id]
        wished = self._quantum_bits(camera, now_ns) + camera.carry_bits
        return max(camera.floor_bits, min(wished, self._patience_bits(camera, now_ns, credit_bits)))

    def _patience_bits(self, camera: _Camera, now_ns: int, credit_bits: int) -> int:
        """
        Return how much may leave before frames that wait are superseded for waiting too long.

        After an announcement or a late wake-up there is a queue; it is worked off with smaller
        frames, not by letting the next ones push each other out.
        """
        others = [c for c in self._cameras.values() if c is not camera and c.ready]
        behind = sum(c.floor_bits for c in others)
        # Half an interval of delay lets a frame take the next larger step now and then.
        spans = [camera.arrival_ns + camera.frame_ns * 3 // 2 - now_ns]
        spans += [
            c.arrival_ns + c.interval_ns - now_ns - behind * NS_PER_S // self._rate
            for c in others if c.waiting is not None and c.frame_ns == c.interval_ns]
        return max(0, credit_bits + min(spans) * self._rate // NS_PER_S)

    def _quantum_bits(self, camera: _Camera, now_ns: int) -> int:
        active = [
            c for c in self._cameras.values() if c is camera or (c.active(now_ns) and not c.held)]
        floors = {c.camera_id: c.floor_bits * NS_PER_S // c.frame_ns for c in active}
        spare = self._frame_bps(now_ns) - sum(floors.values())
        for priority in sorted({c.priority for c in active}):
            equals = [c for c in active if c.priority == priority]
            grants = _fill(equals, max(0, spare))
            spare -= sum(grants.values())
            if priority == camera.priority:
                granted = floors[camera.camera_id] + grants[camera.camera_id]
                return granted * camera.frame_ns // NS_PER_S
        raise AssertionError('the camera is among the active ones')

    def _frame_bps(self, now_ns: int) -> int:
        """Return the part of the budget that control messages leave to frames."""
        used = self._control_usage.bits(now_ns) * NS_PER_S // _CONTROL_WINDOW_NS
        used = min(used, self._share.rate_bps)
        return self._rate - used - self._rate // _MARGIN

    def _frame_candidate(
        self, camera: _Camera, now_ns: int, credit_bits: int,
    ) -> Candidate:
        if camera.sending is not None:
            return Candidate(
                camera.sending.datagrams[0][1], 'frame', camera_id=camera.camera_id)
        layers = self._fitting_layers(camera, now_ns, credit_bits)
        first = self._packetizer.sizes(camera.waiting, camera.waiting.ends[layers - 1])[0]
        return Candidate(first, 'frame', camera_id=camera.camera_id, layers=layers)

    def _fitting_layers(self, camera: _Camera, now_ns: int, credit_bits: int) -> int:
        message = camera.waiting
        allowance = self.allowance_bits(camera.camera_id, now_ns, credit_bits)
        low = min(camera.policy.min_layers, len(message.ends))
        high = len(message.ends)
        while low < high:
            middle = (low + high + 1) // 2
            sizes = self._packetizer.sizes(message, message.ends[middle - 1])
            if len(sizes) <= self._packetizer.max_datagrams and sum(sizes) <= allowance:
                low = middle
            else:
                high = middle - 1
        return low

    def _begin(self, camera: _Camera, layers: int, now_ns: int) -> bool:
        message, camera.waiting = camera.waiting, None
        try:
            payload = message.render(layers)
        except ValueError:
            return self._drop(DropReason.INVALID, message)
        if len(payload) != message.ends[layers - 1]:
            return self._drop(DropReason.INVALID, message)
        sizes = self._packetizer.sizes(message, len(payload))
        datagrams = self._packetizer.cut(message, payload)
        camera.sending = _Sending(
            message, deque(zip(datagrams, sizes)), 8 * len(payload), now_ns)
        quantum = self._quantum_bits(camera, now_ns)
        # Unused allowance is kept, but no more than delays later frames by half an interval.
        carry = quantum + camera.carry_bits - sum(sizes)
        camera.carry_bits = min(quantum // 2, max(-quantum // 2, carry))
        shed = len(message.ends) - layers
        self.counter.layers_shed += shed
        self.counter.frames_shed += shed > 0
        return True

    def _control_candidate(self, rank: ControlRank) -> Candidate | None:
        queue = self._control[rank]
        if not queue:
            return None
        return Candidate(queue[0].sizes[self._begun[rank]], queue[0].kind, rank=rank)

    def _control_sent(self, candidate: Candidate, now_ns: int) -> None:
        rank = candidate.rank
        self._share.admit(candidate.bits, now_ns)
        self._control_usage.add(candidate.bits, now_ns)
        self._begun[rank] += 1
        message = self._control[rank][0]
        if self._begun[rank] < len(message.sizes):
            return
        self._control[rank].popleft()
        self._begun[rank] = 0
        self.counter.sent_messages += 1
        if message.on_sent:
            message.on_sent(now_ns)

    def _camera(self, camera_id: int) -> _Camera:
        camera = self._cameras.get(camera_id)
        if camera is None:
            camera = self._cameras[camera_id] = _Camera(camera_id, CameraPolicy())
        return camera

    def _drop(self, reason: DropReason, taken: FrameMessage | None = None) -> bool:
        """Count what is given up, and tell the owner of a frame that had been taken in."""
        self.counter.dropped[reason] += 1
        if taken is not None and taken.on_dropped is not None:
            taken.on_dropped()
        return False

    def _share_bps(self, rate_bps: int) -> int:
        return max(1, int(rate_bps * self._config.control_share))


def _fill(cameras: list[_Camera], spare_bps: int) -> dict[int, int]:
    """Hand out bit/s by weight, nobody more than it can use (max-min fairness)."""
    wants = {
        c.camera_id: max(0, c.full_bits - c.floor_bits) * NS_PER_S // c.frame_ns for c in cameras}
    grants = dict.fromkeys(wants, 0)
    weight = sum(c.policy.weight for c in cameras)
    for camera in sorted(cameras, key=lambda c: wants[c.camera_id] / c.policy.weight):
        share = spare_bps * camera.policy.weight // weight
        grants[camera.camera_id] = min(wants[camera.camera_id], share)
        spare_bps -= grants[camera.camera_id]
        weight -= camera.policy.weight
    return grants
