# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a source of key regions is.

A source is asked once a frame, by one thread at a time: it looks at the picture, or remembers what
it was told. It answers with a few boxes, which the encoder codes finer than the rest.
"""

from __future__ import annotations

from typing import Protocol

from gsc_ros.codec.region.region import KeyRegion
import numpy as np
import numpy.typing as npt

#: A source returns no more regions than this unless it is told otherwise: a packet carries 32.
MAX_REGIONS = 16

Picture = npt.NDArray[np.uint8]


class SourceError(ValueError):
    """A source is missing, damaged, or cannot answer; the message says what to do."""


class RegionSource(Protocol):
    """Says where perception looks. `name` is what its regions carry as their source."""

    name: str

    def find(self, image: Picture, stamp_ns: int) -> list[KeyRegion]:
        """
        Return the key regions of a frame, most important first.

        :param image: uint8 [H, W, 3] RGB.
        :param stamp_ns: when it was taken, nanoseconds of the camera's clock.
        :return: boxes in pixels of the picture, within it.
        :raises SourceError: it cannot answer.
        """
        ...
