# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The bodies of datagrams: what a frame, an announcement and a control message look like on the link.

The record around each body (`record`) has a counter and a tag, so bodies carry neither. Every body
begins with one byte: kind (4 bits), flags (4 bits), or 11, last (1 bit), distance (5 bits) in a
short continuation. All numbers are big endian; `docs/link.md` has
the byte tables.

::

    FRAME         head camera name(2) frame header     | the packet, or its beginning
    CONTINUATION  head, with the distance if that is less than 32, else head distance
                                                       | more of the packet
    FRAGMENT      head camera name(2) index            | more of the packet
    ANNOUNCEMENT  head camera hash(2) index            | part of the announcement
    HEARTBEAT     head
    RECEIPT       head highest(4) received(4) runs(2) held_ms(2) cameras
    CONTROL       head                                 | bytes
    BULK          head id(2) index                     | part of the message

    frame header  hash(2) stamp(6, or 8 if ABSOLUTE) encode(1) sequence high half(2, if WIDE)
                  base length(2, if SPLIT)

The name of a frame is the low half of its sequence number, xor the hash: sessions of a sender count
alike, and parts of their frames must not be mixed.

REPEAT, PARITY and NACK are the business of `repair`. A part knows its place by its index, and the
last one carries the flag LAST, so none needs a count. A continuation names the frame by the
distance of its record's counter from that of the frame's first datagram, which is also its index;
where other datagrams came between, a fragment takes its place. The stamp is exact: a signed 48-bit
offset in ns from the announcement's base, which the far end has by hash, or all 64 bits when that
does not reach. Nothing is coded against an earlier frame, so that a lost frame damages no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
import math
import struct

from gsc_ros.link.datagram.announcement import (
    Announcement,
    CameraAnnounce,
    FramingError,
    MAX_ANNOUNCEMENT_BYTES,
)

__all__ = [
    'Announcement', 'BulkPart', 'CameraAnnounce', 'code_encode_ms', 'Control',
    'CONTROL_OVERHEAD_BYTES', 'decode_encode_ms', 'FLAG_ABSOLUTE', 'FLAG_LAST', 'FLAG_SPLIT',
    'FLAG_WIDE', 'FrameHeader', 'FramingError', 'head_byte', 'Heartbeat', 'Kind',
    'MAX_ANNOUNCEMENT_BYTES', 'MAX_PARTS', 'MAX_WANTED', 'parse', 'Part', 'Receipt', 'REPAIR_KINDS',
    'RepairBody', 'SHORT_CONTINUATION', 'SHORT_DISTANCES', 'SHORT_LAST']

MAX_PARTS = 256
# A short continuation has the distance in its first byte.
SHORT_CONTINUATION = 0xC0
SHORT_LAST = 0x20
SHORT_DISTANCES = 32
MAX_WANTED = 8
CONTROL_OVERHEAD_BYTES = 1

FLAG_LAST = 1
FLAG_WIDE = 2
FLAG_ABSOLUTE = 4
FLAG_SPLIT = 8


class Kind(IntEnum):
    """What a body is; the order is its number on the wire."""

    FRAME = 0
    FRAGMENT = 1
    CONTINUATION = 2
    ANNOUNCEMENT = 3
    HEARTBEAT = 4
    RECEIPT = 5
    CONTROL = 6
    BULK = 7
    REPEAT = 8
    PARITY = 9
    NACK = 10


REPAIR_KINDS = frozenset({Kind.REPEAT, Kind.PARITY, Kind.NACK})
# Which flags each kind may carry; repair reads its own.
_FLAGS = {
    Kind.FRAME: FLAG_LAST | FLAG_WIDE | FLAG_ABSOLUTE | FLAG_SPLIT,
    Kind.FRAGMENT: FLAG_LAST,
    Kind.CONTINUATION: FLAG_LAST,
    Kind.ANNOUNCEMENT: FLAG_LAST,
    Kind.HEARTBEAT: 0,
    Kind.RECEIPT: 0,
    Kind.CONTROL: 0,
    Kind.BULK: FLAG_LAST,
    Kind.REPEAT: 15,
    Kind.PARITY: 15,
    Kind.NACK: 15,
}


def head_byte(kind: Kind, flags: int = 0) -> int:
    """Return the first byte of a body."""
    return kind << 4 | flags


def code_encode_ms(encode_ms: float) -> int:
    """
    Return one byte for a duration: 0.25 ms resolution, then within 3.2 %; 255 is unknown.

    :param encode_ms: milliseconds; NaN, infinite or negative count as unknown. Durations above
        119 s are sent as that.
    """
    if not math.isfinite(encode_ms) or encode_ms < 0:
        return 255
    units = round(min(encode_ms, 119_000.0) * 4)
    if units < 16:
        return units
    exponent = 1
    while (mantissa := (units + (1 << exponent >> 2)) >> (exponent - 1)) > 31:
        exponent += 1
    return exponent * 16 + mantissa - 16


def decode_encode_ms(code: int) -> float:
    """Return the milliseconds of `code_encode_ms`; NaN when unknown."""
    if code == 255:
        return math.nan
    exponent, mantissa = divmod(code, 16)
    units = mantissa if exponent == 0 else (16 + mantissa) << (exponent - 1)
    return units / 4


