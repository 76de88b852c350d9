# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading and writing whole files, with errors that name them."""

from __future__ import annotations

from pathlib import Path

from gsc_ros.cli.error import DataError


def read_bytes(path: Path, limit: int) -> bytes:
    """
    Return the content of a file.

    :param limit: bytes that it may have at most. A device or a disk image has no end.
    :raises DataError: when it is larger or cannot be read.
    """
    try:
        with path.open('rb') as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise DataError(f'{path}: {error.strerror}') from error
    if len(content) > limit:
        raise DataError(f'{path}: larger than {limit} bytes')
    return content


def write_bytes(path: Path, content: bytes) -> None:
    """
    Write a file.

    :raises DataError: when it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise DataError(f'{path}: {error.strerror}') from error
