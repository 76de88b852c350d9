# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/channels.md says what the code does."""

from __future__ import annotations

from pathlib import Path
import re

from gsc_ros.cli.link_preset import CHANNEL, read_preset
from gsc_ros.link.channel.noise import bit_error_rate, Modulation
import pytest
from test_link_plan import EXACT, WITH_LOSSES

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = (ROOT / 'docs' / 'channels.md').read_text()
PRESETS = sorted((ROOT / 'config' / 'links').glob('*.yaml'))


def rows(cells: int) -> list[list[str]]:
    """Return the rows of the tables with so many cells."""
    found = [[cell.strip() for cell in line.strip('|').split('|')]
             for line in DOCUMENT.splitlines() if line.startswith('| ')]
    return [row for row in found if len(row) == cells]


def test_every_parameter_is_there_with_its_default():
    documented = {row[0].strip('`'): row[1].strip('`') for row in rows(3)
                  if row[0].strip('`') in CHANNEL}
    assert documented == {
        name: 'link_bps' if name == 'rate_bps' else f'{value.default:g}'
        if isinstance(value.default, float) else value.default if isinstance(value.default, str)
        else str(value.default) for name, value in CHANNEL.items()}


def test_every_preset_is_there_with_its_budget_and_mtu():
    documented = {row[0].strip('`'): (int(row[1]), int(row[2])) for row in rows(4)
                  if row[1].isdecimal()}
    assert documented == {
        path.stem: (rules['link_bps'], rules['mtu'])
        for path in PRESETS for rules, _ in [read_preset(path.stem)]}


@pytest.mark.parametrize('path', PRESETS, ids=lambda path: path.stem)
def test_a_preset_waits_for_what_its_own_channel_overtakes(path):
    rules, channel = read_preset(path.stem)
    latest_ms = channel.get('jitter_ms', 0.0)
    assert rules.get('reorder_ms', 30.0) >= latest_ms


@pytest.mark.parametrize('modulation', list(Modulation), ids=lambda modulation: modulation.value)
def test_the_signal_to_noise_ratios_make_the_bit_error_rates_that_are_told(modulation):
    (row,) = [row for row in rows(6) if row[0] == f'`{modulation.value}`']
    for cell, rate in zip(row[4:], (1e-3, 1e-5)):
        snr_db = float(cell.removesuffix(' dB'))
        assert bit_error_rate(modulation, snr_db) == pytest.approx(rate, rel=0.02)


def test_the_tolerances_of_a_plan_are_those_of_its_test():
    names = {'frame period': 'frame_period_s', 'bytes a frame': 'frame_bytes',
             'payload share': 'payload_share', 'median latency': 'latency_s'}
    for row in rows(3):
        if row[0] in names:
            told = [float(cell.removesuffix(' %')) / 100 for cell in row[1:]]
            assert told == [EXACT[names[row[0]]], WITH_LOSSES[names[row[0]]]]
            del names[row[0]]
    assert not names


def test_the_tests_it_names_exist():
    tests = ''.join(path.read_text() for path in (ROOT / 'test').glob('test_link_*.py'))
    names = re.findall(r'`(test_\w{20,})`', DOCUMENT)
    assert names
    for name in names:
        assert f'def {name}(' in tests, name
