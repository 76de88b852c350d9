# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The regions of a packet as one range-coded stream.

For each region, the most important first, its head and then its symbols. The head consists of
ranks, equally probable but for being impossible. In a packet that refers to one with T regions::

    track        T + 1: 0 for a new region, i for the one that continues region i - 1 of that packet
    motion       3: velocity as before, changed by a little, or by more; only of a region that
                 continues
    change       8, 8, 8: x + 4, y + 4, zoom + 4; only when it is little
                 128, 128, 128: x + 64, y + 64, zoom + 64; only when it is more
    symbols      2: whether any follow; only of a region that continues

The motion is the change of the region's velocity, in halves of a pixel and in 1/256 of an octave
for each frame (see :mod:`gsc_ros.codec.region.track`). The head ends here without symbols, else
follow::

    scale        3: 1, 2 or 4
    size         17: number of channels, as an index into LAYERS
    columns      the interval of columns that the region covers, of all there are (region.grid)
    rows         the interval of rows, likewise
    level        16: the quantizer

The symbols are coded as those of a frame of as many cells are (:mod:`gsc_ros.codec.context`), with
the integers of the region model. The stream may be cut after each region: a prefix of it decodes
the first ones exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

from gsc_ros.codec.context import ContextModel
from gsc_ros.codec.entropy import Coded, SymbolDecoder, SymbolEncoder
from gsc_ros.codec.error import CodecError, PacketError
from gsc_ros.codec.packet import LAYERS, MAX_QUANTIZERS, MAX_REGIONS
from gsc_ros.codec.region.grid import (
    CELL,
    Grid,
    interval_count,
    most_cells,
    most_symbols,
    rank_interval,
    SCALES,
    unrank_interval,
)
import numpy as np

# How the velocity of a region that continues has changed, and the bits and the offset of that.
STEADY, LITTLE, MUCH = range(3)
MOTIONS = 3
LITTLE_BITS, MUCH_BITS = 3, 7
_RANGES = {LITTLE: 1 << LITTLE_BITS, MUCH: 1 << MUCH_BITS}
NO_MOTION = (0, 0, 0)
_NO_SYMBOLS = np.zeros((0, 0, 0), np.int16)


