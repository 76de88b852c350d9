# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The requests for regions on the rover: handed to the sender, its answer to the link.

    request ──> CODING ──the sender answers──> READY ──the last has left──> LEAVING ──> SENT
                                                 ^──── the ground asks once more ────────┘

Of each camera one request is at work and at most one answer is in the link.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gsc_ros.codec.error import PacketError
from gsc_ros.msg import GscRegion, RegionRequest
from gsc_ros.nodes import stamp
from gsc_ros.nodes.region import Box, Outcome, packet_defect
from gsc_ros.nodes.region_message import MAX_ANSWER_BYTES, RegionAnswer, RegionAsk, RegionWord

# Nothing is heard of a sender for so long only when there is none any more.
SENDER_PATIENCE_NS = 30_000_000_000
# A request without ttl is not kept beyond this.
LONGEST_NS = 3_600_000_000_000

_REFUSALS = {int(outcome): outcome for outcome in Outcome if outcome.final}


@dataclass
class _Job:
    ask: RegionAsk
    deadline_ns: int
    asked_ns: int
    max_bytes: int
    outcome: Outcome = Outcome.ACCEPTED
    answer: bytes = b''


@dataclass
class _Flight:
    """An answer that the link has; `sent` is set by the link, on whatever thread."""

    number: int
    deadline_ns: int
    sent: bool = False

    def mark(self) -> None:
        self.sent = True


class RoverRegions:
    """Takes the requests of the ground, and answers them; for one thread."""

    def __init__(self, cameras: Sequence[str], say: Callable[[bytes], bool],
                 offer: Callable[[bytes, int, Callable[[], None]], bool],
                 ask_sender: Callable[[RegionRequest], bool],
                 room: Callable[[float | None], int]) -> None:
        """
        Begin without a request.

        :param say: offers a control message to the link; False when it has no room.
        :param offer: offers an answer to the link with its deadline and a function to be called
            when all of it has left; False when the link has no room now. Raises ValueError when
            it never has.
        :param ask_sender: hands a request to the sender; False when there is none.
        :param room: returns the bytes of a packet that the link carries within so many seconds.
        """
        self._cameras = cameras
        self._say = say
        self._offer = offer
        self._ask_sender = ask_sender
        self._room = room
        self._jobs: dict[str, _Job] = {}
        self._flights: dict[str, _Flight] = {}
        self.counters = dict.fromkeys(Outcome, 0)
        self.trouble: str | None = None

    def take(self, data: bytes, now_ns: int) -> bool:
        """Take what has come out of the link; return whether it was about regions."""
        ask = RegionAsk.parse(data)
        if ask is not None:
            self._take_ask(ask, now_ns)
        return ask is not None

    def take_region(self, camera: str, region: GscRegion, now_ns: int) -> None:
        """Take an answer of the sender; one that nobody waits for is left out."""
        job = self._jobs.get(camera)
        if job is None or job.outcome is not Outcome.ACCEPTED or job.answer or (
                region.camera, region.number) != (camera, job.ask.number):
            return
        if region.refusal:
            self._settle(job, _REFUSALS.get(region.refusal, Outcome.FAILED))
            return
        answer = RegionAnswer(
            job.ask.number, camera, stamp.to_ns(region.header.stamp), region.header.frame_id,
            Box(region.x, region.y, region.width, region.height), region.image_width,
            region.image_height, bytes(region.payload[:MAX_ANSWER_BYTES + 1]))
        defect = _defect(answer)
        if defect is not None:
            self._settle(job, Outcome.FAILED, defect)
        elif len(answer.payload) > job.max_bytes:
            self._settle(job, Outcome.NO_ROOM)
        else:
            job.answer = answer.pack()
            self.tick(now_ns)

    def tick(self, now_ns: int) -> None:
        """Let what is ready leave, give up what is late."""
        for camera, flight in list(self._flights.items()):
            if flight.sent or now_ns >= flight.deadline_ns:
                del self._flights[camera]
                job = self._jobs.get(camera)
                if flight.sent and job is not None and job.ask.number == flight.number:
                    self._settle(job, Outcome.SENT)
        for camera, job in self._jobs.items():
            if job.outcome is not Outcome.ACCEPTED:
                continue
            if now_ns >= job.deadline_ns:
                self._settle(job, Outcome.EXPIRED)
            elif job.answer:
                self._leave(camera, job)
            elif now_ns - job.asked_ns > SENDER_PATIENCE_NS:
                self._settle(job, Outcome.NO_CAMERA, camera)

    def clear(self) -> None:
        """Forget all requests."""
        self._jobs.clear()
        self._flights.clear()

    def _take_ask(self, ask: RegionAsk, now_ns: int) -> None:
        if ask.camera not in self._cameras:
            self.counters[Outcome.NO_CAMERA] += 1
            self._say(RegionWord(ask.number, Outcome.NO_CAMERA).pack())
            return
        ttl_ns = ask.ttl_ms * 1_000_000 or LONGEST_NS
        job = self._jobs.get(ask.camera)
        if job is not None and replace(job.ask, ttl_ms=ask.ttl_ms) == ask:
            if job.outcome is Outcome.SENT:  # and it has not arrived
                job.outcome, job.deadline_ns = Outcome.ACCEPTED, now_ns + ttl_ns
                self.tick(now_ns)
            else:
                self._say(RegionWord(ask.number, job.outcome).pack())
            return
        max_bytes = self._room(ask.ttl_ms / 1000 if ask.ttl_ms else None)
        job = self._jobs[ask.camera] = _Job(ask, now_ns + ttl_ns, now_ns, max_bytes)
        box = ask.box
        request = RegionRequest(
            camera=ask.camera, x=box.x, y=box.y, width=box.width, height=box.height,
            quality=ask.quality, number=ask.number, max_bytes=max_bytes)
        request.header.stamp = stamp.from_ns(ask.stamp_ns)
        request.ttl.sec, request.ttl.nanosec = divmod(min(ask.ttl_ms, 2 ** 31) * 1_000_000, 10 ** 9)
        if self._ask_sender(request):
            self._settle(job, Outcome.ACCEPTED)
        else:
            self._settle(job, Outcome.NO_CAMERA, ask.camera)

    def _leave(self, camera: str, job: _Job) -> None:
        if camera in self._flights:
            return
        flight = _Flight(job.ask.number, job.deadline_ns)
        try:
            taken = self._offer(job.answer, job.deadline_ns, flight.mark)
        except ValueError as error:
            self._settle(job, Outcome.NO_ROOM, str(error))
            return
        if taken:
            self._flights[camera] = flight

    def _settle(self, job: _Job, outcome: Outcome, detail: str = '') -> None:
        job.outcome = outcome
        self.counters[outcome] += 1
        if outcome.final:
            job.answer = b''
            self.trouble = f'{job.ask.camera}: {outcome.text}' + (f': {detail}' if detail else '')
        self._say(RegionWord(job.ask.number, outcome).pack())


def _defect(answer: RegionAnswer) -> str | None:
    """Return why what a sender has published may not go over the link, or None."""
    defect = answer.defect()
    try:
        answer.pack()
        return defect or packet_defect(answer.payload, answer.box)
    except (PacketError, ValueError) as error:
        return str(error)
