# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Regions that an operator asks for: outcomes, the box, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from gsc_ros.codec import packet

MIN_SIDE, MAX_SIDE = packet.MIN_SIDE, packet.MAX_SIDE
# By which a box may be enlarged before it is coded; beyond the last no profile shows more.
FACTORS = (1, 2, 4, 8, 16)
# What an answer says about its packet, with names of a usual length.
ANSWER_HEAD_BYTES = 56
# Beyond this no box gets better, and the link takes 64 KiB.
MAX_PACKET_BYTES = 60 * 1024
# What the answer for a request without ttl may take of the link: the next one has to wait for it.
UNHURRIED_S = 60.0
# Part of its time that an answer may need on the link; the rest is for coding, losses and delay.
_LINK_PART = 0.8
# Bits per pixel of the box that the qualities 1 and 99 may cost; in between it is a geometric row.
_LEAST_BPP, _MOST_BPP = 0.02, 4.0
# A small box, too, needs the packet's header and something to show.
_LEAST_BYTES = 64


class Outcome(IntEnum):
    """What becomes of a request, as RegionNotice and GscRegion number it."""

    ACCEPTED = 1
    SENT = 2
    ARRIVED = 3
    OUTSIDE = 4
    TOO_OLD = 5
    NO_IMAGE = 6
    SUPERSEDED = 7
    NO_ROOM = 8
    FAILED = 9
    NO_CAMERA = 10
    EXPIRED = 11
    MALFORMED = 12

    @property
    def final(self) -> bool:
        """Whether nothing follows it."""
        return self not in (Outcome.ACCEPTED, Outcome.SENT)

    @property
    def text(self) -> str:
        """The outcome in words."""
        return _WORDS[self]


_WORDS = {
    Outcome.ACCEPTED: 'the rover has the request',
    Outcome.SENT: 'the answer has left the rover',
    Outcome.ARRIVED: 'the answer is here',
    Outcome.OUTSIDE: 'the box lies outside the image',
    Outcome.TOO_OLD: 'no image of about that stamp is kept any more',
    Outcome.NO_IMAGE: 'no image is kept',
    Outcome.SUPERSEDED: 'a newer request took its place',
    Outcome.NO_ROOM: 'no picture of the box is small enough for the link within ttl',
    Outcome.FAILED: 'the image cannot be coded',
    Outcome.NO_CAMERA: 'no such camera, or no sender that answers for it',
    Outcome.EXPIRED: 'no answer within ttl',
    Outcome.MALFORMED: 'the request breaks the rules of RegionRequest',
}


class RegionRefused(ValueError):
    """A request that cannot be honoured."""

    def __init__(self, outcome: Outcome, reason: str = '') -> None:
        """Say why; `reason` adds what is known beside the outcome's own words."""
        super().__init__(f'{outcome.text}: {reason}' if reason else outcome.text)
        self.outcome = outcome


@dataclass(frozen=True)
class Box:
    """
    A box in pixels of an image.

    :param x: first column, 0..65535.
    :param y: first row, 0..65535.
    :param width: columns, 0..65535.
    :param height: rows, 0..65535.
    """

    x: int
    y: int
    width: int
    height: int

    def within(self, image_width: int, image_height: int) -> Box:
        """
        Return the box clipped to an image, and grown to the 16 pixels a side that can be coded.

        It grows to both sides alike, and is moved where it would leave the image.

        :param image_width: at least 16.
        :param image_height: at least 16.
        :raises RegionRefused: when nothing of the box lies in the image.
        """
        x, width = _within(self.x, self.width, image_width)
        y, height = _within(self.y, self.height, image_height)
        return Box(x, y, width, height)


def _within(start: int, size: int, limit: int) -> tuple[int, int]:
    end = min(start + size, limit)
    if end <= start:
        raise RegionRefused(Outcome.OUTSIDE)
    missing = max(0, MIN_SIDE - (end - start))
    size = end - start + missing
    return max(0, min(start - missing // 2, limit - size)), size


def box_defect(box: Box, image_width: int, image_height: int) -> str | None:
    """Return why a box cannot be that of an answer about an image, or None."""
    for start, size, limit in (
            (box.x, box.width, image_width), (box.y, box.height, image_height)):
        if not (MIN_SIDE <= size and start + size <= limit <= MAX_SIDE):
            return (f'{box.width} x {box.height} pixels at {box.x}, {box.y} are no box of an image '
                    f'of {image_width} x {image_height}')
    return None


def packet_limit(box: Box, quality: int, max_bytes: int) -> int:
    """
    Return the bytes that the packet of a box may have.

    :param quality: 1..100; 100 is bounded by the link alone.
    :param max_bytes: what the link carries in time.
    """
    if quality >= 100:
        return max_bytes
    bpp = _LEAST_BPP * (_MOST_BPP / _LEAST_BPP) ** ((quality - 1) / 98)
    return min(max_bytes, max(_LEAST_BYTES, round(box.width * box.height * bpp / 8)))


def link_bytes(rate_bps: float, part: float, seconds: float | None) -> int:
    """
    Return the bytes of a packet that a link carries in time, with the answer's fields around it.

    :param rate_bps: what regions get of the link for certain, in bit/s.
    :param part: of the bits on the wire that is the answer, 0..1.
    :param seconds: until the answer must have arrived; None where it may take its time.
    :return: 0..MAX_PACKET_BYTES.
    """
    seconds = UNHURRIED_S if seconds is None else max(0.0, seconds)
    on_wire = _LINK_PART * rate_bps * seconds / 8
    return max(0, min(MAX_PACKET_BYTES, int(on_wire * part) - ANSWER_HEAD_BYTES))


def packet_defect(payload: bytes, box: Box, max_pixels: int = MAX_SIDE ** 2) -> str | None:
    """
    Return why a packet cannot be the answer for a box, or None; decodes nothing.

    :param max_pixels: pixels of the enlarged box, at most.
    :raises PacketError: when the payload is not a whole packet.
    """
    coded = packet.parse(payload)
    if coded.stream_reference is not None:
        return 'a region refers to another packet'
    factor = coded.width // max(1, box.width)
    if factor not in FACTORS or (coded.width, coded.height) != (
            factor * box.width, factor * box.height):
        return (f'a packet of {coded.width} x {coded.height} pixels shows no box of '
                f'{box.width} x {box.height}')
    if coded.width * coded.height > max_pixels:
        return (f'{coded.width} x {coded.height} pixels are more than max_pixels '
                f'({max_pixels})')
    return None
