# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The time of each image: the formats that recordings keep it in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path
import re

from gsc_ros.sources.frame import NS_PER_S, SourceError

#: Frames per second where nothing says otherwise.
DEFAULT_FPS = 10.0
#: Integers from here on are nanoseconds: as seconds they would be 30,000 years.
_LEAST_NS = 10 ** 12

_DATE = re.compile(r'(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?')


def read_timestamps(path: Path) -> list[int]:
    """
    Read a file with one time a line, in nanoseconds since the epoch of the file.

    A line is a date and time (`2011-09-26 13:02:25.964389445`, taken as UTC), a number of seconds,
    or, when the file's last line is an integer of at least 10^12, an integer of nanoseconds.

    :return: the times in the order of the lines, which need not be that of time.
    :raises SourceError: the file cannot be read, or a line is none of these; names the line.
    """
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f'{path}: cannot be read: {error}') from None
    texts = [line.strip() for line in lines]
    while texts and not texts[-1]:
        texts.pop()
    in_ns = bool(texts) and texts[-1].isdecimal() and int(texts[-1]) >= _LEAST_NS
    stamps: list[int] = []
    for number, text in enumerate(texts, 1):
        stamp = int(text) if in_ns and text.isdecimal() else _parse(text)
        if stamp is None:
            raise SourceError(f'{path}:{number}: {text!r} is no time')
        stamps.append(stamp)
    return stamps


def _parse(text: str) -> int | None:
    date = _DATE.fullmatch(text)
    if date:
        try:
            moment = datetime.fromisoformat(date[1]).replace(tzinfo=timezone.utc)
        except ValueError:
            return None
        return int(moment.timestamp()) * NS_PER_S + int((date[2] or '0').ljust(9, '0'))
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        return None
    if not seconds.is_finite() or not 0 <= seconds < _LEAST_NS:
        return None
    return int(seconds * NS_PER_S)


def even_timestamps(count: int, fps: float, start_ns: int = 0) -> list[int]:
    """Return `count` stamps in nanoseconds, spaced by 1 / `fps`."""
    return [start_ns + round(index * NS_PER_S / fps) for index in range(count)]


def typical_fps(stamps_ns: Sequence[int]) -> float:
    """Return the frames per second of the median gap, or the default when there is none."""
    gaps = sorted(later - earlier for earlier, later in zip(stamps_ns, stamps_ns[1:]))
    median = gaps[len(gaps) // 2] if gaps else 0
    return NS_PER_S / median if median > 0 else DEFAULT_FPS


def check_fps(fps: float | None) -> None:
    """
    Refuse a rate that is none.

    :raises SourceError: `fps` is neither None nor within 0 (excluded) to 1000.
    """
    if fps is not None and not 0 < fps <= 1000:
        raise SourceError(f'{fps} frames per second, not within 0 to 1000')
