# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gsc`: finding verbs, exit statuses, and a fast start."""

import os
from pathlib import Path
import subprocess
import sys
import time
from types import SimpleNamespace

from gsc_ros.cli import main as entry
from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.codec.packet import Packet, serialize
import pytest


def run_gsc(*words):
    """Run `gsc` as a process."""
    return subprocess.run([sys.executable, '-m', 'gsc_ros.cli.main', *words],
                          capture_output=True, text=True, timeout=60)


@pytest.fixture(name='verb')
def fixture_verb(monkeypatch):
    """Return a function that puts another `run` in the place of every verb's."""
    def put(run):
        module = SimpleNamespace(__doc__='A verb.', add_arguments=lambda parser: None, run=run)
        monkeypatch.setattr(entry.importlib, 'import_module', lambda name: module)
    return put


def test_help_names_every_verb():
    done = run_gsc('--help')
    assert done.returncode == 0
    for verb in entry.VERBS:
        assert f'  {verb.name}' in done.stdout


def test_no_verb_is_a_usage_error():
    done = run_gsc()
    assert done.returncode == 2
    assert 'VERB' in done.stderr
    assert done.stdout == ''


def test_an_unknown_verb_is_a_usage_error():
    done = run_gsc('enocde')
    assert done.returncode == 2
    assert "'enocde'" in done.stderr


def test_help_imports_no_verb():
    code = ('import sys; from gsc_ros.cli.main import main\n'
            'try: main(["--help"])\n'
            'except SystemExit: pass\n'
            'assert not {"cv2", "numpy", "rich", "rclpy"} & set(sys.modules)')
    subprocess.run([sys.executable, '-c', code], check=True, stdout=subprocess.DEVNULL)


def test_help_is_there_at_once():
    run_gsc('--help')  # so that no module must be compiled
    start = time.monotonic()
    run_gsc('--help')
    assert time.monotonic() - start < 1.5  # 0.1 s on an idle machine


def test_nothing_returned_is_success(verb):
    verb(lambda arguments: None)
    assert entry.main(['info']) == 0


def test_a_verb_chooses_its_status(verb):
    verb(lambda arguments: 130)
    assert entry.main(['info']) == 130


@pytest.mark.parametrize(('error', 'status'), ((DataError, 1), (UsageError, 2)))
def test_an_error_is_one_line_on_stderr_and_a_status(verb, capsys, error, status):
    def run(arguments):
        raise error('a.gsc: truncated')
    verb(run)
    assert entry.main(['info']) == status
    shown = capsys.readouterr()
    assert shown.err == 'gsc info: error: a.gsc: truncated\n'
    assert shown.out == ''


def test_ctrl_c_is_not_a_traceback(verb, capsys):
    def run(arguments):
        raise KeyboardInterrupt
    verb(run)
    assert entry.main(['info']) == 130
    assert capsys.readouterr().err == 'gsc info: interrupted\n'


def fail_import(name):
    """Return a replacement for import_module that lacks a module."""
    def import_module(_):
        raise ModuleNotFoundError(f'No module named {name!r}', name=name)
    return import_module


def test_a_missing_package_is_one_line_that_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr(entry.importlib, 'import_module', fail_import('torch.nn'))
    assert entry.main(['train']) == 2
    shown = capsys.readouterr().err
    assert "needs torch, which is not installed; try: pip install 'gsc_ros[train]'" in shown
    assert shown.count('\n') == 1


@pytest.mark.parametrize('name', ('rclpy', 'sensor_msgs.msg', 'gsc_ros.msg'))
def test_a_missing_ros_is_one_line_that_says_what_to_do(monkeypatch, capsys, name):
    monkeypatch.setattr(entry.importlib, 'import_module', fail_import(name))
    assert entry.main(['demo']) == 2
    shown = capsys.readouterr().err
    assert 'needs ROS 2' in shown
    assert '`make demo`' in shown
    assert shown.count('\n') == 1


def test_a_defect_of_our_own_is_not_dressed_up(monkeypatch):
    monkeypatch.setattr(entry.importlib, 'import_module', fail_import('gsc_ros.codec.gone'))
    with pytest.raises(ModuleNotFoundError):
        entry.main(['info'])


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    done = subprocess.run(
        f'{sys.executable} -m gsc_ros.cli.main --help | true', shell=True, capture_output=True,
        text=True)
    assert 'Traceback' not in done.stderr


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='a device of Linux')
@pytest.mark.parametrize('words', (['info', 'a.gsc'], ['info', 'a.gsc', '--json']))
def test_a_full_disk_under_the_output_is_one_line_and_status_1(tmp_path, words):
    (tmp_path / 'a.gsc').write_bytes(serialize(Packet(1, 16, 16, (0,), 0, stream=b'')))
    with open('/dev/full', 'w') as full:
        done = subprocess.run(
            [sys.executable, '-m', 'gsc_ros.cli.main', *words], stdout=full, cwd=tmp_path,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}, stderr=subprocess.PIPE,
            text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == 'gsc: error: [Errno 28] No space left on device\n'


def test_a_pipe_that_breaks_at_the_end_is_no_error(tmp_path):
    (tmp_path / 'a.gsc').write_bytes(serialize(Packet(1, 16, 16, (0,), 0, stream=b'')))
    read, write = os.pipe()
    os.close(read)
    with open(write, 'w') as broken:
        done = subprocess.run(
            [sys.executable, '-m', 'gsc_ros.cli.main', 'info', tmp_path / 'a.gsc'],
            stdout=broken, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, '')


def test_a_closed_stdout_is_no_error(tmp_path):
    (tmp_path / 'a.gsc').write_bytes(serialize(Packet(1, 16, 16, (0,), 0, stream=b'')))
    done = subprocess.run(
        f'{sys.executable} -m gsc_ros.cli.main info {tmp_path}/a.gsc >&-', shell=True,
        stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, '')


@pytest.mark.parametrize('encoding', ('ascii:strict', 'utf-8:strict'))
def test_what_the_terminal_cannot_show_is_escaped(tmp_path, encoding):
    path = os.fsencode(tmp_path) + b'/\xff.gsc'
    with open(path, 'wb') as file:
        file.write(serialize(Packet(
            1, 16, 16, (0,), 0, stream=b'', caption_id=0, text=b'\0gr\xc3\xbcn')))
    done = subprocess.run(
        [sys.executable, '-m', 'gsc_ros.cli.main', 'info', path], capture_output=True, timeout=60,
        env={**os.environ, 'PYTHONIOENCODING': encoding})
    assert (done.returncode, done.stderr) == (0, b'')
    assert b'\\udcff.gsc' in done.stdout
    assert (b'gr\\xfcn' if 'ascii' in encoding else 'grün'.encode()) in done.stdout
