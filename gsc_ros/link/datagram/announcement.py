# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What crosses the link once per camera instead of with every frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
import struct
import zlib

MAX_ANNOUNCEMENT_BYTES = 4096


class FramingError(ValueError):
    """A body or an announcement is damaged, truncated or not ours."""


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
