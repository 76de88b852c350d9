# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results on disk, so that an interrupted comparison goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
import threading
from typing import Any


class Store:
    """
    JSON objects by what they are the result of. Threads may share it.

    :param folder: made when it is not there.
    :raises OSError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def get(self, description: dict[str, Any]) -> dict[str, Any] | None:
        """Return the result for a description, or None when there is none that can be read."""
        try:
            entry = json.loads(self._path(description).read_text(encoding='utf-8'))
        except (OSError, ValueError):  # absent, or cut off when the machine stopped
            return None
        if isinstance(entry, dict) and entry.get('of') == description:
            return entry.get('result')
        return None

    def put(self, description: dict[str, Any], result: dict[str, Any]) -> None:
        """
        Keep a result.

        :param description: JSON values alone.
        :raises OSError: the disk is full or the folder gone.
        """
        path = self._path(description)
        draft = path.with_suffix(f'.{threading.get_ident()}')
        draft.write_text(json.dumps({'of': description, 'result': result}), encoding='utf-8')
        os.replace(draft, path)

    def _path(self, description: dict[str, Any]) -> Path:
        text = json.dumps(description, sort_keys=True)
        return self._folder / f'{hashlib.sha256(text.encode()).hexdigest()[:32]}.json'
