# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The file of a spool: a SQLite database that one process writes and others may read.

`spool_outgoing` and `spool_incoming` say what the two kinds of spool do with it, `spool_reader`
reads both. Here is what they share: how a file is made, recognised, locked, and what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
import fcntl
import os
from pathlib import Path
import secrets
import sqlite3

from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.spool.error import (
    SpoolBusyError,
    SpoolDamagedError,
    SpoolDiskError,
    SpoolForeignError,
    SpoolFullError,
    sqlite_errors,
)
from gsc_ros.link.spool.room import SpoolRoom

# 'GSCS' in the header of the file says that it is ours, the schema's version what is in it.
APPLICATION_ID = 0x47534353
SCHEMA_VERSION = 1
ID_BYTES = 8
# What a row takes besides its packet, in the table and its indices.
ROW_BYTES = 100

_SHARED_SCHEMA = """
CREATE TABLE spool (
    role TEXT NOT NULL, id BLOB NOT NULL, bytes INTEGER NOT NULL, evicted INTEGER NOT NULL,
    next INTEGER NOT NULL, floor INTEGER NOT NULL, boot TEXT NOT NULL);
CREATE TABLE camera (
    key INTEGER PRIMARY KEY AUTOINCREMENT, peer INTEGER NOT NULL, number INTEGER NOT NULL,
    known INTEGER NOT NULL, camera_id INTEGER NOT NULL, name TEXT NOT NULL,
    frame_id TEXT NOT NULL, priority INTEGER NOT NULL, calibration BLOB NOT NULL,
    session INTEGER NOT NULL, base_sequence INTEGER NOT NULL, base_stamp_ns INTEGER NOT NULL);
CREATE TABLE frame (
    key INTEGER PRIMARY KEY, peer INTEGER NOT NULL, number INTEGER NOT NULL,
    camera INTEGER NOT NULL REFERENCES camera, priority INTEGER NOT NULL,
    sequence INTEGER NOT NULL, stamp_ns INTEGER NOT NULL, encode_ms REAL,
    bytes INTEGER NOT NULL, packet BLOB NOT NULL);
CREATE INDEX frame_by_camera ON frame (camera);
CREATE TABLE peer (
    key INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, next INTEGER NOT NULL,
    handed INTEGER NOT NULL, evicted INTEGER NOT NULL, abandoned INTEGER NOT NULL);
"""
_SCHEMA_OF_ROLE = {
    'outgoing': 'CREATE INDEX frame_by_worth ON frame (priority DESC, key, bytes);',
    'incoming': 'CREATE UNIQUE INDEX frame_by_number ON frame (peer, number); '
                'CREATE UNIQUE INDEX camera_by_number ON camera (peer, number);',
}


class Role(Enum):
    """Which end of the link a spool is of."""

    OUTGOING = 'outgoing'
    INCOMING = 'incoming'


@dataclass(frozen=True)
class SpoolCamera:
    """
    What all frames of a camera share, stored once.

    :param camera: name, frame_id, priority and calibration.
    :param session: the sender's session, uint16.
    :param base_sequence: number of the first frame, uint32; on the link others are told from it.
    :param base_stamp_ns: stamp of the first frame.
    """

    camera: CameraAnnounce
    session: int
    base_sequence: int
    base_stamp_ns: int

    def describes(self, other: SpoolCamera) -> bool:
        """Return whether frames of `other` can be told from this one's first frame as well."""
        return (self.camera, self.session) == (other.camera, other.session)


@dataclass(frozen=True)
class SpoolFrame:
    """
    A frame in a spool.

    :param number: its place in the order of the sender's spool, from 1.
    :param camera_key: the row of its camera.
    :param camera: what that row says.
    :param sequence: uint32, as the sender of the frame counts.
    :param stamp_ns: exact source stamp.
    :param encode_ms: time that coding took; NaN when unknown.
    :param packet: the coded frame.
    """

    number: int
    camera_key: int
    camera: SpoolCamera
    sequence: int
    stamp_ns: int
    encode_ms: float
    packet: bytes


_CAMERA_COLUMNS = ('camera.camera_id, camera.name, camera.frame_id, camera.priority, '
                   'camera.calibration, camera.session, camera.base_sequence, '
                   'camera.base_stamp_ns')
_FRAMES = ('SELECT frame.number, frame.camera, frame.sequence, frame.stamp_ns, frame.encode_ms, '
           f'frame.packet, {_CAMERA_COLUMNS} FROM frame JOIN camera ON camera.key = frame.camera ')


