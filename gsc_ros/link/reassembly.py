# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Put frames and announcements back together, in bounded memory, whatever arrives."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from gsc_ros.link.framing import (
    Announcement,
    decode_encode_ms,
    FLAG_ABSOLUTE,
    FLAG_LAST,
    FLAG_WIDE,
    FrameHeader,
    FramingError,
    Kind,
    MAX_ANNOUNCEMENT_BYTES,
    Part,
)

# What keeping a fragment costs beyond its bytes.
_FRAGMENT_COST = 128
_REMEMBERED_FRAMES = 64
_REMEMBERED_ANNOUNCEMENTS = 2
_SEQUENCE_RANGE = 1 << 32


@dataclass(frozen=True)
class ReassemblyLimits:
    """
    Bounds on what is kept of unfinished frames.

    :param camera_bytes: for one camera, each fragment counted with an overhead of 128 bytes.
    :param total_bytes: for all cameras together.
    :param timeout_ns: an unfinished frame that gets no fragment for so long is given up.
    :raises ValueError: when a value is out of range.
    """

    camera_bytes: int = 1 << 19
    total_bytes: int = 1 << 21
    timeout_ns: int = 60_000_000_000

    def __post_init__(self) -> None:
        """Check the ranges."""
        if min(self.camera_bytes, self.total_bytes, self.timeout_ns) < 1:
            raise ValueError('limits must be >= 1')


@dataclass(frozen=True)
class FrameArrival:
    """A whole frame: its announcement, its header and its packet."""

    announcement: Announcement
    header: FrameHeader
    payload: bytes


@dataclass
class ReassemblyCounter:
    """Cumulative counts; see `statistic.LinkStatistics` for their meaning."""

    duplicates: int = 0
    incomplete: int = 0
    unannounced: int = 0
    malformed: int = 0


@dataclass
class _Partial:
    updated_ns: int
    bodies: dict[int, bytes] = field(default_factory=dict)
    flags: int = 0
    last: int | None = None
    cost: int = 0

    @property
    def whole(self) -> bool:
        return self.last is not None and len(self.bodies) == self.last + 1


@dataclass
class _Known:
    """What is known of a camera; `recent` maps finished frames to whether they were handed on."""

    announcements: OrderedDict[int, Announcement] = field(default_factory=OrderedDict)
    recent: OrderedDict[int, bool] = field(default_factory=OrderedDict)
    sequence: int = 0

    @property
    def newest(self) -> Announcement | None:
        return next(reversed(self.announcements.values()), None)


_Key = tuple[bool, int, int]


