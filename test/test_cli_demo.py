# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of `gsc demo`; what it does with them, test/system/test_demo.py sees."""

from pathlib import Path

from command_line import call
from gsc_ros.demo.error import DemoError
import pytest

demo = pytest.importorskip(
    'gsc_ros.cli.demo', reason='the demo needs ROS 2 and the built messages')


@pytest.fixture(name='asked')
def fixture_asked(monkeypatch):
    """Return a list that gets the settings of every run that is asked for; none is started."""
    runs = []

    def run_demo(settings, display):
        runs.append(settings)
        raise DemoError('not started')
    monkeypatch.setattr(demo, 'run_demo', run_demo)
    return runs


def test_without_arguments_the_link_carries_20_kbit_s(capsys, asked):
    call(capsys, 'demo')
    (settings,) = asked
    assert settings.link_bps == 20_000
    assert settings.output == Path('out', 'demo')
    assert settings.camera == 'front'


def test_the_shared_drive_is_replayed_if_it_is_there_else_terrain(
        capsys, asked, monkeypatch, tmp_path):
    monkeypatch.setenv('GSC_SHARED_DATA', str(tmp_path))
    call(capsys, 'demo')
    drive = tmp_path / 'kitti' / '2011_09_26' / '2011_09_26_drive_0000_sync'
    drive.mkdir(parents=True)
    call(capsys, 'demo')
    call(capsys, 'demo', '--input', 'mine.mp4')
    assert [settings.input for settings in asked] == ['terrain', str(drive), 'mine.mp4']


def test_what_is_asked_for_is_passed_on(capsys, asked):
    call(capsys, 'demo', '--link-bps', 2400, '--loss', 0.1, '--delay-ms', 250, '--fps', 2.5,
         '--seconds', 8, '--frames', 9, '--camera', 'left', '--channels', 12, '--quantizer', 3,
         '--mode', 'auto', '--generator', 'mine', '--steps', 2,
         '--caption', 'a road')
    (settings,) = asked
    assert (settings.link_bps, settings.loss, settings.delay_ms) == (2400, 0.1, 250.0)
    assert (settings.fps, settings.seconds, settings.frames) == (2.5, 8.0, 9)
    assert (settings.camera, settings.channels, settings.quantizer) == ('left', 12, 3)
    assert (settings.mode, settings.generator, settings.steps) == ('auto', 'mine', 2)
    assert settings.caption == 'a road'


def test_regions_come_from_the_sources_named_or_from_those_that_are_there(
        capsys, asked, monkeypatch, tmp_path):
    monkeypatch.setenv('GSC_SHARED_DATA', str(tmp_path))
    call(capsys, 'demo')
    call(capsys, 'demo', '--regions')
    call(capsys, 'demo', '--regions', 'zones:0,0,1,0.5', f'detector:{tmp_path}/net.onnx')
    assert [settings.regions for settings in asked] == [
        (), ('importance',), ('zones:0,0,1,0.5', f'detector:{tmp_path}/net.onnx')]


@pytest.mark.parametrize('source', ['topic', 'detector', 'importance:x', 'zones:'])
def test_what_is_no_source_of_regions_is_refused(capsys, asked, source):
    done = call(capsys, 'demo', '--regions', source)
    assert done.status == 2
    assert 'no source of regions' in done.err
    assert not asked


def test_a_run_that_fails_is_one_line_and_status_1(capsys, asked):
    done = call(capsys, 'demo', '--json')
    assert (done.status, done.out, done.err) == (1, '', 'gsc demo: error: not started\n')


@pytest.mark.parametrize('words', (
    ('--link-bps', '0'), ('--loss', '1.5'), ('--loss', 'nan'), ('--delay-ms', '-1'),
    ('--fps', '0'), ('--caption', 'a' * 10 ** 5),
    ('--seconds', '0'), ('--frames', '0'), ('--camera', 'a/b'),
    ('--camera', ''), ('--channels', '321'), ('--mode', 'dream'), ('--domain-id', '233')))
def test_arguments_out_of_range_are_usage_errors(capsys, asked, words):
    done = call(capsys, 'demo', *words)
    assert done.status == 2
    assert 'usage: gsc demo' in done.err
    assert not asked
