# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The list of objects: what a detector on the rover has found, in 43 bits each.

Bit after bit, the most significant first::

    5   number of objects - 1
    then for each, the most important first:
    10  centre x: (i + 1/2) / 1024 of the width
    10  centre y: (i + 1/2) / 1024 of the height
    6   width: 4 (W / 4) ** (i / 63) pixels of an image W pixels wide
    6   height, likewise
    8   class
    3   score: (i + 1/2) / 8
    then zeros to the end of the byte

A size is off by 4 % at most in an image 640 pixels wide, by 6 % in the largest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from gsc_ros.codec.error import CodecError, PacketError

MAX_OBJECTS = 32
OBJECT_COUNT_BITS = 5
CENTER_BITS = 10
SIDE_BITS = 6
CLASS_BITS = 8
SCORE_BITS = 3
OBJECT_BITS = 2 * CENTER_BITS + 2 * SIDE_BITS + CLASS_BITS + SCORE_BITS
# Pixels of the smallest side that can be told.
SMALLEST_SIDE = 4.0


@dataclass(frozen=True)
class ObjectBox:
    """
    An object in an image.

    :param class_id: its class, 0..255.
    :param score: how certain that is, 0..1.
    :param box: left, top, right, bottom as shares of the image, 0..1.
    """

    class_id: int
    score: float
    box: tuple[float, float, float, float]


def packed_bytes(count: int) -> int:
    """Return the length of a list of ``count`` objects; 0 for none."""
    return -(-(OBJECT_COUNT_BITS + OBJECT_BITS * count) // 8) if count else 0


def packed_count(data: bytes) -> int:
    """
    Return how many objects the list holds that ``data`` begins with.

    :raises PacketError: when it is truncated, or not padded with zeros.
    """
    if not data:
        raise PacketError('the list of objects is truncated')
    count = 1 + (data[0] >> 8 - OBJECT_COUNT_BITS)
    size = packed_bytes(count)
    if len(data) < size:
        raise PacketError('the list of objects is truncated')
    if data[size - 1] & (1 << 8 * size - OBJECT_COUNT_BITS - OBJECT_BITS * count) - 1:
        raise PacketError('the list of objects is not padded with zeros')
    return count


def pack_objects(objects: Sequence[ObjectBox], width: int, height: int) -> bytes:
    """
    Return a list of objects as bytes; none for an empty list.

    :param objects: the most important first; at most 32. What reaches beyond the image is cut off.
    :param width: image width in pixels.
    :param height: image height in pixels.
    :raises CodecError: when there are too many, or an object is out of range.
    """
    if len(objects) > MAX_OBJECTS:
        raise CodecError(f'{len(objects)} objects are more than {MAX_OBJECTS}')
    if not objects:
        return b''
    value = len(objects) - 1
    for one in objects:
        for number, bits in zip(_numbers(one, width, height), _WIDTHS):
            value = value << bits | number
    used = OBJECT_COUNT_BITS + OBJECT_BITS * len(objects)
    size = packed_bytes(len(objects))
    return (value << 8 * size - used).to_bytes(size, 'big')


def pack_within(
    objects: Sequence[ObjectBox], width: int, height: int, max_bytes: int | None,
) -> bytes:
    """
    Return a list of as many of the first objects as fit, as bytes; none where none fits.

    :param objects: the most important first.
    :param width: image width in pixels.
    :param height: image height in pixels.
    :param max_bytes: how long the list may be; None for no limit.
    :raises CodecError: when an object is out of range.
    """
    count = min(len(objects), MAX_OBJECTS)
    while count and max_bytes is not None and packed_bytes(count) > max_bytes:
        count -= 1
    return pack_objects(objects[:count], width, height)


def unpack_objects(
    data: bytes, width: int, height: int,
) -> tuple[tuple[ObjectBox, ...], int]:
    """
    Return the objects of the list that ``data`` begins with, and the bytes it takes.

    :param data: any bytes.
    :param width: image width in pixels.
    :param height: image height in pixels.
    :raises PacketError: when the list is truncated, or not padded with zeros.
    """
    count = packed_count(data)
    size = packed_bytes(count)
    value = int.from_bytes(data[:size], 'big')
    place = 8 * size - OBJECT_COUNT_BITS
    objects = []
    for _ in range(count):
        numbers = []
        for bits in _WIDTHS:
            place -= bits
            numbers.append(value >> place & (1 << bits) - 1)
        objects.append(_object(numbers, width, height))
    return tuple(objects), size


_WIDTHS = (CENTER_BITS, CENTER_BITS, SIDE_BITS, SIDE_BITS, CLASS_BITS, SCORE_BITS)


def _numbers(one: ObjectBox, width: int, height: int) -> tuple[int, ...]:
    """Return the six numbers of an object."""
    if not 0 <= one.class_id < 1 << CLASS_BITS:
        raise CodecError(f'class {one.class_id} is not in 0..{(1 << CLASS_BITS) - 1}')
    if not 0 <= one.score <= 1:
        raise CodecError(f'a score of {one.score} is not in 0..1')
    if not all(math.isfinite(side) for side in one.box):
        raise CodecError(f'{one.box} is no box: left, top, right, bottom')
    left, top, right, bottom = (min(max(side, 0.0), 1.0) for side in one.box)
    if left >= right or top >= bottom:
        raise CodecError(f'{one.box} is no box in the image: left, top, right, bottom')
    return (
        _step((left + right) / 2, CENTER_BITS), _step((top + bottom) / 2, CENTER_BITS),
        _side_step((right - left) * width, width), _side_step((bottom - top) * height, height),
        one.class_id, _step(one.score, SCORE_BITS))


def _object(numbers: Sequence[int], width: int, height: int) -> ObjectBox:
    """Return the object of six numbers, whatever they are."""
    x, y, across, down, class_id, score = numbers
    x, y = _middle(x, CENTER_BITS), _middle(y, CENTER_BITS)
    across, down = _side(across, width) / width / 2, _side(down, height) / height / 2
    box = (max(x - across, 0.0), max(y - down, 0.0), min(x + across, 1.0), min(y + down, 1.0))
    return ObjectBox(class_id, _middle(score, SCORE_BITS), box)


def _step(share: float, bits: int) -> int:
    """Return the interval, of 2**bits, that a share of 0..1 lies in."""
    return min(int(share * (1 << bits)), (1 << bits) - 1)


def _middle(step: int, bits: int) -> float:
    """Return the middle of an interval."""
    return (step + 0.5) / (1 << bits)


def _side_step(pixels: float, whole: int) -> int:
    """Return the number of the side closest to one of so many pixels, by their ratio."""
    last = (1 << SIDE_BITS) - 1
    share = math.log(pixels / SMALLEST_SIDE) / math.log(whole / SMALLEST_SIDE)
    return min(max(round(share * last), 0), last)


def _side(step: int, whole: int) -> float:
    """Return the pixels of a side."""
    return SMALLEST_SIDE * (whole / SMALLEST_SIDE) ** (step / ((1 << SIDE_BITS) - 1))
