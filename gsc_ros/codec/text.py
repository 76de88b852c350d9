# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Captions as bytes: lossless for any Unicode text.

The first byte names the method (0: plain UTF-8, 1: raw deflate of UTF-8), the rest is the text.
"""

from __future__ import annotations

from enum import IntEnum
import zlib

from gsc_ros.codec.error import CodecError, PacketError
from gsc_ros.codec.packet import MAX_TEXT_BYTES

_RAW_DEFLATE = -15


class TextMethod(IntEnum):
    """How a caption is coded."""

    PLAIN = 0
    DEFLATE = 1


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
    if len(deflated) < len(plain):
        return bytes([TextMethod.DEFLATE]) + deflated
    return bytes([TextMethod.PLAIN]) + plain


def decompress(data: bytes) -> str:
    """
    Return the caption that :func:`compress` put into ``data``.

    :raises PacketError: when the data is malformed or expands beyond 4095 bytes.
    """
    if not data:
        return ''
    method, body = data[0], data[1:]
    if method == TextMethod.PLAIN:
        plain = body
    elif method == TextMethod.DEFLATE:
        plain = _inflate(body)
    else:
        raise PacketError(f'text method {method} is unknown')
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
