# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the two ends of a spool say to each other, byte by byte.

::

    to the ground   GREETING        type, spool 8, floor v                              control
                    GAP             type, tag 2, number v, absent v                     control
                    CAMERA          type, tag 2, key v, camera 1, priority 1, session 2,
                                    sequence 4, stamp 8, length v and name,
                                    length v and frame_id, calibration                  bulk
                    FRAME           type, tag 2, number v, absent v, camera key v,
                                    sequence v, stamp 6, encode 1, packet               bulk
                    FRAME_ABSOLUTE  the same with all 8 bytes of the stamp              bulk
    to the rover    ACKNOWLEDGEMENT type, tag 2, next v, wanted v, bitmap               control

A tag is the beginning of the spool's random identity. `v` is a number below 2^48, of as many bytes
as it needs, 7 bits in each, the least significant first. Sequence and stamp of a frame are told
from the base of its camera. Numbers are big endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
import struct

from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.datagram.framing import code_encode_ms, decode_encode_ms
from gsc_ros.link.spool.store import ID_BYTES, SpoolCamera, SpoolFrame

TAG_BYTES = 2
BITMAP_BYTES = 12

_DELTA_LIMIT = 1 << 47
# At 1000 frames per second numbers last for 8900 years; sums of them fit into 64 bits.
_NUMBER_BYTES = 7
_NUMBERS = 1 << 48
_CAMERA = struct.Struct('>BBHIq')


class SpoolType(IntEnum):
    """First byte of a message; other users of control and bulk messages keep out of 0xE0..0xEF."""

    GREETING = 0xE0
    GAP = 0xE1
    CAMERA = 0xE2
    FRAME = 0xE3
    FRAME_ABSOLUTE = 0xE4
    ACKNOWLEDGEMENT = 0xE5


class SpoolMessageError(ValueError):
    """A message is not of a spool, or is damaged."""


@dataclass(frozen=True)
class Greeting:
    """
    Says which spool is at the far end.

    :param identity: its random identity, `ID_BYTES` bytes.
    :param floor: the smallest number that it may still deliver, >= 1.
    """

    identity: bytes
    floor: int

    def pack(self) -> bytes:
        """Return the message."""
        return bytes([SpoolType.GREETING]) + self.identity + _pack_number(self.floor)


@dataclass(frozen=True)
class Gap:
    """
    Says that frames were given up.

    :param tag: beginning of the spool's identity.
    :param number: the number after the last of them.
    :param absent: how many directly before it.
    """

    tag: bytes
    number: int
    absent: int

    def pack(self) -> bytes:
        """Return the message."""
        return bytes([SpoolType.GAP]) + self.tag + _pack_number(self.number) + (
            _pack_number(self.absent))


@dataclass(frozen=True)
class Camera:
    """
    Describes a camera that frames refer to.

    :param tag: beginning of the spool's identity.
    :param key: what its frames call it.
    :param about: the description.
    """

    tag: bytes
    key: int
    about: SpoolCamera

    def pack(self) -> bytes:
        """Return the message."""
        camera = self.about.camera
        return b''.join((
            bytes([SpoolType.CAMERA]), self.tag, _pack_number(self.key),
            _CAMERA.pack(camera.camera_id, camera.priority, self.about.session,
                         self.about.base_sequence, self.about.base_stamp_ns),
            _pack_text(camera.name), _pack_text(camera.frame_id), camera.calibration))


@dataclass(frozen=True)
class Frame:
    """
    Brings a frame.

    :param tag: beginning of the spool's identity.
    :param number: its number.
    :param absent: how many numbers directly before it were given up.
    :param camera: key of its camera.
    :param ahead: its sequence less that of the camera's base, modulo 2^32.
    :param stamp_ns: the exact stamp, told from the camera's base if `relative`.
    :param relative: whether that reaches.
    :param encode_ms: within 3.2 %; NaN when unknown.
    :param packet: the coded frame.
    """

    tag: bytes
    number: int
    absent: int
    camera: int
    ahead: int
    stamp_ns: int
    relative: bool
    encode_ms: float
    packet: bytes

    @classmethod
    def of(cls, frame: SpoolFrame, tag: bytes, absent: int) -> Frame:
        """Return the message for a frame of a spool."""
        base = frame.camera
        delta = frame.stamp_ns - base.base_stamp_ns
        relative = -_DELTA_LIMIT <= delta < _DELTA_LIMIT
        return cls(
            tag, frame.number, absent, frame.camera_key,
            (frame.sequence - base.base_sequence) % (1 << 32),
            delta if relative else frame.stamp_ns, relative, frame.encode_ms, frame.packet)

    def sequence(self, about: SpoolCamera) -> int:
        """Return the frame's sequence number."""
        return (about.base_sequence + self.ahead) % (1 << 32)

    def exact_stamp_ns(self, about: SpoolCamera) -> int:
        """
        Return the frame's stamp.

        :raises SpoolMessageError: it is out of range.
        """
        stamp_ns = self.stamp_ns + (about.base_stamp_ns if self.relative else 0)
        if not -(1 << 63) <= stamp_ns < 1 << 63:
            raise SpoolMessageError('the stamp is out of range')
        return stamp_ns

    def pack(self) -> bytes:
        """Return the message."""
        kind = SpoolType.FRAME if self.relative else SpoolType.FRAME_ABSOLUTE
        numbers = (self.number, self.absent, self.camera, self.ahead)
        return b''.join((
            bytes([kind]), self.tag, *map(_pack_number, numbers),
            self.stamp_ns.to_bytes(6 if self.relative else 8, 'big', signed=True),
            bytes([code_encode_ms(self.encode_ms)]), self.packet))