class Reassembler:
    """
    Collect fragments; frames of cameras that have not been announced are counted and dropped.

    Reordering and duplicates are tolerated. Order between frames is not restored.

    :param limits: bounds on memory and time.
    """

    def __init__(self, limits: ReassemblyLimits) -> None:
        """Start with no camera known."""
        self._limits = limits
        self._partials: OrderedDict[_Key, _Partial] = OrderedDict()
        self._camera_cost: dict[int, int] = {}
        self._cost = 0
        self._known: dict[int, _Known] = {}
        self._wanted: OrderedDict[int, None] = OrderedDict()
        self.counter = ReassemblyCounter()

    @property
    def held_bytes(self) -> int:
        """Return what unfinished frames and announcements take up."""
        return self._cost

    def take_wanted(self, limit: int) -> tuple[int, ...]:
        """Return cameras of which frames came, since last asked, without their announcement."""
        return tuple(
            self._wanted.popitem(last=False)[0] for _ in range(min(limit, len(self._wanted))))

    def accept(self, part: Part, now_ns: int) -> FrameArrival | Announcement | None:
        """
        Take a datagram; return what it completes.

        An announcement is returned when it is new, not when it is repeated.
        """
        if part.kind is not Kind.ANNOUNCEMENT and not self._expected(part):
            return None
        if part.kind is Kind.FRAME:
            return self._finish_frame(part.camera_id, part.key, part.flags, part.body)
        key = (part.kind is Kind.ANNOUNCEMENT, part.camera_id, part.key)
        partial = self._collect(key, part, now_ns)
        if partial is None or not partial.whole:
            return None
        self._discard(key)
        body = b''.join(partial.bodies[index] for index in range(partial.last + 1))
        if part.kind is Kind.ANNOUNCEMENT:
            return self._finish_announcement(part.camera_id, part.key, body)
        return self._finish_frame(part.camera_id, part.key, partial.flags, body)

    def expire(self, now_ns: int) -> None:
        """Give up what has got no fragment for too long."""
        while self._partials:
            key, partial = next(iter(self._partials.items()))
            if now_ns - partial.updated_ns <= self._limits.timeout_ns:
                return
            self._evict(key)

    def _expected(self, part: Part) -> bool:
        known = self._known.get(part.camera_id)
        finished = known.recent.get(part.key) if known else None
        if finished is not None:
            # Later fragments of a frame that was refused are no duplicates.
            self.counter.duplicates += finished
            return False
        if part.index != 0:
            return known is not None
        digest = int.from_bytes(part.body[:2], 'big')
        if known is not None and digest in known.announcements:
            return True
        self.counter.unannounced += 1
        self._wanted[part.camera_id] = None
        if known is not None:
            self._discard((False, part.camera_id, part.key))
            self._remember(known, part.key, False)
        return False

    def _collect(self, key: _Key, part: Part, now_ns: int) -> _Partial | None:
        partial = self._partials.get(key)
        if partial is None:
            partial = self._partials[key] = _Partial(now_ns)
        elif part.index in partial.bodies:
            self.counter.duplicates += 1
            return None
        is_last = bool(part.flags & FLAG_LAST)
        highest = max(partial.bodies, default=-1)
        beyond = partial.last is not None and part.index > partial.last
        if beyond or (is_last and (partial.last is not None or part.index < highest)):
            self._discard(key)
            self.counter.malformed += 1
            return None
        if is_last:
            partial.last = part.index
        if part.index == 0:
            partial.flags = part.flags
        partial.bodies[part.index] = part.body
        partial.updated_ns = now_ns
        self._partials.move_to_end(key)
        self._charge(key, partial, len(part.body) + _FRAGMENT_COST)
        return partial if self._make_room(key, partial) else None

    def _make_room(self, key: _Key, partial: _Partial) -> bool:
        announced, camera_id, _ = key
        # An announcement has at most 256 fragments, so this bounds their overhead too.
        size = partial.cost - _FRAGMENT_COST * len(partial.bodies)
        if announced and size > MAX_ANNOUNCEMENT_BYTES:
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

    def _charge(self, key: _Key, partial: _Partial, cost: int) -> None:
        partial.cost += cost
        self._camera_cost[key[1]] = self._camera_cost.get(key[1], 0) + cost
        self._cost += cost

    def _evict(self, key: _Key) -> None:
        self._discard(key)
        self.counter.incomplete += 1

    def _discard(self, key: _Key) -> None:
        partial = self._partials.pop(key, None)
        if partial is not None:
            self._camera_cost[key[1]] -= partial.cost
            self._cost -= partial.cost

    def _finish_announcement(
        self, camera_id: int, digest: int, body: bytes,
    ) -> Announcement | None:
        try:
            announcement = Announcement.parse(camera_id, body)
        except FramingError:
            self.counter.malformed += 1
            return None
        if announcement.hash != digest:
            self.counter.malformed += 1
            return None
        self._wanted.pop(camera_id, None)
        known = self._known.setdefault(camera_id, _Known())
        newest = known.newest
        if newest is not None and newest.hash == digest:
            return None
        if newest is None or _base(newest) != _base(announcement):
            # Sequence numbers begin anew: nothing of before may mix with what comes.
            known.recent.clear()
            known.sequence = announcement.base_sequence
            for key in [k for k in self._partials if k[:2] == (False, camera_id)]:
                self._evict(key)
        known.announcements.pop(digest, None)
        known.announcements[digest] = announcement
        if len(known.announcements) > _REMEMBERED_ANNOUNCEMENTS:
            known.announcements.popitem(last=False)
        return announcement

    def _finish_frame(
        self, camera_id: int, key: int, flags: int, body: bytes,
    ) -> FrameArrival | None:
        known = self._known[camera_id]
        announcement = known.announcements.get(int.from_bytes(body[:2], 'big'))
        absolute, wide = flags & FLAG_ABSOLUTE, flags & FLAG_WIDE
        stamp_end = 10 if absolute else 8
        payload_at = stamp_end + 1 + (2 if wide else 0)
        if announcement is None or len(body) <= payload_at:
            self.counter.malformed += 1
            return None
        stamp = int.from_bytes(body[2:stamp_end], 'big', signed=True)
        stamp += 0 if absolute else announcement.base_stamp_ns
        if not -(1 << 63) <= stamp < 1 << 63:
            self.counter.malformed += 1
            return None
        if wide:
            sequence = int.from_bytes(body[stamp_end + 1:payload_at], 'big') << 16 | key
        else:
            offset = (key - known.sequence + 0x8000) % 0x10000 - 0x8000
            sequence = (known.sequence + offset) % _SEQUENCE_RANGE
        known.sequence = sequence
        self._remember(known, key, True)
        header = FrameHeader(camera_id, sequence, stamp, decode_encode_ms(body[stamp_end]))
        return FrameArrival(announcement, header, body[payload_at:])

    @staticmethod
    def _remember(known: _Known, key: int, handed_on: bool) -> None:
        known.recent[key] = handed_on
        if len(known.recent) > _REMEMBERED_FRAMES:
            known.recent.popitem(last=False)


def _base(announcement: Announcement) -> tuple[int, int, int]:
    return announcement.session, announcement.base_sequence, announcement.base_stamp_ns
