# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How the base and key regions share a packet.

Regions are a gain, the base is a duty: whatever goes wrong in regions, the base has the packet for
itself and the frame is sent. What regions leave of a limit, the base gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
from gsc_ros.codec import packet as wire
from gsc_ros.codec.candidate import Candidate, LatentCoder
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.profile import Profile
from gsc_ros.codec.region.encoder import EncodedRegions
from gsc_ros.codec.region.frame import FrameRegions, WantedRegions
from gsc_ros.codec.region.setting import Offer, RegionSettings
from gsc_ros.codec.region.spot import Spot
from gsc_ros.codec.region.trial import error_weights, Judge, trials, weighted_error
from gsc_ros.codec.structure import dequantize
import numpy as np

# Pixels for which the base has a byte at least, in a stream and elsewhere: with less, a whole road
# may turn green, and what surrounds the regions loses more than they gain.
_PIXELS_FOR_A_BYTE = {True: 2400, False: 1200}
# Of a limit, what regions may leave before the base is coded again with it.
_LEFT_OVER = 0.1
# Quantizers of the base, finer and coarser than the one taken, that an explanation has.
_LADDER = 3

Choose = Callable[[int | None], Candidate]


@dataclass(frozen=True)
class Shared:
    """
    What a packet holds.

    :param candidate: the base.
    :param regions: the regions; None for none.
    :param failure: why there are none though some were wanted; empty unless something went wrong.
    """

    candidate: Candidate
    regions: EncodedRegions | None = None
    failure: str = ''

    def size(self, head: wire.Packet) -> int:
        """Return about the length of the packet."""
        return self.candidate.size(head) + (
            0 if self.regions is None else len(self.regions.coded.stream))


