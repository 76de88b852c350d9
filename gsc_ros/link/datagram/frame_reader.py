# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read what has been put together: announcements, and the frames that refer to them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from gsc_ros.link.datagram.framing import (
    Announcement,
    decode_encode_ms,
    FLAG_ABSOLUTE,
    FLAG_SPLIT,
    FLAG_WIDE,
    FrameHeader,
    FramingError,
    Part,
)
from gsc_ros.link.datagram.splice import unsplice

_REMEMBERED_FRAMES = 64
_REMEMBERED_ANNOUNCEMENTS = 2
_SEQUENCE_RANGE = 1 << 32


@dataclass(frozen=True)
class FrameArrival:
    """A frame: its announcement, its header and its packet, whole or that of its base."""

    announcement: Announcement
    header: FrameHeader
    payload: bytes
    whole: bool = True


Arrival = FrameArrival | Announcement


@dataclass
class ReassemblyCounter:
    """Cumulative counts; see `statistic.LinkStatistics` for their meaning."""

    duplicates: int = 0
    incomplete: int = 0
    unannounced: int = 0
    malformed: int = 0
    bases: int = 0


@dataclass
class _Known:
    """What is known of a camera; `recent` maps finished frames to whether they were handed on."""

    announcements: OrderedDict[int, Announcement] = field(default_factory=OrderedDict)
    recent: OrderedDict[int, bool] = field(default_factory=OrderedDict)
    sequence: int = 0

    @property
    def newest(self) -> Announcement | None:
        return next(reversed(self.announcements.values()), None)


@dataclass(frozen=True)
class _Layout:
    """Where the parts of a frame are in its bytes."""

    digest: int
    stamp: int
    absolute: bool
    encode_code: int
    sequence_high: int | None
    base: int | None
    payload_at: int

    @classmethod
    def read(cls, flags: int, body: bytes) -> _Layout | None:
        """Read a frame header; None when not all of it is there."""
        absolute, wide, split = (bool(flags & f) for f in (FLAG_ABSOLUTE, FLAG_WIDE, FLAG_SPLIT))
        stamp_end = 10 if absolute else 8
        wide_end = stamp_end + 1 + 2 * wide
        payload_at = wide_end + 2 * split
        if len(body) <= payload_at:
            return None
        return cls(
            int.from_bytes(body[:2], 'big'),
            int.from_bytes(body[2:stamp_end], 'big', signed=True), absolute, body[stamp_end],
            int.from_bytes(body[stamp_end + 1:wide_end], 'big') if wide else None,
            int.from_bytes(body[wide_end:payload_at], 'big') if split else None, payload_at)


class FrameReader:
    """Remember what each camera has announced, and which of its frames are finished."""

    def __init__(self, counter: ReassemblyCounter) -> None:
        """Start with no camera known."""
        self._counter = counter
        self._known: dict[int, _Known] = {}
        self._wanted: OrderedDict[int, None] = OrderedDict()

    def take_wanted(self, limit: int) -> tuple[int, ...]:
        """Return cameras of which frames came, since last asked, without their announcement."""
        return tuple(
            self._wanted.popitem(last=False)[0] for _ in range(min(limit, len(self._wanted))))

    def expects(self, part: Part) -> bool:
        """Return whether a part of a frame is to be kept; if not, it is counted."""
        known = self._known.get(part.camera_id)
        finished = known.recent.get(part.key) if known else None
        if finished is not None:
            # Later parts of a frame that was refused are no duplicates.
            self._counter.duplicates += finished
            return False
        if part.index != 0:
            return known is not None
        digest = int.from_bytes(part.body[:2], 'big')
        if known is not None and digest in known.announcements:
            return True
        self._counter.unannounced += 1
        self._wanted[part.camera_id] = None
        if known is not None:
            self._remember(known, part.key, False)
        return False

    def read_announcement(self, camera_id: int, digest: int, body: bytes) -> Announcement | None:
        """Return an announcement that is well formed and new, or None."""
        try:
            announcement = Announcement.parse(camera_id, body)
        except FramingError:
            announcement = None
        if announcement is None or announcement.hash != digest:
            self._counter.malformed += 1
            return None
        self._wanted.pop(camera_id, None)
        known = self._known.get(camera_id)
        if known is not None and known.newest.hash == digest:
            return None
        return announcement

    def begins_anew(self, announcement: Announcement) -> bool:
        """Return whether sequence numbers begin anew: nothing of before may mix with what comes."""
        known = self._known.get(announcement.camera.camera_id)
        return known is None or _origin(known.newest) != _origin(announcement)

    def learn(self, announcement: Announcement) -> None:
        """Take an announcement for the present one of its camera."""
        anew = self.begins_anew(announcement)
        known = self._known.setdefault(announcement.camera.camera_id, _Known())
        if anew:
            known.recent.clear()
            known.sequence = announcement.base_sequence
        known.announcements.pop(announcement.hash, None)
        known.announcements[announcement.hash] = announcement
        if len(known.announcements) > _REMEMBERED_ANNOUNCEMENTS:
            known.announcements.popitem(last=False)

    @staticmethod
    def has_base(flags: int, body: bytes) -> bool:
        """Return whether the beginning of a split frame holds all of its base."""
        layout = _Layout.read(flags, body)
        return layout is not None and len(body) >= layout.payload_at + layout.base

    def read_frame(
        self, camera_id: int, key: int, flags: int, body: bytes, whole: bool,
    ) -> FrameArrival | None:
        """
        Return a frame of a camera that is known, and count it as finished; None: malformed.

        :param key: low half of its sequence number.
        :param flags: of its first body.
        :param body: frame header and packet; of a split frame perhaps only the beginning.
        :param whole: whether that is all of it.
        """
        known = self._known[camera_id]
        layout = _Layout.read(flags, body)
        announcement = known.announcements.get(layout.digest) if layout else None
        if announcement is None:
            self._counter.malformed += 1
            return None
        stamp = layout.stamp + (0 if layout.absolute else announcement.base_stamp_ns)
        payload = body[layout.payload_at:]
        if layout.base is not None:
            payload, whole = self._join(payload, layout.base, whole)
        if not payload or not -(1 << 63) <= stamp < 1 << 63:
            self._counter.malformed += 1
            return None
        if layout.sequence_high is not None:
            sequence = layout.sequence_high << 16 | key
        else:
            offset = (key - known.sequence + 0x8000) % 0x10000 - 0x8000
            sequence = (known.sequence + offset) % _SEQUENCE_RANGE
        known.sequence = sequence
        self._counter.bases += not whole
        self._remember(known, key, True)
        header = FrameHeader(camera_id, sequence, stamp, decode_encode_ms(layout.encode_code))
        return FrameArrival(announcement, header, payload, whole)

    def _join(self, payload: bytes, base: int, whole: bool) -> tuple[bytes, bool]:
        """Return the whole packet of a split frame, or its base when that is all there is."""
        if whole:
            try:
                return unsplice(payload[:base], payload[base:]), True
            except FramingError:
                self._counter.malformed += 1
        return payload[:base], False

    @staticmethod
    def _remember(known: _Known, key: int, handed_on: bool) -> None:
        known.recent[key] = handed_on
        if len(known.recent) > _REMEMBERED_FRAMES:
            known.recent.popitem(last=False)


def _origin(announcement: Announcement) -> tuple[int, int, int]:
    return announcement.session, announcement.base_sequence, announcement.base_stamp_ns
