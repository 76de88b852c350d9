# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The regions of a packet as one range-coded stream.

For each region, the most important first, its head and then its symbols. The head consists of
ranks, equally probable but for being impossible::

    scale        3: 1, 2 or 4
    size         18: number of channels, as an index into (0, *LAYERS)
    columns      the interval of columns that the region covers, of all there are (region.grid)
    rows         the interval of rows, likewise
    level        16: the quantizer; only with channels
    prediction   3: base, what was there, what was elsewhere; only in a packet that refers to
                 another
    motion       128, 128: dx + 64, dy + 64 in pixels; only when it was elsewhere

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

# How many channels a region may have.
SIZES = (0,) + LAYERS
# What a region is predicted from.
BASE, IN_PLACE, MOVED = range(3)
PREDICTIONS = 3
# Motion is in -64..63 pixels.
MOTION_BITS = 7
_MOTION_RANGE = 1 << MOTION_BITS
_MOTION_OFFSET = _MOTION_RANGE // 2
_MOTION_RANGES = (_MOTION_RANGE, _MOTION_RANGE)


@dataclass(frozen=True)
class CodedRegion:
    """
    A region as it crosses the link.

    :param scale: 1, 2 or 4: the region is coded at 1 / scale of the image's resolution.
    :param left: first column of cells that it covers.
    :param top: first row.
    :param width: columns, at least 1.
    :param height: rows, at least 1.
    :param level: quantizer of its symbols, 0..15; 0 without symbols.
    :param motion: ``(dx, dy)``, each in -64..63 pixels: the region is predicted from the picture
        that the receiver has of the frame referred to, at ``(x + dx, y + dy)``. None: from the
        base of this frame.
    :param channels: the first so many channels are coded: one of :data:`SIZES`.
    :param symbols: int16 ``[channels, height, width]``.
    """

    scale: int
    left: int
    top: int
    width: int
    height: int
    level: int
    motion: tuple[int, int] | None
    channels: int
    symbols: np.ndarray

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom in pixels of an image of ``width`` x ``height``."""
        pitch = CELL * self.scale
        return (self.left * pitch, self.top * pitch, min((self.left + self.width) * pitch, width),
                min((self.top + self.height) * pitch, height))


def encode_regions(
    model: ContextModel, regions: Sequence[CodedRegion], frame_width: int, frame_height: int,
    follows: bool = False,
) -> Coded:
    """
    Return the stream of regions, and the bytes needed after each.

    :param model: the entropy model of the profile's region model.
    :param regions: 1..32, the most important first.
    :param frame_width: image width in pixels.
    :param frame_height: image height in pixels.
    :param follows: whether the packet refers to another; without that, no region may be moved.
    :return: the stream, as long as its last end.
    :raises CodecError: when a region is out of range, or there are too many, or too large ones.
    """
    if not 1 <= len(regions) <= MAX_REGIONS:
        raise CodecError(f'{len(regions)} regions are not in 1..{MAX_REGIONS}')
    encoder = SymbolEncoder()
    room = _Room(frame_width, frame_height)
    for region in regions:
        _check(region, model, frame_width, frame_height, follows)
        if not room.take(region):
            raise CodecError('the regions are too large together')
        encoder.encode_ranks(*_head(region, frame_width, frame_height, follows))
        if region.channels:
            for _ in model.write(encoder, region.symbols, range(region.channels), region.level):
                pass
        encoder.mark()
    coded = encoder.finish()
    # A region that needs no byte of its own is given one, so that the ends ascend.
    return Coded(coded.stream.ljust(coded.ends[-1], b'\0'), coded.ends)


def decode_regions(
    model: ContextModel, stream: bytes, count: int, frame_width: int, frame_height: int,
    follows: bool = False,
) -> list[CodedRegion]:
    """
    Return the regions of a stream.

    :param model: the entropy model of the profile's region model.
    :param stream: any bytes; zeros are taken to follow.
    :param count: number of regions, 1..32.
    :param frame_width: image width in pixels.
    :param frame_height: image height in pixels.
    :param follows: whether the packet refers to another.
    :raises PacketError: when no regions give this stream, or they are too large together.
    """
    decoder = SymbolDecoder(stream)
    room = _Room(frame_width, frame_height)
    regions = []
    for _ in range(count):
        head = _read_head(decoder, frame_width, frame_height, follows)
        if head.level >= model.quantizers:
            raise PacketError(f'the region model has no level {head.level}')
        if not room.take(head):
            raise PacketError('the regions are too large together')
        if head.channels:
            head = replace(head, symbols=model.read(
                decoder, range(head.channels), head.level, head.height, head.width))
        regions.append(head)
    return regions


def region_bits(
    model: ContextModel, region: CodedRegion, frame_width: int, frame_height: int,
    follows: bool = False,
) -> float:
    """
    Return the information in a region, in bits.

    The arguments are those of :func:`encode_regions`.
    """
    counts, _ = _head(region, frame_width, frame_height, follows)
    bits = math.log2(math.prod(counts))
    if region.channels:
        bits += float(model.entropy(region.symbols, range(region.channels), region.level).sum())
    return bits


class _Room:
    """
    How many cells and symbols the regions of a packet may still have.

    :param frame_width: image width in pixels.
    :param frame_height: image height in pixels.
    """

    def __init__(self, frame_width: int, frame_height: int):
        self._cells = most_cells(frame_width, frame_height)
        self._symbols = most_symbols(frame_width, frame_height)

    def take(self, region: CodedRegion) -> bool:
        """Take room for a region; return whether there was enough."""
        cells = region.width * region.height
        self._cells -= cells
        self._symbols -= cells * region.channels
        return self._cells >= 0 and self._symbols >= 0


def _head(
    region: CodedRegion, frame_width: int, frame_height: int, follows: bool,
) -> tuple[list[int], list[int]]:
    """Return the ranks of a region's head: how many of each there are, and which they are."""
    grid = Grid.of(region.scale, frame_width, frame_height)
    counts = [len(SCALES), len(SIZES), interval_count(grid.columns), interval_count(grid.rows)]
    ranks = [
        SCALES.index(region.scale), SIZES.index(region.channels),
        rank_interval(region.left, region.width, grid.columns),
        rank_interval(region.top, region.height, grid.rows)]
    if region.channels:
        counts.append(MAX_QUANTIZERS)
        ranks.append(region.level)
    if follows:
        counts.append(PREDICTIONS)
        ranks.append(BASE if region.motion is None else MOVED if any(region.motion) else IN_PLACE)
        if ranks[-1] == MOVED:
            counts += _MOTION_RANGES
            ranks += [step + _MOTION_OFFSET for step in region.motion]
    return counts, ranks


