# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Still image codecs used as ours is with key regions: a thumbnail of the frame, and crops of it.

This is what can be built in a day from a codec that is at hand, so ours has to beat it. Thumbnail
and crops are pictures of their own. What a builder would agree on beforehand is not counted for
the crops: sequence headers of AV1, parameter sets of HEVC. Counted are, besides, four bytes for
each box and its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.evaluation.own import Coded
from gsc_ros.evaluation.packet_loss import access_units
from gsc_ros.evaluation.resampling import Picture, reduced, resized
from gsc_ros.evaluation.still_peer import STILL_PEERS, StillPeer
from gsc_ros.evaluation.stream_cache import StreamCache
import numpy as np

#: Pixels to which boxes are rounded outwards.
GRID = 16
#: Pixels that a side of a crop has at least: x265 takes no less.
MIN_SIDE = 16
#: Share of its size by which a box is made larger on each side: detectors look around things.
MARGIN = 0.15
#: Bytes that say where a crop is and how long.
BOX_BYTES = 4
#: Pixels over which a crop fades into what lies below.
FEATHER = 8
START_CODE_BYTES = 4

#: Left, top, right, bottom in pixels.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Crops:
    """
    How regions are coded.

    :param quality: of the codec.
    :param downscale: by which they are made smaller before, unless too little were left.
    :param most: of them are sent, the most important ones.
    """

    quality: float
    downscale: float
    most: int

    @property
    def words(self) -> str:
        """Return this for the report."""
        return f'{self.most} crops of quality {self.quality:g} at 1/{self.downscale:g}'

    def reduced(self, area: Picture) -> Picture:
        """Return a region of an image, uint8 [H, W, 3] RGB, as it is coded."""
        return reduced(area, max(1.0, min(self.downscale, min(area.shape[:2]) / MIN_SIDE)))


@dataclass(frozen=True)
class RegionPeer:
    """
    A codec used so.

    :param name: its word on the command line.
    :param title: its name in the report.
    :param still: the codec.
    :param thumbnail_qualities: of its quality control.
    :param crops: ways to code the regions.
    :param crop_size: bytes of a crop that are counted, from its stream.
    """

    name: str
    title: str
    still: StillPeer
    thumbnail_qualities: tuple[float, ...]
    crops: tuple[Crops, ...]
    crop_size: Callable[[bytes], int]

    @property
    def settings(self) -> str:
        """Return how it is called, for the report."""
        return (f'{self.still.settings}; thumbnail and crops, {BOX_BYTES} bytes for each crop, '
                'headers of crops not counted')

    def missing(self) -> str | None:
        """Return why it cannot be used here, or None."""
        return self.still.missing()

    @staticmethod
    def boxes(regions: Sequence[KeyRegion], width: int, height: int) -> tuple[Box, ...]:
        """Return the boxes to crop: with a margin, on the grid, overlapping ones united."""
        return united([_on_grid(region, width, height) for region in regions
                       if region.within(width, height)])

    def code(self, streams: StreamCache, image: Picture, small: Picture, quality: float,
             boxes: Sequence[Box], crops: Crops) -> Coded:
        """
        Code a picture.

        :param image: uint8 [H, W, 3] RGB.
        :param small: the thumbnail, likewise.
        :param quality: of the thumbnail.
        :param boxes: of the image, the most important first.
        :raises PeerError: the codec cannot.
        """
        height, width = image.shape[:2]
        thumbnail = streams.still(self.still, small, quality)
        size, encode_ms = self.still.size(thumbnail.data), thumbnail.encode_ms
        below, decode_ms = streams.picture(self.still, thumbnail, *small.shape[1::-1])
        picture = resized(below, width, height).copy()
        sent = boxes[:crops.most]
        for left, top, right, bottom in sent:
            area = crops.reduced(image[top:bottom, left:right])
            stream = streams.still(self.still, area, crops.quality)
            size += self.crop_size(stream.data) + BOX_BYTES
            encode_ms += stream.encode_ms
            crop, crop_ms = streams.picture(self.still, stream, *area.shape[1::-1])
            decode_ms += crop_ms
            _lay(picture, resized(crop, right - left, bottom - top), left, top)
        return Coded(size, picture, encode_ms, decode_ms, len(sent))


