# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Captions: lossless for any text, bounded for any bytes."""

from __future__ import annotations

import zlib

from gsc_ros.codec.error import CodecError, PacketError
from gsc_ros.codec.text import compress, decompress, TextMethod
from hypothesis import given
from hypothesis import strategies as st
import pytest

CAPTION = 'A street with parked cars on both sides and trees behind them. ' * 4


@given(st.text(max_size=500))
def test_any_text_comes_back(caption):
    data = compress(caption)
    assert decompress(data) == caption
    assert len(data) <= len(caption.encode()) + 1


def test_a_lone_surrogate_is_refused_on_both_sides():
    with pytest.raises(CodecError, match='not Unicode text'):
        compress('a\ud800b')
    with pytest.raises(PacketError, match='not UTF-8'):
        decompress(bytes([TextMethod.PLAIN]) + 'a\ud800b'.encode('utf-8', 'surrogatepass'))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_text_or_a_packet_error(data):
    try:
        assert isinstance(decompress(data), str)
    except PacketError:
        pass


def test_no_caption_needs_no_bytes():
    assert compress('') == b''
    assert decompress(b'') == ''


def test_an_ordinary_caption_gets_smaller():
    assert len(compress(CAPTION)) < len(CAPTION) / 2


def test_a_caption_that_is_too_long_is_refused():
    assert decompress(compress('x' * 4094)) == 'x' * 4094
    with pytest.raises(CodecError, match='4095 bytes'):
        compress('x' * 4095)


def test_a_bomb_is_refused_before_it_expands():
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflater.compress(bytes(10_000_000)) + deflater.flush()
    with pytest.raises(PacketError, match='too long'):
        decompress(bytes([TextMethod.DEFLATE]) + bomb[:4094])


@pytest.mark.parametrize('data', [
    b'\x00', b'\x02abc', b'\x00\xff', b'\x01\xff\xff', compress(CAPTION)[:-1],
    compress(CAPTION) + b'x'])
def test_malformed_text_is_refused(data):
    with pytest.raises(PacketError):
        decompress(data)
