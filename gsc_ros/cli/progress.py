# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Progress over many files, on stderr, where it does not mix with results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar('Item')


def track(items: Sequence[Item], description: str) -> Iterator[Item]:
    """Yield the items; show a bar when there is more than one and stderr is a terminal."""
    if len(items) < 2:
        yield from items
        return
    # Imported here because one file needs no bar, and rich takes a tenth of a second.
    from rich.console import Console
    from rich.progress import track as rich_track
    yield from rich_track(items, description, console=Console(stderr=True), transient=True)
