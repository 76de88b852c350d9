# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The rover's spool: frames that wait on disk until the far end has them on its own.

::

    append ──> pending ──commit──> on disk, numbered ──settle──> gone: the far end has it
                                       └──quota──> gone: evicted, its number stays a gap

Frames are numbered from 1 in the order in which they came. A number is used once, however often the
process is killed, and nothing but `settle` and the quota takes a frame away. So what the far end
lacks and what is not here has been evicted: the gaps need no list.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
import heapq
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
import secrets
import sqlite3

from gsc_ros.link.spool.error import SpoolError
from gsc_ros.link.spool.room import make_room
from gsc_ros.link.spool.store import (
    add_camera,
    ID_BYTES,
    open_spool,
    read_cameras,
    read_frames,
    Role,
    ROW_BYTES,
    set_aside,
    SpoolCamera,
    SpoolFrame,
)

# What may wait in memory while the disk refuses; beyond that the oldest is given up.
_MAX_PENDING = 256
_MAX_PENDING_BYTES = 4 << 20


@dataclass
class OutgoingCounter:
    """
    What has happened since the store was opened.

    :param appended: frames taken in.
    :param settled: frames that the far end has.
    :param evicted: frames given up for the quota, for a full disk, or because they cannot be sent.
    :param failures: commits that the disk refused.
    """

    appended: int = 0
    settled: int = 0
    evicted: int = 0
    failures: int = 0


@dataclass(frozen=True)
class _Pending:
    camera: SpoolCamera
    sequence: int
    stamp_ns: int
    encode_ms: float
    packet: bytes

    @property
    def bytes(self) -> int:
        return len(self.packet) + ROW_BYTES