@dataclass(frozen=True)
class Acknowledgement:
    """
    Says what has arrived, durably.

    :param tag: beginning of the spool's identity.
    :param next: the first number needed; 0: the spool is unknown, greet.
    :param wanted: key of a camera that frames refer to and that is not known; 0: none.
    :param further: numbers beyond `next` that have arrived; those out of reach are left out.
    """

    tag: bytes
    next: int
    wanted: int = 0
    further: frozenset[int] = frozenset()

    def pack(self, most_bytes: int = 64) -> bytes:
        """
        Return the message; the bitmap's first bit stands for `next` + 1.

        :param most_bytes: what it may have; the bitmap is cut to it.
        """
        head = bytes([SpoolType.ACKNOWLEDGEMENT]) + self.tag + _pack_number(self.next) + (
            _pack_number(self.wanted))
        places = 8 * min(BITMAP_BYTES, max(0, most_bytes - len(head)))
        bits = sum(1 << place for place in (number - self.next - 1 for number in self.further)
                   if 0 <= place < places)
        return head + bits.to_bytes((bits.bit_length() + 7) // 8, 'little')


Message = Greeting | Gap | Camera | Frame | Acknowledgement


def is_spool_message(data: bytes) -> bool:
    """Return whether a control or bulk message is of a spool."""
    return bool(data) and data[0] in range(0xE0, 0xF0)


def parse(data: bytes) -> Message:
    """
    Read a message.

    :raises SpoolMessageError: and nothing else, whatever the bytes are.
    """
    try:
        return _PARSERS[SpoolType(data[0])](data)
    except (IndexError, ValueError, struct.error) as error:
        if isinstance(error, SpoolMessageError):
            raise
        raise SpoolMessageError('not a message of a spool, or damaged') from error


def _parse_greeting(data: bytes) -> Greeting:
    floor, end = _take_number(data, 1 + ID_BYTES)
    if end != len(data) or floor < 1:
        raise SpoolMessageError('a greeting is malformed')
    return Greeting(data[1:1 + ID_BYTES], floor)


def _parse_gap(data: bytes) -> Gap:
    (number, absent), end = _take_numbers(data, 1 + TAG_BYTES, 2)
    if end != len(data) or absent >= number:
        raise SpoolMessageError('a gap is malformed')
    return Gap(_tag(data), number, absent)


def _parse_camera(data: bytes) -> Camera:
    key, end = _take_number(data, 1 + TAG_BYTES)
    camera_id, priority, session, sequence, stamp_ns = _CAMERA.unpack_from(data, end)
    name, end = _take_text(data, end + _CAMERA.size)
    frame_id, end = _take_text(data, end)
    camera = CameraAnnounce(camera_id, name, frame_id, priority, data[end:])
    if camera.defect():
        raise SpoolMessageError(camera.defect())
    return Camera(_tag(data), key, SpoolCamera(camera, session, sequence, stamp_ns))


def _parse_frame(data: bytes) -> Frame:
    relative = data[0] == SpoolType.FRAME
    (number, absent, camera, ahead), start = _take_numbers(data, 1 + TAG_BYTES, 4)
    end = start + (6 if relative else 8)
    if absent >= number or end + 1 >= len(data):
        raise SpoolMessageError('a frame is malformed')
    stamp_ns = int.from_bytes(data[start:end], 'big', signed=True)
    return Frame(_tag(data), number, absent, camera, ahead, stamp_ns, relative,
                 decode_encode_ms(data[end]), data[end + 1:])


def _parse_acknowledgement(data: bytes) -> Acknowledgement:
    (first, wanted), end = _take_numbers(data, 1 + TAG_BYTES, 2)
    if len(data) - end > BITMAP_BYTES:
        raise SpoolMessageError('an acknowledgement is malformed')
    bits = int.from_bytes(data[end:], 'little')
    further = frozenset(
        first + 1 + place for place in range(bits.bit_length()) if bits >> place & 1)
    return Acknowledgement(_tag(data), first, wanted, further)


_PARSERS = {
    SpoolType.GREETING: _parse_greeting,
    SpoolType.GAP: _parse_gap,
    SpoolType.CAMERA: _parse_camera,
    SpoolType.FRAME: _parse_frame,
    SpoolType.FRAME_ABSOLUTE: _parse_frame,
    SpoolType.ACKNOWLEDGEMENT: _parse_acknowledgement,
}


def _tag(data: bytes) -> bytes:
    return data[1:1 + TAG_BYTES]


def _pack_number(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes(parts) + bytes([number])


def _take_number(data: bytes, start: int) -> tuple[int, int]:
    """Return a number and where it ends; IndexError when it is cut short."""
    number = shift = 0
    while data[start] > 127:
        number |= (data[start] & 127) << shift
        start, shift = start + 1, shift + 7
        if shift >= 7 * _NUMBER_BYTES:
            raise SpoolMessageError('a number is too long')
    number |= data[start] << shift
    if number >= _NUMBERS:
        raise SpoolMessageError('a number is too large')
    return number, start + 1


def _take_numbers(data: bytes, start: int, count: int) -> tuple[list[int], int]:
    numbers = []
    for _ in range(count):
        number, start = _take_number(data, start)
        numbers.append(number)
    return numbers, start


def _pack_text(text: str) -> bytes:
    data = text.encode()
    return _pack_number(len(data)) + data


def _take_text(data: bytes, start: int) -> tuple[str, int]:
    size, start = _take_number(data, start)
    if start + size > len(data):
        raise SpoolMessageError('a text is cut short')
    return data[start:start + size].decode(), start + size
