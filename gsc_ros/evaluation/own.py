# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""This package's codec, as the peers see it: whole packets without a caption."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from gsc_ros.codec.error import CodecError, MissingReferenceError
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder, Reconstruction
from gsc_ros.codec.packet import LATENT_CHANNELS
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.region.object_list import ObjectBox
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.codec.region.setting import RegionSettings
from gsc_ros.evaluation.packet_loss import LossyLink
from gsc_ros.evaluation.region_source import Found, Judge
from gsc_ros.evaluation.resampling import Picture

#: The smallest packet that the encoder can be asked for.
MIN_BYTES = 16


@dataclass(frozen=True)
class Coded:
    """
    One coded picture.

    :param size: bytes.
    :param picture: the reconstruction as the decoder gives it, uint8 [H, W, 3] RGB.
    :param encode_ms: milliseconds.
    :param decode_ms: milliseconds.
    :param regions: key regions that were sent; None for a codec without.
    """

    size: int
    picture: Picture
    encode_ms: float
    decode_ms: float
    regions: int | None = None


@dataclass(frozen=True)
class Sent:
    """
    One frame that was sent.

    :param size: bytes.
    :param arrived: whether all of its packets did.
    :param picture: the reconstruction; None when there is none.
    :param encode_ms: milliseconds.
    :param decode_ms: milliseconds; None without a picture.
    :param regions: key regions that were sent; None when they were not asked for.
    """

    size: int
    arrived: bool
    picture: Picture | None
    encode_ms: float
    decode_ms: float | None
    regions: int | None = None


class OwnCodec:
    """
    Encoder and decoder of a profile.

    :param profile: its name or folder.
    :param threads: of each graph.
    :raises ProfileError: it cannot be used.
    """

    def __init__(self, profile: str, threads: int) -> None:
        loaded = load_profile(profile)
        self.name = loaded.name
        self.quantizers = loaded.manifest.quantizers
        self.settings = (f'profile {loaded.name} {loaded.short_hash:04x}, all channels, '
                         f'{threads} threads; whole packets, no caption')
        #: Whether frames can be coded from the ones before.
        self.streams = loaded.context.streams
        #: Whether it can code key regions.
        self.has_regions = loaded.has_regions
        self._profile = loaded
        self._threads = threads
        self._encoder = FrameEncoder(loaded, threads)
        self._decoder = FrameDecoder(loaded, threads)

    def warm_up(self, image: Picture) -> None:
        """Code one picture, so that the first measured one does not pay for what all share."""
        self.code(image, EncoderSettings())

    def code(self, image: Picture, settings: EncoderSettings,
             regions: Sequence[KeyRegion] | None = None, judge: Judge | None = None) -> Coded:
        """
        Encode and decode one picture alone.

        :param regions: where perception looks; None for a whole frame alone.
        :param judge: of the reconstruction, see :class:`FrameEncoder`.
        :raises CodecError: the codec cannot.
        """
        frame = self._encoder.encode(image, settings, regions or (), judge)
        decoded = self._decoder.decode(frame.payload)
        return Coded(len(frame.payload), decoded.image, frame.encode_ms, decoded.decode_ms,
                     None if regions is None else len(decoded.regions))

    def stills(self, images: Sequence[Picture], settings: Callable[[Picture], EncoderSettings],
               found: Found | None = None, judged: bool = False) -> Iterator[Coded]:
        """
        Code pictures, each alone.

        :param settings: of each.
        :param found: where perception looks in them; the time that took counts.
        :param judged: whether the judge of these decides how a packet is shared.
        :raises CodecError: as :meth:`code`.
        """
        for number, image in enumerate(images):
            regions, looked_ms = _found(found, number)
            one = self.code(image, settings(image), regions, _judge(found, image, judged))
            yield replace(one, encode_ms=one.encode_ms + looked_ms)

    def send(self, images: Sequence[Picture], fps: float, settings: EncoderSettings,
             link: LossyLink, found: Found | None = None,
             judged: bool = False) -> Iterator[Sent]:
        """
        Send a video over a link.

        :param settings: of every frame. In stream mode the first frame stands alone, and so does
            the one that answers a report of loss.
        :param found: where perception looks in them; the time that took counts.
        :param judged: whether the judge of these decides how a packet is shared.
        :raises CodecError: a frame cannot be encoded.
        """
        # What another run has decoded would be taken for received.
        decoder = FrameDecoder(self._profile, self._threads)
        delay = link.answer_delay(fps)
        refresh: set[int] = {0}
        quiet_until = 0
        for number, image in enumerate(images):
            if number in refresh:
                self._encoder.refresh()
            regions, looked_ms = _found(found, number)
            frame = self._encoder.encode(
                image, settings, regions or (), _judge(found, image, judged))
            size = len(frame.payload)
            arrived = all(link.carries(number, [size]))
            decoded = _received(decoder, frame.payload) if arrived else None
            if decoded is None and number >= quiet_until:
                quiet_until = number + delay
                refresh.add(quiet_until)
            yield Sent(size, arrived, None if decoded is None else decoded.image,
                       frame.encode_ms + looked_ms, None if decoded is None else decoded.decode_ms,
                       None if regions is None else len(frame.regions))

    def lists(self, images: Sequence[Picture],
              found: Found) -> Iterator[tuple[int, int, tuple[ObjectBox, ...]]]:
        """
        Send lists of objects, with as little else as can be.

        :return: of each picture the bytes of the packet, those of its list, and what arrived.
        :raises CodecError: a frame cannot be encoded.
        """
        coarsest = int(self._profile.gains.mean(axis=1).argmin())
        least = EncoderSettings(channels=1, quantizer=coarsest,
                                regions=RegionSettings(objects=True, most=0))
        for image, regions in zip(images, found.regions):
            frame = self._encoder.encode(image, least, regions)
            decoded = self._decoder.decode(frame.payload)
            yield len(frame.payload), frame.sections['objects'], decoded.objects


def _judge(found: Found | None, image: Picture, judged: bool) -> Judge | None:
    return found.judge(image) if judged and found is not None and found.judge else None


def _found(found: Found | None, number: int) -> tuple[tuple[KeyRegion, ...] | None, float]:
    """Return the key regions of a picture, and the milliseconds that they took."""
    if found is None:
        return None, 0.0
    return found.regions[number], found.milliseconds[number]


def _received(decoder: FrameDecoder, payload: bytes) -> Reconstruction | None:
    """Return what a packet shows; None when its reference was lost."""
    try:
        return decoder.decode(payload)
    except MissingReferenceError:
        return None


def with_quantizer(quantizer: int) -> EncoderSettings:
    """Return the settings for all channels and a quantizer."""
    return EncoderSettings(channels=LATENT_CHANNELS, quantizer=quantizer)


def within(max_bytes: int) -> EncoderSettings:
    """
    Return the settings for packets of ``max_bytes`` at most.

    :raises CodecError: no packet is that small.
    """
    if max_bytes < MIN_BYTES:
        raise CodecError(f'{max_bytes} bytes hold no packet')
    return EncoderSettings(channels=LATENT_CHANNELS, max_bytes=max_bytes)
