# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Room on the disk for a spool: reserved in time, so that it can still evict when the disk is full.

Whatever changes in the database is written into the log first, also a deletion, and from there into
the database. So a spool that is to make room in itself needs the log, and the log must not hold a
page that has no room in the database: else it could be worked in, and begun again, no more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import errno
import os
from pathlib import Path
import sqlite3

from gsc_ros.link.spool.error import SpoolFullError

# What the log takes on the disk from the beginning. It is worked in after 1000 pages (4 MB), and
# one transaction may need as much again.
LOG_BYTES = 8 << 20
_WORK_IN_PAGES = 1000
# On a small disk the log takes this part of what is free.
_LOG_SHARE = 4
_LEAST_STEP_BYTES = 64 << 10
# The database grows by so much at a time.
_GROWTH_BYTES = 1 << 20

# On a full disk, so many bytes less than before are kept, fewer if that does not help: the pages of
# what is deleted are used again, but rows are deleted here and there, and pages are whole.
_FULL_DISK_MARGINS = (16 << 10, 128 << 10, 1 << 20)


class SpoolRoom:
    """
    What an open spool has reserved of the disk: its log, and the pages of its database.

    :param path: the database.
    :param connection: it writes there, and is closed by `close`.
    :raises OSError: the database cannot be written.
    :raises sqlite3.Error: as the connection says.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Reserve what is there."""
        self._path = path
        self._log_path = Path(f'{path}-wal')
        self._connection = connection
        self._page_bytes = connection.execute('PRAGMA page_size').fetchone()[0]
        connection.execute(f'PRAGMA journal_size_limit = {LOG_BYTES}')
        # Open as long as the database is: closing it takes SQLite's locks on the file away.
        self._database = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def close(self) -> None:
        """
        Close the connection and the database; the log stays where it might find no room again.

        :raises sqlite3.Error: as the connection says.
        """
        reader = self._open_reader() if self._is_disk_short() else None
        self._connection.close()
        if reader is not None:
            reader.close()
        os.close(self._database)

    def _is_disk_short(self) -> bool:
        with suppress(OSError):
            disk = os.statvfs(self._path)
            return disk.f_bavail * disk.f_frsize < LOG_BYTES
        return False

    def _open_reader(self) -> sqlite3.Connection | None:
        """Return what keeps SQLite from deleting the log: a reader that is closed last."""
        self.work_log_in()
        with suppress(sqlite3.Error):
            reader = sqlite3.connect(f'{self._path.absolute().as_uri()}?mode=ro', uri=True)
            reader.execute('SELECT 1 FROM spool').fetchall()
            return reader
        return None

    def reserve_log(self) -> None:
        """Let the log have its size on the disk, or less where that is nearly full."""
        try:
            have = self._log_path.stat().st_size
            if have >= LOG_BYTES:
                return
            disk = os.statvfs(self._log_path)
            wanted = min(LOG_BYTES, (have + disk.f_bavail * disk.f_frsize) // _LOG_SHARE)
            log = os.open(self._log_path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:  # it is made when it is used first
            return
        try:
            # What is reserved reads as zeros, which are no valid part of a log.
            if wanted >= have + _LEAST_STEP_BYTES and _allocate(log, have, wanted):
                have = wanted
        finally:
            os.close(log)
        pages = min(_WORK_IN_PAGES, max(1, have // 2 // self._page_bytes))
        self._connection.execute(f'PRAGMA wal_autocheckpoint = {pages}')

    def reserve_pages(self) -> None:
        """
        Let the database have on the disk what the transaction that is open needs.

        :raises SpoolFullError: there is no room for it.
        """
        pages = self._connection.execute('PRAGMA page_count').fetchone()[0]
        have, wanted = os.fstat(self._database).st_size, pages * self._page_bytes
        if wanted > have and not _allocate(self._database, have, have + _GROWTH_BYTES + (
                wanted - have)) and not _allocate(self._database, have, wanted):
            raise SpoolFullError(f'{self._path}: {os.strerror(errno.ENOSPC)}, the disk is full')

    def work_log_in(self) -> None:
        """Write what is in the log into the database, so that the log can be begun again."""
        with suppress(sqlite3.Error):
            self._connection.execute('PRAGMA wal_checkpoint(PASSIVE)').fetchall()


def make_room(
    commit: Callable[[int], None], quota_bytes: int, stored_bytes: int,
    note_full: Callable[[], None],
) -> str | None:
    """
    Commit within a quota; where the disk is full, within a smaller one.

    :param commit: called with the quota.
    :param note_full: called each time that the disk was full.
    :returns: what the disk said, if it was full and a smaller quota helped.
    :raises SpoolError: what `commit` raised last.
    """
    limits = [quota_bytes]
    limits += [max(0, min(quota_bytes, stored_bytes - margin)) for margin in _FULL_DISK_MARGINS]
    trouble = None
    for limit in limits[:-1]:
        try:
            commit(limit)
        except SpoolFullError as error:
            note_full()
            trouble = str(error)
        else:
            return trouble
    commit(limits[-1])
    return trouble


def _allocate(file: int, start: int, end: int) -> bool:
    """
    Reserve a part of a file on the disk; return whether there is room, or the disk cannot tell.

    :raises OSError: the disk does not obey.
    """
    try:
        os.posix_fallocate(file, start, end - start)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return False
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
    return True
