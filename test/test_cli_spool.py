# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc spool` by what it does."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
import signal
import subprocess
import sys

from command_line import call
from gsc_ros.link.spool.incoming import IncomingStore
from gsc_ros.link.spool.outgoing import OutgoingStore
import pytest
from spool_frames import append, make_camera, make_packet, make_stamp_ns, PACKET_BYTES


@pytest.fixture(name='spool')
def fixture_spool(tmp_path: Path) -> Path:
    """Return a rover's spool of two cameras, ten frames."""
    path = tmp_path / 'rover.spool'
    store = OutgoingStore(path, 1 << 20)
    for sequence in range(10):
        append(store, sequence, make_camera(sequence % 2, sequence % 2))
    store.close()
    return path


def test_ls_says_what_waits_camera_by_camera(capsys, spool):
    shown = call(capsys, 'spool', 'ls', spool, '--json').json
    assert (shown['role'], shown['frames'], shown['bytes'], shown['next'], shown['evicted']) == (
        'outgoing', 10, 10 * PACKET_BYTES, 11, 0)
    assert shown['cameras'][1] == {
        'camera': 'camera1', 'frames': 5, 'bytes': 5 * PACKET_BYTES,
        'first_ns': make_stamp_ns(1), 'last_ns': make_stamp_ns(9)}


def test_people_get_a_line_per_camera_and_per_frame(capsys, spool):
    lines = call(capsys, 'spool', 'ls', spool, '--frames').out.splitlines()
    assert len(lines) == 2 + 2 + 10
    assert '10 frames wait' in lines[1]
    assert '2025-06-15 15:06:40.123' in lines[2]
    assert lines[-1].split()[:3] == ['10', 'camera1', '9']


def test_export_writes_packets_stamps_and_all_that_is_known(capsys, spool, tmp_path):
    output = tmp_path / 'drive'
    assert call(capsys, 'spool', 'export', spool, output, '--json').json == {
        'output': str(output), 'frames': 10, 'cameras': ['camera0', 'camera1']}
    packets = sorted((output / 'camera1').glob('*.gsc'))
    assert [packet.read_bytes() for packet in packets] == [
        make_packet(sequence) for sequence in range(1, 10, 2)]
    stamps = (output / 'camera1' / 'timestamps.txt').read_text().split()
    assert [int(stamp) for stamp in stamps] == [make_stamp_ns(n) for n in range(1, 10, 2)]
    with (output / 'index.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [(int(row['number']), int(row['sequence']), int(row['stamp_ns'])) for row in rows] == [
        (n + 1, n, make_stamp_ns(n)) for n in range(10)]
    assert (output / rows[3]['file']).read_bytes() == make_packet(3)
    assert (rows[3]['frame_id'], rows[3]['encode_ms']) == ('camera1_optical', '12.5')
    cameras = json.loads((output / 'cameras.json').read_text())
    assert bytes.fromhex(cameras['camera0'][0]['calibration']) == b'cal'


def test_export_of_one_camera_leaves_the_others(capsys, spool, tmp_path):
    call(capsys, 'spool', 'export', spool, tmp_path / 'out', '--camera', 'camera0')
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'camera0', 'cameras.json', 'index.csv']


def test_what_arrived_is_exported_in_the_order_of_the_rover(capsys, tmp_path):
    path, spool = tmp_path / 'ground.spool', b'12345678'
    store = IncomingStore(path, 1 << 20)
    store.meet(spool, 1)
    store.add_camera(spool, 4, make_camera())
    for number in (3, 1, 2):
        store.arrive(spool, number, 4, number, make_stamp_ns(number), 1.0, make_packet(number))
        store.commit()
    shown = call(capsys, 'spool', 'ls', path, '--json', '--frames').json
    assert [frame['number'] for frame in shown['list']] == [1, 2, 3]
    assert shown['peers'] == [
        {'id': spool.hex(), 'next': 4, 'evicted': 0, 'abandoned': 0}]
    assert 'next' not in shown


