# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The datagrams: what a frame, a camera's announcement and a control message look like on the link.

Every datagram begins with one byte: version (2 bits, 1), kind (3 bits), flags (3 bits). All
numbers are big endian; `docs/link.md` has the byte tables.

::

    FRAME         head camera sequence(2)           | frame header | packet           whole frame
    FRAGMENT      head camera sequence(2) index     | frame header if index 0 | part of the packet
    ANNOUNCEMENT  head camera hash(2) index         | part of the announcement
    HEARTBEAT     head session(2) count(2) crc(2)
    RECEIPT       head session(2) received(4) name(4) held_ms(2) count(1) cameras crc(2)
    CONTROL       head count(2) bytes crc(2)

    frame header  hash(2) stamp(6, or 8 if ABSOLUTE) encode(1) sequence high half(2, if WIDE)

A fragment knows its place by its index, and the last one carries the flag LAST, so no fragment
needs a count. The stamp is exact: a signed 48-bit offset in ns from the announcement's base,
which the far end has by hash, or all 64 bits when that does not reach. Nothing is coded against
an earlier frame, so that a lost frame damages no other.
"""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
import math
import struct
import zlib

VERSION = 1
MIN_MTU = 32
MAX_MTU = 1500
MAX_FRAGMENTS = 256
MAX_ANNOUNCEMENT_BYTES = 4096
MAX_WANTED = 8
CONTROL_OVERHEAD_BYTES = 5

FLAG_LAST = 1
FLAG_WIDE = 2
FLAG_ABSOLUTE = 4

_WHOLE_BYTES = 4
_FRAGMENT_BYTES = 5
_DELTA_LIMIT = 1 << 47
# How often the upper half of a sequence number is sent once it cannot be told from the base.
_WIDE_EVERY = 16
_WIDE_AFTER = 1 << 14


class Kind(IntEnum):
    """What a datagram is; the order is its number on the wire."""

    FRAME = 0
    FRAGMENT = 1
    ANNOUNCEMENT = 2
    HEARTBEAT = 3
    RECEIPT = 4
    CONTROL = 5


class FramingError(ValueError):
    """A datagram or an announcement is damaged, truncated or not ours."""


def name_datagram(datagram: bytes) -> int:
    """Return the 32-bit name by which a receipt refers to a datagram."""
    return zlib.crc32(datagram)


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
class CameraAnnounce:
    """
    What crosses the link once per camera instead of with every frame.

    :param camera_id: number of the camera on this link, 0..255.
    :param name: camera name, at most 255 bytes of UTF-8.
    :param frame_id: tf frame of its images, at most 255 bytes of UTF-8.
    :param priority: 0 (most urgent) .. 255, for the far side to republish.
    :param calibration: opaque to the link (the nodes' compact CameraInfo); may be empty.
    """

    camera_id: int
    name: str
    frame_id: str = ''
    priority: int = 0
    calibration: bytes = b''

    def defect(self) -> str | None:
        """Return what is wrong with the announcement, or None."""
        if not 0 <= self.camera_id <= 255:
            return 'camera_id must be within 0..255'
        if not 0 <= self.priority <= 255:
            return 'priority must be within 0..255'
        for label, text in (('name', self.name), ('frame_id', self.frame_id)):
            try:
                if len(text.encode()) > 255:
                    return f'{label} is longer than 255 bytes'
            except UnicodeEncodeError:
                return f'{label} is not valid text'
        if len(self.calibration) > MAX_ANNOUNCEMENT_BYTES - 600:
            return f'calibration is longer than {MAX_ANNOUNCEMENT_BYTES - 600} bytes'
        return None


_ANNOUNCEMENT = struct.Struct('>HIqB')


@dataclass(frozen=True)
class Announcement:
    """
    A camera announcement as it is on the wire, with what frames are coded against.

    :param camera: what is announced.
    :param session: the sender's session, a random uint16.
    :param base_sequence: sequence number of the first frame, uint32.
    :param base_stamp_ns: stamp of the first frame.
    """

    camera: CameraAnnounce
    session: int
    base_sequence: int
    base_stamp_ns: int

    def pack(self) -> bytes:
        """Return its bytes: numbers, name, frame_id, calibration, CRC-32."""
        name = self.camera.name.encode()
        frame_id = self.camera.frame_id.encode()
        body = b''.join((
            _ANNOUNCEMENT.pack(
                self.session, self.base_sequence, self.base_stamp_ns, self.camera.priority),
            bytes([len(name)]), name, bytes([len(frame_id)]), frame_id,
            self.camera.calibration,
        ))
        return body + struct.pack('>I', zlib.crc32(bytes([self.camera.camera_id]) + body))

    @cached_property
    def hash(self) -> int:
        """The 16 bits by which frames refer to this announcement."""
        return announcement_hash(self.pack())

    @classmethod
    def parse(cls, camera_id: int, data: bytes) -> Announcement:
        """
        Read the bytes of `pack`.

        :raises FramingError: when they are damaged.
        """
        if len(data) < _ANNOUNCEMENT.size + 6:
            raise FramingError('announcement is too short')
        body, checksum = data[:-4], data[-4:]
        if struct.pack('>I', zlib.crc32(bytes([camera_id]) + body)) != checksum:
            raise FramingError('announcement is damaged')
        session, sequence, stamp, priority = _ANNOUNCEMENT.unpack_from(body)
        try:
            name, rest = _take_text(body[_ANNOUNCEMENT.size:])
            frame_id, calibration = _take_text(rest)
        except (IndexError, UnicodeDecodeError) as error:
            raise FramingError('announcement is malformed') from error
        camera = CameraAnnounce(camera_id, name, frame_id, priority, calibration)
        return cls(camera, session, sequence, stamp)


def announcement_hash(data: bytes) -> int:
    """Return the 16 bits by which frames refer to packed announcement bytes."""
    return int.from_bytes(data[-2:], 'big')


def _take_text(data: bytes) -> tuple[str, bytes]:
    size = data[0]
    if len(data) < 1 + size:
        raise IndexError('text is cut short')
    return data[1:1 + size].decode(), data[1 + size:]


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


class FrameFramer:
    """
    Cut frames and announcements into datagrams.

    :param mtu: largest datagram, in bytes (32..1500).
    :param overhead_bits: what the transport adds to each datagram, in bits.
    :raises ValueError: when the MTU is out of range.
    """

    def __init__(self, mtu: int, overhead_bits: int = 0) -> None:
        """Check the MTU."""
        if not MIN_MTU <= mtu <= MAX_MTU:
            raise ValueError(f'mtu must be within {MIN_MTU}..{MAX_MTU} bytes, got {mtu}')
        self._mtu = mtu
        self._overhead_bits = overhead_bits
        self._since_wide = [0] * 256

    @property
    def mtu(self) -> int:
        """Return the largest datagram, in bytes."""
        return self._mtu

    def sizes(self, header: FrameHeader, announcement: Announcement, length: int) -> list[int]:
        """
        Return the bits on the wire of each datagram of a frame whose packet has ``length`` bytes.

        May be longer than `MAX_FRAGMENTS`: then the frame cannot be sent.
        """
        extra = len(self._frame_header(header, announcement)[1])
        if _WHOLE_BYTES + extra + length <= self._mtu:
            return [8 * (_WHOLE_BYTES + extra + length) + self._overhead_bits]
        room = self._mtu - _FRAGMENT_BYTES
        whole, rest = divmod(extra + length, room)
        full = 8 * self._mtu + self._overhead_bits
        last = [8 * (_FRAGMENT_BYTES + rest) + self._overhead_bits] if rest else []
        return [full] * whole + last

    def cut_frame(
        self, header: FrameHeader, announcement: Announcement, payload: bytes,
    ) -> list[bytes]:
        """
        Return the datagrams of a frame, as `sizes` foretells.

        :raises FramingError: when it needs more than `MAX_FRAGMENTS`.
        """
        flags, extra = self._frame_header(header, announcement)
        wide = flags & FLAG_WIDE
        self._since_wide[header.camera_id] = 0 if wide else self._since_wide[header.camera_id] + 1
        key = struct.pack('>BH', header.camera_id, header.sequence & 0xFFFF)
        body = extra + payload
        if _WHOLE_BYTES + len(body) <= self._mtu:
            return [bytes([_head(Kind.FRAME, flags)]) + key + body]
        return self._cut(Kind.FRAGMENT, flags, key, body)

    def cut_announcement(self, camera_id: int, data: bytes) -> list[bytes]:
        """
        Return the datagrams of a packed announcement.

        :raises FramingError: when it needs more than `MAX_FRAGMENTS`.
        """
        key = struct.pack('>BH', camera_id, announcement_hash(data))
        return self._cut(Kind.ANNOUNCEMENT, 0, key, data)

    def _cut(self, kind: Kind, flags: int, key: bytes, body: bytes) -> list[bytes]:
        room = self._mtu - _FRAGMENT_BYTES
        parts = [body[start:start + room] for start in range(0, len(body), room)]
        if len(parts) > MAX_FRAGMENTS:
            raise FramingError(f'{len(body)} bytes need more than {MAX_FRAGMENTS} datagrams')
        datagrams = []
        for index, part in enumerate(parts):
            here = flags if index == 0 else 0
            if index == len(parts) - 1:
                here |= FLAG_LAST
            datagrams.append(bytes([_head(kind, here)]) + key + bytes([index]) + part)
        return datagrams

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
        ahead = (header.sequence - announcement.base_sequence) % (1 << 32)
        due = self._since_wide[header.camera_id] >= _WIDE_EVERY - 1
        if ahead >= _WIDE_AFTER and due:
            flags |= FLAG_WIDE
            wide = struct.pack('>H', header.sequence >> 16)
        digest = struct.pack('>H', announcement.hash)
        return flags, digest + stamp + bytes([code_encode_ms(header.encode_ms)]) + wide


def _head(kind: Kind, flags: int) -> int:
    return VERSION << 6 | kind << 3 | flags


@dataclass(frozen=True)
class Part:
    """
    A parsed datagram of a frame or an announcement.

    :param kind: `FRAME`, `FRAGMENT` or `ANNOUNCEMENT`.
    :param camera_id: 0..255.
    :param key: low 16 bits of the sequence, or the hash of the announcement.
    :param index: its place, 0..255.
    :param flags: `FLAG_LAST`, `FLAG_WIDE`, `FLAG_ABSOLUTE`.
    :param body: what follows the datagram header.
    """

    kind: Kind
    camera_id: int
    key: int
    index: int
    flags: int
    body: bytes


@dataclass(frozen=True)
class Heartbeat:
    """
    Says that an end is alive when it has nothing else to send.

    :param session: the end's session, uint16.
    :param count: how many heartbeats it has sent, modulo 2^16.
    """

    session: int
    count: int

    def pack(self) -> bytes:
        """Return the datagram."""
        return _seal(struct.pack('>BHH', _head(Kind.HEARTBEAT, 0), self.session, self.count))


_RECEIPT = struct.Struct('>BHIIHB')


@dataclass(frozen=True)
class Receipt:
    """
    Says what an end has received, for the other end to measure the path.

    :param session: session of the end that received, uint16.
    :param received: datagrams received in that session, modulo 2^32.
    :param name: `name_datagram` of the newest frame datagram or heartbeat.
    :param held_ms: time between its arrival and this receipt, at most 65535.
    :param wanted: up to `MAX_WANTED` cameras whose announcement is missing.
    """

    session: int
    received: int
    name: int
    held_ms: int
    wanted: tuple[int, ...] = ()

    def pack(self) -> bytes:
        """Return the datagram."""
        return _seal(_RECEIPT.pack(
            _head(Kind.RECEIPT, 0), self.session, self.received, self.name, self.held_ms,
            len(self.wanted)) + bytes(self.wanted))

    @property
    def size(self) -> int:
        """Return the length of the datagram in bytes."""
        return _RECEIPT.size + len(self.wanted) + 2


@dataclass(frozen=True)
class Control:
    """
    An opaque message of one datagram in the control class.

    :param count: how many its sender has sent, modulo 2^16.
    :param data: up to MTU - `CONTROL_OVERHEAD_BYTES` bytes.
    """

    count: int
    data: bytes

    def pack(self) -> bytes:
        """Return the datagram."""
        return _seal(struct.pack('>BH', _head(Kind.CONTROL, 0), self.count) + self.data)


def _seal(body: bytes) -> bytes:
    return body + struct.pack('>H', crc_hqx(body, 0xFFFF))


def parse(datagram: bytes) -> Part | Heartbeat | Receipt | Control:
    """
    Read one datagram.

    :raises FramingError: and nothing else, whatever the bytes are.
    """
    if len(datagram) < 5 or datagram[0] >> 6 != VERSION:
        raise FramingError('not a datagram of this version')
    flags = datagram[0] & 7
    try:
        kind = Kind(datagram[0] >> 3 & 7)
    except ValueError as error:
        raise FramingError('unknown kind') from error
    if kind in (Kind.FRAME, Kind.FRAGMENT, Kind.ANNOUNCEMENT):
        key = int.from_bytes(datagram[2:4], 'big')
        if kind is Kind.FRAME:
            return Part(kind, datagram[1], key, 0, flags | FLAG_LAST, datagram[_WHOLE_BYTES:])
        return Part(kind, datagram[1], key, datagram[4], flags, datagram[_FRAGMENT_BYTES:])
    body, checksum = datagram[:-2], datagram[-2:]
    if flags or struct.pack('>H', crc_hqx(body, 0xFFFF)) != checksum:
        raise FramingError('control datagram is damaged')
    if kind is Kind.HEARTBEAT and len(body) == 5:
        return Heartbeat(*struct.unpack('>HH', body[1:]))
    if kind is Kind.RECEIPT and len(body) >= _RECEIPT.size:
        _, session, received, name, held_ms, count = _RECEIPT.unpack_from(body)
        if count <= MAX_WANTED and len(body) == _RECEIPT.size + count:
            return Receipt(session, received, name, held_ms, tuple(body[_RECEIPT.size:]))
    if kind is Kind.CONTROL:
        return Control(int.from_bytes(body[1:3], 'big'), body[3:])
    raise FramingError('control datagram has a wrong length')
