# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What crosses the link about regions.

    region request  control, type 2: number 2, quality 1, stamp 8, x 2, y 2, width 2, height 2,
                    ttl in ms 4 (0 is none), camera text
    region notice   control, type 3: number 2, outcome 1
    region answer   bulk, type 6: number 2, stamp 8, x 2, y 2, width 2, height 2, image width 2,
                    image height 2, camera text, frame_id text, the packet

Numbers are big endian; a text has its length in one byte in front.
"""

from __future__ import annotations

from dataclasses import dataclass
import struct

from gsc_ros.nodes.back_channel import MessageType, pack_text, take_text
from gsc_ros.nodes.region import Box, box_defect, Outcome
from gsc_ros.nodes.stamp import NANOSECONDS

MAX_TTL_MS = 2 ** 32 - 1
# The link's bound on a message of several datagrams.
MAX_ANSWER_BYTES = 64 * 1024

_REQUEST = struct.Struct('>BHBqHHHHI')
_NOTICE = struct.Struct('>BHB')
_ANSWER = struct.Struct('>BHqHHHHHH')


def stamp_fits(stamp_ns: int) -> bool:
    """Return whether a stamp is one that a ROS message can have."""
    return -2 ** 31 <= stamp_ns // NANOSECONDS < 2 ** 31


@dataclass(frozen=True)
class RegionAsk:
    """
    The request of an operator on its way to the rover.

    :param number: which request this is, uint16.
    :param camera: its name.
    :param stamp_ns: of the frame that the operator looked at; 0 is the newest.
    :param box: in pixels of the source image.
    :param quality: 1..100.
    :param ttl_ms: milliseconds that are left, 1..2^32 - 1; 0 for any time.
    """

    number: int
    camera: str
    stamp_ns: int
    box: Box
    quality: int
    ttl_ms: int

    def pack(self) -> bytes:
        """
        Return its bytes.

        :raises ValueError: when the camera's name is too long.
        """
        box = self.box
        return _REQUEST.pack(
            MessageType.REGION_REQUEST, self.number, self.quality, self.stamp_ns, box.x, box.y,
            box.width, box.height, self.ttl_ms) + pack_text(self.camera)

    @classmethod
    def parse(cls, data: bytes) -> RegionAsk | None:
        """Return the request that a control message holds, None when it holds something else."""
        if len(data) < _REQUEST.size or data[0] != MessageType.REGION_REQUEST:
            return None
        _, number, quality, stamp_ns, x, y, width, height, ttl_ms = _REQUEST.unpack_from(data)
        try:
            camera, end = take_text(data, _REQUEST.size)
        except ValueError:
            return None
        if end != len(data) or not 1 <= quality <= 100 or not (width and height) or (
                not stamp_fits(stamp_ns)):
            return None
        return cls(number, camera, stamp_ns, Box(x, y, width, height), quality, ttl_ms)


@dataclass(frozen=True)
class RegionWord:
    """
    What the rover says of a request.

    :param number: that of the request.
    :param outcome: a step, or the end.
    """

    number: int
    outcome: Outcome

    def pack(self) -> bytes:
        """Return its 4 bytes."""
        return _NOTICE.pack(MessageType.REGION_NOTICE, self.number, self.outcome)

    @classmethod
    def parse(cls, data: bytes) -> RegionWord | None:
        """Return the notice that a control message holds, None when it holds something else."""
        if len(data) != _NOTICE.size or data[0] != MessageType.REGION_NOTICE:
            return None
        try:
            return cls(int.from_bytes(data[1:3], 'big'), Outcome(data[3]))
        except ValueError:
            return None


@dataclass(frozen=True)
class RegionAnswer:
    """
    A coded box on its way to the ground.

    :param number: that of the request.
    :param camera: its name.
    :param stamp_ns: of the original image, exactly.
    :param frame_id: of the original image.
    :param box: what is shown, within the image.
    :param image_width: width of the original image, 16..8192.
    :param image_height: height of the original image, 16..8192.
    :param payload: the packet.
    """

    number: int
    camera: str
    stamp_ns: int
    frame_id: str
    box: Box
    image_width: int
    image_height: int
    payload: bytes

    def pack(self) -> bytes:
        """
        Return its bytes.

        :raises ValueError: when a text is too long, or the whole is more than a link takes.
        """
        box = self.box
        data = b''.join((
            _ANSWER.pack(
                MessageType.REGION_ANSWER, self.number, self.stamp_ns, box.x, box.y, box.width,
                box.height, self.image_width, self.image_height),
            pack_text(self.camera), pack_text(self.frame_id), self.payload))
        if len(data) > MAX_ANSWER_BYTES:
            raise ValueError(f'an answer of {len(data)} bytes is more than {MAX_ANSWER_BYTES}')
        return data

    @classmethod
    def parse(cls, data: bytes) -> RegionAnswer | None:
        """Return the answer that a bulk message holds, None when it holds something else."""
        if not _ANSWER.size <= len(data) <= MAX_ANSWER_BYTES or (
                data[0] != MessageType.REGION_ANSWER):
            return None
        _, number, stamp_ns, x, y, width, height, image_width, image_height = (
            _ANSWER.unpack_from(data))
        try:
            camera, end = take_text(data, _ANSWER.size)
            frame_id, end = take_text(data, end)
        except ValueError:
            return None
        answer = cls(number, camera, stamp_ns, frame_id, Box(x, y, width, height), image_width,
                     image_height, data[end:])
        return answer if answer.defect() is None else None

    def defect(self) -> str | None:
        """Return what is wrong with the answer, or None."""
        if not stamp_fits(self.stamp_ns):
            return f'{self.stamp_ns} ns is no stamp'
        return box_defect(self.box, self.image_width, self.image_height) or (
            None if self.payload else 'it holds no packet')
