# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a spool: what they hold, what they refuse, and what damage does to them."""

from __future__ import annotations

from collections.abc import Iterator
import math
import os
from pathlib import Path
from random import Random
import sqlite3
import stat
import subprocess
import sys

from gsc_ros.link.spool import incoming as spool_incoming
from gsc_ros.link.spool.error import SpoolBusyError, SpoolDiskError, SpoolError, SpoolForeignError
from gsc_ros.link.spool.incoming import IncomingStore, WINDOW
from gsc_ros.link.spool.outgoing import OutgoingStore
from gsc_ros.link.spool.reader import SpoolReader
from gsc_ros.link.spool.store import ROW_BYTES, SpoolFrame
from hypothesis import given, settings, strategies
import pytest
from spool_frames import (
    append,
    fill,
    folder_in_memory,
    make_camera,
    make_packet,
    make_stamp_ns,
    PACKET_BYTES,
)

QUOTA = 1 << 20
FRAME_BYTES = PACKET_BYTES + ROW_BYTES
SPOOL = b'\x01' * 8


@pytest.fixture(name='path')
def fixture_path() -> Iterator[Path]:
    """Return where a spool may be made."""
    with folder_in_memory() as folder:
        yield folder / 'frames.spool'


def numbers(store: OutgoingStore) -> list[int]:
    """Return all that waits."""
    return store.numbers(0, 1 << 20)


def arrive(store: IncomingStore, *sequences: int, camera: int = 1) -> None:
    """Take in frames whose number is one more than their sequence."""
    if store.next_number(SPOOL) is None:
        store.meet(SPOOL, 1)
    store.add_camera(SPOOL, camera, make_camera())
    for sequence in sequences:
        store.arrive(SPOOL, sequence + 1, camera, sequence, make_stamp_ns(sequence), 1.0,
                     make_packet(sequence))


def take(store: IncomingStore) -> list[SpoolFrame]:
    """Commit, and return what is to be handed on."""
    store.commit()
    return store.take()


def test_a_frame_is_read_as_it_was_written_also_after_a_restart(path):
    store = OutgoingStore(path, QUOTA)
    store.append(make_camera(3, 2), (1 << 32) - 1, -(1 << 63), math.nan, b'packet')
    store.commit()
    store.close()
    frame = OutgoingStore(path, QUOTA).read(1)
    assert (frame.sequence, frame.stamp_ns, frame.packet) == ((1 << 32) - 1, -(1 << 63), b'packet')
    assert math.isnan(frame.encode_ms)
    assert frame.camera == make_camera(3, 2)


def test_what_is_not_committed_cannot_be_read(path):
    store = OutgoingStore(path, QUOTA)
    append(store, 0)
    assert (numbers(store), store.pending, store.next_number) == ([], 1, 1)
    store.commit()
    assert (numbers(store), store.pending, store.next_number) == ([1], 0, 2)


def test_a_number_is_never_used_again(path):
    store = OutgoingStore(path, QUOTA)
    fill(store, 3)
    store.settle(4)
    store.close()
    again = OutgoingStore(path, QUOTA)
    fill(again, 1)
    assert numbers(again) == [4]


def test_what_the_far_end_has_leaves_the_disk(path):
    store = OutgoingStore(path, QUOTA)
    fill(store, 6)
    store.settle(3, {5})
    store.commit()
    assert numbers(store) == [3, 4, 6]
    assert (store.frames, store.bytes, store.counter.settled) == (3, 3 * FRAME_BYTES, 3)
    assert store.absent_before(6, 3) == 1


