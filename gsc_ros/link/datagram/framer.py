# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Put headers in front of frames, and foretell what sending them takes."""

from __future__ import annotations

import struct

from gsc_ros.link.datagram.cutting import (
    FIRST_BYTES,
    FrameCut,
    LONG_BYTES,
    PartCut,
    SHORT_BYTES,
    Wire,
)
from gsc_ros.link.datagram.framing import (
    Announcement,
    code_encode_ms,
    FLAG_ABSOLUTE,
    FLAG_SPLIT,
    FLAG_WIDE,
    FrameHeader,
    Kind,
    SHORT_DISTANCES,
)
from gsc_ros.link.datagram.splice import splice

_DELTA_LIMIT = 1 << 47
# How often the upper half of a sequence number is sent once it cannot be told from the base.
_WIDE_EVERY = 16
_WIDE_AFTER = 1 << 14


class FrameFramer:
    """
    Make frames ready to leave.

    :param wire: says how large bodies may be.
    """

    def __init__(self, wire: Wire) -> None:
        """Start with no frame sent."""
        self._wire = wire
        self._since_wide = [0] * 256

    def plan(
        self, header: FrameHeader, announcement: Announcement, length: int, now_ns: int,
    ) -> tuple[int, int]:
        """
        Return how many datagrams a packet of ``length`` bytes would take, and their bits.

        That is what it takes when nothing comes between and the records stay as they are. More
        than `MAX_PARTS` datagrams: it cannot be sent.
        """
        room = self._wire.room(True, now_ns)
        size = FIRST_BYTES + self._header_bytes(header, announcement) + length
        if size <= room:
            return 1, self._wire.bits(size, now_ns)
        count, left = 1, size - room
        short = min(left // (room - SHORT_BYTES), SHORT_DISTANCES - 1)
        left -= short * (room - SHORT_BYTES)
        head = SHORT_BYTES if short < SHORT_DISTANCES - 1 else LONG_BYTES
        long, left = divmod(left, room - head)
        count += short + long
        bits = count * self._wire.bits(room, now_ns)
        if left:
            bits += self._wire.bits(head + left, now_ns)
        return count + (left > 0), bits

    def base_room(self, header: FrameHeader, announcement: Announcement, now_ns: int) -> int:
        """Return how long a base may be that the first datagram of a split frame carries."""
        taken = FIRST_BYTES + self._header_bytes(header, announcement) + 2
        return self._wire.room(True, now_ns) - taken

    def cut(
        self, header: FrameHeader, announcement: Announcement, packet: bytes,
        base: bytes | None = None,
    ) -> FrameCut:
        """
        Return a frame that is ready to leave.

        :param base: a packet of fewer layers, to be sent first and to be spliced into the whole
            at the far end; not possible when `splice` finds no way.
        """
        flags, extra = self._frame_header(header, announcement)
        wide = flags & FLAG_WIDE
        self._since_wide[header.camera_id] = 0 if wide else self._since_wide[header.camera_id] + 1
        spliced = None if base is None else splice(base, packet)
        if spliced is None:
            data = extra + packet
            needed = len(data)
        else:
            flags |= FLAG_SPLIT
            extra += struct.pack('>H', len(base))
            data = b''.join((extra, base, spliced))
            needed = len(extra) + len(base)
        return FrameCut(
            self._wire, header.camera_id, header.sequence & 0xFFFF ^ announcement.hash, flags, data,
            needed)

    def cut_announcement(self, announcement: Announcement) -> PartCut:
        """Return an announcement that is ready to leave."""
        key = struct.pack('>BH', announcement.camera.camera_id, announcement.hash)
        return PartCut(self._wire, Kind.ANNOUNCEMENT, key, announcement.pack(), True)

    def _header_bytes(self, header: FrameHeader, announcement: Announcement) -> int:
        delta = header.stamp_ns - announcement.base_stamp_ns
        reached = -_DELTA_LIMIT <= delta < _DELTA_LIMIT
        return (9 if reached else 11) + (2 if self._is_wide(header, announcement) else 0)

    def _is_wide(self, header: FrameHeader, announcement: Announcement) -> bool:
        ahead = (header.sequence - announcement.base_sequence) % (1 << 32)
        due = self._since_wide[header.camera_id] >= _WIDE_EVERY - 1
        return ahead >= _WIDE_AFTER and due

    def _frame_header(
        self, header: FrameHeader, announcement: Announcement,
    ) -> tuple[int, bytes]:
        flags = 0
        delta = header.stamp_ns - announcement.base_stamp_ns
        if -_DELTA_LIMIT <= delta < _DELTA_LIMIT:
            stamp = delta.to_bytes(6, 'big', signed=True)
        else:
            flags |= FLAG_ABSOLUTE
            stamp = header.stamp_ns.to_bytes(8, 'big', signed=True)
        wide = b''
        if self._is_wide(header, announcement):
            flags |= FLAG_WIDE
            wide = struct.pack('>H', header.sequence >> 16)
        digest = struct.pack('>H', announcement.hash)
        return flags, digest + stamp + bytes([code_encode_ms(header.encode_ms)]) + wide
