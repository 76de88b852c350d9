# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads spools, also while a process uses them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import os
from pathlib import Path
import sqlite3
from urllib.parse import quote

from gsc_ros.link.spool.error import SpoolDiskError, SpoolForeignError, sqlite_errors
from gsc_ros.link.spool.store import identify, is_empty, read_frames, Role, SpoolFrame

# Frames read at a time: a reader that took all at once would keep the log from being worked in.
_BATCH = 64


@dataclass(frozen=True)
class SpoolPeer:
    """
    What an incoming spool knows of a rover's.

    :param id: its random identity.
    :param next: the first number still needed of it.
    :param evicted: how many frames it has reported as given up.
    :param abandoned: how many will not come, because a new spool took its place.
    """

    id: bytes
    next: int
    evicted: int
    abandoned: int


@dataclass(frozen=True)
class SpoolContent:
    """
    What a spool holds of one camera.

    :param camera: its name.
    :param frames: how many frames.
    :param bytes: of their packets.
    :param first_ns: the earliest stamp.
    :param last_ns: the latest stamp.
    """

    camera: str
    frames: int
    bytes: int
    first_ns: int
    last_ns: int


class SpoolReader:
    """
    An open spool; a context manager.

    Its attributes are as they were when it was opened: `role`, `id`, `next` (of an outgoing spool,
    the number that the next frame gets), `evicted` (frames given up) and, of an incoming spool,
    `peers`.

    :param path: the database.
    :raises SpoolError: it is not there, not a spool, or damaged.
    """

    def __init__(self, path: Path) -> None:
        """Open the file for reading only."""
        self.path = path
        if not path.is_file():
            raise SpoolDiskError(f'{path}: {"not a file" if path.exists() else "no such file"}')
        with sqlite_errors(path):
            # Where nothing can be written, nobody writes; SQLite would want a file for its locks.
            log = path.with_name(path.name + '-wal')
            frozen = not os.access(path.parent, os.W_OK) and not log.exists()
            self._connection = sqlite3.connect(
                f'file:{quote(str(path.absolute()))}?mode=ro{"&immutable=1" * frozen}', uri=True,
                timeout=5.0)
            try:
                if is_empty(self._connection):
                    raise SpoolForeignError(f'{path}: is not a spool')
                identify(self._connection, path)
                role, self.id, evicted, self.next = self._connection.execute(
                    'SELECT role, id, evicted, next FROM spool').fetchone()
                self.role = Role(role)
                self.peers = [SpoolPeer(*row) for row in self._connection.execute(
                    'SELECT id, next, evicted, abandoned FROM peer ORDER BY key')]
                self.evicted = evicted + sum(peer.evicted for peer in self.peers)
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> SpoolReader:
        """Return the reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._connection.close()

    def __len__(self) -> int:
        """Return how many frames are there now."""
        with sqlite_errors(self.path):
            return self._connection.execute('SELECT COUNT(*) FROM frame').fetchone()[0]

    def contents(self) -> list[SpoolContent]:
        """Return what is there of each camera now."""
        with sqlite_errors(self.path):
            return [SpoolContent(*row) for row in self._connection.execute(
                'SELECT camera.name, COUNT(*), SUM(LENGTH(packet)), MIN(stamp_ns), MAX(stamp_ns) '
                'FROM frame JOIN camera ON camera.key = frame.camera GROUP BY camera.name '
                'ORDER BY camera.name')]

    def beyond_gaps(self) -> int:
        """Return how many frames of an incoming spool are here before earlier ones of theirs."""
        with sqlite_errors(self.path):
            return self._connection.execute(
                'SELECT COUNT(*) FROM frame JOIN peer ON peer.key = frame.peer '
                'WHERE frame.number >= peer.next').fetchone()[0]

    def __iter__(self) -> Iterator[SpoolFrame]:
        """Yield the frames, by number; also those that come while it goes on."""
        last: tuple[int, ...]
        if self.role is Role.OUTGOING:
            place, last = '(frame.key)', (0,)
        else:
            place, last = '(frame.peer, frame.number)', (0, 0)
        marks = ', '.join('?' * len(last))
        columns = place.strip('()')
        while True:
            with sqlite_errors(self.path):
                batch = self._connection.execute(
                    f'SELECT {columns}, frame.key FROM frame WHERE {place} > ({marks}) '
                    f'ORDER BY {columns} LIMIT {_BATCH}', last).fetchall()
                frames = [frame for *_, key in batch for frame in read_frames(
                    self._connection, 'WHERE frame.key = ?', (key,))]
            if not batch:
                return
            last = batch[-1][:-1]
            yield from frames