class OutgoingStore:
    """
    Frames that wait to be sent. Not for several threads at once.

    A frame is durable (also against a loss of power) when `commit` has returned after it was
    appended; only then it has a number and can be read.

    A file that is damaged is renamed, and a new one made; `aside` is then its new name, else None.

    :param path: the database; made when it does not exist.
    :param quota_bytes: what the frames may take, `ROW_BYTES` for each and their packets, >= 1.
    :raises SpoolError: of the kind that says why the file cannot be used.
    :raises ValueError: the quota is out of range.
    """

    def __init__(self, path: Path, quota_bytes: int) -> None:
        """Open the spool."""
        if quota_bytes < 1:
            raise ValueError(f'quota_bytes must be >= 1, got {quota_bytes}')
        self._quota = quota_bytes
        self.counter = OutgoingCounter()
        # Numbers that are on their way: the quota would rather take others.
        self.pinned: frozenset[int] = frozenset()
        self._pending: deque[_Pending] = deque()
        self._pending_bytes = 0
        self._given_up = 0
        self._settled_through = 0
        self._settled: set[int] = set()
        self._settled_cameras: set[int] = set()
        self._open(path)

    def _open(self, path: Path) -> None:
        self._file, self.aside = open_spool(path, Role.OUTGOING)
        with self._file.errors():
            self.id, self._bytes, self._next, self._floor = self._file.connection.execute(
                'SELECT id, bytes, next, floor FROM spool').fetchone()
            self._frames = self._file.connection.execute(
                'SELECT COUNT(*) FROM frame').fetchone()[0]
            # Of each camera the newest row, which coming frames share unless something changed.
            self._newest = {about.camera.camera_id: (key, about)
                            for key, about in read_cameras(self._file.connection)}

    @property
    def path(self) -> Path:
        """Return the database's path."""
        return self._file.path

    @property
    def next_number(self) -> int:
        """Return the number after the last one given; what is below it is durable or gone."""
        return self._next

    @property
    def floor(self) -> int:
        """Return the first number of which no far end has said yet that it needs it no more."""
        return max(self._floor, self._settled_through)

    @property
    def bytes(self) -> int:
        """Return what the frames on disk take, as the quota counts."""
        return self._bytes

    @property
    def frames(self) -> int:
        """Return how many frames are on disk."""
        return self._frames

    @property
    def pending(self) -> int:
        """Return how many frames wait for `commit`."""
        return len(self._pending)

    @property
    def crowded(self) -> bool:
        """Return whether so much waits for `commit` that it should come now."""
        return len(self._pending) >= _MAX_PENDING // 2 or (
            self._pending_bytes >= _MAX_PENDING_BYTES // 2)

    @property
    def dirty(self) -> bool:
        """Return whether `commit` has something to do."""
        return bool(self._pending or self._given_up or self._settled or self._settled_through
                    or self._settled_cameras)

    def close(self) -> None:
        """
        Commit what can be, and let go of the file.

        :raises SpoolError: the last commit failed; the file is closed all the same.
        """
        try:
            self.commit()
        finally:
            self._file.close()

    def replace(self) -> None:
        """
        Go on with a new file, because this one turned out to be damaged; `aside` names the old one.

        What is in memory is kept.

        :raises SpoolError: the file cannot be renamed, or no new one be made.
        """
        with suppress(SpoolError):
            self._file.close()
        aside = set_aside(self.path)
        self._settled_through = 0
        self._settled.clear()
        self._settled_cameras.clear()
        self._open(self.path)
        self.aside = aside

    def append(
        self, camera: SpoolCamera, sequence: int, stamp_ns: int, encode_ms: float, packet: bytes,
    ) -> None:
        """Take in a frame; it is durable after the next `commit`."""
        frame = _Pending(camera, sequence, stamp_ns, encode_ms, packet)
        self._pending.append(frame)
        self._pending_bytes += frame.bytes
        self.counter.appended += 1
        while len(self._pending) > _MAX_PENDING or (
                self._pending_bytes > _MAX_PENDING_BYTES and len(self._pending) > 1):
            self._pending_bytes -= self._pending.popleft().bytes
            self._given_up += 1

    def settle(self, below: int, further: frozenset[int] = frozenset()) -> None:
        """
        Note that the far end has frames durably, or knows that they are gone.

        They leave the disk with the next `commit`; if the process is killed before, they are sent
        again and the far end ignores them.

        :param below: the far end needs no number less than this.
        :param further: numbers above it that it has.
        """
        if below > self.floor:
            self._settled_through = below
        self._settled |= {number for number in further if number >= below}

    def settle_camera(self, key: int) -> None:
        """Note that the far end knows a camera, durably."""
        self._settled_cameras.add(key)

    def camera(self, key: int) -> SpoolCamera | None:
        """Return a camera by its key, or None."""
        with self._file.errors():
            found = read_cameras(self._file.connection, 'WHERE key = ?', (key,))
        return found[0][1] if found else None

    def is_known(self, key: int) -> bool:
        """Return whether the far end is known to know a camera."""
        if key in self._settled_cameras:
            return True
        with self._file.errors():
            row = self._file.connection.execute(
                'SELECT known FROM camera WHERE key = ?', (key,)).fetchone()
        return row is not None and row[0] == 1

    def forget_camera(self, key: int) -> None:
        """
        Note that the far end does not know a camera after all.

        :raises SpoolError: as `commit`.
        """
        self._settled_cameras.discard(key)
        with self._file.transaction() as connection:
            connection.execute('UPDATE camera SET known = 0 WHERE key = ?', (key,))

    def evict(self, number: int) -> None:
        """
        Give up one frame that can never be sent.

        :raises SpoolError: as `commit`.
        """
        with self._file.transaction() as connection:
            count, size = _delete(connection, self._newest, [number])
            total = self._bytes - size
            connection.execute(
                'UPDATE spool SET bytes = ?, evicted = evicted + ?', (total, count))
        self._bytes = total
        self._frames -= count
        self.counter.evicted += count

    def renew(self) -> None:
        """
        Take a new identity, as if all frames had come to a new spool.

        For a file that is older than what the far end knows of it, as one that was restored from a
        copy: its next numbers have been used already.
        """
        identity = secrets.token_bytes(ID_BYTES)
        floor = next(iter(self.numbers(0, 1)), self._next)
        with self._file.transaction() as connection:
            connection.execute('UPDATE spool SET id = ?, floor = ?', (identity, floor))
            connection.execute('UPDATE camera SET known = 0')
        self.id, self._floor, self._settled_through = identity, floor, 0
        self._settled.clear()
        self._settled_cameras.clear()

    def numbers(self, at_least: int, limit: int) -> list[int]:
        """Return the smallest numbers on disk that are not less than `at_least`, ascending."""
        with self._file.errors():
            return [number for number, in self._file.connection.execute(
                'SELECT key FROM frame WHERE key >= ? ORDER BY key LIMIT ?', (at_least, limit))]

    def absent_before(self, number: int, at_least: int) -> int:
        """Return how many numbers directly before one are not on disk, down to `at_least`."""
        with self._file.errors():
            row = self._file.connection.execute(
                'SELECT MAX(key) FROM frame WHERE key < ? AND key >= ?',
                (number, at_least)).fetchone()
        return number - (at_least if row[0] is None else row[0] + 1)

    def read(self, number: int) -> SpoolFrame | None:
        """Return a frame that is on disk, or None."""
        with self._file.errors():
            frames = read_frames(self._file.connection, 'WHERE frame.key = ?', (number,))
        return frames[0] if frames else None

    def commit(self) -> str | None:
        """
        Make durable what was appended and settled, in one transaction, and keep to the quota.

        :returns: what is to be said of the disk, although it has been done; or None.
        :raises SpoolDiskError: nothing has changed on disk; what waits, waits on, within bounds.
        :raises SpoolDamagedError: the file is damaged.
        """
        return make_room(self._commit, self._quota, self._bytes, self._note_full) if (
            self.dirty) else None

    def _note_full(self) -> None:
        self.counter.failures += 1

    def _commit(self, quota: int) -> None:
        first = self._next + self._given_up
        numbered = list(enumerate(self._pending, first))
        newest = dict(self._newest)
        with self._file.transaction() as connection:
            settled = [key for key, in connection.execute(
                'SELECT key FROM frame WHERE key < ?', (self._settled_through,))]
            settled += self._settled
            count, size = _delete(connection, newest, settled)
            evicted = {number: frame.bytes for number, frame in numbered if frame.bytes > quota}
            total = self._bytes + self._pending_bytes - size - sum(evicted.values())
            connection.executemany('UPDATE camera SET known = 1 WHERE key = ?',
                                   [(key,) for key in self._settled_cameras])
            fitting = [(number, frame) for number, frame in numbered if number not in evicted]
            worst = self._least_worth(connection, fitting, total - quota)
            evicted |= worst
            _delete(connection, newest, [number for number in evicted if number < first])
            for number, frame in numbered:
                if number not in evicted:
                    _insert(connection, newest, number, frame)
            total -= sum(worst.values())
            gone, after = len(evicted) + self._given_up, first + len(numbered)
            connection.execute(
                'UPDATE spool SET bytes = ?, evicted = evicted + ?, next = ?, floor = ?',
                (total, gone, after, self.floor))
        self._bytes, self._next, self._newest, self._floor = total, after, newest, self.floor
        self._frames += len(numbered) - count - len(evicted)
        self.counter.settled += count
        self.counter.evicted += gone
        self._pending.clear()
        self._pending_bytes = self._given_up = self._settled_through = 0
        self._settled.clear()
        self._settled_cameras.clear()

    def _least_worth(
        self, connection: sqlite3.Connection, numbered: list[tuple[int, _Pending]], excess: int,
    ) -> dict[int, int]:
        """
        Return which numbers to evict, and their bytes.

        The least urgent first; among equals the oldest, but those on their way last.
        """
        evicted: dict[int, int] = {}
        if excess <= 0:
            return evicted
        stored = connection.execute(
            'SELECT -priority, key, bytes FROM frame ORDER BY priority DESC, key')
        coming = sorted((-frame.camera.camera.priority, number, frame.bytes)
                        for number, frame in numbered)
        for _, equals in groupby(heapq.merge(stored, coming), key=itemgetter(0)):
            pinned = []
            for _, number, size in chain(
                    (row for row in equals if row[1] not in self.pinned or pinned.append(row)),
                    pinned):
                if excess <= 0:
                    return evicted
                evicted[number] = size
                excess -= size
        return evicted


