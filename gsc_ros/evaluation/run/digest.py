# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of content, by which results are kept: the same content gives the same name anywhere."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

from gsc_ros.codec.digest import sha256_of_file
import numpy as np


def digest_of(value: Any) -> str:
    """
    Return 32 hexadecimal digits that stand for a value.

    :param value: JSON values, arrays, and dataclasses of them (a `Sample`, say).
    """
    state = hashlib.sha256()
    _feed(state, value)
    return state.hexdigest()[:32]


def digest_of_file(path: Path) -> str:
    """
    Return 32 hexadecimal digits that stand for the content of a file.

    :raises OSError: it cannot be read.
    """
    return sha256_of_file(path)[:32]


def _feed(state: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        state.update(f'{value.dtype.str}{list(value.shape)}'.encode())
        state.update(np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value) and not isinstance(value, type):
        state.update(type(value).__name__.encode())
        for entry in fields(value):
            state.update(entry.name.encode())
            _feed(state, getattr(value, entry.name))
    else:
        state.update(json.dumps(value, sort_keys=True).encode())
