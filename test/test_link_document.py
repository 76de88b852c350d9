# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/link.md says what the code does."""

from __future__ import annotations

from pathlib import Path
import re

from gsc_ros.link.framing import (
    Announcement,
    CameraAnnounce,
    Control,
    FrameFramer,
    FrameHeader,
    Heartbeat,
    Kind,
    Receipt,
)
from gsc_ros.link.scheduler import CameraState, DropReason

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = (ROOT / 'docs' / 'link.md').read_text()
ROWS = {
    row[0]: (int(row[1]), row[2], row[3])
    for row in re.findall(r'^\| ([A-Z]+) \| (\d) \| (.*) \| (.*) \|$', DOCUMENT, re.MULTILINE)}


def test_the_table_of_datagrams_has_every_kind_with_its_number():
    assert {name: number for name, (number, _, _) in ROWS.items()} == {
        kind.name: kind.value for kind in Kind}


def test_the_table_of_datagrams_has_the_true_overheads():
    announcement = Announcement(CameraAnnounce(0, 'a'), 0, 0, 0)
    header = FrameHeader(0, 0, 0)
    [whole] = FrameFramer(64).cut_frame(header, announcement, bytes(40))
    first, second, _ = FrameFramer(32).cut_frame(header, announcement, bytes(60))
    packed = announcement.pack()
    true = {
        'FRAME': f'{len(whole) - 40}',
        'FRAGMENT': f'{len(first) + len(second) - 45 - 5} in the first, 5 in others',
        'ANNOUNCEMENT': f'{len(FrameFramer(64).cut_announcement(0, packed)[0]) - len(packed)}',
        'HEARTBEAT': f'{len(Heartbeat(0, 0).pack())}',
        'RECEIPT': f'{len(Receipt(0, 0, 0, 0, (1, 2)).pack()) - 2}',
        'CONTROL': f'{len(Control(0, bytes(9)).pack()) - 9}',
    }
    assert {name: overhead for name, (_, _, overhead) in ROWS.items()} == true


def test_states_reasons_and_the_tests_it_names_exist():
    for name in (*CameraState.__members__, *DropReason.__members__):
        assert name in DOCUMENT
    tests = ''.join(path.read_text() for path in (ROOT / 'test').glob('test_link_*.py'))
    for name in re.findall(r'`(test_\w{20,})`', DOCUMENT):
        assert f'def {name}(' in tests, name
