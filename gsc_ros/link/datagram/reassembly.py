# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Put frames and announcements back together, in bounded memory, whatever arrives."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum

from gsc_ros.link.datagram.frame_reader import FrameArrival, FrameReader, ReassemblyCounter
from gsc_ros.link.datagram.framing import (
    FLAG_LAST,
    FLAG_SPLIT,
    Kind,
    MAX_ANNOUNCEMENT_BYTES,
    Part,
)
from gsc_ros.link.datagram.partial import Partial
from gsc_ros.link.record.head import COUNTERS

__all__ = ['FrameArrival', 'Reassembler', 'ReassemblyCounter', 'ReassemblyLimits']

# What keeping a part costs beyond its bytes.
_PART_COST = 128
# A continuation reaches back so far to the first datagram of its frame.
_REMEMBERED_COUNTERS = 512
# Continuations of frames whose camera is not known yet are charged to this one.
_NO_CAMERA = 256


@dataclass(frozen=True)
class ReassemblyLimits:
    """
    Bounds on what is kept of unfinished frames.

    :param camera_bytes: for one camera, each part counted with an overhead of 128 bytes.
    :param total_bytes: for all cameras together.
    :param timeout_ns: an unfinished frame that gets no part for so long is given up.
    :raises ValueError: when a value is out of range.
    """

    camera_bytes: int = 1 << 19
    total_bytes: int = 1 << 21
    timeout_ns: int = 60_000_000_000

    def __post_init__(self) -> None:
        """Check the ranges."""
        if min(self.camera_bytes, self.total_bytes, self.timeout_ns) < 1:
            raise ValueError('limits must be >= 1')


class _Sort(IntEnum):
    FRAME = 0
    ANNOUNCEMENT = 1
    ORPHAN = 2  # continuations of a frame whose first datagram has not come


# Sort; camera; name of the frame, hash, or counter of the first datagram.
_Key = tuple[_Sort, int, int]


