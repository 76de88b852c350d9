# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How key regions share a packet with the rest of the frame, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RegionSettings:
    """
    How much key regions may take of a frame.

    What is sent makes ``alpha * gain - beta * bits`` large, where the gain is the weighted squared
    error that it takes away, in squares of 8-bit values. With a limit of bytes a bit costs what the
    last one that fits gains, and at least ``beta / alpha``.

    :param objects: whether the list of objects is sent: the regions of which a source knows the
        class.
    :param alpha: worth of a gain, positive.
    :param beta: price of a bit, not negative.
    :param most: regions at most, 0..32.
    :param level: quantizer of the region model that tells the price where neither ``beta`` nor a
        limit of bytes does; None for the profile's default.
    :param base_share: share of a limit of bytes that is kept for the rest of the frame, 0..1, and
        at least a byte for 2000 pixels; None to try several shares, which takes as many times as
        long.
    :param thrift: what the bits of a symbol must save of the squared error, in squares of the step,
        over 0 and up to 1: next to nothing rounds to the nearest. For the least squared error 0.15
        is best; networks see more in textures that are coarser but whole.
    :param explain: whether the offers that are told have the base, too, as it is and as it would be
        at other levels, which takes some milliseconds.
    """

    objects: bool = True
    alpha: float = 1.0
    beta: float = 0.0
    most: int = 16
    level: int | None = None
    base_share: float | None = 0.5
    thrift: float = 0.03
    explain: bool = False


@dataclass(frozen=True)
class SentRegion:
    """
    A region as it was sent.

    :param box: left, top, right, bottom in whole pixels of the frame.
    :param scale: 1, 2 or 4: it was coded at 1 / scale of the frame's resolution.
    :param level: quantizer of its symbols.
    :param bytes: about how many bytes it takes; they add up to those of all regions.
    :param gain: the weighted squared error that it takes away, in squares of 8-bit values.
    :param source: what has asked for it.
    :param tracked: whether it continues one of the frame before.
    """

    box: tuple[int, int, int, int]
    scale: int
    level: int
    bytes: int
    gain: float
    source: str
    tracked: bool


@dataclass(frozen=True)
class Offer:
    """
    One of the ways to spend bits that competed for a frame.

    :param part: ``base`` or ``region``.
    :param box: of a region, in pixels; None for the base.
    :param scale: of a region; 0 for the base.
    :param level: quantizer.
    :param bytes: what it takes, estimated unless it was chosen; the base has all of the packet but
        regions.
    :param gain: the weighted squared error that it takes away, in squares of 8-bit values.
    :param chosen: whether it was sent.
    """

    part: str
    box: tuple[int, int, int, int] | None
    scale: int
    level: int
    bytes: float
    gain: float
    chosen: bool

    @property
    def gain_per_bit(self) -> float:
        """Gain for each bit."""
        return self.gain / max(8 * self.bytes, 1.0)