def test_frames_beyond_a_gap_are_told(capsys, tmp_path):
    path, spool = tmp_path / 'ground.spool', b'12345678'
    store = IncomingStore(path, 1 << 20)
    store.meet(spool, 1)
    store.add_camera(spool, 4, make_camera())
    for number in (1, 3, 4):
        store.arrive(spool, number, 4, number, make_stamp_ns(number), 1.0, make_packet(number))
    store.commit()
    assert call(capsys, 'spool', 'ls', path, '--json').json['beyond_gaps'] == 2
    assert '2 of them are beyond a gap' in call(capsys, 'spool', 'ls', path).out
    done = call(capsys, 'spool', 'export', path, tmp_path / 'out')
    assert done.status == 0 and '2 of them are beyond a gap' in done.err
    store.arrive(spool, 2, 4, 2, make_stamp_ns(2), 1.0, make_packet(2))
    store.commit()
    assert 'beyond a' not in call(capsys, 'spool', 'ls', path).out


def test_what_is_not_there_is_said_as_everywhere(capsys, tmp_path):
    for action in (('ls',), ('export', tmp_path / 'out')):
        done = call(capsys, 'spool', action[0], tmp_path / 'no.spool', *action[1:])
        assert done.status == 1
        assert f'{tmp_path / "no.spool"}: no such file' in done.err
    assert 'not a file' in call(capsys, 'spool', 'ls', tmp_path).err


def test_a_name_from_the_link_reaches_neither_the_terminal_nor_other_folders(capsys, tmp_path):
    path = tmp_path / 'rover.spool'
    store = OutgoingStore(path, 1 << 20)
    camera = make_camera()
    object.__setattr__(camera.camera, 'name', '../../\x1b[2Jevil')
    append(store, 0, camera)
    store.close()
    assert '\x1b' not in call(capsys, 'spool', 'ls', path, '--frames').out
    call(capsys, 'spool', 'export', path, tmp_path / 'out')
    assert [file.name for file in tmp_path.rglob('*.gsc')] == ['00000001.gsc']
    assert list((tmp_path / 'out').glob('*/*.gsc'))


def test_a_spool_whose_process_was_killed_can_be_read(capsys, tmp_path):
    path = tmp_path / 'rover.spool'
    code = ('import os, signal, sys; from pathlib import Path\n'
            f'sys.path.insert(0, {str(Path(__file__).parent)!r})\n'
            'from gsc_ros.link.spool.outgoing import OutgoingStore\n'
            'from spool_frames import fill\n'
            'store = OutgoingStore(Path(sys.argv[1]), 1 << 20)\n'
            'fill(store, 7)\n'
            'os.kill(os.getpid(), signal.SIGKILL)\n')
    done = subprocess.run([sys.executable, '-c', code, path])
    assert done.returncode == -signal.SIGKILL
    assert call(capsys, 'spool', 'ls', path, '--json').json['frames'] == 7


def test_what_can_be_read_of_a_damaged_spool_is_exported(capsys, tmp_path):
    path = tmp_path / 'rover.spool.damaged-1'
    store = OutgoingStore(path, 1 << 22)
    for sequence in range(1000):
        append(store, sequence)
    store.close()
    size = path.stat().st_size
    with path.open('r+b') as file:
        file.seek(size // 2)
        file.write(os.urandom(size // 4))
    done = call(capsys, 'spool', 'export', path, tmp_path / 'out')
    assert done.status == 1
    assert 'damaged' in done.err
    assert len(list((tmp_path / 'out' / 'camera0').glob('*.gsc'))) > 50
    assert json.loads((tmp_path / 'out' / 'cameras.json').read_text())


@pytest.mark.parametrize('content', [None, b'', b'no spool' * 100])
def test_what_is_no_spool_is_an_error_that_names_it(capsys, tmp_path, content):
    path = tmp_path / 'file'
    if content is not None:
        path.write_bytes(content)
    done = call(capsys, 'spool', 'ls', path)
    assert done.status == 1
    assert done.err.startswith(f'gsc spool: error: {path}: ')
    assert [file.name for file in tmp_path.iterdir()] == ([] if content is None else ['file'])


def test_an_output_that_exists_is_left_alone(capsys, spool, tmp_path):
    done = call(capsys, 'spool', 'export', spool, tmp_path)
    assert done.status == 2
    assert 'exists already' in done.err
