# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The rows of a run on disk, one JSON object a line, so that a stopped run goes on where it was.

A row's key stands for all that it is the result of: the picture and its truth, the method with its
options and weights, the task with its network. What has changed has another key, and nothing else
is measured again. Lines are only ever added; rows that nobody asks for any more stay.
"""

from __future__ import annotations

from collections.abc import Iterable
import fcntl
import json
import os
from pathlib import Path
from typing import Any

from gsc_ros.evaluation.run.method import RunError

#: What a row has.
ROW_FIELDS = frozenset(('image', 'bytes', 'bpp', 'sections', 'values'))


class RowCache:
    """
    The rows of a folder. One process writes to one file; all files are read.

    :param folder: made when it is not there.
    :param writer: names the file to write to; processes of one run have different ones.
    :raises RunError: another process writes to the same file.
    :raises OSError: the folder cannot be made or read.
    """

    def __init__(self, folder: Path, writer: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        path = folder / f'rows-{writer}.jsonl'
        self._file = path.open('ab')
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise RunError(f'{path}: another run is writing to it') from error
        if self._file.tell() and not _ends_with_newline(path):
            self._file.write(b'\n')  # a line cut off when the machine stopped
        self._rows: dict[str, dict[str, Any]] = {}
        self.read()

    def read(self) -> None:
        """
        Take in what all processes have written.

        :raises OSError: a file cannot be read.
        """
        for path in sorted(self._folder.glob('rows-*.jsonl')):
            for line in path.read_bytes().splitlines():
                try:
                    entry = json.loads(line)
                    if ROW_FIELDS <= entry['row'].keys():
                        self._rows[entry['key']] = entry['row']
                except (ValueError, KeyError, TypeError, AttributeError):  # cut off, or not ours
                    continue

    @property
    def keys(self) -> frozenset[str]:
        """Return the keys of all rows there are."""
        return frozenset(self._rows)

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return a row."""
        return self._rows[key]

    def add(self, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """
        Keep rows by key.

        :raises OSError: the disk is full.
        """
        for key, row in rows:
            self._file.write(json.dumps({'key': key, 'row': row}).encode() + b'\n')
            self._rows[key] = row
        self._file.flush()

    def close(self) -> None:
        """Let others write."""
        self._file.close()


def _ends_with_newline(path: Path) -> bool:
    with path.open('rb') as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b'\n'
