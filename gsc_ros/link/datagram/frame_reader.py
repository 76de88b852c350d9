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
from gsc_ros.link.record.head import COUNTERS

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


@dataclass
class ReassemblyCounter:
    """Cumulative counts; see `statistic.LinkStatistics` for their meaning."""

    duplicates: int = 0
    incomplete: int = 0
    unannounced: int = 0
    malformed: int = 0
    bases: int = 0


# Session, base sequence and base stamp: what the sequence numbers of frames are told from.
_Origin = tuple[int, int, int]


@dataclass
class _Known:
    """
    What is known of a camera.

    :param announcements: by hash, with the counter of the record that brought each of them last:
        repair may bring an old one after a newer one.
    :param sequences: the sequence number of the last frame of each origin.
    :param recent: which frames are finished, and whether they were handed on.
    """

    announcements: dict[int, tuple[int, Announcement]] = field(default_factory=dict)
    sequences: dict[_Origin, int] = field(default_factory=dict)
    recent: OrderedDict[int, bool] = field(default_factory=OrderedDict)


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
        """Return an announcement if it is well formed; else count it."""
        try:
            announcement = Announcement.parse(camera_id, body)
        except FramingError:
            announcement = None
        if announcement is None or announcement.hash != digest:
            self._counter.malformed += 1
            return None
        self._wanted.pop(camera_id, None)
        return announcement

    def learn(self, announcement: Announcement, counter: int) -> None:
        """
        Remember an announcement of a camera, unless there are enough that left later.

        :param counter: of the record that brought the last of it, or that lost it.
        """
        known = self._known.setdefault(announcement.camera.camera_id, _Known())
        before = known.announcements.get(announcement.hash)
        if before is None or before[0] < counter:
            known.announcements[announcement.hash] = counter, announcement
        known.sequences.setdefault(_origin(announcement), announcement.base_sequence)
        if len(known.announcements) > _REMEMBERED_ANNOUNCEMENTS:
            del known.announcements[min(
                known.announcements, key=lambda digest: known.announcements[digest][0])]
            origins = {_origin(kept) for _, kept in known.announcements.values()}
            known.sequences = {
                origin: known.sequences[origin] for origin in known.sequences.keys() & origins}

    def restart(self) -> None:
        """Take what is known for older than all that comes: the far end counts from 0 again."""
        for known in self._known.values():
            known.announcements = {
                digest: (counter - COUNTERS, announcement)
                for digest, (counter, announcement) in known.announcements.items()}

    @staticmethod
    def has_base(flags: int, body: bytes) -> bool:
        """Return whether the beginning of a split frame holds all of its base."""
        layout = _Layout.read(flags, body)
        return layout is not None and len(body) >= layout.payload_at + layout.base

    def read_frame(
        self, camera_id: int, name: int, flags: int, body: bytes, whole: bool,
    ) -> FrameArrival | None:
        """
        Return a frame of a camera that is known, and count it as finished; None: malformed.

        :param name: by which its parts name it.
        :param flags: of its first body.
        :param body: frame header and packet; of a split frame perhaps only the beginning.
        :param whole: whether that is all of it.
        """
        known = self._known[camera_id]
        layout = _Layout.read(flags, body)
        if layout is None or layout.digest not in known.announcements:
            self._counter.malformed += 1
            return None
        _, announcement = known.announcements[layout.digest]
        stamp = layout.stamp + (0 if layout.absolute else announcement.base_stamp_ns)
        payload = body[layout.payload_at:]
        if layout.base is not None:
            payload, whole = self._join(payload, layout.base, whole)
        if not payload or not -(1 << 63) <= stamp < 1 << 63:
            self._counter.malformed += 1
            return None
        low = name ^ layout.digest
        if layout.sequence_high is not None:
            sequence = layout.sequence_high << 16 | low
        else:
            before = known.sequences[_origin(announcement)]
            offset = (low - before + 0x8000) % 0x10000 - 0x8000
            sequence = (before + offset) % _SEQUENCE_RANGE
        known.sequences[_origin(announcement)] = sequence
        self._counter.bases += not whole
        self._remember(known, name, True)
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
    def _remember(known: _Known, name: int, handed_on: bool) -> None:
        known.recent[name] = handed_on
        if len(known.recent) > _REMEMBERED_FRAMES:
            known.recent.popitem(last=False)


def _origin(announcement: Announcement) -> _Origin:
    return announcement.session, announcement.base_sequence, announcement.base_stamp_ns
