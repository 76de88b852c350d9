# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A file of every departure, which `link.audit` checks against the budget."""

from __future__ import annotations

import csv
from pathlib import Path

from gsc_ros.link.audit import Departure, TRACE_HEADER


class TraceFile:
    """Writes departures as CSV; goes on where a killed process has left the file."""

    def __init__(self, path: Path) -> None:
        """
        Open the file for appending.

        :raises OSError: the file cannot be written.
        """
        # Line by line, so that a process that is killed leaves all it has sent.
        self._file = path.open('a', newline='', buffering=1)
        self._writer = csv.writer(self._file)
        if path.stat().st_size == 0:
            self._writer.writerow(TRACE_HEADER)

    def write(self, departure: Departure) -> None:
        """Append one departure."""
        self._writer.writerow((departure.time_ns, departure.bits, departure.kind))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
