# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames may go over the link: what is no whole packet would only waste it."""

from __future__ import annotations

from gsc_ros.codec import packet
from gsc_ros.codec.error import PacketError
from gsc_ros.msg import GscFrame
from gsc_ros.nodes.diagnostic import brief

MAX_PAYLOAD_BYTES = 64 * 1024


def frame_defect(frame: GscFrame, camera: str) -> str | None:
    """Return why `frame`, which came on the topic of `camera`, is refused, or None."""
    if frame.camera != camera:
        return f'it is of camera {brief(frame.camera)!r}'
    size, ends = len(frame.payload), frame.layer_ends
    if not 0 < size <= MAX_PAYLOAD_BYTES:
        return f'its payload has {size} bytes, not 1 to {MAX_PAYLOAD_BYTES}'
    if not len(ends) or ends[0] < 1 or ends[-1] != size or any(
            after <= before for before, after in zip(ends, ends[1:])):
        return 'its layer_ends do not ascend to the size of its payload'
    try:
        packet.parse(bytes(frame.payload))
    except PacketError as error:
        return str(error)
    return None
