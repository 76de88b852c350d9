# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The frames that wait, and with how many layers they leave.

Each camera is in one of four states (`CameraState`)::

    EMPTY ──offer──> WAITING ──first datagram──> SENDING ──last datagram──> EMPTY
                     │  ^ offer: newest wins     │  ^
                     │  └──────┐           offer │  │ expiry
                     └─expiry─> EMPTY            v  │
                               BOTH (one is sent, one waits) ──last datagram──> WAITING
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gsc_ros.link.datagram.cutting import Cut
from gsc_ros.link.datagram.framing import FramingError
from gsc_ros.link.schedule.camera import Camera, FrameCounter, Sending
from gsc_ros.link.schedule.message import (
    CameraPolicy,
    CameraState,
    DropReason,
    FrameMessage,
    Outgoing,
)

NS_PER_S = 1_000_000_000

# Work of a camera in bits is divided by its weight; scaled up so that nothing is lost to rounding.
_WORK_SCALE = 1 << 16


@dataclass(frozen=True)
class Plan:
    """
    What sending a packet takes.

    :param datagrams: how many.
    :param bits: on the wire, in all.
    :param first_bits: of the first one.
    """

    datagrams: int
    bits: int
    first_bits: int


class Packetizer(Protocol):
    """Turns frames into bodies on the scheduler's behalf."""

    def plan(self, message: FrameMessage, length: int, now_ns: int) -> Plan:
        """Return what a packet of ``length`` bytes would take."""

    def begin(
        self, message: FrameMessage, layers: int, floor: int, packet: bytes, now_ns: int,
    ) -> Cut:
        """
        Return a frame that is ready to leave.

        :param layers: that the packet has.
        :param floor: layers that mean something alone.
        """

    def bits(self, size: int, now_ns: int) -> int:
        """Return the bits on the wire of a body of ``size`` bytes."""

    @property
    def max_datagrams(self) -> int:
        """Return the most datagrams a frame may have."""

    @property
    def slack_bits(self) -> int:
        """Return by how much a frame may exceed its plan now and then."""