def _read_head(
    decoder: SymbolDecoder, frame_width: int, frame_height: int, follows: bool,
) -> CodedRegion:
    """Return the next region; its symbols are still to come."""
    scale, size = decoder.decode_ranks((len(SCALES), len(SIZES)))
    grid, channels = Grid.of(SCALES[scale], frame_width, frame_height), SIZES[size]
    across, down, level, prediction = decoder.decode_ranks((
        interval_count(grid.columns), interval_count(grid.rows),
        MAX_QUANTIZERS if channels else 1, PREDICTIONS if follows else 1))
    left, width = unrank_interval(across, grid.columns)
    top, height = unrank_interval(down, grid.rows)
    motion = None
    if prediction == IN_PLACE:
        motion = 0, 0
    elif prediction == MOVED:
        dx, dy = decoder.decode_ranks(_MOTION_RANGES)
        motion = dx - _MOTION_OFFSET, dy - _MOTION_OFFSET
    return CodedRegion(
        grid.scale, left, top, width, height, level, motion, channels,
        np.zeros((0, height, width), np.int16))


def _check(
    region: CodedRegion, model: ContextModel, frame_width: int, frame_height: int, follows: bool,
) -> None:
    """Raise a CodecError when a region does not fit its place in the stream."""
    if region.scale not in SCALES:
        raise CodecError(f'scale {region.scale} is not one of {SCALES}')
    grid = Grid.of(region.scale, frame_width, frame_height)
    for name, first, length, cells in (
            ('columns', region.left, region.width, grid.columns),
            ('rows', region.top, region.height, grid.rows)):
        if first < 0 or length < 1 or first + length > cells:
            raise CodecError(f'a region of {length} {name} from {first} is not within {cells}')
    if region.channels not in SIZES:
        raise CodecError(f'{region.channels} channels are not one of {SIZES}')
    if not 0 <= region.level < (model.quantizers if region.channels else 1):
        raise CodecError(f'the region model has no level {region.level} for such a region')
    if region.symbols.shape != (region.channels, region.height, region.width):
        raise CodecError('the symbols of a region are not of its size')
    if np.abs(region.symbols.astype(np.int64)).max(initial=0) > model.symbol_max:
        raise CodecError(f'a symbol of a region is not in +-{model.symbol_max}')
    if region.motion is not None:
        if not follows:
            raise CodecError('a region is moved in a packet that refers to no other')
        if not all(-_MOTION_OFFSET <= step < _MOTION_OFFSET for step in region.motion):
            raise CodecError(
                f'a motion of {region.motion} is not in {-_MOTION_OFFSET}..{_MOTION_OFFSET - 1}')