class SpoolFile:
    """
    The open database of a spool, locked against other writers until it is closed.

    A file that does not exist is made, with a random identity. Its owner is one thread at a time.

    :param path: the database; `-wal`, `-shm` and `.lock` are put beside it.
    :param role: which kind it must be.
    :raises SpoolError: of the kind that says why it cannot be used.
    """

    def __init__(self, path: Path, role: Role) -> None:
        """Lock and open the file, or make it."""
        self.path = path
        lock_file = Path(f'{path}.lock')
        made = not lock_file.exists()
        self._lock, known = _take_lock(path, lock_file)
        try:
            self.connection, self._room = self._open(role)
        except BaseException as error:
            if made:  # nothing is left beside a file that is not ours
                lock_file.unlink(missing_ok=True)
            os.close(self._lock)
            if known and isinstance(error, SpoolForeignError) and not _has_header(path):
                raise SpoolDamagedError(f'{path}: was a spool, but is damaged') from error
            raise
        # Says who has it, and later that this has been a spool, should its header be damaged.
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Close the file and let others have it; closing twice does nothing."""
        if self._lock >= 0:
            with self.errors():
                self._room.close()
            os.close(self._lock)
            self._lock = -1

    @contextmanager
    def transaction(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """
        Do what is inside wholly, or not at all.

        :param durable: let it survive a loss of power, too, from the time of leaving on; else only
            the end of the process, until the next transaction that is durable.
        :raises SpoolDiskError: nothing has changed.
        :raises SpoolDamagedError: the file is damaged.
        """
        with self.errors():
            if durable:
                self._room.reserve_log()
            self.connection.execute(f'PRAGMA synchronous = {"FULL" if durable else "NORMAL"}')
            self.connection.execute('BEGIN IMMEDIATE')
            try:
                with sqlite_errors(self.path):
                    yield self.connection
                    self._room.reserve_pages()
                    self.connection.execute('COMMIT')
            except BaseException as error:
                # A full disk makes SQLite roll back by itself.
                if self.connection.in_transaction:
                    self.connection.execute('ROLLBACK')
                if isinstance(error, SpoolFullError):
                    self._room.work_log_in()
                raise

    @contextmanager
    def errors(self) -> Iterator[None]:
        """
        Turn what SQLite raises into a `SpoolError` that names the file.

        :raises SpoolDamagedError: also where a damaged file was closed and could not be replaced.
        """
        if self._lock < 0:
            raise SpoolDamagedError(f'{self.path}: is damaged and closed')
        with sqlite_errors(self.path):
            yield

    def _open(self, role: Role) -> tuple[sqlite3.Connection, SpoolRoom]:
        with sqlite_errors(self.path):
            try:
                # Made here, so that pictures are not for everybody to read.
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            except FileExistsError:
                pass
            connection = sqlite3.connect(
                self.path, timeout=1.0, isolation_level=None, check_same_thread=False)
            try:
                if is_empty(connection):
                    _create(connection, role)
                    _sync_folder(self.path.parent)
                _check(connection, self.path, role)
                connection.execute('PRAGMA journal_mode = WAL')
                return connection, SpoolRoom(self.path, connection)
            except BaseException:
                connection.close()
                raise


def open_spool(path: Path, role: Role) -> tuple[SpoolFile, Path | None]:
    """
    Open a spool; in the place of a damaged one make a new one.

    :returns: the open file, and what the damaged one is called now.
    :raises SpoolError: as `SpoolFile`, but for damage.
    """
    try:
        return SpoolFile(path, role), None
    except SpoolDamagedError:
        aside = set_aside(path)
        return SpoolFile(path, role), aside


def set_aside(path: Path) -> Path:
    """
    Rename a damaged spool, so that a new one can be made in its place.

    :returns: its new name.
    :raises SpoolDiskError: it cannot be renamed.
    """
    with sqlite_errors(path):
        number = 1
        while (aside := path.with_name(f'{path.name}.damaged-{number}')).exists():
            number += 1
        # The log last: what is left of a log without its database, SQLite throws away.
        for suffix in ('', '-wal', '-shm'):
            old = path.with_name(path.name + suffix)
            if old.exists():
                old.rename(aside.with_name(aside.name + suffix))
        _sync_folder(path.parent)
        return aside


def read_frames(
    connection: sqlite3.Connection, where: str = '', arguments: tuple = (),
) -> list[SpoolFrame]:
    """
    Return frames with their cameras.

    :param where: what follows the tables in a SELECT.
    """
    frames = []
    for row in connection.execute(_FRAMES + where, arguments):
        number, key, sequence, stamp_ns, encode_ms, packet = row[:6]
        frames.append(SpoolFrame(
            number, key, _camera(row[6:]), sequence, stamp_ns,
            float('nan') if encode_ms is None else encode_ms, packet))
    return frames


def read_cameras(connection: sqlite3.Connection, where: str = '', arguments: tuple = (),
                 ) -> list[tuple[int, SpoolCamera]]:
    """Return the cameras and the keys of their rows."""
    rows = connection.execute(
        f'SELECT camera.key, {_CAMERA_COLUMNS} FROM camera {where}', arguments)
    return [(row[0], _camera(row[1:])) for row in rows]


def add_camera(
    connection: sqlite3.Connection, about: SpoolCamera, peer: int = 0, number: int = 0,
) -> int:
    """
    Store a camera and return the key of its row.

    :param peer: row of the spool that it came from, in an incoming spool.
    :param number: what that spool calls it.
    """
    camera = about.camera
    return connection.execute(
        'INSERT INTO camera (peer, number, known, camera_id, name, frame_id, priority, '
        'calibration, session, base_sequence, base_stamp_ns) VALUES (?,?,0,?,?,?,?,?,?,?,?)',
        (peer, number, camera.camera_id, camera.name, camera.frame_id, camera.priority,
         camera.calibration, about.session, about.base_sequence, about.base_stamp_ns)).lastrowid


def _camera(row: tuple) -> SpoolCamera:
    return SpoolCamera(CameraAnnounce(*row[:5]), *row[5:])


def _take_lock(path: Path, lock_file: Path) -> tuple[int, bool]:
    """
    Lock a spool; the kernel lets go of it when the process ends, however.

    :returns: the open lock file, and whether a spool has been opened under it before.
    """
    try:
        lock = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SpoolDiskError(f'{path}: cannot be locked: {error.strerror}') from error
    owner = os.pread(lock, 20, 0).decode('ascii', 'replace')
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise SpoolBusyError(f'{path}: is used by process {owner or "unknown"}') from error
    return lock, bool(owner)


def _has_header(path: Path) -> bool:
    with path.open('rb') as file:
        return file.read(16) == b'SQLite format 3\0'


def is_empty(connection: sqlite3.Connection) -> bool:
    """Return whether nothing has been written into a database yet."""
    return connection.execute('SELECT COUNT(*) FROM sqlite_master').fetchone()[0] == 0 and (
        connection.execute('PRAGMA application_id').fetchone()[0] == 0)


def _create(connection: sqlite3.Connection, role: Role) -> None:
    """Write the schema in one transaction: a file is either empty or a spool."""
    identity = secrets.token_hex(ID_BYTES)
    connection.execute('PRAGMA synchronous = FULL')
    connection.executescript(
        f'BEGIN IMMEDIATE; {_SHARED_SCHEMA} {_SCHEMA_OF_ROLE[role.value]} '
        f'PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; '
        f"INSERT INTO spool VALUES ('{role.value}', x'{identity}', 0, 0, 1, 1, ''); "
        'COMMIT;')


def identify(connection: sqlite3.Connection, path: Path) -> None:
    """
    Look whether a database is a spool.

    :raises SpoolForeignError: it is not, or one of another version.
    """
    if connection.execute('PRAGMA application_id').fetchone()[0] != APPLICATION_ID:
        raise SpoolForeignError(f'{path}: is a database, but not a spool')
    version = connection.execute('PRAGMA user_version').fetchone()[0]
    if version != SCHEMA_VERSION:
        raise SpoolForeignError(
            f'{path}: is a spool of version {version}, this program reads {SCHEMA_VERSION}')


def _check(connection: sqlite3.Connection, path: Path, role: Role) -> None:
    identify(connection, path)
    trouble = connection.execute('PRAGMA quick_check(1)').fetchone()[0]
    if trouble != 'ok':
        raise SpoolDamagedError(f'{path}: is damaged: {trouble}')
    rows = connection.execute('SELECT role FROM spool').fetchall()
    if len(rows) != 1:
        raise SpoolDamagedError(f'{path}: is damaged: {len(rows)} identities')
    if rows[0][0] != role.value:
        raise SpoolForeignError(f'{path}: is an {rows[0][0]} spool, not an {role.value} one')


def _sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
