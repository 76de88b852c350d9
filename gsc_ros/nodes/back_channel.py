# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the two bridges tell each other beside the frames: the types, and the request to begin anew.

Every control message, and every bulk message, begins with one byte that says what it is. Numbers
are big endian; a text is its length in one byte and that many bytes of UTF-8. A message of the
ground that is too long for a datagram crosses as a bulk message.

    refresh            type 1, camera 1, session 2, sequence 4 of a frame that cannot be decoded
    region request     see nodes/region_message.py
    region notice      see nodes/region_message.py
    parameter change   see nodes/remote_parameter.py
    parameter answer   see nodes/remote_parameter.py
    region answer      see nodes/region_message.py; a bulk message

Types 0xE0 to 0xEF are those of the link's own spool.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
import struct

from gsc_ros.link.endpoint import BulkRank, Endpoint

# While frames that refer to a lost one arrive, the ground asks again: a request may be lost, too.
ASK_PERIOD_S = 1.0
# Part of the way back that the requests of all cameras may take.
SHARE = 0.25
MAX_TEXT_BYTES = 255
# What the rover takes as one message of the ground.
MAX_MESSAGE_BYTES = 1024

_REFRESH = struct.Struct('>BBHI')
REFRESH_BYTES = _REFRESH.size


class MessageType(IntEnum):
    """First byte of a message of the back channel; the only place for the numbers."""

    REFRESH = 1
    REGION_REQUEST = 2
    REGION_NOTICE = 3
    PARAMETER_CHANGE = 4
    PARAMETER_ANSWER = 5
    REGION_ANSWER = 6


def ask_period_s(cameras: int, return_bps: int, request_bits: int) -> float:
    """
    Return the seconds between two requests for a camera, at least.

    :param cameras: that may ask.
    :param return_bps: budget of the way back in bit/s.
    :param request_bits: what one request takes on the wire.
    """
    return max(ASK_PERIOD_S, cameras * request_bits / (SHARE * return_bps))


def offer_message(end: Endpoint, data: bytes, now_ns: int) -> bool:
    """
    Offer a message of an operator, as a control message where it fits, else as a bulk message.

    :param end: the ground's end of the link.
    :returns: False when it has no room now.
    :raises ValueError: when the message is longer than the rover takes.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise ValueError(f'they take {len(data)} bytes, and at most {MAX_MESSAGE_BYTES} cross')
    if len(data) <= end.max_control_bytes:
        return end.offer_control(data, now_ns)
    return end.offer_bulk(data, BulkRank.REGION, now_ns)


def pack_text(text: str) -> bytes:
    """
    Return a text with its length in front.

    :raises ValueError: when it has more than 255 bytes, or half of a surrogate pair.
    """
    data = text.encode()  # UnicodeEncodeError is a ValueError
    if len(data) > MAX_TEXT_BYTES:
        raise ValueError(f'a text of {len(data)} bytes is longer than {MAX_TEXT_BYTES}')
    return bytes([len(data)]) + data


def take_text(data: bytes, offset: int) -> tuple[str, int]:
    """
    Return the text at `offset`, and the offset behind it.

    :raises ValueError: when it is cut short or no UTF-8.
    """
    end = offset + 1 + (data[offset] if offset < len(data) else 0)
    if offset >= len(data) or end > len(data):
        raise ValueError('a text is cut short')
    return data[offset + 1:end].decode(), end


@dataclass(frozen=True)
class RefreshRequest:
    """
    Says that the far side has lost a frame of a stream.

    :param camera_id: number of the camera on the link, 0..255.
    :param session: uint16 of the newest frame that cannot be decoded.
    :param sequence: uint32 of that frame.
    """

    camera_id: int
    session: int
    sequence: int

    def pack(self) -> bytes:
        """Return its 8 bytes."""
        return _REFRESH.pack(MessageType.REFRESH, self.camera_id, self.session, self.sequence)

    @classmethod
    def parse(cls, data: bytes) -> RefreshRequest | None:
        """Return the request that a control message holds, None when it holds something else."""
        if len(data) != _REFRESH.size or data[0] != MessageType.REFRESH:
            return None
        return cls(*_REFRESH.unpack(data)[1:])