class CameraQueue:
    """
    Keep at most one frame that waits and one that is being sent for each camera.

    :param packetizer: turns frames into bodies.
    :param rate_bps: the whole budget, in bit/s.
    :param stall_ns: a begun frame of which nothing leaves for so long is given up.
    :param useful_ns: frames that do not say so are worth repairing for so long after they could
        have left whole.
    :param frame_bps: called with the time; returns what the other classes leave to frames.
    """

    def __init__(
        self, packetizer: Packetizer, rate_bps: int, stall_ns: int, useful_ns: int,
        frame_bps: Callable[[int], int],
    ) -> None:
        """Start with no camera known."""
        self._packetizer = packetizer
        self.rate_bps = rate_bps
        self._stall_ns = stall_ns
        self._useful_ns = useful_ns
        self._frame_bps = frame_bps
        self._cameras: dict[int, Camera] = {}
        self._reached: dict[int, int] = {}
        self.counter = FrameCounter()

    def camera(self, camera_id: int) -> Camera:
        """Return a camera, perhaps a new one."""
        camera = self._cameras.get(camera_id)
        if camera is None:
            camera = self._cameras[camera_id] = Camera(camera_id, CameraPolicy())
        return camera

    def state(self, camera_id: int) -> CameraState:
        """Return where a camera's frames are."""
        camera = self._cameras.get(camera_id)
        return camera.state if camera else CameraState.EMPTY

    def queued(self) -> tuple[int, int]:
        """Return how many frames wait or are being sent, and at least how many bits they are."""
        messages = bits = 0
        for camera in self._cameras.values():
            if camera.waiting:
                messages += 1
                bits += camera.floor_bits
            if camera.sending:
                messages += 1
                bits += 8 * camera.sending.cut.left
        return messages, bits

    def offer(self, message: FrameMessage, now_ns: int) -> bool:
        """
        Queue a frame; it takes the place of one of the same camera that waits.

        :returns: False when it was dropped at once; `counter` says why.
        """
        if message.defect():
            return self.drop(DropReason.INVALID)
        camera = self.camera(message.camera_id)
        camera.note_arrival(now_ns)
        least = message.ends[camera.floor(message) - 1]
        plan = self._packetizer.plan(message, least, now_ns)
        if plan.datagrams > self._packetizer.max_datagrams:
            return self.drop(DropReason.TOO_LARGE)
        if camera.waiting is not None:
            self.drop(DropReason.SUPERSEDED, camera.waiting)
        if camera.state is CameraState.EMPTY:
            # A camera that comes back competes from now on; it has no claim for its absence.
            camera.work = max(camera.work, self._reached.get(message.priority, 0))
        camera.waiting = message
        camera.priority = message.priority
        camera.floor_bits = plan.bits
        camera.full_bits = self._packetizer.plan(message, message.ends[-1], now_ns).bits
        return True

    def expire(self, now_ns: int) -> None:
        """Give up frames past their deadline, and begun ones that the far end has forgotten."""
        for camera in self._cameras.values():
            waiting, sending = camera.waiting, camera.sending
            if waiting and waiting.deadline_ns is not None and waiting.deadline_ns <= now_ns:
                camera.waiting = None
                self.drop(DropReason.EXPIRED, waiting)
            if sending and now_ns - sending.progress_ns > self._stall_ns:
                self._give_up_begun(camera, DropReason.EXPIRED)

    def renew(self) -> None:
        """Give up begun frames behind which newer ones wait: their beginning is lost."""
        for camera in self._cameras.values():
            if camera.state is CameraState.BOTH:
                self._give_up_begun(camera, DropReason.SUPERSEDED)

    def give_up_begun(self) -> None:
        """Give up every begun frame: the far end has forgotten its beginning."""
        for camera in self._cameras.values():
            if camera.sending is not None:
                self._give_up_begun(camera, DropReason.EXPIRED)

    def next_camera(self) -> Camera | None:
        """Return the camera whose turn it is."""
        return min(
            (camera for camera in self._cameras.values() if camera.ready),
            key=lambda c: (c.urgency, c.sending is None, c.work, c.camera_id),
            default=None,
        )

    def gap_bits(self, now_ns: int) -> int | None:
        """
        Return what the link can carry before the next frame is to be expected; None: none is.

        A frame that is late may come any moment.
        """
        if any(camera.ready for camera in self._cameras.values()):
            return 0
        gap_ns = min((
            camera.arrival_ns + camera.interval_ns - now_ns for camera in self._cameras.values()
            if camera.active(now_ns) and not camera.held), default=None)
        return None if gap_ns is None else max(0, gap_ns) * self.rate_bps // NS_PER_S

    def next_bits(self, camera: Camera, now_ns: int, credit_bits: int) -> tuple[int, int]:
        """Return the bits of a camera's next datagram, and with how many layers a frame begins."""
        if camera.sending is not None:
            return self._packetizer.bits(camera.sending.cut.size(now_ns), now_ns), 0
        layers = self._fitting_layers(camera, now_ns, credit_bits)
        plan = self._packetizer.plan(camera.waiting, camera.waiting.ends[layers - 1], now_ns)
        return plan.first_bits, layers

    def open(self, camera_id: int, layers: int, now_ns: int) -> Outgoing | None:
        """Return a camera's next body; None when the frame had to be dropped."""
        camera = self._cameras[camera_id]
        if camera.sending is None and not self._begin(camera, layers, now_ns):
            return None
        sending = camera.sending
        try:
            body = sending.cut.take(now_ns)
        except FramingError:
            camera.sending = None
            self.drop(DropReason.TOO_LARGE, sending.message)
            return None
        return Outgoing(body, sending.cut.strong, sending.useful_ns, sending.worth)

    def sent(self, camera_id: int, bits: int, now_ns: int) -> None:
        """Note that the body last opened has left."""
        camera = self._cameras[camera_id]
        sending = camera.sending
        sending.cut.advance()
        sending.progress_ns = now_ns
        self._reached[sending.message.priority] = camera.work
        camera.work += bits * _WORK_SCALE // camera.policy.weight
        if sending.cut.left:
            return
        camera.sending = None
        self.counter.sent_messages += 1
        self.counter.sent_frames += 1
        self.counter.sent_payload_bits += sending.payload_bits
        if sending.message.on_sent is not None:
            sending.message.on_sent()

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

    def drop(self, reason: DropReason, taken: FrameMessage | None = None) -> bool:
        """Count what is given up, and tell the owner of a frame that had been taken in."""
        self.counter.dropped[reason] += 1
        if taken is not None and taken.on_dropped is not None:
            taken.on_dropped()
        return False

    def _give_up_begun(self, camera: Camera, reason: DropReason) -> None:
        sending, camera.sending = camera.sending, None
        self.drop(reason, sending.message)

    def _patience_bits(self, camera: Camera, now_ns: int, credit_bits: int) -> int:
        """
        Return how much may leave before frames that wait are superseded for waiting too long.

        After an announcement or a late wake-up there is a queue; it is worked off with smaller
        frames, not by letting the next ones push each other out.
        """
        others = [c for c in self._cameras.values() if c is not camera and c.ready]
        behind = sum(c.floor_bits for c in others) + self._packetizer.slack_bits
        # Half an interval of delay lets a frame take the next larger step now and then.
        spans = [camera.arrival_ns + camera.frame_ns * 3 // 2 - now_ns]
        spans += [
            c.arrival_ns + c.interval_ns - now_ns - behind * NS_PER_S // self.rate_bps
            for c in others if c.waiting is not None and c.frame_ns == c.interval_ns]
        return max(0, credit_bits + min(spans) * self.rate_bps // NS_PER_S)

    def _quantum_bits(self, camera: Camera, now_ns: int) -> int:
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

    def _fitting_layers(self, camera: Camera, now_ns: int, credit_bits: int) -> int:
        message = camera.waiting
        allowance = self.allowance_bits(camera.camera_id, now_ns, credit_bits)
        low = camera.floor(message)
        high = len(message.ends)
        while low < high:
            middle = (low + high + 1) // 2
            plan = self._packetizer.plan(message, message.ends[middle - 1], now_ns)
            if plan.datagrams <= self._packetizer.max_datagrams and plan.bits <= allowance:
                low = middle
            else:
                high = middle - 1
        return low

    def _begin(self, camera: Camera, layers: int, now_ns: int) -> bool:
        message, camera.waiting = camera.waiting, None
        try:
            packet = message.render(layers)
        except ValueError:
            return self.drop(DropReason.INVALID, message)
        if len(packet) != message.ends[layers - 1]:
            return self.drop(DropReason.INVALID, message)
        bits = self._packetizer.plan(message, len(packet), now_ns).bits
        cut = self._packetizer.begin(message, layers, camera.floor(message), packet, now_ns)
        useful_ns = message.useful_ns
        if useful_ns is None:
            useful_ns = now_ns + bits * NS_PER_S // self.rate_bps + self._useful_ns
        # The frames that leave before the far end gives up waiting for a repair.
        worth = 1 + self._useful_ns // camera.interval_ns if message.chained else 1
        camera.sending = Sending(message, cut, 8 * len(packet), now_ns, useful_ns, worth)
        quantum = self._quantum_bits(camera, now_ns)
        # Unused allowance is kept, but no more than delays later frames by half an interval.
        carry = quantum + camera.carry_bits - bits
        camera.carry_bits = min(quantum // 2, max(-quantum // 2, carry))
        shed = len(message.ends) - layers
        self.counter.layers_shed += shed
        self.counter.frames_shed += shed > 0
        return True


def _fill(cameras: list[Camera], spare_bps: int) -> dict[int, int]:
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
