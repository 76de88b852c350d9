# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where perception looks in the pictures of a comparison: found once, the same for all codecs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import time

from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.evaluation.resampling import Picture
from gsc_ros.perception.source.source import RegionSource

#: From a picture as the receiver will show it, uint8 [H, W, 3] RGB, to how well it serves, 0..1.
Judge = Callable[[Picture], float]


@dataclass(frozen=True)
class Found:
    """
    The key regions of all pictures.

    :param source: what found them, in the words of the command line.
    :param regions: of each picture, most important first.
    :param milliseconds: that each picture took, wall-clock.
    :param judge: from a picture to what says of a reconstruction how well it serves, 0..1; None
        where no source can.
    """

    source: str
    regions: tuple[tuple[KeyRegion, ...], ...]
    milliseconds: tuple[float, ...]
    judge: Callable[[Picture], Judge] | None = None

    @property
    def identity(self) -> str:
        """Return what differs where other boxes are coded."""
        return repr([[region.box for region in each] for each in self.regions])


def find(words: str, source: RegionSource, images: Sequence[Picture], fps: float,
         judge: Callable[[Picture], Judge] | None = None) -> Found:
    """
    Look at all pictures.

    :param words: that opened the source.
    :param images: uint8 [H, W, 3] RGB.
    :param fps: frames per second, for sources that know of time.
    :param judge: as of :class:`Found`.
    :raises SourceError: the source cannot answer.
    """
    source.find(images[0], 0)  # the first call of a network pays for its memory
    regions, milliseconds = [], []
    for number, image in enumerate(images):
        start = time.perf_counter()
        regions.append(tuple(source.find(image, round(number * 1e9 / fps))))
        milliseconds.append((time.perf_counter() - start) * 1e3)
    return Found(words, tuple(regions), tuple(milliseconds), judge)
