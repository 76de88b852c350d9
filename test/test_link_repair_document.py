# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/repair.md says what the code does."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from pathlib import Path
import re

from gsc_ros.link.datagram.framing import Kind
from gsc_ros.link.repair.fec import parity_overhead, SPAN
from gsc_ros.link.repair.redundancy import count_repeats, repeat_failure
from gsc_ros.link.repair.repair import RepairConfig
from gsc_ros.link.repair.repeat import REPEAT_OVERHEAD

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = (ROOT / 'docs' / 'repair.md').read_text()
S = 1_000_000_000
MS = 1_000_000


def test_the_table_of_kinds_is_true() -> None:
    rows = re.findall(r'^\| (PARITY|REPEAT|NACK) \| (\d+) \|.*\| ([^|]*) \|$', DOCUMENT, re.M)
    assert {name: int(number) for name, number, _ in rows} == {
        kind.name: kind.value for kind in (Kind.REPEAT, Kind.PARITY, Kind.NACK)}
    overhead = {name: text.strip() for name, _, text in rows}
    assert overhead['PARITY'] == f'{parity_overhead(1)} to {parity_overhead(SPAN)}'
    assert overhead['REPEAT'] == str(REPEAT_OVERHEAD)


def test_every_parameter_is_there_with_its_default() -> None:
    told = {}
    for names, values in re.findall(r'^\| (`\w+`(?:, `\w+`)*) \| ([^|]+) \|', DOCUMENT, re.M):
        told.update(zip(re.findall(r'\w+', names), values.replace('`', '').split(', ')))
    for field in fields(RepairConfig):
        value = field.default
        if isinstance(value, Enum):
            text = value.value
        elif field.name.endswith('_ns'):
            text = f'{value / S:g} s' if value >= S else f'{value / MS:g} ms'
        else:
            text = f'{value:g}'
        assert told[field.name] == text, field.name


def test_the_table_of_choices_is_true() -> None:
    rows = re.findall(r'^\| (\d) s \| (\d) \| ([\d.]+) % \|', DOCUMENT, re.M)
    assert len(rows) == 3
    for useful_s, repeats, target in rows:
        count = count_repeats(int(useful_s) * S, 1200 * MS, 100 * MS, 30 * MS, 100 * MS)
        assert count == int(repeats)
        reached = 100 * RepairConfig().target / repeat_failure(0.1) ** count
        assert abs(reached / float(target) - 1) < 0.05


def test_the_tests_it_names_exist() -> None:
    tests = ''.join(path.read_text() for path in (ROOT / 'test').glob('test_link_*.py'))
    names = re.findall(r'`(test_\w{20,})`', DOCUMENT)
    assert len(names) >= 15
    for name in names:
        assert f'def {name}(' in tests, name