def united(boxes: Sequence[Box]) -> tuple[Box, ...]:
    """Return boxes of which none overlap: those that do become one that holds both."""
    result: list[Box] = []
    for box in boxes:
        at = len(result)
        while True:
            hit = next((index for index, other in enumerate(result) if _overlap(box, other)), None)
            if hit is None:
                break
            other = result.pop(hit)
            at = min(at, hit)
            box = (min(box[0], other[0]), min(box[1], other[1]),
                   max(box[2], other[2]), max(box[3], other[3]))
        result.insert(at, box)
    return tuple(result)


def _overlap(one: Box, other: Box) -> bool:
    return (one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3])


def _on_grid(region: KeyRegion, width: int, height: int) -> Box:
    left, top, right, bottom = region.box
    left, right = _interval(left, right, width)
    top, bottom = _interval(top, bottom, height)
    return left, top, right, bottom


def _interval(low: float, high: float, length: int) -> tuple[int, int]:
    """Return an interval with its margin, on the grid and within the length."""
    margin = MARGIN * (high - low)
    first = max(0, min(int((low - margin) // GRID * GRID), length - MIN_SIDE))
    return first, min(length, int(-(-(high + margin) // GRID) * GRID))


def _lay(picture: Picture, crop: Picture, left: int, top: int) -> None:
    """Lay a crop over a picture in place; inside the picture its edges fade."""
    height, width = crop.shape[:2]
    down = _fade(height, top == 0, top + height >= picture.shape[0])
    across = _fade(width, left == 0, left + width >= picture.shape[1])
    share = (down[:, None] * across)[..., None]
    below = picture[top:top + height, left:left + width]
    below[:] = np.rint(share * crop + (1 - share) * below)


def _fade(length: int, begins: bool, ends: bool) -> np.ndarray:
    """Return shares float64 [length] that rise and fall within FEATHER, but not at an edge."""
    rising = np.minimum((np.arange(length) + 0.5) / min(FEATHER, length / 2), 1)
    return (1 if begins else rising) * (np.ones(length) if ends else rising[::-1])


def av1_crop_size(stream: bytes) -> int:
    """Return the bytes of an AV1 stream without temporal delimiters and sequence headers."""
    size = at = 0
    while at < len(stream):
        kind, extended, sized = stream[at] >> 3 & 15, stream[at] >> 2 & 1, stream[at] >> 1 & 1
        head = 1 + extended
        length = len(stream) - at - head
        if sized:
            length = shift = 0
            while True:
                byte = stream[at + head]
                head += 1
                length |= (byte & 0x7f) << shift
                shift += 7
                if not byte & 0x80:
                    break
        if kind not in (1, 2):
            size += head + length
        at += head + length
    return size


def hevc_crop_size(stream: bytes) -> int:
    """Return the bytes of an HEVC stream without parameter sets."""
    return sum(START_CODE_BYTES + len(unit.data) for units in access_units(stream, 'hevc')
               for unit in units if not unit.is_parameters)


def _crops(qualities: Sequence[float]) -> tuple[Crops, ...]:
    return tuple(Crops(quality, downscale, most) for most in (3, 16) for downscale in (1, 2, 3)
                 for quality in qualities)


def _peer(name: str, title: str, still: str, thumbnail: tuple[float, ...],
          qualities: tuple[float, ...], crop_size: Callable[[bytes], int]) -> RegionPeer:
    codec = next(peer for peer in STILL_PEERS if peer.name == still)
    return RegionPeer(name, title, codec, thumbnail, _crops(qualities), crop_size)


REGION_PEERS = (
    _peer('av1-regions', 'AV1 thumbnail and crops', 'av1', (57, 47), (61, 55, 47, 39),
          av1_crop_size),
    _peer('hevc-regions', 'HEVC thumbnail and crops', 'hevc', (45, 38), (49, 44, 38, 33),
          hevc_crop_size),
)
#: By which the picture is made smaller for the thumbnail.
THUMBNAIL_DOWNSCALES = (4.0, 8.0)
