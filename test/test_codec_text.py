# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Captions: lossless for any text, bounded for any bytes, and short for English ones."""

from __future__ import annotations

import hashlib
from pathlib import Path
import subprocess
import sys
import time
import zlib

from gsc_ros.codec.error import CodecError, PacketError
from gsc_ros.codec.text import compress, decompress, TextMethod
from gsc_ros.training.language import cut, split_captions
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
from shared_data import shared_data

REPEATED = 'Z9#' * 80

#: Written for this test in the manner of a captioner that the model was not trained on.
CAPTIONS = (
    'The image shows a wide, straight road in a residential area on a sunny day. Several cars are '
    'parked along the right side of the street, including a silver hatchback and a dark blue van. '
    'On the left, a row of trees casts shadows across the sidewalk.',
    'The image shows a long indoor hallway with white walls and a gray tiled floor. Fluorescent '
    'lights on the ceiling illuminate the space evenly. On the left side there are three closed '
    'wooden doors, and a person in a dark shirt is walking away from the camera.',
    'The image shows a rocky, reddish-brown terrain under a hazy sky. In the foreground, several '
    'flat rocks are partially covered with fine sand, and wheel tracks lead away from the camera '
    "towards a low ridge. The shadow of the rover's mast is visible on the left.",
)


def bits_per_character(captions: tuple[str, ...] | list[str]) -> float:
    """Return the cost of captions, with everything in the body."""
    return 8 * sum(len(compress(text)) for text in captions) / sum(map(len, captions))


@settings(deadline=None)
@given(st.text(max_size=500))
def test_any_text_comes_back(caption):
    data = compress(caption)
    assert decompress(data) == caption
    assert len(data) <= len(caption.encode()) + 1


@settings(deadline=None)
@given(st.lists(st.sampled_from(
    ['the', 'The', 'THE', ' ', '. ', '\n', '"', "'s", 'iPhone', 'A', 'É', '\0', '\x01', 'AB', '!']),
    max_size=60).map(''.join))
def test_capitals_and_control_characters_come_back(caption):
    assert decompress(compress(caption)) == caption


@pytest.mark.parametrize('caption', [
    *CAPTIONS, 'ein Hund läuft über die Straße', '路上有一辆红色的汽车。' * 30, '🚗' * 40,
    '\x00\x07\x1b[2J', 'x' * 4094,
    'lower case first. And then. not', 'ALL CAPITALS ON A SIGN', 'A',
    ' '.join(f'SIGN {number * 7919} READS' for number in range(250))[:4094]])
def test_these_texts_come_back(caption):
    assert decompress(compress(caption)) == caption


def test_a_lone_surrogate_is_refused_on_both_sides():
    with pytest.raises(CodecError, match='not Unicode text'):
        compress('a\ud800b')
    with pytest.raises(PacketError, match='not UTF-8'):
        decompress(bytes([TextMethod.PLAIN]) + 'a\ud800b'.encode('utf-8', 'surrogatepass'))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_text_or_a_packet_error(data):
    try:
        assert len(decompress(data).encode()) <= 4095
    except PacketError:
        pass


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(CAPTIONS), st.data())
def test_a_damaged_caption_is_a_text_or_a_packet_error(caption, data):
    damaged = bytearray(compress(caption))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert decompress(bytes(damaged)) != caption
    except PacketError:
        pass


def test_the_longest_body_is_decoded_in_bounded_time():
    start = time.process_time()
    with pytest.raises(PacketError):
        decompress(b'\x02' + hashlib.shake_256(b'noise').digest(4094))
    assert time.process_time() - start < 5


def test_no_caption_needs_no_bytes():
    assert compress('') == b''
    assert decompress(b'') == ''


def test_each_method_is_taken_where_it_is_shortest():
    assert TextMethod.of(compress('路')) == TextMethod.PLAIN
    assert TextMethod.of(compress(REPEATED)) == TextMethod.DEFLATE
    assert TextMethod.of(compress(CAPTIONS[0])) == TextMethod.ENGLISH


def test_another_captioner_costs_under_two_bits_a_character():
    assert bits_per_character(CAPTIONS) <= 1.95


def test_captions_held_out_cost_little():
    path = shared_data('captions', 'imageinwords_machine.txt')
    if path is None:
        pytest.skip('no shared captions')
    captions = [cut(caption, number) for number, caption in enumerate(split_captions(path)[1])]
    assert len(captions) == 200
    assert bits_per_character(captions) <= 1.25


def test_a_caption_takes_a_few_milliseconds():
    text = (CAPTIONS[0] + ' ' + CAPTIONS[1])[:340]
    data = compress(text)

    def fastest(function, argument):
        times = []
        for _ in range(5):
            start = time.process_time()
            function(argument)
            times.append(time.process_time() - start)
        return min(times)

    # Three times the 20 ms that the documentation promises: test machines are slow and busy.
    assert fastest(compress, text) < 0.06
    assert fastest(decompress, data) < 0.06


def test_a_fresh_process_makes_the_same_bytes():
    code = ('import sys; from gsc_ros.codec.text import compress, decompress; '
            'data = compress(sys.argv[1]); sys.stdout.write(data.hex()); '
            'assert decompress(data) == sys.argv[1]')
    for caption in CAPTIONS[:2]:
        done = subprocess.run(
            [sys.executable, '-c', code, caption], capture_output=True, text=True, check=True,
            cwd=Path(__file__).parent.parent, env={'PYTHONHASHSEED': '7', 'OMP_NUM_THREADS': '1'})
        assert bytes.fromhex(done.stdout) == compress(caption)


@pytest.mark.parametrize(('caption', 'coded'), [
    ('A street with parked cars on both sides.', '6a4969cb530d2fab'),
    ('The sky is overcast, and "STOP" is written on a red sign.', '039c77864126d8a12d022c901e0a'),
    ('iPhone 12 und Straße', '020036f0d273a7ea3a4925371d219bc55091'),
])
def test_the_bytes_of_a_caption_do_not_change(caption, coded):
    """A receiver of another version decodes with its own model: a new one is a new version."""
    assert compress(caption).hex() == coded
    assert decompress(bytes.fromhex(coded)) == caption


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
    b'\x00', b'\x00\xff', b'\x01\xff\xff', compress(REPEATED)[:-1], compress(REPEATED) + b'x',
    compress(CAPTIONS[0]) + b'x', compress(CAPTIONS[0])[:1]])
def test_malformed_text_is_refused(data):
    with pytest.raises(PacketError):
        decompress(data)
