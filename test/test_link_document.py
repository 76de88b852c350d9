# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/link.md says what the code does."""

from __future__ import annotations

from pathlib import Path
import re

from gsc_ros.link.datagram.announcement import Announcement, CameraAnnounce
from gsc_ros.link.datagram.cutting import PartCut
from gsc_ros.link.datagram.framer import FrameFramer
from gsc_ros.link.datagram.framing import (
    Control,
    FrameHeader,
    Heartbeat,
    Kind,
    parse,
    Receipt,
    REPAIR_KINDS,
)
from gsc_ros.link.schedule.message import CameraState, DropReason, Rank
from link_wire import PlainWire

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = (ROOT / 'docs' / 'link.md').read_text()
ROWS = {
    row[0]: (int(row[1]), row[2], row[3])
    for row in re.findall(r'^\| ([A-Z]+) \| (\d+) \| (.*) \| (.*) \|$', DOCUMENT, re.MULTILINE)}


def test_the_table_of_bodies_has_every_kind_with_its_number():
    assert {name: number for name, (number, _, _) in ROWS.items()} == {
        kind.name: kind.value for kind in Kind}


def test_the_table_of_bodies_has_the_true_overheads():
    announcement = Announcement(CameraAnnounce(0, 'a'), 0, 0, 0)

    def parts(gap):
        wire = PlainWire(64)
        cut = FrameFramer(wire).cut(FrameHeader(0, 0, 0), announcement, bytes(3000))
        return [len(body) - len(parse(body).body) for _, body in wire.send(cut, gap)]

    def overhead(cut):
        size = cut.left
        return sum(len(body) for _, body in PlainWire(64).send(cut)) - size

    wire = PlainWire(64)
    framer = FrameFramer(wire)
    whole = wire.send(framer.cut(FrameHeader(0, 0, 0), announcement, bytes(40)))
    close = parts(0)
    assert close[1:] == [1] * 31 + [2] * (len(close) - 32)
    true = {
        'FRAME': f'{sum(len(body) for _, body in whole) - 40}',
        'FRAGMENT': f'{parts(1)[1]}',
        'CONTINUATION': f'{close[1]}, or {close[32]} from the 32nd on',
        'ANNOUNCEMENT': f'{overhead(framer.cut_announcement(announcement))}',
        'HEARTBEAT': f'{len(Heartbeat().pack())}',
        'RECEIPT': f'{len(Receipt(0, 0, 0, 0, (1, 2)).pack()) - 2}',
        'CONTROL': f'{len(Control(bytes(9)).pack()) - 9}',
        'BULK': f'{overhead(PartCut(wire, Kind.BULK, bytes(2), bytes(9), True))}',
    }
    assert {name: cost for name, (number, _, cost) in ROWS.items()
            if Kind(number) not in REPAIR_KINDS} == true


def test_states_reasons_and_the_tests_it_names_exist():
    for name in (*CameraState.__members__, *DropReason.__members__, *Rank.__members__):
        assert name in DOCUMENT
    tests = ''.join(path.read_text() for path in (ROOT / 'test').glob('test_link_*.py'))
    for name in re.findall(r'`(test_\w{20,})`', DOCUMENT):
        assert f'def {name}(' in tests, name
