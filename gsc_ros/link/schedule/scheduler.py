# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Decide what leaves next.

::

    control messages ──> reserved share ──────────┐
    announcements ──> before frames ──────────────┤
    repair ──> its own shares ────────────────────┼──> one datagram at a time
    regions ──> their share, more when idle ──────┤
    frames ──> strict priority, fair among equals ┤
    background ──> small share, more when idle ───┘

The scheduler knows no bucket and no transport: its owner asks `select` what would leave next and
how large it is, waits until budget and transport allow it, then calls `open` for the body and
`sent` when it is gone. A frame is cut to its layers only at `open`, so until its first datagram
really leaves a newer frame can still take its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gsc_ros.link.schedule.camera import FrameCounter
from gsc_ros.link.schedule.camera_queue import CameraQueue, Packetizer, Plan
from gsc_ros.link.schedule.class_queue import Beyond, ClassQueue, Share
from gsc_ros.link.schedule.message import (
    BulkRank,
    CameraPolicy,
    CameraState,
    DropReason,
    FrameMessage,
    Outgoing,
    QueuedMessage,
    Rank,
)

__all__ = [
    'BulkRank', 'CameraPolicy', 'CameraState', 'Candidate', 'DropReason', 'FrameMessage',
    'Outgoing', 'Packetizer', 'Plan', 'QueuedMessage', 'Rank', 'RepairSource', 'Scheduler',
    'SchedulerConfig']

NS_PER_S = 1_000_000_000

# One part in so many of the budget is not handed out, so that small errors cannot build a queue.
_MARGIN = 50
# Asked in this order, ahead of frames within their share; repair is asked after the first three.
_BEFORE_REPAIR = (Rank.PROMPT, Rank.URGENT, Rank.SLOW)
_ANNOUNCING = (Rank.URGENT, Rank.SLOW)
_AFTER_REPAIR = (Rank.REGION, Rank.BACKGROUND)
_BEYOND = {
    Rank.PROMPT: Beyond.IDLE,
    Rank.URGENT: Beyond.ALWAYS,
    Rank.SLOW: Beyond.NEVER,
    Rank.REGION: Beyond.IDLE,
    Rank.BACKGROUND: Beyond.IDLE,
}


@dataclass(frozen=True)
class SchedulerConfig:
    """
    Bounds and shares.

    :param control_share: part of the link that is reserved for control messages and
        announcements, 0.01..0.5; what they leave of it goes to frames.
    :param region_share: part of the link for regions while any waits, 0.01..0.5.
    :param background_share: the same for background messages, 0.001..0.5.
    :param control_queue: most control messages that wait, >= 1.
    :param bulk_queue: most bulk messages of one rank that wait, >= 1.
    :param stall_ns: a frame in the middle of which nothing has left for so long is given up: the
        far end has forgotten its beginning.
    :raises ValueError: when a value is out of range.
    """

    control_share: float = 0.1
    region_share: float = 0.2
    background_share: float = 0.05
    control_queue: int = 64
    bulk_queue: int = 16
    stall_ns: int = 60 * NS_PER_S

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, least in (('control_share', 0.01), ('region_share', 0.01),
                            ('background_share', 0.001)):
            if not least <= getattr(self, name) <= 0.5:
                raise ValueError(f'{name} must be within {least}..0.5, got {getattr(self, name)}')
        if min(self.control_queue, self.bulk_queue, self.stall_ns) < 1:
            raise ValueError('control_queue, bulk_queue and stall_ns must be >= 1')


class RepairBody(Protocol):
    """A body that repair wants to leave."""

    @property
    def kind(self) -> str:
        """Return its name in the trace."""

    @property
    def size(self) -> int:
        """Return its bytes."""


class RepairSource(Protocol):
    """What repair wants to send now; asking changes nothing."""

    def nack(self, now_ns: int) -> RepairBody | None:
        """Return a request for what this end lacks."""

    def repair(self, now_ns: int) -> RepairBody | None:
        """Return what the far end lacks, or may."""


@dataclass(frozen=True)
class Candidate:
    """
    The datagram that would leave next.

    :param bits: its size on the wire.
    :param kind: its name in the trace.
    :param rank: the class that it heads, if any.
    :param camera_id: the camera, when it is part of a frame.
    :param layers: with how many layers the frame would be begun; 0 when it has been already.
    :param repair: what repair wants to send, if that is it.
    """

    bits: int
    kind: str
    rank: Rank | None = None
    camera_id: int | None = None
    layers: int = 0
    repair: RepairBody | None = None


