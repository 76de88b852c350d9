# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each codec makes of a picture when so many bytes can be sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gsc_ros.codec import packet as wire
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.frame import EncodedFrame, FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.codec.region.setting import RegionSettings
from gsc_ros.evaluation.metric import psnr
from gsc_ros.evaluation.own import within
from gsc_ros.evaluation.region_source import Found
from gsc_ros.evaluation.resampling import Picture, reduced, resized
from gsc_ros.evaluation.snr.link import CapacityError, NoisyLink, Sent
from gsc_ros.evaluation.still_peer import StillPeer
from gsc_ros.evaluation.stream_cache import StreamCache

# What a packet sent with its base takes more: the base's length, and what differs in the head.
SPLICE_BYTES = 16
# Between two of a peer's qualities so many halvings.
_HALVINGS = 5


@dataclass(frozen=True)
class Coded:
    """
    A picture on its way, and what comes out of it.

    :param sent: datagrams.
    :param picture: uint8 [H, W, 3] RGB, when the packet comes through.
    :param base: the same when only the packet's base does; None without a base.
    :param setting: quality and so on, in words.
    """

    sent: Sent
    picture: Picture
    base: Picture | None
    setting: str


class NotFittingError(Exception):
    """A codec has no form of a picture that is small enough; the message says how small it is."""


#: From the number of a picture and a link to what is sent.
Coder = Callable[[int, NoisyLink], Coded]


@dataclass(frozen=True)
class _Form:
    """One form of a picture: its bytes, and how it was made."""

    packet: bytes
    setting: str
    factor: float
    quality: float


class PeerCoder:
    """
    Codes with another codec: of all downscales and qualities that fit, the one of the best PSNR.

    :param peer: the codec.
    :param images: uint8 [H, W, 3] RGB.
    :param downscales: factors that it may choose from.
    :param streams: codes, and remembers.
    """

    def __init__(self, peer: StillPeer, images: Sequence[Picture], downscales: Sequence[float],
                 streams: StreamCache) -> None:
        self._peer = peer
        self._images = images
        self._downscales = downscales
        self._streams = streams

    def __call__(self, number: int, link: NoisyLink) -> Coded:
        """
        Code a picture.

        :raises NotFittingError: even the smallest form is too large.
        :raises PeerError: the codec failed.
        """
        image = self._images[number]
        forms = [self._finest(image, factor, link.capacity) for factor in self._downscales]
        fitting = [form for form in forms if len(form.packet) <= link.capacity]
        if not fitting:
            least = min(forms, key=lambda form: len(form.packet))
            raise NotFittingError(
                f'{len(least.packet)} bytes at least ({least.setting}), of {link.capacity}')
        pictures = [self._decoded(form, image) for form in fitting]
        best = max(range(len(fitting)), key=lambda index: psnr(image, pictures[index]))
        form = fitting[best]
        return Coded(link.send(form.packet), pictures[best], None, form.setting)

    def _finest(self, image: Picture, factor: float, capacity: int) -> _Form:
        """Return the finest form at a downscale that fits, else the smallest."""
        small = reduced(image, factor)
        qualities = self._peer.qualities
        best = self._form(small, factor, qualities[0])
        if len(best.packet) > capacity:
            return best
        above = None
        for quality in qualities[1:]:
            form = self._form(small, factor, quality)
            if len(form.packet) > capacity:
                above = quality
                break
            best = form
        for _ in range(_HALVINGS if above is not None else 0):
            middle = (best.quality + above) / 2
            form = self._form(small, factor, middle)
            if len(form.packet) <= capacity:
                best = form
            else:
                above = middle
        return best

    def _form(self, small: Picture, factor: float, quality: float) -> _Form:
        stream = self._streams.still(self._peer, small, quality)
        return _Form(stream.data, f'1/{factor:g}, quality {quality:.3g}',
                     factor, quality)

    def _decoded(self, form: _Form, image: Picture) -> Picture:
        height, width = reduced(image, form.factor).shape[:2]
        small = self._peer.decode(form.packet, width, height)
        return resized(small, image.shape[1], image.shape[0])


class OwnCoder:
    """
    Codes with a profile of this package: every frame alone, no caption.

    :param profile: its name or folder.
    :param images: uint8 [H, W, 3] RGB.
    :param threads: of each graph.
    :param found: where perception looks in the images; None where nobody knows.
    :param objects: whether the list of classes and boxes is sent with key regions.
    :raises ProfileError: it cannot be used.
    """

    def __init__(self, profile: str, images: Sequence[Picture], threads: int,
                 found: Found | None = None, objects: bool = False) -> None:
        loaded = load_profile(profile)
        self.settings = f'profile {loaded.name} {loaded.short_hash:04x}, all channels'
        #: Whether it can code key regions.
        self.has_regions = loaded.has_regions
        self._images = images
        self._found = found
        self._region_settings = RegionSettings(objects=objects)
        self._encoder = FrameEncoder(loaded, threads)
        self._decoder = FrameDecoder(loaded, threads)
        self._frames: dict[tuple[int, int, bool], EncodedFrame] = {}

    def whole(self, number: int, link: NoisyLink) -> Coded:
        """
        Code a picture as one piece, as the peers do.

        :raises NotFittingError: no packet is that small.
        """
        return self._whole(self._frame(number, link), link)

    def with_regions(self, number: int, link: NoisyLink) -> Coded:
        """
        Code a picture with its key regions, as one piece.

        :raises NotFittingError: as :meth:`whole`.
        """
        return self._whole(self._frame(number, link, self._found.regions[number]), link)

    def layered(self, number: int, link: NoisyLink) -> Coded:
        """
        Code a picture so that its first layers are protected better than the rest.

        The packet is that of :meth:`whole`; where its layers make no base, all of it is sent alike.

        :raises NotFittingError: as :meth:`whole`.
        """
        frame = self._frame(number, link)
        most = link.base_capacity(len(frame.payload))
        fitting = [end for end in frame.layer_ends[:-1] if end <= most]
        if fitting:
            base = wire.cut(frame.payload, len(fitting), frame.layer_ends)
            try:
                sent = link.send(frame.payload, base)
            except CapacityError:
                return self._whole(frame, link)
            return Coded(sent, self._decoded(frame.payload), self._decoded(base),
                         f'{_words(frame)}, base of {len(base)} bytes')
        return self._whole(frame, link)

    def _whole(self, frame: EncodedFrame, link: NoisyLink) -> Coded:
        return Coded(link.send(frame.payload), self._decoded(frame.payload), None, _words(frame))

    def _frame(self, number: int, link: NoisyLink,
               regions: Sequence[KeyRegion] | None = None) -> EncodedFrame:
        """Return a coded picture; with key regions when these are given, even none."""
        key = number, link.capacity, regions is not None
        if key not in self._frames:
            try:
                settings = replace(within(link.capacity - SPLICE_BYTES),
                                   regions=self._region_settings)
                self._frames[key] = self._encoder.encode(
                    self._images[number], settings, regions or ())
            except CodecError as error:
                raise NotFittingError(str(error)) from error
        return self._frames[key]

    def _decoded(self, payload: bytes) -> Picture:
        return self._decoder.decode(payload).image


def _words(frame: EncodedFrame) -> str:
    return f'quantizer {frame.quantizer}, {len(frame.channels)} channels'
