# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Regions that are followed through a stream: what both ends keep of them.

A track has an *anchor*, the pixels of the region as they were put together when symbols last came
for it, and the *place* of the anchor in the frame at hand: how far its centre has moved since, and
how much it has grown. Each frame says by how much the velocity of the place has changed, which is
next to nothing for what moves evenly. The pixels are resampled once from the anchor, however many
frames ago that was, so that nothing blurs with time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
from gsc_ros.codec.error import PacketError
from gsc_ros.codec.region.bitstream import CodedRegion
from gsc_ros.codec.region.canvas import Canvas, PlacedRegion
from gsc_ros.codec.region.grid import CELL
from gsc_ros.codec.region.transform import Cells, feather, HALO, RegionTransform
import numpy as np

# Units of places: halves of a pixel, and of growth this many in an octave.
PLACE_UNITS = 2
ZOOM_UNITS = 256
# What places are held to; streams that say more are no error.
_FARTHEST = 1 << 15
_LARGEST_ZOOM = 2 * ZOOM_UNITS
# The anchors of a frame have at most so many times its pixels together.
MAX_COVER = 4

Place = tuple[int, int, int]
STILL: Place = (0, 0, 0)


@dataclass(frozen=True)
class Track:
    """
    One region that is followed.

    :param picture: its anchor, uint8 ``[h, w, 3]``.
    :param confidence: uint8 ``[h, w]``.
    :param left: column of the frame where the anchor was taken.
    :param top: row likewise.
    :param scale: scale at which symbols last came.
    :param level: quantizer of these.
    :param place: how far its centre is from there, to the right and down in halves of a pixel, and
        the binary logarithm of how much it has grown, in 1/256.
    :param velocity: by how much the place has changed from the last frame to this one.
    """

    picture: np.ndarray
    confidence: np.ndarray
    left: int
    top: int
    scale: int
    level: int
    place: Place = STILL
    velocity: Place = STILL

    @classmethod
    def taken(cls, canvas: Canvas, cells: Cells, level: int, before: Track | None) -> Track:
        """
        Return the track of a region whose symbols have just been put on the canvas.

        :param cells: where the symbols are.
        :param level: their quantizer.
        :param before: what was followed to here, of which nothing is given up.
        """
        height, width = canvas.confidence.shape
        left, top, right, bottom = anchor_box(cells, before, width, height)
        part = np.s_[top:bottom, left:right]
        return cls(canvas.picture[part].copy(), canvas.confidence[part].copy(), left, top,
                   cells.scale, level, STILL, STILL if before is None else before.velocity)

    def moved(self, motion: Place) -> Track:
        """Return the track a frame later, when its velocity has changed by ``motion``."""
        velocity = tuple(_held(speed + change, _FARTHEST)
                         for speed, change in zip(self.velocity, motion))
        x, y, zoom = (was + step for was, step in zip(self.place, velocity))
        place = _held(x, _FARTHEST), _held(y, _FARTHEST), _held(zoom, _LARGEST_ZOOM)
        return replace(self, place=place, velocity=velocity)

    @property
    def edge(self) -> int:
        """Pixels of the anchor over which it fades out."""
        return HALO * CELL * self.scale

    def mask(self, width: int, height: int) -> np.ndarray:
        """Return how much of the anchor to take, float32 ``[h, w]``, in a frame of that size."""
        rows, columns = self.confidence.shape
        # Beyond the border of the frame there is nothing to fade into.
        sides = (self.left > 0, self.top > 0, self.left + columns < width, self.top + rows < height)
        return feather(rows, columns, self.edge, sides)

    @property
    def factor(self) -> float:
        """By how much the anchor has grown."""
        return 2.0 ** (self.place[2] / ZOOM_UNITS)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the anchor in the frame at hand, in pixels."""
        height, width = self.confidence.shape
        x = self.left + width / 2 + self.place[0] / PLACE_UNITS
        y = self.top + height / 2 + self.place[1] / PLACE_UNITS
        across, down = width / 2 * self.factor, height / 2 * self.factor
        return x - across, y - down, x + across, y + down

    def inside(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the part of the box in a frame, whole pixels; empty when it has left that."""
        left, top, right, bottom = self.box
        left, top = max(int(np.floor(left)), 0), max(int(np.floor(top)), 0)
        right, bottom = min(int(np.ceil(right)), width), min(int(np.ceil(bottom)), height)
        return left, top, max(right, left), max(bottom, top)

    def matrix(self, left: int, top: int) -> np.ndarray:
        """Return what takes pixels of a part of the frame that begins there to the anchor's."""
        box_left, box_top, _, _ = self.box
        # Centres of pixels lie at halves.
        scale = 1 / self.factor
        return np.array([
            [scale, 0, (left + 0.5 - box_left) * scale - 0.5],
            [0, scale, (top + 0.5 - box_top) * scale - 0.5]])

    def draw(self, canvas: Canvas) -> None:
        """Put the anchor on a canvas at its place."""
        height, width = canvas.confidence.shape
        mask = self.mask(width, height)
        if self.place == STILL:
            canvas.paste(self.left, self.top, self.picture, self.confidence, mask)
            return
        left, top, right, bottom = self.inside(width, height)
        if left == right or top == bottom:
            return
        matrix, size = self.matrix(left, top), (right - left, bottom - top)
        canvas.paste(
            left, top, warped(self.picture, matrix, size),
            cv2.warpAffine(self.confidence, matrix, size, flags=_LINEAR,
                           borderMode=cv2.BORDER_REPLICATE),
            cv2.warpAffine(mask, matrix, size, flags=_LINEAR, borderMode=cv2.BORDER_CONSTANT))


