# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The regions of a frame at the encoder: which are followed, which are new, and what each may cost.

::

    key regions ─> spots ─┬─ followed from the frame before ─> found again ─> put on the base
                          └─ new ones ──────────────────────────────────────────────┐
    image, what lies there now ─> options of each spot ─> allocation ─> stream, scene
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
from gsc_ros.codec.entropy import Coded
from gsc_ros.codec.packet import MAX_REGIONS
from gsc_ros.codec.profile import Profile
from gsc_ros.codec.region.allocation import Allocation, Items
from gsc_ros.codec.region.bitstream import CodedRegion, encode_regions, NO_MOTION
from gsc_ros.codec.region.canvas import Canvas
from gsc_ros.codec.region.motion import corners, find
from gsc_ros.codec.region.option import Choices, Option
from gsc_ros.codec.region.plan import affordable, arranged, Planned
from gsc_ros.codec.region.setting import Offer, RegionSettings, SentRegion
from gsc_ros.codec.region.spot import overlap, Spot
from gsc_ros.codec.region.track import compose, Place, Track
from gsc_ros.codec.region.transform import RegionTransform
import numpy as np

# A spot continues a track that covers it as well as this (intersection over union).
_SAME = 0.3
# Frames for which a track is shown on that no source names any more.
_LINGERING = 10
# Of a velocity, changes that the wire can tell.
_MOST_CHANGE = 63
# Bits of a region that is continued, about.
_CONTINUED_BITS = 16.0


@dataclass(frozen=True)
class Followed:
    """
    What the encoder knows of a region that it has sent.

    :param track: what both ends know.
    :param original: the original of its anchor, uint8 gray ``[h, w]``.
    :param points: where in it something can be found again.
    :param spot: what it was sent for.
    :param missed: frames in a row in which no source has named it.
    """

    track: Track
    original: np.ndarray
    points: np.ndarray
    spot: Spot
    missed: int = 0


@dataclass(frozen=True)
class EncodedRegions:
    """
    The regions of one frame, ready to be sent.

    :param coded: their stream.
    :param regions: the regions in it.
    :param sent: the same, explained.
    :param offers: what competed.
    :param followed: what later frames may continue, in the same order; empty unless asked for.
    """

    coded: Coded
    regions: tuple[CodedRegion, ...]
    sent: tuple[SentRegion, ...]
    offers: tuple[Offer, ...]
    followed: tuple[Followed, ...]