@dataclass(frozen=True)
class CodedRegion:
    """
    A region as it crosses the link.

    A region that continues and has no symbols has no box of its own: the first six are 0.

    :param scale: 1, 2 or 4: the region is coded at 1 / scale of the image's resolution.
    :param left: first column of cells that it covers.
    :param top: first row.
    :param width: columns, at least 1.
    :param height: rows, at least 1.
    :param level: quantizer of its symbols, 0..15.
    :param track: the region that it continues, as an index into those of the packet referred to;
        None for a new one.
    :param motion: change of the velocity to the right, down and in growth, each in -64..63; zeros
        for a new region.
    :param channels: the first so many channels are coded: one of LAYERS, or 0 for a region that
        continues without symbols.
    :param symbols: int16 ``[channels, height, width]``.
    """

    scale: int
    left: int
    top: int
    width: int
    height: int
    level: int
    track: int | None
    motion: tuple[int, int, int]
    channels: int
    symbols: np.ndarray

    @classmethod
    def continued(cls, track: int, motion: tuple[int, int, int]) -> CodedRegion:
        """Return a region that continues another one without symbols."""
        return cls(0, 0, 0, 0, 0, 0, track, motion, 0, _NO_SYMBOLS)

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom in pixels of an image of ``width`` x ``height``."""
        pitch = CELL * self.scale
        return (self.left * pitch, self.top * pitch, min((self.left + self.width) * pitch, width),
                min((self.top + self.height) * pitch, height))


def encode_regions(
    model: ContextModel, regions: Sequence[CodedRegion], frame_width: int, frame_height: int,
    tracked: int = 0,
) -> Coded:
    """
    Return the stream of regions, and the bytes needed after each.

    :param model: the entropy model of the profile's region model.
    :param regions: 1..32, the most important first.
    :param frame_width: image width in pixels.
    :param frame_height: image height in pixels.
    :param tracked: how many regions the packet has that this one refers to; 0 when it stands alone.
    :return: the stream, as long as its last end.
    :raises CodecError: when a region is out of range, or there are too many, or too large ones.
    """
    if not 1 <= len(regions) <= MAX_REGIONS:
        raise CodecError(f'{len(regions)} regions are not in 1..{MAX_REGIONS}')
    encoder = SymbolEncoder()
    room = Room(frame_width, frame_height)
    if not _distinct(regions):
        raise CodecError('two regions continue the same one')
    for region in regions:
        _check(region, model, frame_width, frame_height, tracked)
        if not room.take(region):
            raise CodecError('the regions are too large together')
        encoder.encode_ranks(*_head(region, frame_width, frame_height, tracked))
        if region.channels:
            for _ in model.write(encoder, region.symbols, range(region.channels), region.level):
                pass
        encoder.mark()
    coded = encoder.finish()
    # A region that needs no byte of its own is given one, so that the ends ascend.
    return Coded(coded.stream.ljust(coded.ends[-1], b'\0'), coded.ends)


def decode_regions(
    model: ContextModel, stream: bytes, count: int, frame_width: int, frame_height: int,
    tracked: int = 0,
) -> list[CodedRegion]:
    """
    Return the regions of a stream.

    :param model: the entropy model of the profile's region model.
    :param stream: any bytes; zeros are taken to follow.
    :param count: number of regions, 1..32.
    :param frame_width: image width in pixels.
    :param frame_height: image height in pixels.
    :param tracked: how many regions the packet has that this one refers to; 0 when it stands alone.
    :raises PacketError: when no regions give this stream, or they are too large together.
    """
    decoder = SymbolDecoder(stream)
    room = Room(frame_width, frame_height)
    regions = []
    for _ in range(count):
        head = _read_head(decoder, frame_width, frame_height, tracked)
        if head.level >= model.quantizers:
            raise PacketError(f'the region model has no level {head.level}')
        if not room.take(head):
            raise PacketError('the regions are too large together')
        if head.channels:
            head = replace(head, symbols=model.read(
                decoder, range(head.channels), head.level, head.height, head.width))
        regions.append(head)
    if not _distinct(regions):
        raise PacketError('two regions continue the same one')
    return regions


def region_bits(
    model: ContextModel, region: CodedRegion, frame_width: int, frame_height: int,
    tracked: int = 0,
) -> float:
    """
    Return the information in a region, in bits.

    The arguments are those of :func:`encode_regions`.
    """
    counts, _ = _head(region, frame_width, frame_height, tracked)
    bits = math.log2(math.prod(counts))
    if region.channels:
        bits += float(model.entropy(region.symbols, range(region.channels), region.level).sum())
    return bits


class Room:
    """
    How many cells and symbols the regions of a packet may still have.

    :param frame_width: image width in pixels.
    :param frame_height: image height in pixels.
    """

    def __init__(self, frame_width: int, frame_height: int):
        self._cells = most_cells(frame_width, frame_height)
        self._symbols = most_symbols(frame_width, frame_height)

    def take(self, region: CodedRegion) -> bool:
        """Take room for a region; return whether there was enough, or nothing is taken."""
        cells = region.width * region.height
        symbols = cells * region.channels
        if cells > self._cells or symbols > self._symbols:
            return False
        self._cells -= cells
        self._symbols -= symbols
        return True


def _distinct(regions: Sequence[CodedRegion]) -> bool:
    """Return whether no two regions continue the same one."""
    tracks = [region.track for region in regions if region.track is not None]
    return len(set(tracks)) == len(tracks)


def _head(
    region: CodedRegion, frame_width: int, frame_height: int, tracked: int,
) -> tuple[list[int], list[int]]:
    """Return the ranks of a region's head: how many of each there are, and which they are."""
    counts, ranks = [tracked + 1], [0 if region.track is None else region.track + 1]
    if region.track is not None:
        kind = _motion_kind(region.motion)
        counts += [MOTIONS, *(3 * [_RANGES[kind]] if kind else []), 2]
        ranks += [kind, *(step + _RANGES[kind] // 2 for step in region.motion if kind),
                  int(region.channels > 0)]
        if not region.channels:
            return counts, ranks
    grid = Grid.of(region.scale, frame_width, frame_height)
    counts += [len(SCALES), len(LAYERS), interval_count(grid.columns), interval_count(grid.rows),
               MAX_QUANTIZERS]
    ranks += [
        SCALES.index(region.scale), LAYERS.index(region.channels),
        rank_interval(region.left, region.width, grid.columns),
        rank_interval(region.top, region.height, grid.rows), region.level]
    return counts, ranks


def _motion_kind(motion: tuple[int, int, int]) -> int:
    """Return how a change of velocity is coded."""
    if not any(motion):
        return STEADY
    near = _RANGES[LITTLE] // 2
    return LITTLE if all(-near <= step < near for step in motion) else MUCH


def _read_head(
    decoder: SymbolDecoder, frame_width: int, frame_height: int, tracked: int,
) -> CodedRegion:
    """Return the next region, without its symbols."""
    (track,) = decoder.decode_ranks((tracked + 1,))
    motion = NO_MOTION
    if track:
        (kind,) = decoder.decode_ranks((MOTIONS,))
        if kind:
            motion = tuple(step - _RANGES[kind] // 2
                           for step in decoder.decode_ranks(3 * (_RANGES[kind],)))
        (symbols,) = decoder.decode_ranks((2,))
        if not symbols:
            return CodedRegion.continued(track - 1, motion)
    scale, size = decoder.decode_ranks((len(SCALES), len(LAYERS)))
    grid = Grid.of(SCALES[scale], frame_width, frame_height)
    across, down, level = decoder.decode_ranks((
        interval_count(grid.columns), interval_count(grid.rows), MAX_QUANTIZERS))
    left, width = unrank_interval(across, grid.columns)
    top, height = unrank_interval(down, grid.rows)
    return CodedRegion(
        grid.scale, left, top, width, height, level, track - 1 if track else None, motion,
        LAYERS[size], _NO_SYMBOLS)


def _check(
    region: CodedRegion, model: ContextModel, frame_width: int, frame_height: int, tracked: int,
) -> None:
    """Raise a CodecError when a region does not fit its place in the stream."""
    if region.track is None:
        if any(region.motion):
            raise CodecError('a new region has no motion')
    elif not 0 <= region.track < tracked:
        raise CodecError(f'there is no region {region.track} to continue')
    far = _RANGES[MUCH] // 2
    if not all(-far <= step < far for step in region.motion):
        raise CodecError(f'a motion of {region.motion} is not in {-far}..{far - 1}')
    if region.track is not None and not region.channels:
        return
    if region.scale not in SCALES:
        raise CodecError(f'scale {region.scale} is not one of {SCALES}')
    grid = Grid.of(region.scale, frame_width, frame_height)
    for name, first, length, cells in (
            ('columns', region.left, region.width, grid.columns),
            ('rows', region.top, region.height, grid.rows)):
        if first < 0 or length < 1 or first + length > cells:
            raise CodecError(f'a region of {length} {name} from {first} is not within {cells}')
    if region.channels not in LAYERS:
        raise CodecError(f'{region.channels} channels are not one of {LAYERS}')
    if not 0 <= region.level < model.quantizers:
        raise CodecError(f'the region model has no level {region.level}')
    if region.symbols.shape != (region.channels, region.height, region.width):
        raise CodecError('the symbols of a region are not of its size')
    if np.abs(region.symbols.astype(np.int64)).max(initial=0) > model.symbol_max:
        raise CodecError(f'a symbol of a region is not in +-{model.symbol_max}')
