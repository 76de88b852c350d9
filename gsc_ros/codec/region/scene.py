# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The regions of a frame, put together when their picture or a later frame needs it.

A receiver reads more frames than it shows. What regions of one frame look like depends on those of
the frame before, so a scene keeps that until its own tracks are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

from gsc_ros.codec.region.bitstream import CodedRegion
from gsc_ros.codec.region.canvas import Canvas, PlacedRegion
from gsc_ros.codec.region.track import compose, Track
from gsc_ros.codec.region.transform import Cells, HALO, RegionTransform

# Scenes in a row of which none was put together.
_MOST_PENDING = 8

BaseCanvas = Callable[[Sequence[tuple[float, float, float, float]]], Canvas]


class Scene:
    """
    The regions of one frame; any thread may use it.

    :param regions: as the packet has them.
    :param before: the scene of the frame that the packet refers to; None when it stands alone.
    :param base: returns a canvas with the base of the frame, at least in some boxes.
    :param transform: the region model.
    :raises PacketError: when the scene before must be put together now and cannot be.
    """

    def __init__(
        self, regions: Sequence[CodedRegion], before: Scene | None, base: BaseCanvas,
        transform: RegionTransform,
    ):
        self.regions = tuple(regions)
        self._before = before
        self._earlier: tuple[Track, ...] | None = None if before is not None else ()
        self._base = base
        self._transform = transform
        self._tracks: tuple[Track, ...] | None = None
        self._lock = Lock()
        self._pending = 1 if before is None else before.pending + 1
        if self._pending > _MOST_PENDING:
            _ = before.tracks
            self._pending = 1

    @property
    def pending(self) -> int:
        """How many scenes must be put together for this one."""
        return 0 if self._tracks is not None else self._pending

    @property
    def tracks(self) -> tuple[Track, ...]:
        """
        What later frames may refer to.

        :raises PacketError: when the regions are too large together.
        """
        with self._lock:
            if self._tracks is None:
                before = self._tracks_before()
                boxes = [Cells.of(region).grown(HALO).pixels
                         for region in self.regions if region.channels]
                boxes += [before[region.track].moved(region.motion).box
                          for region in self.regions if region.track is not None]
                self._put(self._base(boxes), before)
            return self._tracks

    @property
    def nbytes(self) -> int:
        """Bytes of the tracks that are known."""
        tracks = self._tracks or ()
        return sum(track.picture.nbytes + track.confidence.nbytes for track in tracks)

    def draw(self, canvas: Canvas) -> tuple[PlacedRegion, ...]:
        """
        Put the regions on a canvas that has all of the base; return where they lie.

        :raises PacketError: when the regions are too large together.
        """
        with self._lock:
            return self._put(canvas, self._tracks_before())

    def _tracks_before(self) -> tuple[Track, ...]:
        if self._earlier is None:
            # The scene itself is let go, or all of a stream would be kept.
            self._earlier, self._before = self._before.tracks, None
        return self._earlier

    def _put(self, canvas: Canvas, before: tuple[Track, ...]) -> tuple[PlacedRegion, ...]:
        tracks, placed = compose(canvas, self.regions, before, self._transform)
        if self._tracks is None:
            self._tracks = tracks
        return placed
