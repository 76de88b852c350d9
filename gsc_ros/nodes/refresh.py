# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The request of the ground for a frame that stands alone, as it crosses the link.

    type 1 (0x01), camera 1, session 2, sequence 4 of the newest frame that has arrived; big endian
"""

from __future__ import annotations

from dataclasses import dataclass
import struct

from gsc_ros.link.framing import CONTROL_OVERHEAD_BYTES

REFRESH_TYPE = 1
# While frames that refer to a lost one arrive, the ground asks again: a request may be lost, too.
ASK_PERIOD_S = 1.0
# Part of the way back that the requests of all cameras may take.
SHARE = 0.25
_LAYOUT = struct.Struct('>BBHI')
REQUEST_BITS = 8 * (CONTROL_OVERHEAD_BYTES + _LAYOUT.size)


def ask_period_s(cameras: int, return_bps: int) -> float:
    """
    Return the seconds between two requests for a camera, at least.

    :param cameras: that may ask.
    :param return_bps: budget of the way back in bit/s.
    """
    return max(ASK_PERIOD_S, cameras * REQUEST_BITS / (SHARE * return_bps))


@dataclass(frozen=True)
class RefreshRequest:
    """
    Says that the far side has lost a frame of a stream.

    :param camera_id: number of the camera on the link, 0..255.
    :param session: uint16 of the newest frame that has arrived.
    :param sequence: uint32 of that frame.
    """

    camera_id: int
    session: int
    sequence: int

    def pack(self) -> bytes:
        """Return its 8 bytes."""
        return _LAYOUT.pack(REFRESH_TYPE, self.camera_id, self.session, self.sequence)

    @classmethod
    def parse(cls, data: bytes) -> RefreshRequest | None:
        """Return the request that a control message holds, None when it holds something else."""
        if len(data) != _LAYOUT.size or data[0] != REFRESH_TYPE:
            return None
        return cls(*_LAYOUT.unpack(data)[1:])
