# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What may be wrong with the file of a spool, in words that name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import sqlite3


class SpoolError(Exception):
    """A spool cannot be used, now or at all; the message names the file and the reason."""


class SpoolBusyError(SpoolError):
    """Another process uses the spool."""


class SpoolForeignError(SpoolError):
    """The file is not a spool, or one of another kind or a newer version."""


class SpoolDamagedError(SpoolError):
    """The file was a spool, but its content is damaged."""


class SpoolDiskError(SpoolError):
    """The disk is full or does not obey; what was committed before is as it was."""


class SpoolFullError(SpoolDiskError):
    """The disk is full."""


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite or the system raises into a `SpoolError` that names the file."""
    try:
        yield
    except OSError as error:
        raise SpoolDiskError(f'{path}: {error.strerror or error}') from error
    except sqlite3.ProgrammingError:
        raise  # a defect of ours, not of the file
    except sqlite3.Error as error:
        text = str(error)
        if 'not a database' in text:
            raise SpoolForeignError(f'{path}: is not a spool: {text}') from error
        # What SQLite calls operational is of the moment (disk, permissions, locks), but for tables
        # that are not there.
        if isinstance(error, sqlite3.OperationalError) and not any(
                word in text for word in ('malformed', 'no such', 'decode')):
            kind = SpoolFullError if 'full' in text else SpoolDiskError
            raise kind(f'{path}: {text}') from error
        raise SpoolDamagedError(f'{path}: is damaged: {text}') from error
