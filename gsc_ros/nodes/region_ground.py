# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The requests for regions on the ground: one per camera is under way, and the newest wins.

    ASKING ──the rover has accepted──> WAITING ──all has left the rover──> DUE
      ^ └ asks again until it is heard    │                                 │
      └───── nothing for 15 s: ask ───────┘                                 │
      └───── the answer stays out for 3 s: ask ─────────────────────────────┘

From every state it ends: the answer or a refusal arrives, ttl is over, a newer request comes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
import secrets

from gsc_ros.msg import GscRegion, RegionNotice, RegionRequest
from gsc_ros.nodes import stamp
from gsc_ros.nodes.diagnostic import brief
from gsc_ros.nodes.region import Box, Outcome
from gsc_ros.nodes.region_message import (
    MAX_TTL_MS,
    RegionAnswer,
    RegionAsk,
    RegionWord,
    stamp_fits,
)

# A request of which nothing is heard is sent again after this, or after the pause that the way
# back needs, where that is longer.
REPEAT_NS = 3_000_000_000
# How long the last datagrams of an answer may be under way once they have left.
GRACE_NS = 3_000_000_000
# After this the rover is asked what has become of a request that it has accepted: its word may have
# been lost.
PATIENCE_NS = 15_000_000_000


@dataclass
class _Pending:
    request: RegionRequest
    number: int
    deadline_ns: int | None
    due_ns: int | None  # when to ask again; None: the rover has just been heard
    last: Outcome | None = None


class GroundRegions:
    """Asks the rover for regions, and says what becomes of each request; for one thread."""

    def __init__(self, cameras: Sequence[str], send: Callable[[bytes], bool],
                 pause_ns: Callable[[int], int], notify: Callable[[RegionNotice], None],
                 deliver: Callable[[GscRegion], None]) -> None:
        """
        Begin without a request.

        :param send: offers a message to the link; False when it has no room now. Raises ValueError
            when it can never cross.
        :param pause_ns: returns the time between two requests of that many bytes for a camera.
        :param notify: is told what becomes of each request.
        :param deliver: gets the answers.
        """
        self._cameras = cameras
        self._send = send
        self._pause_ns = pause_ns
        self._notify = notify
        self._deliver = deliver
        self._pending: dict[str, _Pending] = {}
        self._asked_ns: dict[str, int] = {}
        self._delivered: dict[str, int] = {}
        # So that the rover does not take the first for one that it knows from before a restart.
        self._number = secrets.randbelow(2 ** 16)
        self.counters = dict.fromkeys(Outcome, 0)
        self.trouble: str | None = None

    @property
    def waiting(self) -> int:
        """How many requests are under way."""
        return len(self._pending)

    def ask(self, request: RegionRequest, now_ns: int) -> None:
        """Take a request of an operator; it goes at once, or when the way back has room."""
        camera = request.camera
        self._number = (self._number + 1) % 2 ** 16
        ttl_ns = stamp.to_ns(request.ttl)
        new = _Pending(request, self._number, now_ns + ttl_ns if ttl_ns else None, now_ns)
        if camera not in self._cameras:
            self._tell(new, Outcome.NO_CAMERA, brief(camera))
            return
        if ttl_ns < 0 or not 1 <= request.quality <= 100 or not (
                request.width and request.height and stamp_fits(
                    stamp.to_ns(request.header.stamp))):
            self._tell(new, Outcome.MALFORMED)
            return
        if camera in self._pending:
            self._tell(self._pending[camera], Outcome.SUPERSEDED)
        self._pending[camera] = new
        self.tick(now_ns)

    def take(self, data: bytes) -> bool:
        """Take what has come out of the link; return whether it was about regions."""
        word = RegionWord.parse(data)
        if word is not None:
            self._take_word(word)
            return True
        answer = RegionAnswer.parse(data)
        if answer is not None:
            self._take_answer(answer)
        return answer is not None

    def tick(self, now_ns: int) -> None:
        """Ask what is due, give up what is late."""
        for camera, pending in list(self._pending.items()):
            if pending.deadline_ns is not None and now_ns >= pending.deadline_ns:
                self._end(camera, Outcome.EXPIRED)
            elif pending.due_ns is None:
                sent = pending.last is Outcome.SENT
                pending.due_ns = now_ns + (GRACE_NS if sent else PATIENCE_NS)
            elif now_ns >= pending.due_ns:
                self._ask_rover(camera, pending, now_ns)

    def clear(self) -> None:
        """Forget all requests."""
        self._pending.clear()

    def _ask_rover(self, camera: str, pending: _Pending, now_ns: int) -> None:
        request = pending.request
        left_ms = 0 if pending.deadline_ns is None else max(
            1, min(MAX_TTL_MS, (pending.deadline_ns - now_ns) // 1_000_000))
        data = RegionAsk(
            pending.number, camera, stamp.to_ns(request.header.stamp),
            Box(request.x, request.y, request.width, request.height), request.quality,
            left_ms).pack()
        pause_ns = self._pause_ns(len(data))
        earliest_ns = self._asked_ns.get(camera, now_ns - pause_ns) + pause_ns
        if now_ns < earliest_ns:
            pending.due_ns = earliest_ns
            return
        try:
            sent = self._send(data)
        except ValueError as error:
            self._end(camera, Outcome.NO_ROOM, str(error))
            return
        if sent:
            self._asked_ns[camera] = now_ns
            pending.due_ns = now_ns + max(REPEAT_NS, pause_ns)

    def _take_word(self, word: RegionWord) -> None:
        found = [item for item in self._pending.items() if item[1].number == word.number]
        if not found:  # of a request that is over
            return
        camera, pending = found[0]
        if word.outcome.final:
            self._end(camera, word.outcome)
            return
        pending.due_ns = None
        if pending.last is not word.outcome:
            pending.last = word.outcome
            self._tell(pending, word.outcome)

    def _take_answer(self, answer: RegionAnswer) -> None:
        camera = answer.camera
        if camera not in self._cameras or self._delivered.get(camera) == answer.number:
            return
        self._delivered[camera] = answer.number
        region = GscRegion(
            camera=camera, number=answer.number, x=answer.box.x, y=answer.box.y,
            width=answer.box.width, height=answer.box.height, image_width=answer.image_width,
            image_height=answer.image_height, payload=array('B', answer.payload))
        region.header.stamp = stamp.from_ns(answer.stamp_ns)
        region.header.frame_id = answer.frame_id
        self._deliver(region)
        pending = self._pending.get(camera)
        if pending is not None and pending.number == answer.number:
            self._end(camera, Outcome.ARRIVED)

    def _end(self, camera: str, outcome: Outcome, detail: str = '') -> None:
        self._tell(self._pending.pop(camera), outcome, detail)

    def _tell(self, pending: _Pending, outcome: Outcome, detail: str = '') -> None:
        request = pending.request
        text = f'{outcome.text}: {detail}' if detail else outcome.text
        self.counters[outcome] += 1
        if outcome.final and outcome not in (Outcome.ARRIVED, Outcome.SUPERSEDED):
            self.trouble = f'{brief(request.camera)}: {text}'
        self._notify(RegionNotice(
            header=request.header, camera=request.camera, number=pending.number, x=request.x,
            y=request.y, width=request.width, height=request.height, outcome=int(outcome),
            text=text))
