# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One frame of a stream at a time between the sender and the link.

    FREE ──image: code it──> CODING ──taken, failed or begun anew──> FREE
                             │    ^
                             └────┘ image: hold the newest; it is coded as soon as CODING ends

So no frame that others refer to is pushed out of the link's queue: what a link is too thin for is
left out before it is coded, not after.
"""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from gsc_ros.nodes.sequence import MODULUS

Image = TypeVar('Image')

# A frame of which nothing is heard for so long is lost: no link keeps one in the middle longer.
PATIENCE_S = 60.0


class Turn(Generic[Image]):
    """Whose turn it is, the link's or the encoder's; for one camera, from any thread."""

    def __init__(self) -> None:
        """Begin FREE."""
        self._lock = threading.Lock()
        self._awaited: int | None = None
        self._since_s = 0.0
        self._held: Image | None = None

    @property
    def awaited(self) -> int | None:
        """Number of the frame that is being coded or not taken yet; None when there is none."""
        return self._awaited

    def offer(self, image: Image, number: int, now_s: float) -> tuple[Image | None, bool]:
        """
        Return the image to code now, if any, and whether another one was given up.

        :param number: that the next frame of the camera will have, or a smaller one.
        """
        with self._lock:
            displaced, self._held = self._held is not None, image
            waits = self._awaited is not None and now_s - self._since_s <= PATIENCE_S
            return None if waits else self._begin(number, now_s), displaced

    def taken(self, taken: int, number: int, now_s: float) -> Image | None:
        """Note that the link has taken a frame; return the image to code now, if any."""
        with self._lock:
            earlier = self._awaited is None or (taken - self._awaited) % MODULUS >= MODULUS // 2
            return None if earlier else self._begin(number, now_s)

    def end(self, number: int, now_s: float) -> Image | None:
        """Wait for no frame any more; return the image to code now, if any."""
        with self._lock:
            return self._begin(number, now_s)

    def stop(self) -> None:
        """Be FREE, and forget the image that is held."""
        with self._lock:
            self._awaited = self._held = None

    def _begin(self, number: int, now_s: float) -> Image | None:
        image, self._held = self._held, None
        self._awaited, self._since_s = (None if image is None else number), now_s
        return image