def anchor_box(
    cells: Cells, before: Track | None, width: int, height: int,
) -> tuple[int, int, int, int]:
    """
    Return the pixels that are kept of a region whose symbols come: left, top, right and bottom.

    :param cells: where the symbols are.
    :param before: what was followed to here, in the frame at hand.
    :param width: frame width in pixels.
    :param height: frame height in pixels.
    """
    left, top, right, bottom = cells.grown(HALO).pixels
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if before is not None:
        box = before.inside(width, height)
        if box[0] < box[2] and box[1] < box[3]:
            left, top = min(left, box[0]), min(top, box[1])
            right, bottom = max(right, box[2]), max(bottom, box[3])
    return left, top, right, bottom


_LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_CUBIC = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP


def warped(picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a picture resampled: the pixels of the result, by a matrix to those of the picture."""
    return cv2.warpAffine(picture, matrix, size, flags=_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def compose(
    canvas: Canvas, regions: Sequence[CodedRegion], before: Sequence[Track],
    transform: RegionTransform,
) -> tuple[tuple[Track, ...], tuple[PlacedRegion, ...]]:
    """
    Put the regions of a frame on a canvas: first all that are followed, then what symbols add.

    :param canvas: with the base of the frame, at least where regions will lie.
    :param regions: as the packet has them.
    :param before: the tracks of the frame that the packet refers to.
    :param transform: the region model.
    :return: the tracks of this frame, one for each region, and where the regions lie.
    :raises PacketError: when the regions are too large together.
    """
    height, width = canvas.confidence.shape
    followed = [None if region.track is None else before[region.track].moved(region.motion)
                for region in regions]
    # Known before anything is drawn: packets that are refused must not cost the time of it.
    if sum(_pixels(region, track, width, height)
           for region, track in zip(regions, followed)) > MAX_COVER * height * width:
        raise PacketError('the regions are too large together')
    for track in followed:
        if track is not None:
            track.draw(canvas)
    for region in regions:
        if region.channels:
            canvas.change(transform.synthesise(region, canvas.picture))
    tracks, placed = [], []
    for region, track in zip(regions, followed):
        box = None if track is None else track.inside(width, height)
        if region.channels:
            track = Track.taken(canvas, Cells.of(region), region.level, track)
            box = region.box(width, height)
        tracks.append(track)
        placed.append(PlacedRegion(
            box, track.scale, track.level, region.channels, region.track is not None))
    return tuple(tracks), tuple(placed)


def _pixels(region: CodedRegion, track: Track | None, width: int, height: int) -> int:
    """Return the pixels of the anchor that is kept of a region, which continues ``track``."""
    if not region.channels:
        return track.confidence.size
    left, top, right, bottom = anchor_box(Cells.of(region), track, width, height)
    return max(right - left, 0) * max(bottom - top, 0)


def _held(value: int, limit: int) -> int:
    """Return a value held to -limit..limit."""
    return min(max(value, -limit), limit)
