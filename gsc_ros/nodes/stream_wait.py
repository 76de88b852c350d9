# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Frames of a stream that wait for a repair of the one that they refer to.

    decoded 41      43 44 45 46 wait
               42 is missing
    42 comes in time:       43 44 45 46 follow it
    42 can come no more:    43 44 45 46 are lost, the sender must begin anew
    47 stands alone, and comes: it is decoded, nobody misses 43 44 45 46

Each frame refers to the one numbered before it, so whatever waits falls into runs of numbers
without a gap, and the frame before a run is the one that it waits for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from gsc_ros.nodes.sequence import is_ahead, MODULUS

# Of one camera: two seconds at 30 frames/s; frames of streams are small.
MAX_FRAMES = 64
MAX_BYTES = 1 << 20

Item = TypeVar('Item')


@dataclass(frozen=True, eq=False)
class Held(Generic[Item]):
    """
    A frame that waits.

    :param session: of its sender, uint16.
    :param sequence: uint32.
    :param arrived_s: when it arrived, on a steady clock.
    :param size: bytes.
    :param item: the frame itself.
    """

    session: int
    sequence: int
    arrived_s: float
    size: int
    item: Item


class StreamWait(Generic[Item]):
    """What waits of one camera, all of one session; one thread at a time may use it."""

    def __init__(self, wait_s: float, max_frames: int = MAX_FRAMES,
                 max_bytes: int = MAX_BYTES) -> None:
        """
        Begin before the first frame.

        :param wait_s: seconds after which a repair comes no more, counted from when the missing
            frame should have come; 0 waits for none.
        :param max_frames: frames that wait, at most.
        :param max_bytes: their bytes, at most.
        """
        self._wait_s = wait_s
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._held: list[Held[Item]] = []
        # Session and number of the newest frame that was decoded or given up, and its arrival.
        self._newest: tuple[int, int, float] | None = None
        # When the oldest run is to be given up; any thread may read it.
        self.deadline_s: float | None = None

    def __len__(self) -> int:
        """Return how many frames wait."""
        return len(self._held)

    def holds(self, session: int, sequence: int) -> bool:
        """Return whether this frame waits already."""
        return any((held.session, held.sequence) == (session, sequence) for held in self._held)

    def hold(self, frame: Held[Item]) -> list[Held[Item]]:
        """Let a frame wait; return those of another session, for which nobody waits any more."""
        others = [held for held in self._held if held.session != frame.session]
        if others:
            self._held.clear()
        place = len(self._held)
        while place and is_ahead(frame.sequence, self._held[place - 1].sequence):
            place -= 1
        self._held.insert(place, frame)
        self._set_deadline()
        return others

    def followers(self, session: int, sequence: int) -> list[Held[Item]]:
        """Return the frames that a frame which is decoded now makes decodable, in order."""
        run = []
        for held in self._held:
            if (held.session, held.sequence) == (session, (sequence + 1 + len(run)) % MODULUS):
                run.append(held)
        return run

    def passed(self, session: int, sequence: int, arrived_s: float) -> list[Held[Item]]:
        """
        Note that a frame which is newer than all decoded before was decoded.

        :return: the frames that nobody waits for any more, as they are older; where numbers begin
            again, all but those that follow.
        """
        before = self._newest
        again = before is not None and before[0] == session and not is_ahead(before[1], sequence)
        if again:
            kept = self.followers(session, sequence)
        else:
            kept = [held for held in self._held
                    if held.session == session and is_ahead(sequence, held.sequence)]
        over = [held for held in self._held if held not in kept]
        self._held = kept
        self._newest = session, sequence, arrived_s
        self._set_deadline()
        return [held for held in over if (held.session, held.sequence) != (session, sequence)]

    def lost(self, now_s: float) -> list[Held[Item]]:
        """Return, in order, the frames that no repair can make decodable any more."""
        lost: list[Held[Item]] = []
        while self.deadline_s is not None and (now_s >= self.deadline_s or self._is_full()):
            first = self._held[0]
            run = [first, *self.followers(first.session, first.sequence)]
            del self._held[:len(run)]
            self._newest = run[-1].session, run[-1].sequence, run[-1].arrived_s
            self._set_deadline()
            lost += run
        return lost

    def _is_full(self) -> bool:
        return len(self._held) > self._max_frames or (
            sum(held.size for held in self._held) > self._max_bytes)

    def _set_deadline(self) -> None:
        self.deadline_s = self._deadline_of(self._held[0]) if self._held else None

    def _deadline_of(self, first: Held[Item]) -> float:
        """Return until when the frame before the oldest run may come."""
        if self._newest is None:  # it left before anybody listened
            return first.arrived_s
        session, sequence, arrived_s = self._newest
        distance = (first.sequence - sequence) % MODULUS
        if session != first.session or distance >= MODULUS // 2:
            return first.arrived_s + self._wait_s
        if distance <= 1:  # it was given up, or is not the one that is meant
            return first.arrived_s
        # Frames come evenly. After a long silence the missing ones are older than the wait.
        should_s = arrived_s + max(0.0, first.arrived_s - arrived_s) / distance
        return max(first.arrived_s, min(should_s, first.arrived_s) + self._wait_s)
