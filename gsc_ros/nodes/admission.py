# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames may go over the link, and which may be decoded."""

from __future__ import annotations

from gsc_ros.codec import packet
from gsc_ros.codec.error import PacketError
from gsc_ros.msg import GscFrame
from gsc_ros.nodes.diagnostic import brief

MAX_PAYLOAD_BYTES = 64 * 1024


def frame_defect(frame: GscFrame, camera: str) -> str | None:
    """
    Return why `frame`, which came on the topic of `camera`, may not go over the link, or None.

    What is no whole packet would only waste the link.
    """
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


def size_defect(payload: bytes, max_pixels: int, output_width: int = 0) -> str | None:
    """
    Return why the picture of a packet is too large, or None; decodes nothing.

    The cost of a picture is that of its pixels, and a packet of 12 bytes can announce many.

    :param max_pixels: pixels of the picture as coded and as published, at most.
    :param output_width: width in pixels that it is published with; 0 for its own.
    :raises PacketError: when the payload is not a whole packet.
    """
    coded = packet.parse(payload)
    output_width = output_width or coded.width
    output_height = max(1, round(coded.height * output_width / coded.width))
    for width, height in ((coded.width, coded.height), (output_width, output_height)):
        if width * height > max_pixels:
            return f'{width} x {height} pixels are more than max_pixels ({max_pixels})'
    return None
