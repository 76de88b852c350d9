# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an endpoint hands on of what the far end has sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReceivedFrame:
    """
    A frame as it came over the link.

    :param camera: name of the camera.
    :param camera_id: its number on this link, 0..255.
    :param frame_id: tf frame of its images.
    :param priority: 0 (most urgent) .. 255.
    :param session: the sender's session.
    :param sequence: uint32, as the sender counted.
    :param stamp_ns: the source stamp, exact.
    :param encode_ms: within 3.2 %; NaN when unknown.
    :param payload: the packet, perhaps with fewer layers than the sender made.
    :param received_ns: when its last datagram was taken in.
    """

    camera: str
    camera_id: int
    frame_id: str
    priority: int
    session: int
    sequence: int
    stamp_ns: int
    encode_ms: float
    payload: bytes
    received_ns: int


@dataclass(frozen=True)
class ReceivedCalibration:
    """
    What was announced about a camera: it holds for the frames of it that follow.

    It comes before its first frame, and again when frames of another one have come between.

    :param camera: name of the camera.
    :param camera_id: its number on this link, 0..255.
    :param frame_id: tf frame of its images.
    :param calibration: the bytes that were announced; may be empty.
    """

    camera: str
    camera_id: int
    frame_id: str
    calibration: bytes


@dataclass(frozen=True)
class ReceivedControl:
    """A message of the control class, as `Endpoint.offer_control` got it at the far end."""

    data: bytes


@dataclass(frozen=True)
class ReceivedBulk:
    """A message of several datagrams, as `Endpoint.offer_bulk` got it at the far end."""

    data: bytes


Delivery = ReceivedFrame | ReceivedCalibration | ReceivedControl | ReceivedBulk
