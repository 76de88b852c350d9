# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Consistent overhead byte stuffing: datagrams over a line that carries bytes.

After Cheshire and Baker, 1999. The encoded form has no zero byte, so a zero byte delimits::

    data     11 22 00 33          a run of up to 253 bytes and its zero: length + 1, bytes
    encoded  03 11 22 02 33       254 bytes without a zero: ff, bytes
    line     03 11 22 02 33 00    the zero that every run implies but the last is the data's

It costs one byte per 254. Whatever noise does to the line, a reader is right again at the next
delimiter.
"""

from __future__ import annotations

DELIMITER = b'\x00'

_LONGEST_RUN = 254


class CobsError(ValueError):
    """The bytes are not the encoding of anything."""


def encoded_size(size: int) -> int:
    """Return the most bytes that `encode` makes of ``size`` bytes, delimiters not counted."""
    return size + max(1, -(-size // _LONGEST_RUN))


def encode(data: bytes) -> bytes:
    """Return ``data`` without zero bytes, in at most `encoded_size` bytes."""
    encoded = bytearray()
    *inner, last = data.split(DELIMITER)
    for run in inner:
        _append(encoded, run, _LONGEST_RUN - 1)
    _append(encoded, last, _LONGEST_RUN)
    return bytes(encoded)


def _append(encoded: bytearray, run: bytes, most: int) -> None:
    """Append a run of bytes, of which the last block may have ``most``."""
    start = 0
    while len(run) - start > most:
        encoded.append(_LONGEST_RUN + 1)
        encoded += run[start:start + _LONGEST_RUN]
        start += _LONGEST_RUN
    encoded.append(len(run) - start + 1)
    encoded += run[start:]


def decode(encoded: bytes) -> bytes:
    """
    Return what `encode` was given.

    :param encoded: what stood between two delimiters; the result is shorter.
    :raises CobsError: when it is empty, holds a zero byte, or ends within a run.
    """
    data = bytearray()
    start = 0
    if DELIMITER in encoded:
        raise CobsError('a zero byte within the encoding')
    while start < len(encoded):
        end = start + encoded[start]
        if end > len(encoded):
            raise CobsError('it ends within a run')
        data += encoded[start + 1:end]
        if encoded[start] <= _LONGEST_RUN and end < len(encoded):
            data += DELIMITER
        start = end
    if not encoded:
        raise CobsError('there is nothing')
    return bytes(data)


class CobsReader:
    """
    Find datagrams in what a line delivers, in whatever pieces.

    :param mtu: the largest datagram in bytes; what is longer is skipped to the next delimiter, so
        that the reader never holds more than one datagram of this size.
    """

    def __init__(self, mtu: int) -> None:
        """Begin between two datagrams."""
        self._mtu = mtu
        self._most = encoded_size(mtu)
        self._held = bytearray()
        self._skipping = False
        self.malformed = 0
        self.oversized = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the datagrams that end within ``data``; what was no datagram is counted."""
        datagrams = []
        *ends, rest = data.split(DELIMITER)
        for piece in ends:
            self._hold(piece)
            datagrams += self._take()
        self._hold(rest)
        return datagrams

    def reset(self) -> None:
        """Forget the beginning of a datagram, as after the line was gone."""
        self._held.clear()
        self._skipping = False

    def _hold(self, piece: bytes) -> None:
        if len(self._held) + len(piece) > self._most:
            self._skipping = True
            self._held.clear()
        elif not self._skipping:
            self._held += piece

    def _take(self) -> list[bytes]:
        encoded, skipped = bytes(self._held), self._skipping
        self.reset()
        if skipped:
            self.oversized += 1
            return []
        if not encoded:
            return []
        try:
            data = decode(encoded)
        except CobsError:
            self.malformed += 1
            return []
        if not 1 <= len(data) <= self._mtu:
            self.oversized += len(data) > self._mtu
            return []
        return [data]
