# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A disk that is full: what a spool has reserved lets it evict the old and take the new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import shutil
import subprocess
import sys

from gsc_ros.link.spool.outgoing import OutgoingStore
from gsc_ros.link.spool.room import LOG_BYTES
import pytest
from spool_frames import append, fill, folder_in_memory

_PRELUDE = f"""
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from spool_frames import append, fill, make_camera, make_packet, make_stamp_ns
from gsc_ros.link.spool.incoming import IncomingStore
from gsc_ros.link.spool.outgoing import OutgoingStore
folder = Path(sys.argv[1])
spool = folder / 'spool'

def fill_disk():
    # Another program, that takes whatever becomes free.
    try:
        with (folder / 'other').open('ab', buffering=0) as other:
            while True:
                other.write(bytes(4096))
    except OSError:
        pass
"""
_ROVER = """
store = OutgoingStore(spool, 1 << 30)
fill(store, 500)
for sequence in range(500, 2500):
    fill_disk()
    append(store, sequence)
    store.commit()
held = store.numbers(0, 1 << 20)
print(held[-1], len(held) > 200, len(held) + store.counter.evicted, store.counter.failures > 0)
print(store._file.connection.execute('PRAGMA integrity_check').fetchone()[0])
"""
_GROUND = """
store = IncomingStore(spool, 1 << 30)
rover = bytes(8)
store.meet(rover, 1)
store.add_camera(rover, 1, make_camera())
handed = []
for sequence in range(2500):
    if sequence >= 500:
        fill_disk()
    store.arrive(rover, sequence + 1, 1, sequence, make_stamp_ns(sequence), 1.0,
                 make_packet(sequence))
    store.commit()
    handed += [frame.sequence for frame in store.take()]
print(handed == list(range(2500)), store.counter.discarded > 0, store.counter.failures > 0)
print(store._file.connection.execute('PRAGMA integrity_check').fetchone()[0])
"""
_KILLED = """
import os
store = OutgoingStore(spool, 1 << 30)
fill(store, 200)
print(store.next_number, flush=True)
fill_disk()
os.kill(os.getpid(), signal.SIGKILL)
"""
_STOPPED = """
store = OutgoingStore(spool, 1 << 30)
fill(store, 200)
print(store.next_number)
fill_disk()
store.close()
"""
_RESTARTED = """
fill_disk()
store = OutgoingStore(spool, 1 << 30)
for sequence in range(200, 700):
    append(store, sequence)
    store.commit()
held = store.numbers(0, 1 << 20)
print(held[-1], len(held) + store.counter.evicted)
"""


@pytest.fixture(name='folder')
def fixture_folder() -> Iterator[Path]:
    """Return a folder that a disk can be mounted on."""
    with folder_in_memory() as folder:
        yield folder


def on_disk(folder: Path, size: str, *programs: str) -> list[str]:
    """Run programs, one after the other, on a disk of a size; return the lines they print."""
    if shutil.which('unshare') is None:
        pytest.skip('needs unshare')
    enter = ['unshare', '--mount', '--map-root-user', 'sh', '-c']
    mount = f'mount -t tmpfs -o size={size} none "$1"'
    if subprocess.run([*enter, mount, 'sh', folder], capture_output=True).returncode:
        pytest.skip('mounting is not allowed here')
    for number, program in enumerate(programs):
        (folder.parent / f'{folder.name}.{number}').write_text(_PRELUDE + program)
    calls = '; '.join(f'"$0" "$1.{number}" "$1"' for number in range(len(programs)))
    try:
        done = subprocess.run([*enter, f'{mount} && {{ {calls}; }}', sys.executable, folder],
                              capture_output=True, text=True)
    finally:
        for number in range(len(programs)):
            (folder.parent / f'{folder.name}.{number}').unlink()
    assert 'Traceback' not in done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize('size', ['32m', '2m'])
def test_a_rover_whose_disk_is_full_keeps_the_newest_and_counts_the_others(folder, size):
    assert on_disk(folder, size, _ROVER) == ['2500 True 2500 True', 'ok']


@pytest.mark.parametrize('size', ['32m', '2m'])
def test_a_ground_whose_disk_is_full_hands_on_all_that_arrives(folder, size):
    assert on_disk(folder, size, _GROUND) == ['True True True', 'ok']


@pytest.mark.parametrize('ended', [_KILLED, _STOPPED], ids=['killed', 'stopped'])
def test_a_spool_that_is_opened_again_goes_on_although_the_disk_is_full(folder, ended):
    assert on_disk(folder, '32m', ended, _RESTARTED) == ['201', '700 700']


def test_files_that_may_not_grow_are_a_full_disk(folder):
    """Room in the file is used again, and the log begun again, where neither may grow."""
    code = _PRELUDE + f"""
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({LOG_BYTES}, {LOG_BYTES}))
store = OutgoingStore(spool, 1 << 30)
for first in range(0, 60_000, 50):
    fill(store, 50, first=first)
held = store.numbers(0, 1 << 20)
print(held[-1], len(held) > 10_000, len(held) + store.counter.evicted, store.counter.failures > 0)
"""
    done = subprocess.run([sys.executable, '-c', code, folder], capture_output=True, text=True,
                          check=True)
    assert done.stdout.split() == ['60000', 'True', '60000', 'True']


def test_the_log_is_reserved_with_the_first_commit_and_never_shrinks(folder):
    path = folder / 'spool'
    log = Path(f'{path}-wal')
    store = OutgoingStore(path, 1 << 30)
    append(store, 0)
    store.commit()
    assert log.stat().st_size == LOG_BYTES
    fill(store, 2000, first=1)
    assert log.stat().st_size >= LOG_BYTES
    store.close()
    assert not log.exists()