class Sharing:
    """
    Shares the packet of one frame.

    :param regions: encodes regions.
    :param profile: the profile.
    :param image: uint8 ``[H, W, 3]``.
    :param head: all of the packet but the base and regions.
    :param wanted: what sources want of the frame.
    :param choose: returns the base within a limit of bytes; raises a CodecError when nothing fits.
    :param max_bytes: what the packet must not exceed; None for no limit.
    :param stream: whether later frames may continue the regions.
    """

    def __init__(
        self, regions: FrameRegions, profile: Profile, image: np.ndarray, head: wire.Packet,
        wanted: WantedRegions, choose: Choose, max_bytes: int | None, stream: bool,
    ):
        self._regions = regions
        self._profile = profile
        self._image = image
        self._head = head
        self._wanted = wanted
        self._choose = choose
        self._max_bytes = max_bytes
        self._stream = stream
        self._tried: list[Shared] = []

    def best(self, settings: RegionSettings, judge: Judge | None) -> Shared:
        """
        Return what to send.

        :param settings: prices.
        :param judge: looks at the picture of each way that is tried; None for the weighted error.
        :raises CodecError: when not even the base fits.
        """
        if not self._wanted.any:
            self._tried = [Shared(self._choose(self._max_bytes), None, self._wanted.failure)]
            return self._tried[0]
        model = self._profile.manifest.regions
        most = min(settings.most, max(len(self._wanted.spots), 1))
        tried = trials(replace(settings, most=most), self._max_bytes is not None, judge is not None,
                       model.default_quantizer, model.quantizers)
        self._tried = [self._alone() if one is None else self._with(one) for one in tried]
        if len(self._tried) == 1:
            return self._tried[0]
        return max(self._tried, key=lambda one: self._worth(one, settings, judge))

    def base_offers(self, taken: Candidate, coder: LatentCoder) -> list[Offer]:
        """
        Return the base as it is sent, as it was tried, and about as it would be at levels around.

        :param taken: what is sent.
        :param coder: of the base.
        """
        found = {(one.candidate.quantizer, one.candidate.ends[-1]): one.candidate
                 for one in self._tried}
        found[taken.quantizer, taken.ends[-1]] = taken
        gain = _BaseGain(self._profile, coder, self._image, self._wanted.spots)
        offers = [
            Offer('base', None, 0, one.quantizer, one.size(self._head),
                  gain.of(one.symbols, one.channels, one.quantizer), one is taken)
            for one in found.values()]
        coded = {one.quantizer for one in found.values()}
        ratio = taken.ends[-1] / coder.estimate(taken.channels, taken.quantizer)
        rest = taken.size(self._head) - taken.ends[-1]
        around = range(max(taken.quantizer - _LADDER, 0),
                       min(taken.quantizer + _LADDER + 1, len(self._profile.gains)))
        for level in (level for level in around if level not in coded):
            channels, symbols = coder.quantize(range(len(coder.latent)), level)
            offers.append(Offer(
                'base', None, 0, level, rest + ratio * coder.estimate(channels, level),
                gain.of(symbols, channels, level), False))
        return offers

    def _alone(self, failure: str = '') -> Shared:
        return Shared(self._choose(self._max_bytes), None, failure)

    def _with(self, settings: RegionSettings) -> Shared:
        """Return a base with its share of the limit, and the regions in the rest of it."""
        limit = self._max_bytes
        if limit is None:
            candidate = self._choose(None)
            return Shared(candidate, *self._encode(candidate, settings))
        try:
            pixels = self._head.width * self._head.height
            # Who gives the base less than its half knows what that costs.
            least = (pixels // _PIXELS_FOR_A_BYTE[self._stream]
                     if settings.base_share >= RegionSettings.base_share else 0)
            candidate = self._choose(min(max(int(limit * settings.base_share), least), limit))
        except CodecError:
            # What is too little for a part of it may be enough for the base alone.
            return self._alone()
        shared = Shared(candidate, *self._encode(candidate, settings))
        if shared.regions is None:
            return self._alone(shared.failure)
        left = limit - shared.size(self._head)
        if left <= _LEFT_OVER * limit:
            return shared
        candidate = self._choose(candidate.size(self._head) + left)
        again = Shared(candidate, *self._encode(candidate, settings))
        # With a finer base regions may not be worth their bits any more.
        return self._alone(again.failure) if again.regions is None else again

    def _encode(
        self, candidate: Candidate, settings: RegionSettings,
    ) -> tuple[EncodedRegions | None, str]:
        """Return the regions on a base, and why there are none if that is a failure."""
        try:
            return self._regions.encode(
                self._image, candidate.packet(self._head), candidate.symbols,
                replace(self._wanted, spots=self._wanted.spots[:settings.most]), settings,
                self._max_bytes, keep=self._stream), ''
        except Exception as error:  # noqa: BLE001 - whatever it is, the base must arrive
            return None, f'{type(error).__name__}: {error}'

    def _worth(self, shared: Shared, settings: RegionSettings, judge: Judge | None) -> float:
        """Return equation (2) of the first paper for a whole packet."""
        picture = self._regions.picture(
            shared.candidate.packet(self._head), shared.candidate.symbols, self._wanted,
            shared.regions)
        value = (-weighted_error(self._image, picture, self._wanted.spots) if judge is None
                 else judge(picture))
        return settings.alpha * value - settings.beta * 8 * shared.size(self._head)


class _BaseGain:
    """
    What a base takes away of the weighted squared error, going by its latent.

    :param profile: the profile.
    :param coder: of the base.
    :param image: uint8 ``[H, W, 3]``.
    :param spots: where perception looks.
    """

    def __init__(
        self, profile: Profile, coder: LatentCoder, image: np.ndarray, spots: Sequence[Spot],
    ):
        self._gains = profile.gains
        self._latent = coder.latent
        rows, columns = self._latent.shape[1:]
        self._weights = cv2.resize(
            error_weights(*image.shape[:2], spots), (columns, rows),
            interpolation=cv2.INTER_AREA)
        # How large the unit of the latent is, is its own business; without it all is gray.
        energy = np.square(image[::4, ::4].astype(np.float32) - np.float32(127.5)).mean() * 3
        energy *= image.shape[0] * image.shape[1]
        self._unit = float(energy / max(float(np.square(self._latent).sum()), 1e-12))

    def of(self, symbols: np.ndarray, channels: Sequence[int], quantizer: int) -> float:
        """Return the gain of symbols, in squares of 8-bit values."""
        rows = list(channels)
        exact = self._latent[rows]
        coded = dequantize(symbols, self._gains[quantizer][rows])
        saved = (np.square(exact) - np.square(exact - coded)).sum(axis=0)
        return float((saved * self._weights).sum()) * self._unit
