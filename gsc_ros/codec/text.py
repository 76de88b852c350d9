# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Captions as bytes: lossless for any Unicode text.

The first byte names the method: 0 is plain UTF-8, 1 raw deflate of UTF-8, and the text follows. A
first byte of 2 or more is the first byte of a text coded with the trained model of English captions
(``gsc_ros.codec.language``), which so costs no byte of its own. The shortest is taken.
"""

from __future__ import annotations

from enum import IntEnum
import zlib

from gsc_ros.codec.error import CodecError, PacketError
from gsc_ros.codec.language import english
from gsc_ros.codec.packet import MAX_TEXT_BYTES

_RAW_DEFLATE = -15


class TextMethod(IntEnum):
    """How a caption is coded."""

    PLAIN = 0
    DEFLATE = 1
    ENGLISH = 2

    @classmethod
    def of(cls, data: bytes) -> TextMethod:
        """Return how ``data``, at least a byte of coded text, is coded."""
        return cls(min(data[0], cls.ENGLISH))


def compress(caption: str) -> bytes:
    """
    Return ``caption`` as at most 4095 bytes; nothing for an empty caption.

    :raises CodecError: when its UTF-8 form is longer than 4094 bytes, or has none because of lone
        surrogates.
    """
    if not caption:
        return b''
    try:
        plain = caption.encode('utf-8')
    except UnicodeEncodeError as error:
        raise CodecError(f'the caption is not Unicode text: {error}') from error
    if len(plain) >= MAX_TEXT_BYTES:
        raise CodecError(
            f'a caption of {len(plain)} bytes of UTF-8 exceeds {MAX_TEXT_BYTES - 1}')
    deflater = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE, 9)
    deflated = deflater.compress(plain) + deflater.flush()
    general = min(
        bytes([TextMethod.PLAIN]) + plain, bytes([TextMethod.DEFLATE]) + deflated, key=len)
    return english().encode(plain, limit=len(general)) or general


def decompress(data: bytes) -> str:
    """
    Return the caption that :func:`compress` put into ``data``.

    :raises PacketError: when the data is malformed or expands beyond 4095 bytes. Damage to a text
        of the trained model often gives another text instead: the packet's checksum finds it.
    """
    if not data:
        return ''
    method = TextMethod.of(data)
    if method == TextMethod.PLAIN:
        plain = data[1:]
    elif method == TextMethod.DEFLATE:
        plain = _inflate(data[1:])
    else:
        plain = english().decode(data, MAX_TEXT_BYTES)
    if not plain or len(plain) > MAX_TEXT_BYTES:
        raise PacketError('the text is empty or too long')
    try:
        return plain.decode('utf-8')
    except UnicodeDecodeError as error:
        raise PacketError(f'the text is not UTF-8: {error}') from error


def _inflate(body: bytes) -> bytes:
    """Return the inflated body, never producing more than one byte above the limit."""
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    try:
        plain = inflater.decompress(body, MAX_TEXT_BYTES + 1)
    except zlib.error as error:
        raise PacketError(f'the text is damaged: {error}') from error
    if not inflater.eof or inflater.unused_data:
        raise PacketError('the text is truncated, too long, or followed by other bytes')
    return plain