class RegionEncoder:
    """
    Encodes regions. It remembers nothing; encoders of several cameras may share one.

    :param profile: a profile that has a region model.
    :param threads: threads of its graphs.
    """

    def __init__(self, profile: Profile, threads: int = 1):
        self.transform = RegionTransform(profile, threads)
        self.transform.load_analysis()
        self._model = profile.region_context
        self._default_level = profile.manifest.regions.default_quantizer

    def encode(
        self, image: np.ndarray, base: Canvas, spots: Sequence[Spot],
        before: Sequence[tuple[Followed, Place]], settings: RegionSettings,
        max_bytes: int | None, keep: bool = False,
    ) -> EncodedRegions | None:
        """
        Return the regions to send; None when none is worth its bits, or none fits.

        :param image: uint8 ``[H, W, 3]``.
        :param base: the base of the frame, at least where ``spots`` and ``before`` are.
        :param spots: where perception looks, the weightiest first.
        :param before: the regions of the packet that this one refers to, and how their velocity
            has changed (see :meth:`found`).
        :param settings: prices.
        :param max_bytes: room for the stream; None for no limit.
        :param keep: whether later frames may continue these regions.
        """
        height, width = image.shape[:2]
        planned = self._planned(image, base, spots, before)
        shown = Canvas(base.picture.copy(), base.confidence.copy())
        for plan in planned:
            if plan.index is not None:
                plan.track.draw(shown)
        taken = np.zeros((height, width), bool)
        competing, choices = [], []
        for place, plan in enumerate(planned):
            if plan.missed:
                continue
            choices.append(Choices(
                self.transform, image, shown.picture, plan.spot, taken.copy(), settings.thrift))
            competing.append(place)
            left, top, right, bottom = (round(side) for side in plan.spot.box)
            taken[top:bottom, left:right] = True

        def write(items: Items) -> tuple[Coded, list[int]] | None:
            sent = arranged(planned, {competing[index]: option for index, option in items},
                            width, height)
            if not sent:
                return None
            coded = encode_regions(
                self._model, _regions(planned, sent), width, height, len(before))
            bits = {place: 8 * (end - start) for place, start, end in zip(
                sent, (0, *coded.ends), coded.ends)}
            return coded, [bits.get(competing[index]) if sent.get(competing[index]) is option
                           else None for index, option in items]

        continued = sum(plan.index is not None for plan in planned)
        allocation = Allocation(choices, write, continued * _CONTINUED_BITS)
        least = self._least_price(choices, settings, max_bytes)
        chosen = (allocation.at(least) if max_bytes is None
                  else allocation.within(max_bytes, least))
        if chosen is None:
            return None
        sent = arranged(planned, {competing[index]: option for index, option in chosen.items},
                        width, height)
        coded = _regions(planned, sent)
        followed = ()
        if keep:
            tracks, _ = compose(
                Canvas(base.picture.copy(), base.confidence.copy()), coded,
                [known.track for known, _ in before], self.transform)
            gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            followed = tuple(
                self._followed(track, planned[place], gray, sent[place] is not None, before)
                for track, place in zip(tracks, sent))
        return EncodedRegions(
            chosen.coded, tuple(coded), _sent(planned, sent, chosen.coded, width, height),
            _offers(choices, sent, chosen.coded, width, height), followed)

    def found(self, known: Followed, gray: np.ndarray) -> Place:
        """
        Return how the velocity of a region has changed, going by the original pictures.

        :param known: the region as it was in the frame before.
        :param gray: the frame at hand, uint8 ``[H, W]``.
        """
        track = known.track
        guess = tuple(was + step for was, step in zip(track.place, track.velocity))
        place = find(track, known.original, known.points, gray, guess)
        if place is None:
            return NO_MOTION
        return tuple(min(max(now - then, -_MOST_CHANGE), _MOST_CHANGE)
                     for now, then in zip(place, guess))

    def _planned(
        self, image: np.ndarray, base: Canvas, spots: Sequence[Spot],
        before: Sequence[tuple[Followed, Place]],
    ) -> list[Planned]:
        """Return what is continued because that gains something, then the other spots."""
        height, width = image.shape[:2]
        continued = []
        for index, (known, motion) in enumerate(before):
            track = known.track.moved(motion)
            gain = _shown_gain(image, base, track, known.spot.weight)
            if gain > 0:
                continued.append(
                    Planned(known.spot, index, track, motion, known.missed + 1, gain))
        free, planned = list(spots), []
        for plan in affordable(continued, width, height):
            box = plan.track.box
            spot = max(free, key=lambda spot: overlap(spot.box, box), default=None)
            if spot is not None and overlap(spot.box, box) >= _SAME:
                free.remove(spot)
                planned.append(replace(plan, spot=spot, missed=0))
            elif plan.missed <= _LINGERING:
                planned.append(plan)
        return planned + [Planned(spot) for spot in free[:max(MAX_REGIONS - len(planned), 0)]]

    def _least_price(
        self, choices: Sequence[Choices], settings: RegionSettings, max_bytes: int | None,
    ) -> float:
        """Return the price below which no bit is bought, in squares of 8-bit values."""
        if not choices or settings.beta > 0:
            return max(settings.beta / settings.alpha, 1e-9)
        level = settings.level
        if level is None and max_bytes is not None:
            return min(choice.price_of(2, len(self.transform.gains) - 1) for choice in choices)
        level = self._default_level if level is None else level
        return choices[0].price_of(2, level) / settings.alpha

    def _followed(
        self, track: Track, plan: Planned, gray: np.ndarray, renewed: bool,
        before: Sequence[tuple[Followed, Place]],
    ) -> Followed:
        if not renewed:
            return replace(before[plan.index][0], track=track, spot=plan.spot, missed=plan.missed)
        rows, columns = track.confidence.shape
        original = gray[track.top:track.top + rows, track.left:track.left + columns].copy()
        return Followed(track, original, corners(original), plan.spot)


def _regions(
    planned: Sequence[Planned], sent: dict[int, Option | None],
) -> list[CodedRegion]:
    """Return the regions as they cross the link."""
    return [planned[place].coded(option) for place, option in sent.items()]


def _sent(
    planned: Sequence[Planned], sent: dict[int, Option | None], coded: Coded, width: int,
    height: int,
) -> tuple[SentRegion, ...]:
    """Return what is sent, explained."""
    found, start = [], 0
    for (place, option), end in zip(sent.items(), coded.ends):
        plan, gain = planned[place], planned[place].gain
        if option is None:
            box, scale, level = (
                plan.track.inside(width, height), plan.track.scale, plan.track.level)
        else:
            box, scale, level = (
                _pixels(option, width, height), option.cells.scale, option.level)
            gain += option.gain
        found.append(SentRegion(
            box, scale, level, end - start, gain, plan.spot.source, plan.index is not None))
        start = end
    return tuple(found)


def _offers(
    choices: Sequence[Choices], sent: dict[int, Option | None], coded: Coded, width: int,
    height: int,
) -> tuple[Offer, ...]:
    """Return all that was worked out for regions, most gain for a bit first."""
    taken = {id(option): end - start for option, start, end in zip(
        sent.values(), (0, *coded.ends), coded.ends) if option is not None}
    offers = [
        Offer('region', _pixels(option, width, height), option.cells.scale, option.level,
              taken.get(id(option), choice.bits(option) / 8), option.gain, id(option) in taken)
        for choice in choices for option in choice.options]
    return tuple(sorted(offers, key=lambda offer: -offer.gain_per_bit))


def _pixels(option: Option, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the box of an option in the image."""
    left, top, right, bottom = option.cells.pixels
    return left, top, min(right, width), min(bottom, height)


def _shown_gain(image: np.ndarray, base: Canvas, track: Track, weight: float) -> float:
    """Return by how much showing a track takes away of the weighted squared error of the base."""
    height, width = base.confidence.shape
    left, top, right, bottom = track.inside(width, height)
    if left == right or top == bottom:
        return 0.0
    part = np.s_[top:bottom, left:right]
    shown = Canvas(base.picture.copy(), base.confidence.copy())
    track.draw(shown)
    truth = image[part].astype(np.int32)
    return weight * float(
        np.square(truth - base.picture[part]).sum() - np.square(truth - shown.picture[part]).sum())
