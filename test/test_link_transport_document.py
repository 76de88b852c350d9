# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/transports.md says what the code does."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
import re

from gsc_ros.link.transports.serial_line import SerialCounter, SerialTransport
from gsc_ros.link.transports.udp import UdpCounter, UdpTransport
import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = (ROOT / 'docs' / 'transports.md').read_text()
ABSENT = '/nowhere'
PEERS = ['127.0.0.1:5001', '127.0.0.1:5002']


@pytest.mark.parametrize(('row', 'transport'), [
    ('UDP over IPv4', lambda: UdpTransport('127.0.0.1:0', PEERS[:1], 256)),
    ('UDP over IPv6', lambda: UdpTransport('[::1]:0', ['[::1]:5001'], 256)),
    ('UDP to k peers', lambda: UdpTransport('127.0.0.1:0', PEERS, 256)),
    ('serial', lambda: SerialTransport(ABSENT, 9600, 256)),
    ('serial, `count_start_stop` off', lambda: SerialTransport(ABSENT, 9600, 256, False))])
def test_the_table_of_what_counts_is_true(row, transport):
    try:
        opened = transport()
    except OSError as error:
        pytest.skip(str(error))  # no IPv6
    [bits] = re.findall(rf'^\| {re.escape(row)} \|.*\| (\d+)[^|]*\|$', DOCUMENT, re.MULTILINE)
    assert opened.wire_bits(128) == int(bits)
    opened.close()


def test_every_counter_is_explained():
    for counter in (UdpCounter, SerialCounter):
        for entry in fields(counter):
            assert f'`{entry.name}`' in DOCUMENT, entry.name


def test_the_tests_it_names_exist():
    tests = ''.join(path.read_text() for path in (ROOT / 'test').glob('test_link_*.py'))
    names = re.findall(r'`(test_\w{20,})`', DOCUMENT)
    assert len(names) >= 10
    for name in names:
        assert f'def {name}(' in tests, name
