# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Cut frames, announcements and other messages into bodies, one by one as they leave.

A body is made in the moment in which its datagram leaves, as large as the record has room then, so
that a record that must say more about its session only makes the body smaller.
"""

from __future__ import annotations

from collections.abc import Callable
import struct
from typing import Protocol

from gsc_ros.link.datagram.framing import (
    FLAG_LAST,
    FramingError,
    head_byte,
    Kind,
    MAX_PARTS,
    SHORT_CONTINUATION,
    SHORT_DISTANCES,
    SHORT_LAST,
)

FIRST_BYTES = 4
SHORT_BYTES = 1
LONG_BYTES = 2
_FRAGMENT_BYTES = 5


class Wire(Protocol):
    """What the layers below say about the next datagram."""

    @property
    def next_counter(self) -> int:
        """Return the counter that its record will have; it goes on over all epochs."""

    def room(self, strong: bool, now_ns: int) -> int:
        """
        Return the most bytes of its body, >= 6.

        :param strong: whether the far end can do nothing without it; what repair adds to such a
            body must fit, too.
        """

    def bits(self, size: int, now_ns: int) -> int:
        """Return the bits on the wire of a datagram whose body has ``size`` bytes."""


class Cut(Protocol):
    """A message on its way: `take` a body, send it, `advance`."""

    @property
    def left(self) -> int:
        """Return the bytes that have not left yet; 0: all have."""

    @property
    def strong(self) -> bool:
        """Return whether the far end can do nothing without the next body."""

    def size(self, now_ns: int) -> int:
        """Return the bytes of the next body."""

    def take(self, now_ns: int) -> bytes:
        """
        Return the next body; the same again until `advance`.

        :raises FramingError: when the message has become too long for its parts to be numbered.
        """

    def advance(self) -> None:
        """Note that the body last taken has left."""


class WholeCut:
    """
    A message of one body, which may tell the time when it leaves.

    :param size: bytes of the body.
    :param build: called with the time of departure; returns the body.
    """

    strong = True

    def __init__(self, size: int, build: Callable[[int], bytes]) -> None:
        """Keep what makes the body."""
        self.left = size
        self._build = build

    def size(self, now_ns: int) -> int:
        """Return the bytes of the body."""
        return self.left

    def take(self, now_ns: int) -> bytes:
        """Return the body."""
        return self._build(now_ns)

    def advance(self) -> None:
        """Note that it has left."""
        self.left = 0


class PartCut:
    """
    A message whose parts are all alike: an announcement or a bulk message.

    :param wire: says how large the next body may be.
    :param kind: `ANNOUNCEMENT` or `BULK`.
    :param key: what follows the first byte of each body.
    :param data: the message, at least one byte.
    :param strong: whether it deserves strong protection.
    """

    def __init__(self, wire: Wire, kind: Kind, key: bytes, data: bytes, strong: bool) -> None:
        """Begin with nothing sent."""
        self._wire = wire
        self._kind = kind
        self._key = key
        self._data = data
        self._at = self._index = self._taken = 0
        self.strong = strong

    @property
    def left(self) -> int:
        """Return the bytes that have not left yet."""
        return len(self._data) - self._at

    def size(self, now_ns: int) -> int:
        """Return the bytes of the next body."""
        return min(self._wire.room(self.strong, now_ns), self._head_bytes() + self.left)

    def total_bits(self, now_ns: int) -> int:
        """Return what all that is left takes on the wire, as records are now."""
        size = self.size(now_ns)
        whole, rest = divmod(self.left, size - self._head_bytes())
        last = self._wire.bits(self._head_bytes() + rest, now_ns) if rest else 0
        return whole * self._wire.bits(size, now_ns) + last

    def take(self, now_ns: int) -> bytes:
        """Return the next body."""
        self._taken = self.size(now_ns) - self._head_bytes()
        if self._index >= MAX_PARTS:
            raise FramingError(f'the message needs more than {MAX_PARTS} datagrams')
        flags = FLAG_LAST if self._taken == self.left else 0
        part = self._data[self._at:self._at + self._taken]
        return b''.join((
            bytes([head_byte(self._kind, flags)]), self._key, bytes([self._index]), part))

    def advance(self) -> None:
        """Note that the body last taken has left."""
        self._at += self._taken
        self._index += 1

    def _head_bytes(self) -> int:
        return 2 + len(self._key)


class FrameCut:
    """
    A frame on its way.

    :param wire: says how large the next body may be, and its counter.
    :param camera_id: 0..255.
    :param name: by which its parts name it, uint16.
    :param flags: of the first body, without `FLAG_LAST`.
    :param data: frame header and packet, or with `FLAG_SPLIT` what the far end makes it of.
    :param base: how many of these bytes the far end needs at least.
    """

    def __init__(
        self, wire: Wire, camera_id: int, name: int, flags: int, data: bytes, base: int,
    ) -> None:
        """Begin with nothing sent."""
        self._wire = wire
        self._key = struct.pack('>BH', camera_id, name)
        self._flags = flags
        self._data = data
        self._base = base
        self._at = self._index = self._taken = 0
        self._first_counter = self._counter = 0

    @property
    def left(self) -> int:
        """Return the bytes that have not left yet."""
        return len(self._data) - self._at

    @property
    def strong(self) -> bool:
        """Return whether the next body has bytes that the far end needs at least."""
        return self._at < self._base

    def size(self, now_ns: int) -> int:
        """Return the bytes of the next body."""
        return min(self._wire.room(self.strong, now_ns), self._head_bytes() + self.left)

    def take(self, now_ns: int) -> bytes:
        """Return the next body."""
        if self._index >= MAX_PARTS:
            raise FramingError(f'the frame needs more than {MAX_PARTS} datagrams')
        self._counter = self._wire.next_counter
        self._taken = self.size(now_ns) - self._head_bytes()
        last = FLAG_LAST if self._taken == self.left else 0
        if self._index == 0:
            head = bytes([head_byte(Kind.FRAME, self._flags | last)]) + self._key
        elif self._continues():
            head = _continuation_head(self._index, bool(last))
        else:
            head = b''.join((
                bytes([head_byte(Kind.FRAGMENT, last)]), self._key, bytes([self._index])))
        return head + self._data[self._at:self._at + self._taken]

    def advance(self) -> None:
        """Note that the body last taken has left."""
        if self._index == 0:
            self._first_counter = self._counter
        self._at += self._taken
        self._index += 1

    def _continues(self) -> bool:
        return self._wire.next_counter - self._first_counter == self._index

    def _head_bytes(self) -> int:
        if self._index == 0:
            return FIRST_BYTES
        if not self._continues():
            return _FRAGMENT_BYTES
        return SHORT_BYTES if self._index < SHORT_DISTANCES else LONG_BYTES


def _continuation_head(distance: int, last: bool) -> bytes:
    if distance < SHORT_DISTANCES:
        return bytes([SHORT_CONTINUATION | (SHORT_LAST if last else 0) | distance])
    return bytes([head_byte(Kind.CONTINUATION, FLAG_LAST if last else 0), distance])