class Reassembler:
    """
    Collect parts; frames of cameras that have not been announced are counted and dropped.

    Reordering and duplicates are tolerated. Order between frames is not restored.

    :param limits: bounds on memory and time.
    :param partial_ns: a split frame whose base is there and that gets no part for so long is
        handed on with the layers of its base: as long as what is lost may be repaired.
    """

    def __init__(self, limits: ReassemblyLimits, partial_ns: int) -> None:
        """Start with no camera known."""
        self._limits = limits
        self._partial_ns = partial_ns
        self._partials: OrderedDict[_Key, Partial] = OrderedDict()
        # Split frames whose base may be all that will come, the longest without progress first.
        self._split: OrderedDict[_Key, None] = OrderedDict()
        self._firsts: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._camera_cost: dict[int, int] = {}
        self._cost = 0
        self._arrivals: list[FrameArrival] = []
        self.counter = ReassemblyCounter()
        self._reader = FrameReader(self.counter)

    @property
    def held_bytes(self) -> int:
        """Return what unfinished frames and announcements take up."""
        return self._cost

    def take_wanted(self, limit: int) -> tuple[int, ...]:
        """Return cameras of which frames came, since last asked, without their announcement."""
        return self._reader.take_wanted(limit)

    def restart(self) -> None:
        """Forget what was known by counters, as the far end has begun to count anew."""
        self._firsts.clear()
        for key in [key for key in self._partials if key[0] is _Sort.ORPHAN]:
            self._evict(key)
        for partial in self._partials.values():
            partial.counters = {
                index: counter - COUNTERS for index, counter in partial.counters.items()}
        self._reader.restart()

    def accept(self, part: Part, counter: int, now_ns: int) -> list[FrameArrival]:
        """
        Take a part; return the frames it completes, and bases that had to make room for it.

        :param counter: of the record that brought it, or that lost it.
        """
        if part.kind is Kind.CONTINUATION:
            self._accept_continuation(part, counter, now_ns)
        elif part.kind is Kind.ANNOUNCEMENT:
            self._collect((_Sort.ANNOUNCEMENT, part.camera_id, part.key), part, counter, now_ns)
        elif self._expects(part):
            self._collect((_Sort.FRAME, part.camera_id, part.key), part, counter, now_ns)
        if part.kind is Kind.FRAME and not part.flags & FLAG_LAST:
            self._adopt(part, counter, now_ns)
        return self._take_arrivals()

    def expire(self, now_ns: int) -> list[FrameArrival]:
        """Give up what has got no part for too long; return bases of which nothing more comes."""
        while self._split:
            key = next(iter(self._split))
            if now_ns - self._partials[key].updated_ns < self._partial_ns:
                break
            self._evict(key)
        while self._partials:
            key, partial = next(iter(self._partials.items()))
            if now_ns - partial.updated_ns <= self._limits.timeout_ns:
                break
            self._evict(key)
        return self._take_arrivals()

    def next_ns(self) -> int | None:
        """Return when the next base is to be handed on by `expire`, or None."""
        key = next(iter(self._split), None)
        return None if key is None else self._partials[key].updated_ns + self._partial_ns

    def _take_arrivals(self) -> list[FrameArrival]:
        arrivals, self._arrivals = self._arrivals, []
        return arrivals

    def _accept_continuation(self, part: Part, counter: int, now_ns: int) -> None:
        first = counter - part.index
        place = self._firsts.get(first)
        if place is None:
            if first < 0:
                self.counter.malformed += 1
                return
            self._collect((_Sort.ORPHAN, _NO_CAMERA, first), part, counter, now_ns)
            return
        named = Part(Kind.FRAGMENT, *place, part.index, part.flags, part.body)
        if self._expects(named):
            self._collect((_Sort.FRAME, *place), named, counter, now_ns)

    def _adopt(self, part: Part, counter: int, now_ns: int) -> None:
        """Join a frame's beginning with the continuations that have come before it."""
        place = part.camera_id, part.key
        self._firsts[counter] = place
        if len(self._firsts) > _REMEMBERED_COUNTERS:
            self._firsts.popitem(last=False)
        key = (_Sort.ORPHAN, _NO_CAMERA, counter)
        orphan = self._partials.get(key)
        if orphan is None:
            return
        self._discard(key)
        for index, body in sorted(orphan.bodies.items()):
            flags = FLAG_LAST if index == orphan.last else 0
            named = Part(Kind.FRAGMENT, *place, index, flags, body)
            if self._expects(named):
                self._collect((_Sort.FRAME, *place), named, counter + index, now_ns)

    def _expects(self, part: Part) -> bool:
        if self._reader.expects(part):
            return True
        if part.index == 0:
            # Of a frame that cannot be read nothing is kept.
            self._discard((_Sort.FRAME, part.camera_id, part.key))
        return False

    def _collect(self, key: _Key, part: Part, counter: int, now_ns: int) -> None:
        partial = self._partials.get(key)
        if partial is not None and not self._agrees(key, partial, part, counter):
            return
        partial = self._partials.setdefault(key, Partial(now_ns))
        if part.flags & FLAG_LAST:
            partial.last = part.index
        if part.index == 0:
            partial.flags = part.flags
        self._add(key, partial, part.index, part.body, counter)
        partial.updated_ns = now_ns
        self._partials.move_to_end(key)
        if self._make_room(key, partial):
            self._finish_or_wait(key, partial)

    def _agrees(self, key: _Key, partial: Partial, part: Part, counter: int) -> bool:
        """
        Return whether a part is to be added; give up the bodies that it shows to be outdated.

        An announcement that is sent again may be cut at other places.
        """
        if partial.counters.get(part.index) == counter:
            self.counter.duplicates += 1
            return False
        others = partial.contradictions(part, counter)
        if not others:
            return True
        if max(others) > counter:
            # Late, as repaired: what it is of has been given up.
            self.counter.duplicates += 1
            return False
        self._evict(key)
        if max(others) == counter:
            self.counter.malformed += 1
            return False
        newer = {index: entry for index, entry in partial.counters.items() if entry > max(others)}
        kept = self._partials[key] = Partial(partial.updated_ns)
        for index, entry in newer.items():
            self._add(key, kept, index, partial.bodies[index], entry)
        if 0 in newer:
            kept.flags = partial.flags
        if partial.last in newer:
            kept.last = partial.last
        return True

    def _add(
        self, key: _Key, partial: Partial, index: int, body: bytes, counter: int,
    ) -> None:
        partial.bodies[index] = body
        partial.counters[index] = counter
        self._charge(key, partial, len(body) + _PART_COST)

    def _finish_or_wait(self, key: _Key, partial: Partial) -> None:
        sort, camera_id, number = key
        if sort is _Sort.ORPHAN:
            return
        if partial.whole:
            self._discard(key)
            body = partial.beginning()
            if sort is _Sort.ANNOUNCEMENT:
                self._finish_announcement(
                    camera_id, number, body, partial.counters[partial.last])
            else:
                self._finish_frame(camera_id, number, partial.flags, body)
        elif partial.flags & FLAG_SPLIT and self._reader.has_base(
                partial.flags, partial.beginning()):
            self._split[key] = None
            self._split.move_to_end(key)

    def _make_room(self, key: _Key, partial: Partial) -> bool:
        sort, camera_id, _ = key
        # An announcement has at most 256 parts, so this bounds their overhead too.
        size = partial.cost - _PART_COST * len(partial.bodies)
        if sort is _Sort.ANNOUNCEMENT and size > MAX_ANNOUNCEMENT_BYTES:
            self._discard(key)
            self.counter.malformed += 1
            return False
        while self._camera_cost[camera_id] > self._limits.camera_bytes:
            oldest = next(k for k in self._partials if k[1] == camera_id)
            self._evict(oldest)
            if oldest == key:
                return False
        while self._cost > self._limits.total_bytes:
            oldest = next(iter(self._partials))
            self._evict(oldest)
            if oldest == key:
                return False
        return True

    def _charge(self, key: _Key, partial: Partial, cost: int) -> None:
        partial.cost += cost
        self._camera_cost[key[1]] = self._camera_cost.get(key[1], 0) + cost
        self._cost += cost

    def _evict(self, key: _Key) -> None:
        """Give up what is not whole; of a split frame the base is handed on."""
        partial = self._partials[key]
        based = key in self._split
        self._discard(key)
        if based:
            self._finish_frame(key[1], key[2], partial.flags, partial.beginning(), whole=False)
        else:
            self.counter.incomplete += 1

    def _discard(self, key: _Key) -> None:
        self._split.pop(key, None)
        partial = self._partials.pop(key, None)
        if partial is not None:
            self._camera_cost[key[1]] -= partial.cost
            self._cost -= partial.cost

    def _finish_announcement(self, camera_id: int, digest: int, body: bytes, counter: int) -> None:
        announcement = self._reader.read_announcement(camera_id, digest, body)
        if announcement is not None:
            self._reader.learn(announcement, counter)

    def _finish_frame(
        self, camera_id: int, key: int, flags: int, body: bytes, whole: bool = True,
    ) -> None:
        frame = self._reader.read_frame(camera_id, key, flags, body, whole)
        if frame is not None:
            self._arrivals.append(frame)
