# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What others told the rover: topics of its own perception, requests of an operator.

It is told at any time, by any thread, about pictures of any size; it answers for a frame with what
is young enough.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
import threading

from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.perception.source.source import MAX_REGIONS, Picture, SourceError


@dataclass(frozen=True)
class _Word:
    """What was said once: regions in pixels of a picture of a size, and for how long it holds."""

    regions: tuple[KeyRegion, ...]
    width: int
    height: int
    stamp_ns: int
    ttl_ns: int


class Told:
    """
    A memory of regions with a time to live. Any number of threads may use it at once.

    :param name: `topic` or `request`: what its regions carry as their source.
    :param ttl_s: seconds for which a word holds unless it says otherwise, above 0. Counted in the
        clock of the frames, either way: after a jump of the clock nothing old comes back.
    :param replaces: whether a new word takes the place of those before, as the detections of a next
        picture do; else they hold beside each other, as requests do.
    :param most: regions of an answer; the newest words go first.
    """

    def __init__(self, name: str, ttl_s: float, replaces: bool = True,
                 most: int = MAX_REGIONS) -> None:
        if not ttl_s > 0:
            raise SourceError(f'a time to live of {ttl_s:g} s is not positive')
        self.name = name
        self._ttl_ns = round(ttl_s * 1e9)
        self._most = most
        self._words: deque[_Word] = deque(maxlen=1 if replaces else most)
        self._lock = threading.Lock()

    def tell(self, regions: Sequence[KeyRegion], width: int, height: int, stamp_ns: int,
             ttl_s: float | None = None) -> None:
        """
        Remember regions; none at all says that there is nothing to see.

        :param regions: in pixels of a picture of `width` x `height`, most important first.
        :param stamp_ns: of that picture, or of now, in the clock of the frames.
        :param ttl_s: seconds that this word holds, instead of the usual ones.
        :raises SourceError: the picture has no size, or the time to live is not positive.
        """
        if width < 1 or height < 1:
            raise SourceError(f'regions of a picture of {width} x {height}')
        if ttl_s is not None and not ttl_s > 0:
            raise SourceError(f'a time to live of {ttl_s:g} s is not positive')
        ttl_ns = self._ttl_ns if ttl_s is None else round(ttl_s * 1e9)
        word = _Word(tuple(regions[:self._most]), width, height, stamp_ns, ttl_ns)
        with self._lock:
            self._words.appendleft(word)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._words.clear()

    def find(self, image: Picture, stamp_ns: int) -> list[KeyRegion]:
        """Return what holds at the time of the frame, scaled to it; see RegionSource."""
        height, width = image.shape[:2]
        with self._lock:
            words = list(self._words)
        found = []
        for word in words:
            if abs(stamp_ns - word.stamp_ns) > word.ttl_ns:
                continue
            across, down = width / word.width, height / word.height
            for region in word.regions:
                # Of a box that is cut first, whatever was said stays a number.
                inside = region.within(word.width, word.height)
                if inside is None:
                    continue
                left, top, right, bottom = inside
                found.append(replace(region, source=self.name, box=(
                    left * across, top * down, right * across, bottom * down)))
        return found[:self._most]
