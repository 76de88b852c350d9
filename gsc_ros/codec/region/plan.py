# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What may be sent for a frame, put in order and kept within the bounds of the wire.

A packet may have so many cells and symbols of regions, and both ends keep so many pixels of anchors
for the next frame (docs/wire.md). In a small picture a few boxes reach these bounds, because the
halo of each is as large as the box. What does not fit is left out, the worthiest first to stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gsc_ros.codec.packet import MAX_REGIONS
from gsc_ros.codec.region.bitstream import CodedRegion, NO_MOTION, Room
from gsc_ros.codec.region.option import Option
from gsc_ros.codec.region.spot import Spot
from gsc_ros.codec.region.track import anchor_box, MAX_COVER, Place, Track

# Of the pixels of anchors, the share that regions may take which only continue: else those of long
# ago would leave no room for what is new.
_CONTINUED_SHARE = 0.5


@dataclass(frozen=True)
class Planned:
    """
    A region that may be sent.

    :param spot: what it is for.
    :param index: the region that it continues; None for a new one.
    :param track: that region in this frame; None for a new one.
    :param motion: change of the velocity.
    :param missed: frames in a row in which no source has named it.
    :param gain: what showing it again gains, without symbols.
    """

    spot: Spot
    index: int | None = None
    track: Track | None = None
    motion: Place = NO_MOTION
    missed: int = 0
    gain: float = 0.0

    def coded(self, option: Option | None) -> CodedRegion:
        """Return the region as it crosses the link, with or without symbols."""
        if option is None:
            return CodedRegion.continued(self.index, self.motion)
        return option.coded(self.index, self.motion)

    def pixels(self, option: Option | None, width: int, height: int) -> int:
        """Return the pixels of the anchor that both ends will keep of it."""
        if option is None:
            return self.track.confidence.size
        left, top, right, bottom = anchor_box(option.cells, self.track, width, height)
        return (right - left) * (bottom - top)


def affordable(continued: Sequence[Planned], width: int, height: int) -> list[Planned]:
    """Return what is continued of regions: those that gain most for the pixels kept of them."""
    room = _CONTINUED_SHARE * MAX_COVER * width * height
    kept = []
    for plan in sorted(continued, key=lambda plan: -plan.gain / plan.pixels(None, width, height)):
        pixels = plan.pixels(None, width, height)
        if pixels <= room:
            room -= pixels
            kept.append(plan)
    return sorted(kept, key=lambda plan: plan.index)


def arranged(
    planned: Sequence[Planned], options: Mapping[int, Option], width: int, height: int,
) -> dict[int, Option | None]:
    """
    Return what is sent, by the place in ``planned``: first what continues, then what is new.

    :param planned: all regions of the frame.
    :param options: what symbols are wanted for some of them, by place; the worthiest first.
    :return: the option of each, None for no symbols. What the bounds do not allow is left out: of
        a region that continues only the symbols.
    """
    sent: dict[int, Option | None] = {
        place: None for place, plan in enumerate(planned) if plan.index is not None}
    cover = MAX_COVER * width * height - sum(
        planned[place].pixels(None, width, height) for place in sent)
    room = Room(width, height)
    for place, option in options.items():
        plan = planned[place]
        more = plan.pixels(option, width, height)
        if plan.index is not None:
            more -= plan.pixels(None, width, height)
        if place not in sent and len(sent) == MAX_REGIONS or more > cover:
            continue
        if not room.take(plan.coded(option)):
            continue
        cover -= more
        sent[place] = option
    return sent
