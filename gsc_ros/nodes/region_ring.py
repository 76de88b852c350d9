# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The original images of the last seconds, so that an operator can ask for a box of one.

Images are kept as they came, by reference, which costs no time. Of a street of 640 x 480 pixels PNG
would need 43 % of the memory, but 16 ms for every image, asked for or not; JPEG of quality 95 a
tenth and 0.8 ms (some 4 ms on a small board), but it loses detail that is asked for. What a camera
sends compressed stays compressed.

When the seconds do not fit into the memory, the images that are kept are thinned out evenly, as far
as a stamp still finds one near it; beyond that the oldest go.
"""

from __future__ import annotations

from dataclasses import dataclass
import threading
from typing import Generic, TypeVar

from gsc_ros.nodes.region import Outcome, RegionRefused

Image = TypeVar('Image')

NANOSECONDS = 1_000_000_000
# A stamp finds an image that is at most so far from it.
TOLERANCE_NS = NANOSECONDS // 2
# What an image takes beside its data, about.
OVERHEAD_BYTES = 2048


@dataclass(frozen=True)
class _Kept(Generic[Image]):
    arrival_ns: int
    stamp_ns: int
    size: int
    image: Image


class RegionRing(Generic[Image]):
    """The images of one camera; from any thread."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        self._kept: list[_Kept[Image]] = []  # the oldest first
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """Return the memory that is in use."""
        return self._bytes

    def __len__(self) -> int:
        """Return how many images are kept."""
        return len(self._kept)

    def add(self, image: Image, stamp_ns: int, size: int, now_ns: int, keep_ns: int,
            max_bytes: int) -> None:
        """
        Keep an image, and let go of what is too old or too much.

        An image larger than `max_bytes` is not kept.

        :param image: which nobody changes afterwards.
        :param stamp_ns: its stamp.
        :param size: bytes of its data.
        :param now_ns: time of a steady clock.
        :param keep_ns: how long to keep it; 0 keeps nothing.
        :param max_bytes: memory of all that is kept.
        """
        size += OVERHEAD_BYTES
        with self._lock:
            self._forget_old(now_ns, keep_ns)
            if keep_ns <= 0 or size > max_bytes:
                return
            self._kept.append(_Kept(now_ns, stamp_ns, size, image))
            self._bytes += size
            while self._bytes > max_bytes:
                self._drop(self._least_missed())

    def find(self, stamp_ns: int, now_ns: int, keep_ns: int) -> tuple[Image, int]:
        """
        Return the image of about a stamp, the nearest, and its own stamp.

        :param stamp_ns: 0 is the newest image.
        :raises RegionRefused: when nothing is kept, or nothing so near.
        """
        with self._lock:
            self._forget_old(now_ns, keep_ns)
            if not self._kept:
                raise RegionRefused(Outcome.NO_IMAGE)
            # Of two that are equally near, or of the same stamp, the newer one.
            found = self._kept[-1] if stamp_ns == 0 else min(
                reversed(self._kept), key=lambda kept: abs(kept.stamp_ns - stamp_ns))
        if stamp_ns and abs(found.stamp_ns - stamp_ns) > TOLERANCE_NS:
            raise RegionRefused(
                Outcome.TOO_OLD, f'the nearest is {abs(found.stamp_ns - stamp_ns) / 1e9:.1f} s off')
        return found.image, found.stamp_ns

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _forget_old(self, now_ns: int, keep_ns: int) -> None:
        old = 0
        while old < len(self._kept) and self._kept[old].arrival_ns < now_ns - keep_ns:
            self._bytes -= self._kept[old].size
            old += 1
        del self._kept[:old]

    def _least_missed(self) -> int:
        """Return the place of the image whose neighbours are nearest; of none, the oldest."""
        gap_ns, place = min(
            ((self._kept[place + 1].arrival_ns - self._kept[place - 1].arrival_ns, place)
             for place in range(1, len(self._kept) - 1)), default=(0, 0))
        return place if gap_ns <= 2 * TOLERANCE_NS else 0

    def _drop(self, place: int) -> None:
        self._bytes -= self._kept.pop(place).size
