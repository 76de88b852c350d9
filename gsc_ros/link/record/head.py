# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How a record begins.

::

    short  0ccccccc
    long   1vvvssnn key id 1, epoch 8, counter 1..4, [echo 4]

    c lowest 7 bits of the counter   v version   n bytes of the counter - 1
    s stage: 0 HELLO without echo, 1 ECHO, 2 CONFIRMED, 3 SURE
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from gsc_ros.link.record.cipher import EPOCH_BYTES

VERSION = 1
COUNTERS = 1 << 32
SHORT_COUNTERS = 128
ECHO_BYTES = 4

_LONG = 0x80
_COUNTER_AT = 2 + EPOCH_BYTES
MAX_LONG_BYTES = _COUNTER_AT + 4 + ECHO_BYTES


class Stage(IntEnum):
    """What the sender of a long record knows of the far end."""

    HELLO = 0  # nothing
    ECHO = 1  # an epoch, but not that it is more than a recording
    CONFIRMED = 2  # that its bodies may be handed on
    SURE = 3  # also that the far end has confirmed ours


@dataclass(frozen=True)
class LongHead:
    """
    The head of a long record.

    :param stage: carries an echo from ECHO on.
    :param name: key id and epoch of the sender, which tell its process from others.
    :param counter: uint32.
    :param echo: the first `ECHO_BYTES` of an epoch of the far end, or nothing.
    """

    stage: Stage
    name: bytes
    counter: int
    echo: bytes = b''

    def pack(self) -> bytes:
        """Return the bytes."""
        size = _counter_bytes(self.counter)
        first = _LONG | VERSION << 4 | self.stage << 2 | size - 1
        return bytes([first]) + self.name + self.counter.to_bytes(size, 'big') + self.echo

    @classmethod
    def parse(cls, datagram: bytes) -> tuple[LongHead, int] | None:
        """
        Return the head of a datagram that `is_long`, and its size.

        None when it is cut short or of another version.
        """
        first = datagram[0]
        stage = Stage(first >> 2 & 3)
        echo_at = _COUNTER_AT + (first & 3) + 1
        end = echo_at + (ECHO_BYTES if stage else 0)
        if first >> 4 & 7 != VERSION or len(datagram) < end:
            return None
        counter = int.from_bytes(datagram[_COUNTER_AT:echo_at], 'big')
        return cls(stage, datagram[1:_COUNTER_AT], counter, datagram[echo_at:end]), end


def is_long(datagram: bytes) -> bool:
    """Return whether a record, of at least one byte, is of the long form."""
    return bool(datagram[0] & _LONG)


def long_bytes(counter: int, has_echo: bool) -> int:
    """Return the size of a long head."""
    return _COUNTER_AT + _counter_bytes(counter) + (ECHO_BYTES if has_echo else 0)


def short_head(counter: int) -> bytes:
    """Return the head of a short record."""
    return bytes([counter % SHORT_COUNTERS])


def _counter_bytes(counter: int) -> int:
    return max(1, (counter.bit_length() + 7) // 8)
