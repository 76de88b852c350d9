# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The regions of a frame, between what sources want of it and the packet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
from gsc_ros.codec import packet as wire
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.profile import Profile
from gsc_ros.codec.region.canvas import Canvas
from gsc_ros.codec.region.encoder import EncodedRegions, Followed, RegionEncoder
from gsc_ros.codec.region.object_list import ObjectBox
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.codec.region.setting import RegionSettings
from gsc_ros.codec.region.spot import objects, Spot, spots
from gsc_ros.codec.region.track import compose, Place
from gsc_ros.codec.region.window import base_canvas
from gsc_ros.codec.structure import Synthesis
import numpy as np

# Pixels around a region in which its prediction must be known: a cell of the coarsest grid to snap
# to, and one for the halo of what is put together.
_SNAP = 24
_HALO = 40


@dataclass(frozen=True)
class WantedRegions:
    """
    What sources want of a frame.

    :param objects: what may be in the list of objects, the most important first.
    :param spots: where perception looks.
    :param before: the regions of the packet referred to, and how their velocity has changed.
    :param failure: why the others are missing; empty unless something went wrong.
    """

    objects: Sequence[ObjectBox] = ()
    spots: Sequence[Spot] = ()
    before: Sequence[tuple[Followed, Place]] = ()
    failure: str = ''

    @property
    def any(self) -> bool:
        """Whether there is anything to send but the list."""
        return bool(self.spots or self.before)


class FrameRegions:
    """
    Encodes the regions of frames. It remembers nothing, so that encoders may share one.

    :param profile: the profile.
    :param synthesis: of its base.
    :param threads: threads of the graphs.
    """

    def __init__(self, profile: Profile, synthesis: Synthesis, threads: int = 1):
        self._profile = profile
        self._synthesis = synthesis
        self._encoder = RegionEncoder(profile, threads) if profile.has_regions else None

    def wanted(
        self, image: np.ndarray, key_regions: Sequence[KeyRegion], followed: Sequence[Followed],
        settings: RegionSettings,
    ) -> WantedRegions:
        """
        Return what there is to send.

        :param image: uint8 ``[H, W, 3]``.
        :param key_regions: what sources have said.
        :param followed: the regions of the packet that the next one refers to.
        :param settings: what to send.
        :raises CodecError: when a setting is out of range.
        """
        _check(settings, self._profile)
        height, width = image.shape[:2]
        listed = objects(key_regions, width, height) if settings.objects else ()
        if self._encoder is None:
            return WantedRegions(listed)
        try:
            gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if followed else None
            return WantedRegions(
                listed, spots(key_regions, width, height, settings.most),
                [(known, self._encoder.found(known, gray)) for known in followed])
        except Exception as error:  # noqa: BLE001 - whatever it is, the frame must arrive
            return WantedRegions(listed, failure=f'{type(error).__name__}: {error}')

    def encode(
        self, image: np.ndarray, packet: wire.Packet, symbols: np.ndarray, wanted: WantedRegions,
        settings: RegionSettings, max_bytes: int | None, keep: bool,
    ) -> EncodedRegions | None:
        """
        Return the regions to send with a packet; None when none is worth it, or none fits.

        :param image: uint8 ``[H, W, 3]``.
        :param packet: all but the regions.
        :param symbols: of the base, int16 ``[len(packet.channels), h, w]``.
        :param wanted: what there is to send.
        :param settings: prices.
        :param max_bytes: what the whole packet must not exceed; None for no limit.
        :param keep: whether later frames may continue these regions.
        """
        room = None if max_bytes is None else _room(packet, max_bytes)
        if self._encoder is None or not wanted.any or (room is not None and room < 1):
            return None
        around = _SNAP + (_HALO if keep else 0)
        boxes = [spot.box for spot in wanted.spots]
        boxes += [known.track.moved(motion).box for known, motion in wanted.before]
        canvas = base_canvas(
            self._synthesis, self._profile.pitch, symbols, packet.channels, packet.quantizer,
            packet.height, packet.width,
            [(left - around, top - around, right + around, bottom + around)
             for left, top, right, bottom in boxes])
        return self._encoder.encode(
            image, canvas, wanted.spots, wanted.before, settings, room, keep)

    def picture(
        self, packet: wire.Packet, symbols: np.ndarray, wanted: WantedRegions,
        encoded: EncodedRegions | None,
    ) -> np.ndarray:
        """Return the picture that the receiver will show, uint8 ``[H, W, 3]``."""
        canvas = Canvas.over(self._synthesis.render(
            symbols, packet.channels, packet.quantizer, packet.height, packet.width))
        if encoded is not None:
            compose(canvas, encoded.regions, [known.track for known, _ in wanted.before],
                    self._encoder.transform)
        return canvas.picture


def _room(packet: wire.Packet, max_bytes: int) -> int:
    """Return how long the stream of regions may be, so that the packet keeps to a limit."""
    room = max_bytes - packet.region_ends((0,))[0]
    while room > 0 and packet.region_ends((room,))[0] > max_bytes:
        room -= 1
    return room


def _check(settings: RegionSettings, profile: Profile) -> None:
    """Raise a CodecError when a setting is out of range."""
    if not (settings.alpha > 0 and settings.beta >= 0):
        raise CodecError('alpha must be positive and beta not negative')
    if not 0 <= settings.most <= wire.MAX_REGIONS:
        raise CodecError(f'{settings.most} regions are not in 0..{wire.MAX_REGIONS}')
    if settings.base_share is not None and not 0 < settings.base_share <= 1:
        raise CodecError(f'a share of {settings.base_share} is not in 0..1')
    if not 0 < settings.thrift <= 1:
        raise CodecError(f'a thrift of {settings.thrift} is not in 0..1')
    model = profile.manifest.regions
    if settings.level is not None and model is not None and not (
            0 <= settings.level < model.quantizers):
        raise CodecError(f'level {settings.level} is not in 0..{model.quantizers - 1}')