def test_a_camera_is_stored_once_and_forgotten_with_its_last_frame(path):
    store = OutgoingStore(path, QUOTA)
    for sequence in range(20):
        append(store, sequence, make_camera(calibration=bytes([sequence // 10])))
    store.commit()
    keys = [store.read(number).camera_key for number in (1, 10, 11, 20)]
    assert keys[0] == keys[1] != keys[2] == keys[3]
    store.settle(11)
    store.commit()
    assert store.camera(keys[0]) is None
    assert store.camera(keys[2]).camera.calibration == b'\x01'


def test_the_quota_takes_the_oldest_of_the_least_urgent(path):
    store = OutgoingStore(path, 6 * FRAME_BYTES)
    urgent, other = make_camera(0, 0), make_camera(1, 9)
    for sequence, camera in enumerate((urgent, other, other, urgent, other, urgent)):
        append(store, sequence, camera)
    store.commit()
    append(store, 6, urgent)
    append(store, 7, other)
    store.commit()
    assert numbers(store) == [1, 4, 5, 6, 7, 8]
    assert store.counter.evicted == 2
    for sequence in range(8, 14):
        append(store, sequence, urgent)
    store.commit()
    assert numbers(store) == [9, 10, 11, 12, 13, 14]
    append(store, 14, other)
    store.commit()
    assert numbers(store) == [9, 10, 11, 12, 13, 14]


def test_the_quota_leaves_frames_alone_that_are_on_their_way(path):
    store = OutgoingStore(path, 4 * FRAME_BYTES)
    fill(store, 4)
    store.pinned = frozenset({1, 2})
    fill(store, 1, first=4)
    assert numbers(store) == [1, 2, 4, 5]


def test_a_frame_larger_than_the_quota_is_given_up_and_the_others_stay(path):
    store = OutgoingStore(path, 4 * FRAME_BYTES)
    fill(store, 2)
    append(store, 2, size=5 * FRAME_BYTES)
    store.commit()
    assert numbers(store) == [1, 2]
    assert (store.next_number, store.counter.evicted) == (4, 1)


@settings(deadline=None, max_examples=30)
@given(strategies.lists(strategies.tuples(
    strategies.integers(0, 3), strategies.integers(1, 900), strategies.booleans()), max_size=40))
def test_the_quota_holds_and_every_number_is_stored_or_counted(frames):
    with folder_in_memory() as folder:
        store = OutgoingStore(folder / 'frames.spool', 2000)
        for sequence, (priority, size, commit) in enumerate(frames):
            append(store, sequence, make_camera(priority, priority), size)
            if commit:
                store.commit()
                assert store.bytes <= 2000
        store.commit()
        held = numbers(store)
        assert store.bytes == sum(len(store.read(n).packet) + ROW_BYTES for n in held) <= 2000
        assert len(held) + store.counter.evicted == len(frames) == store.next_number - 1
        store.close()


def test_the_file_does_not_grow_far_beyond_the_quota(path):
    store = OutgoingStore(path, 200_000)
    for sequence in range(0, 10_000, 50):
        fill(store, 50, first=sequence)
    size = sum(file.stat().st_size for file in path.parent.iterdir())
    assert size < 1.4 * 200_000 + (10 << 20)


def test_frames_are_released_in_order_and_once(path):
    store = IncomingStore(path, QUOTA)
    arrive(store, 1, 2)
    assert take(store) == []
    assert store.held(SPOOL) == {2, 3}
    arrive(store, 0, 1)
    assert [frame.sequence for frame in take(store)] == [0, 1, 2]
    arrive(store, 0, 1, 2)
    assert take(store) == []
    assert (store.next_number(SPOOL), store.counter.duplicates) == (4, 4)


def test_what_is_held_is_released_after_a_restart(path):
    store = IncomingStore(path, QUOTA)
    arrive(store, 1, 3)
    store.commit()
    store.close()
    again = IncomingStore(path, QUOTA)
    arrive(again, 0)
    assert [frame.number for frame in take(again)] == [1, 2]
    again.pass_over(SPOOL, 3, 4)
    assert [frame.number for frame in take(again)] == [4]
    assert again.counter.evicted == 1


def test_what_was_not_taken_before_a_kill_is_taken_after_it(path):
    store = IncomingStore(path, QUOTA)
    arrive(store, 0, 1)
    take(store)
    arrive(store, 2, 3)
    store.commit()
    store.close()
    again = IncomingStore(path, QUOTA)
    assert [frame.number for frame in again.take()] == [3, 4]
    again.close()
    assert IncomingStore(path, QUOTA).take() == []


def test_after_a_restart_of_the_system_nothing_is_taken_that_may_have_been(path, monkeypatch):
    store = IncomingStore(path, QUOTA)
    arrive(store, 0, 1, 3)
    store.commit()
    store.close()
    monkeypatch.setattr(spool_incoming, '_boot_id', lambda: 'another')
    again = IncomingStore(path, QUOTA)
    assert again.take() == []
    arrive(again, 2)
    assert [frame.number for frame in take(again)] == [3, 4]
    with SpoolReader(path) as reader:
        assert len(reader) == 4


def test_a_gap_does_not_take_what_is_here(path):
    store = IncomingStore(path, QUOTA)
    arrive(store, 4)
    store.pass_over(SPOOL, 1, 9)
    assert [frame.number for frame in take(store)] == [5]
    assert (store.next_number(SPOOL), store.counter.evicted) == (9, 7)


def test_numbers_out_of_reach_are_not_stored(path):
    store = IncomingStore(path, QUOTA)
    arrive(store, WINDOW, WINDOW - 1)
    store.commit()
    assert store.held(SPOOL) == {WINDOW}


def test_a_new_spool_releases_what_the_old_one_left_unfinished(path):
    store = IncomingStore(path, QUOTA)
    arrive(store, 0, 2, 5)
    store.commit()
    assert [frame.number for frame in store.take()] == [1]
    store.meet(b'\x02' * 8, 10)
    assert [frame.number for frame in store.take()] == [3, 6]
    assert store.counter.abandoned == 3
    assert store.next_number(b'\x02' * 8) == 10
    store.meet(SPOOL, 1)
    assert store.take() == []
    assert store.next_number(SPOOL) == 7


def test_of_many_spools_those_met_longest_ago_are_forgotten_first_those_without_frames(path):
    store = IncomingStore(path, QUOTA)
    arrive(store, 0, 1)
    take(store)
    spools = [number.to_bytes(8, 'big') for number in range(1, 200)]
    for spool in spools[:30]:
        store.meet(spool, 1)
        store.add_camera(spool, 1, make_camera())
        store.arrive(spool, 1, 1, 0, make_stamp_ns(0), 1.0, make_packet(0))
        take(store)
    for spool in spools[30:]:
        store.meet(spool, 1)
    known = [spool for spool in spools if store.next_number(spool) is not None]
    assert known == spools[:30] + spools[-33:]
    assert store.next_number(SPOOL) == 3
    for spool in spools[30:130]:
        store.meet(spool, 1)
        store.add_camera(spool, 1, make_camera())
        store.arrive(spool, 1, 1, 0, make_stamp_ns(0), 1.0, make_packet(0))
        take(store)
    assert sum(store.next_number(spool) is not None for spool in [SPOOL, *spools]) == 64
    kept, counter = store.bytes, store.counter
    assert kept == FRAME_BYTES * (counter.stored - counter.discarded) == 64 * FRAME_BYTES
    store.close()
    store = IncomingStore(path, QUOTA)
    assert store.bytes == kept
    with SpoolReader(path) as reader:
        assert len(list(reader)) == 64


def test_the_incoming_quota_deletes_only_what_has_been_handed_on(path):
    store = IncomingStore(path, 5 * FRAME_BYTES)
    arrive(store, *range(6), 7, 8)
    take(store)
    arrive(store, 9)
    store.commit()
    with SpoolReader(path) as reader:
        assert [frame.number for frame in reader][-4:] == [6, 8, 9, 10]
    arrive(store, 6)
    assert [frame.number for frame in take(store)] == [7, 8, 9, 10]


def test_only_one_process_has_a_spool_and_the_other_hears_which(path):
    store = OutgoingStore(path, QUOTA)
    code = ('import sys; from pathlib import Path\n'
            'from gsc_ros.link.spool.outgoing import OutgoingStore\n'
            'OutgoingStore(Path(sys.argv[1]), 1000)\n')
    done = subprocess.run([sys.executable, '-c', code, path], capture_output=True, text=True)
    assert done.returncode != 0
    assert f'{path}: is used by process {os.getpid()}' in done.stderr
    with pytest.raises(SpoolBusyError):
        OutgoingStore(path, QUOTA)
    store.close()
    OutgoingStore(path, QUOTA).close()


def test_others_may_read_while_it_is_used(path):
    store = OutgoingStore(path, QUOTA)
    fill(store, 200)
    with SpoolReader(path) as reader:
        assert (len(reader), reader.evicted, reader.id) == (200, 0, store.id)
        seen = []
        for frame in reader:
            seen.append(frame.number)
            if frame.number == 10:
                fill(store, 1, first=200)
    assert seen == list(range(1, 202))


def test_a_spool_is_for_nobody_else_to_read(path):
    OutgoingStore(path, QUOTA).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_deleted_spool_comes_again_as_another(path):
    store = OutgoingStore(path, QUOTA)
    fill(store, 3)
    store.close()
    path.unlink()
    again = OutgoingStore(path, QUOTA)
    assert (again.id != store.id, numbers(again), again.next_number) == (True, [], 1)


def test_the_log_of_a_deleted_database_is_not_taken_for_that_of_the_new_one(path):
    store = OutgoingStore(path, QUOTA)
    fill(store, 3)
    log = path.with_name(path.name + '-wal')
    content = log.read_bytes()
    store.close()
    path.unlink()
    log.write_bytes(content)
    again = OutgoingStore(path, QUOTA)
    assert (again.id != store.id, numbers(again)) == (True, [])


@pytest.mark.parametrize('seed', range(5))
def test_a_torn_log_is_read_up_to_the_commit_before(path, seed):
    random = Random(seed)
    store = OutgoingStore(path, QUOTA)
    for sequence in range(0, 60, 3):
        fill(store, 3, first=sequence)
    log = path.with_name(path.name + '-wal').read_bytes()
    database = path.read_bytes()
    store.close()
    for _ in range(20):
        cut = random.randrange(len(log))
        torn = path.with_name(f'torn-{cut}')
        torn.write_bytes(database)
        torn.with_name(torn.name + '-wal').write_bytes(
            log[:cut] + random.randbytes(random.choice((0, 5000))))
        again = OutgoingStore(torn, QUOTA)
        held = numbers(again)
        assert again.aside is None
        assert held == list(range(1, again.next_number))
        assert len(held) % 3 == 0
        assert again.bytes == FRAME_BYTES * len(held)
        again.close()


@pytest.mark.parametrize('content', [
    b'not a database, but the only copy of a thesis' * 100,
    b'SQLite format 3\x00' + bytes(2000),
], ids=['text', 'header'])
def test_a_file_that_is_no_spool_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(SpoolForeignError, match=str(path)):
            OutgoingStore(path, QUOTA)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_database_of_others_is_refused_and_left_alone(path):
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE frame (a)')
    content = path.read_bytes()
    with pytest.raises(SpoolForeignError, match='not a spool'):
        OutgoingStore(path, QUOTA)
    assert path.read_bytes() == content


def test_a_spool_of_the_other_end_or_of_a_newer_version_is_refused(path):
    OutgoingStore(path, QUOTA).close()
    with pytest.raises(SpoolForeignError, match='outgoing spool'):
        IncomingStore(path, QUOTA)
    with sqlite3.connect(path) as connection:
        connection.execute('PRAGMA user_version = 2')
    with pytest.raises(SpoolForeignError, match='version 2'):
        OutgoingStore(path, QUOTA)


def test_a_folder_that_is_not_there_or_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(SpoolDiskError, match='No such file'):
        OutgoingStore(tmp_path / 'missing' / 'frames.spool', QUOTA)
    with pytest.raises(SpoolError):
        OutgoingStore(tmp_path, QUOTA)


@pytest.mark.parametrize('place', [0, 4096, 20_000], ids=['header', 'schema', 'content'])
def test_a_damaged_spool_is_set_aside_and_a_new_one_begun(path, place):
    store = OutgoingStore(path, QUOTA)
    fill(store, 200)
    store.close()
    content = bytearray(path.read_bytes())
    content[place:place + 30_000] = os.urandom(30_000)
    path.write_bytes(content)
    again = OutgoingStore(path, QUOTA)
    assert again.aside == path.with_name(path.name + '.damaged-1')
    assert again.aside.read_bytes() == content
    assert (again.id != store.id, numbers(again)) == (True, [])
    fill(again, 1)
    again.close()
    assert OutgoingStore(path, QUOTA).aside is None


def test_damage_found_while_it_is_used_can_be_replaced(path):
    store = OutgoingStore(path, QUOTA)
    fill(store, 300)
    store.close()
    store = OutgoingStore(path, QUOTA)
    with path.open('r+b') as file:
        file.seek(8192)
        file.write(os.urandom(path.stat().st_size - 8192))
    store._file.connection.execute('PRAGMA shrink_memory')
    append(store, 300)
    with pytest.raises(SpoolError, match='damaged'):
        for number in range(1, 301):
            store.read(number)
    store.replace()
    store.commit()
    assert [store.read(number).sequence for number in numbers(store)] == [300]
    assert store.aside.exists()


def limit_pages(store: OutgoingStore | IncomingStore, more: int) -> None:
    """Let the database grow by so many pages, and then be told that the disk is full."""
    connection = store._file.connection
    pages = connection.execute('PRAGMA page_count').fetchone()[0]
    connection.execute(f'PRAGMA max_page_count = {pages + more}')


def test_a_full_disk_is_a_smaller_quota(path):
    store = OutgoingStore(path, QUOTA)
    fill(store, 100)
    limit_pages(store, 2)
    for sequence in range(100, 300):
        append(store, sequence)
        store.commit()
    held = numbers(store)
    assert held[-1] == 300
    assert len(held) >= 40
    assert store.counter.failures > 0
    assert len(held) + store.counter.evicted == 300


def test_a_full_disk_takes_the_newest_of_what_arrives(path):
    store = IncomingStore(path, QUOTA)
    arrive(store, *range(90))
    take(store)
    limit_pages(store, 1)
    released = []
    for sequence in range(90, 200):
        arrive(store, sequence)
        released += take(store)
    assert [frame.sequence for frame in released] == list(range(90, 200))
    assert store.counter.failures > 0


def test_a_disk_that_takes_nothing_is_told_and_what_waits_is_bounded_and_counted(path):
    code = f"""
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from spool_frames import append, fill
from gsc_ros.link.spool.outgoing import OutgoingStore
from gsc_ros.link.spool.error import SpoolDiskError
store = OutgoingStore(Path(sys.argv[1]), 1 << 20)
fill(store, 5)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
refused = 0
for sequence in range(5, 505):
    append(store, sequence)
    try:
        store.commit()
    except SpoolDiskError as error:
        refused += 1
        assert sys.argv[1] in str(error)
resource.setrlimit(resource.RLIMIT_FSIZE, before)
store.commit()
held = store.numbers(0, 1000)
print(refused > 200, store.next_number, len(held) + store.counter.evicted, held[-1],
      store.read(held[-1]).sequence)
"""
    done = subprocess.run(
        [sys.executable, '-c', code, path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['True', '506', '505', '505', '504']
