# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The hash of a file that may be too large to be read at once."""

from __future__ import annotations

import hashlib
from pathlib import Path

_CHUNK = 1 << 22


def sha256_of_file(path: Path) -> str:
    """
    Return the SHA-256 of a file's content, 64 hexadecimal digits.

    :raises OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