@dataclass(frozen=True)
class FrameHeader:
    """
    What the first datagram of a frame says about it.

    :param camera_id: 0..255.
    :param sequence: uint32; only its low half is sent as a rule.
    :param stamp_ns: exact source stamp, any signed 64-bit number.
    :param encode_ms: time that coding took; NaN when unknown.
    """

    camera_id: int
    sequence: int
    stamp_ns: int
    encode_ms: float = math.nan


@dataclass(frozen=True)
class Part:
    """
    A parsed body of a frame or an announcement.

    :param kind: `FRAME`, `FRAGMENT`, `CONTINUATION` or `ANNOUNCEMENT`.
    :param camera_id: 0..255; 0 in a continuation, which does not say it.
    :param key: name of the frame, or hash of the announcement; 0 in a continuation.
    :param index: its place, 0..255.
    :param flags: `FLAG_LAST`, `FLAG_WIDE`, `FLAG_ABSOLUTE`, `FLAG_SPLIT`.
    :param body: what follows the head.
    """

    kind: Kind
    camera_id: int
    key: int
    index: int
    flags: int
    body: bytes


@dataclass(frozen=True)
class BulkPart:
    """
    A part of a message of several datagrams.

    :param message_id: uint16, counted by the sender.
    :param index: its place, 0..255.
    :param last: whether it is the last one.
    :param body: its bytes.
    """

    message_id: int
    index: int
    last: bool
    body: bytes


@dataclass(frozen=True)
class Heartbeat:
    """Says that an end is alive when it has nothing else to send."""

    def pack(self) -> bytes:
        """Return the body."""
        return bytes([head_byte(Kind.HEARTBEAT)])


_RECEIPT = struct.Struct('>BIIHH')


@dataclass(frozen=True)
class Receipt:
    """
    Says what an end has received, for the other end to measure the path.

    :param highest: the highest counter of the other end's records that has arrived, uint32.
    :param received: how many of its records have arrived since its epoch began, modulo 2^32.
    :param runs: how many runs of lost datagrams there were, modulo 2^16.
    :param held_ms: time between the arrival of the highest and this receipt, at most 65535.
    :param wanted: up to `MAX_WANTED` cameras whose announcement is missing.
    """

    highest: int
    received: int
    runs: int
    held_ms: int
    wanted: tuple[int, ...] = ()

    def pack(self) -> bytes:
        """Return the body."""
        numbers = _RECEIPT.pack(
            head_byte(Kind.RECEIPT), self.highest, self.received, self.runs, self.held_ms)
        return numbers + bytes(self.wanted)

    @property
    def size(self) -> int:
        """Return the length of the body in bytes."""
        return _RECEIPT.size + len(self.wanted)


@dataclass(frozen=True)
class Control:
    """
    An opaque message of one datagram in the control class.

    :param data: as many bytes as fit into a datagram.
    """

    data: bytes

    def pack(self) -> bytes:
        """Return the body."""
        return bytes([head_byte(Kind.CONTROL)]) + self.data


@dataclass(frozen=True)
class RepairBody:
    """
    A body that `repair` reads.

    :param kind: `REPEAT`, `PARITY` or `NACK`.
    """

    kind: Kind


def parse(data: bytes) -> Part | BulkPart | Heartbeat | Receipt | Control | RepairBody:
    """
    Read one body.

    :raises FramingError: and nothing else, whatever the bytes are.
    """
    if not data:
        raise FramingError('empty body')
    if data[0] >= SHORT_CONTINUATION:
        return _parse_short_continuation(data)
    try:
        kind = Kind(data[0] >> 4)
    except ValueError as error:
        raise FramingError('unknown kind') from error
    flags = data[0] & 15
    if flags & ~_FLAGS[kind]:
        raise FramingError('unknown flags')
    if kind is Kind.CONTINUATION:
        if len(data) < 3 or data[1] == 0:
            raise FramingError('continuation of nothing')
        return Part(kind, 0, 0, data[1], flags, data[2:])
    if kind is Kind.FRAME:
        if len(data) < 5:
            raise FramingError('frame is too short')
        return Part(kind, data[1], int.from_bytes(data[2:4], 'big'), 0, flags, data[4:])
    if kind in (Kind.FRAGMENT, Kind.ANNOUNCEMENT):
        if len(data) < 6:
            raise FramingError('fragment is too short')
        return Part(kind, data[1], int.from_bytes(data[2:4], 'big'), data[4], flags, data[5:])
    if kind is Kind.BULK:
        if len(data) < 5:
            raise FramingError('bulk part is too short')
        return BulkPart(
            int.from_bytes(data[1:3], 'big'), data[3], bool(flags & FLAG_LAST), data[4:])
    if kind is Kind.HEARTBEAT and len(data) == 1:
        return Heartbeat()
    if kind is Kind.RECEIPT and 0 <= len(data) - _RECEIPT.size <= MAX_WANTED:
        _, *numbers = _RECEIPT.unpack_from(data)
        return Receipt(*numbers, tuple(data[_RECEIPT.size:]))
    if kind is Kind.CONTROL:
        return Control(data[1:])
    if kind in REPAIR_KINDS:
        return RepairBody(kind)
    raise FramingError('wrong length')


def _parse_short_continuation(data: bytes) -> Part:
    distance = data[0] % SHORT_DISTANCES
    if len(data) < 2 or distance == 0:
        raise FramingError('continuation of nothing')
    flags = FLAG_LAST if data[0] & SHORT_LAST else 0
    return Part(Kind.CONTINUATION, 0, 0, distance, flags, data[1:])