_Newest = dict[int, tuple[int, SpoolCamera]]


def _insert(
    connection: sqlite3.Connection, newest: _Newest, number: int, frame: _Pending,
) -> None:
    camera_id = frame.camera.camera.camera_id
    key, about = newest.get(camera_id, (None, None))
    if about is None or not about.describes(frame.camera):
        old, key = key, add_camera(connection, frame.camera)
        newest[camera_id] = key, frame.camera
        if old is not None:
            _forget_unused(connection, old)
    connection.execute(
        'INSERT INTO frame (key, peer, number, camera, priority, sequence, stamp_ns, encode_ms, '
        'bytes, packet) VALUES (?,0,?,?,?,?,?,?,?,?)',
        (number, number, key, frame.camera.camera.priority, frame.sequence, frame.stamp_ns,
         frame.encode_ms, frame.bytes, frame.packet))


def _delete(connection: sqlite3.Connection, newest: _Newest, numbers: Iterable[int],
            ) -> tuple[int, int]:
    """Delete frames, and cameras that are of no more use; return how many, and their bytes."""
    count, freed, touched = 0, 0, set()
    for number in numbers:
        for size, key in connection.execute(
                'DELETE FROM frame WHERE key = ? RETURNING bytes, camera', (number,)).fetchall():
            count += 1
            freed += size
            touched.add(key)
    for key in touched - {key for key, _ in newest.values()}:
        _forget_unused(connection, key)
    return count, freed


def _forget_unused(connection: sqlite3.Connection, camera: int) -> None:
    connection.execute('DELETE FROM camera WHERE key = ? AND NOT EXISTS '
                       '(SELECT 1 FROM frame WHERE camera = ?)', (camera, camera))
