# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No packet, however damaged, crashes or stalls the decoder or takes memory."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
import re
import subprocess
import sys

from gsc_ros.codec.error import MissingReferenceError, PacketError
from gsc_ros.codec.frame import FrameDecoder
from gsc_ros.codec.profile import load_profile
from hostile_packet import attempt, GOLDEN, hostile, MAX_EXTRA_MB, MAX_PIXELS, with_checksum
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

PROFILE = load_profile('tiny')
DECODER = FrameDecoder(PROFILE, max_pixels=MAX_PIXELS)
PACKETS = {path.stem: path.read_bytes() for path in GOLDEN.glob('*.gsc')}
SMALL = ('as_before', 'caption', 'one_channel', 'unicode')


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2 ** 64))
def test_a_damaged_packet_gives_symbols_or_an_error(seed):
    data = hostile(list(PACKETS.values()), PROFILE.short_hash, Random(seed))
    attempt(DECODER, data, PROFILE.manifest.symbol_max, render=False)


@pytest.mark.parametrize('name', SMALL)
def test_a_packet_truncated_anywhere_with_a_right_checksum_gives_symbols_or_an_error(name):
    for length in range(len(PACKETS[name])):
        data = with_checksum(PACKETS[name][:length])
        attempt(DECODER, data, PROFILE.manifest.symbol_max, render=False)


@pytest.mark.parametrize('name', SMALL)
def test_a_packet_with_any_bit_flipped_and_a_right_checksum_gives_symbols_or_an_error(name):
    for bit in range(8 * len(PACKETS[name])):
        damaged = bytearray(PACKETS[name])
        damaged[bit // 8] ^= 1 << bit % 8
        attempt(DECODER, with_checksum(bytes(damaged)), PROFILE.manifest.symbol_max, render=False)


@pytest.mark.parametrize('flags', range(256))
def test_any_flags_give_symbols_or_an_error(flags):
    packet = PACKETS['one_channel']
    data = with_checksum(packet[:1] + bytes([flags]) + packet[2:])
    if flags == packet[1]:
        assert data == packet
    try:
        DECODER.decode(data)
    except MissingReferenceError:
        assert flags & 0x10
    except PacketError:
        assert flags != packet[1]


def test_hundreds_of_damaged_packets_take_neither_time_nor_memory():
    done = subprocess.run(
        [sys.executable, GOLDEN.parent / 'hostile_packet.py', '--minutes', '0.3', '--count', '500'],
        capture_output=True, text=True, timeout=120,
        env=os.environ | {'PYTHONPATH': os.pathsep.join(sys.path)},
        cwd=Path(__file__).resolve().parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'decoded' in done.stdout and 'refused' in done.stdout
    assert float(re.search(r'([-\d.]+) MB', done.stdout).group(1)) < MAX_EXTRA_MB
