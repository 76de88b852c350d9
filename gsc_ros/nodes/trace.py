# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A file of every departure, which `link.audit` checks against the budget."""

from __future__ import annotations

from collections.abc import Sequence
import csv
import errno
import io
import os
from pathlib import Path

from gsc_ros.link.audit import Departure, TRACE_HEADER


class TraceFile:
    """
    Writes departures as CSV; goes on where a killed process has left the file.

    A disk that is full costs records, which are counted, and never the link.
    """

    def __init__(self, path: Path) -> None:
        """
        Open the file for appending.

        :raises OSError: the file cannot be written.
        """
        self.lost = 0
        self.trouble = ''
        # Line by line, so that a process that is killed leaves all it has sent.
        self._file = path.open('ab', buffering=0)
        if path.stat().st_size == 0:
            try:
                self._append(TRACE_HEADER)
            except OSError:
                self._file.close()
                raise

    def write(self, departure: Departure) -> None:
        """Append one departure, or count it as lost."""
        try:
            self._append((departure.time_ns, departure.bits, departure.kind))
        except OSError as error:
            self.lost += 1
            self.trouble = error.strerror or str(error)

    def close(self) -> None:
        """Close the file."""
        try:
            self._file.close()
        except OSError as error:  # the file is closed nevertheless
            self.trouble = error.strerror or str(error)

    def _append(self, row: Sequence[object]) -> None:
        text = io.StringIO()
        csv.writer(text).writerow(row)
        line = text.getvalue().encode()
        written = self._file.write(line) or 0
        if written < len(line):
            # A part of a line would make the next one unreadable, too.
            os.ftruncate(self._file.fileno(), os.fstat(self._file.fileno()).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
