# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/security.md says what the code does."""

from __future__ import annotations

from pathlib import Path
import re

from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.head import LongHead, MAX_LONG_BYTES, Stage, VERSION
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig, RecordLayer
from gsc_ros.link.record.peer_epoch import MAX_CONFIRMED
from gsc_ros.link.record.replay_window import WINDOW

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = (ROOT / 'docs' / 'security.md').read_text(encoding='utf-8')


def section(title: str) -> str:
    """Return what follows a heading or a bold word."""
    return DOCUMENT.split(title, 1)[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the first table in a text."""
    table = re.search(r'(^\|.*\n)+', text, re.MULTILINE)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in table]


def test_the_table_of_suites_has_the_true_sizes():
    for name, tag, overhead, _ in rows(section('## Suites')):
        suite = Suite[name.strip('`').upper().replace('-', '_')]
        assert int(tag) == suite.tag_bytes
        assert int(overhead) == 1 + suite.tag_bytes
    assert len(rows(section('## Suites'))) == len(Suite)


def test_the_table_of_the_long_head_is_what_a_record_begins_with():
    fields = rows(section('**Long**'))
    assert [(row[0], row[1], row[2]) for row in fields] == [
        ('0', '1', 'form'), ('0', '3', 'version'), ('0', '2', 'stage'), ('0', '2', 'size'),
        ('1', '8', 'key id'), ('2', '64', 'epoch'), ('10', '8..32', 'counter'),
        ('11..14', '32', 'echo')]
    keys = KeyRing.random(5)
    layer = RecordLayer(RecordConfig(
        Direction.ROVER, Suite.AES_CCM, keys, epoch=b'12345678'), 64, 0)
    assert layer.seal(b'.', 0)[:11] == bytes([1 << 7 | VERSION << 4, 5]) + b'12345678' + b'\x00'
    for counter, at in ((255, 11), (256, 12), (1 << 16, 13), (1 << 24, 14)):
        packed = LongHead(Stage.SURE, bytes(9), counter, b'echo').pack()
        assert packed[0] == 1 << 7 | VERSION << 4 | 3 << 2 | at - 11
        assert packed[10:at] == counter.to_bytes(at - 10, 'big')
        assert packed[at:] == b'echo'
    assert len(packed) == MAX_LONG_BYTES


def test_stages_and_bounds_are_those_of_the_code():
    assert re.findall(r'(\d) `([A-Z]+)`', section('**Long**').split('\n\n')[1]) == [
        (str(stage.value), stage.name) for stage in Stage]
    assert f'The window holds {WINDOW} counters' in DOCUMENT
    assert f'after {MAX_CONFIRMED} we draw an epoch' in DOCUMENT


def test_the_tests_it_names_exist():
    tests = ''.join(path.read_text(encoding='utf-8')
                    for path in (ROOT / 'test').glob('test_link_*.py'))
    names = re.findall(r'`(test_\w{20,})`', DOCUMENT)
    assert len(names) > 8
    for name in names:
        assert f'def {name}(' in tests, name
    assert 'class RecordMachine(' in tests
    assert 'class NonceSpy(' in tests