class Scheduler:
    """
    Queue messages and say what leaves next; see the module's docstring.

    :param config: bounds and shares.
    :param packetizer: turns frames into bodies.
    :param rate_bps: the whole budget, in bit/s.
    :param datagram_bits: size of the largest datagram on the wire.
    :param now_ns: the time.
    :param repair: asked for repairs; None: there are none.
    :param useful_ns: frames that do not say so are worth repairing for so long after they could
        have left whole.
    """

    def __init__(
        self,
        config: SchedulerConfig,
        packetizer: Packetizer,
        rate_bps: int,
        datagram_bits: int,
        now_ns: int,
        repair: RepairSource | None = None,
        useful_ns: int = NS_PER_S,
    ) -> None:
        """Start with nothing queued."""
        self._config = config
        self._packetizer = packetizer
        self._rate_bps = rate_bps
        self._datagram_bits = datagram_bits
        self._repair = repair
        self._control = Share(config.control_share, rate_bps, datagram_bits, now_ns)
        self._region = Share(config.region_share, rate_bps, datagram_bits, now_ns, saved=2)
        self._background = Share(config.background_share, rate_bps, datagram_bits, now_ns, saved=2)
        # Repair keeps to its shares itself; here it is only counted.
        self._repairs = Share(1.0, rate_bps, datagram_bits, now_ns)
        own = {Rank.REGION: self._region, Rank.BACKGROUND: self._background}
        self._classes = {
            rank: ClassQueue(own.get(rank, self._control), beyond, packetizer.bits, self._give_up)
            for rank, beyond in _BEYOND.items()}
        self._cameras = CameraQueue(
            packetizer, rate_bps, config.stall_ns, useful_ns, self._frame_bps)

    @property
    def counter(self) -> FrameCounter:
        """Return the counts, of messages of all classes but repair."""
        return self._cameras.counter

    def set_rate(self, rate_bps: int, now_ns: int) -> None:
        """Change the whole budget, in bit/s."""
        self._rate_bps = self._cameras.rate_bps = rate_bps
        for share in (self._control, self._region, self._background, self._repairs):
            share.set_rate(rate_bps, now_ns)

    def set_policy(self, camera_id: int, policy: CameraPolicy) -> None:
        """Change how a camera's frames are treated, from its next frame on."""
        self._cameras.camera(camera_id).policy = policy

    def hold(self, camera_id: int, held: bool) -> None:
        """Keep a camera's frames from being begun, or let them go."""
        self._cameras.camera(camera_id).held = held

    def state(self, camera_id: int) -> CameraState:
        """Return where a camera's frames are."""
        return self._cameras.state(camera_id)

    def queued(self) -> tuple[int, int]:
        """Return how many messages wait or are being sent, and at least how many bits they are."""
        messages, bits = self._cameras.queued()
        return (messages + sum(map(len, self._classes.values())),
                bits + sum(queue.left_bits for queue in self._classes.values()))

    def offer(self, message: FrameMessage, now_ns: int) -> bool:
        """
        Queue a frame; it takes the place of one of the same camera that waits.

        :returns: False when it was dropped at once; `counter` says why.
        """
        return self._cameras.offer(message, now_ns)

    def offer_message(self, message: QueuedMessage) -> bool:
        """
        Queue a message that is no frame; False when its queue is full.

        That is counted unless it is a bulk message, whose owner keeps it and tries again.
        """
        if message.rank in _AFTER_REPAIR:
            if len(self._classes[message.rank]) >= self._config.bulk_queue:
                return False
        elif sum(len(self._classes[rank]) for rank in _BEFORE_REPAIR) >= self._config.control_queue:
            return self._cameras.drop(DropReason.QUEUE_FULL)
        self._classes[message.rank].offer(message)
        return True

    def expire(self, now_ns: int) -> None:
        """Give up what is past its deadline, and frames that the far end has forgotten."""
        self._cameras.expire(now_ns)
        for queue in self._classes.values():
            queue.expire(now_ns)

    def renew(self) -> None:
        """Give up begun frames behind which newer ones wait: their beginning is lost."""
        self._cameras.renew()

    def forgotten(self) -> None:
        """Give up begun frames and all announcements: the far end has restarted."""
        self._cameras.give_up_begun()
        for rank in _ANNOUNCING:
            self._classes[rank].clear()

    def has_gap(self, now_ns: int, bits: int = 0) -> bool:
        """Return whether no frame is expected within a second, nor before so many bits left."""
        gap_bits = self._cameras.gap_bits(now_ns)
        return gap_bits is None or gap_bits >= max(bits, self._rate_bps)

    def select(self, now_ns: int, credit_bits: int = 0) -> Candidate | None:
        """
        Return what would leave next, or None when nothing waits but for its share.

        Nothing changes by asking, but that what is past its deadline is given up.

        :param credit_bits: what the budget would let leave at once.
        """
        self.expire(now_ns)
        camera = self._cameras.next_camera()
        if self._repair is not None and (nack := self._repair.nack(now_ns)) is not None:
            return self._repair_candidate(nack, now_ns)
        candidate = self._first(_BEFORE_REPAIR, None if camera is None else 0, now_ns)
        if candidate is None and self._repair is not None:
            body = self._repair.repair(now_ns)
            candidate = None if body is None else self._repair_candidate(body, now_ns)
        if candidate is None:
            candidate = self._first(_AFTER_REPAIR, self._cameras.gap_bits(now_ns), now_ns)
        if candidate is None and camera is not None:
            # More than one datagram at once the transport may not take.
            bits, layers = self._cameras.next_bits(
                camera, now_ns, min(credit_bits, self._datagram_bits))
            candidate = Candidate(bits, 'frame', camera_id=camera.camera_id, layers=layers)
        return candidate

    def share_wait_ns(self, now_ns: int) -> int | None:
        """Return how long until its share lets something go that `select` holds back, or None."""
        waits = [
            queue.wait_ns(bits, now_ns) for queue in self._classes.values()
            if (bits := queue.next_bits(now_ns)) is not None]
        return min(waits, default=None)

    def open(self, candidate: Candidate, now_ns: int) -> Outgoing | None:
        """
        Return the body of a candidate that `select` has just named, and that is no repair.

        A frame that begins is rendered here; when that fails it is dropped as invalid, None is
        returned and the caller asks `select` again.
        """
        if candidate.rank is not None:
            return self._classes[candidate.rank].open(now_ns)
        return self._cameras.open(candidate.camera_id, candidate.layers, now_ns)

    def sent(self, candidate: Candidate, now_ns: int) -> None:
        """Note that the opened candidate has left."""
        if candidate.repair is not None:
            self._repairs.note(candidate.bits, now_ns)
        elif candidate.rank is not None:
            self.counter.sent_messages += self._classes[candidate.rank].sent(
                candidate.bits, now_ns)
        else:
            self._cameras.sent(candidate.camera_id, candidate.bits, now_ns)

    def allowance_bits(self, camera_id: int, now_ns: int, credit_bits: int = 0) -> int:
        """Return how many bits the waiting frame of a camera may take (see `CameraQueue`)."""
        return self._cameras.allowance_bits(camera_id, now_ns, credit_bits)

    def _first(
        self, ranks: tuple[Rank, ...], idle_bits: int | None, now_ns: int,
    ) -> Candidate | None:
        """
        Return the first message of some classes that its share, or an idle link, lets go.

        :param idle_bits: what may leave now beyond the shares; None: any number.
        """
        for rank in ranks:
            queue = self._classes[rank]
            bits = queue.next_bits(now_ns)
            if bits is None:
                continue
            free = queue.beyond is Beyond.ALWAYS or (
                queue.beyond is Beyond.IDLE and (idle_bits is None or bits <= idle_bits))
            if free or queue.wait_ns(bits, now_ns) == 0:
                return Candidate(bits, queue.kind, rank=rank)
        return None

    def _repair_candidate(self, body: RepairBody, now_ns: int) -> Candidate:
        return Candidate(self._packetizer.bits(body.size, now_ns), body.kind, repair=body)

    def _give_up(self, reason: DropReason, message: QueuedMessage) -> None:
        self.counter.dropped[reason] += 1
        if message.on_dropped is not None:
            message.on_dropped()

    def _frame_bps(self, now_ns: int) -> int:
        """Return the part of the budget that the other classes leave to frames."""
        used = sum(
            share.used_bps(now_ns)
            for share in (self._control, self._region, self._background, self._repairs))
        return max(0, self._rate_bps - used - self._rate_bps // _MARGIN)
