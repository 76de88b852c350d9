# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""This package's codec, as the peers see it: whole packets without a caption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gsc_ros.codec.error import CodecError, MissingReferenceError
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.packet import LATENT_CHANNELS
from gsc_ros.codec.profile import load_profile
from gsc_ros.evaluation.packet_loss import LossyLink
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
    """

    size: int
    picture: Picture
    encode_ms: float
    decode_ms: float


@dataclass(frozen=True)
class Sent:
    """
    One frame that was sent.

    :param size: bytes.
    :param arrived: whether all of its packets did.
    :param picture: the reconstruction; None when there is none.
    :param encode_ms: milliseconds.
    :param decode_ms: milliseconds; None without a picture.
    """

    size: int
    arrived: bool
    picture: Picture | None
    encode_ms: float
    decode_ms: float | None


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
        self._profile = loaded
        self._threads = threads
        self._encoder = FrameEncoder(loaded, threads)
        self._decoder = FrameDecoder(loaded, threads)

    def warm_up(self, image: Picture) -> None:
        """Code one picture, so that the first measured one does not pay for what all share."""
        self.code(image, EncoderSettings())

    def code(self, image: Picture, settings: EncoderSettings) -> Coded:
        """
        Encode and decode one picture alone.

        :raises CodecError: the codec cannot.
        """
        frame = self._encoder.encode(image, settings)
        decoded = self._decoder.decode(frame.payload)
        return Coded(len(frame.payload), decoded.image, frame.encode_ms, decoded.decode_ms)

    def stills(self, images: Sequence[Picture], quantizer: int) -> Iterator[Coded]:
        """
        Code pictures with all channels and a quantizer.

        :raises CodecError: as :meth:`code`.
        """
        settings = with_quantizer(quantizer)
        return (self.code(image, settings) for image in images)

    def stills_within(self, images: Sequence[Picture], bpp: float) -> Iterator[Coded]:
        """
        Code pictures so that no packet takes more than ``bpp`` bits per pixel.

        :raises CodecError: as :meth:`code`.
        """
        for image in images:
            limit = int(bpp * image.shape[0] * image.shape[1] / 8)
            yield self.code(image, within(limit))

    def send(self, images: Sequence[Picture], fps: float, settings: EncoderSettings,
             link: LossyLink) -> Iterator[Sent]:
        """
        Send a video over a link.

        :param settings: of every frame. In stream mode the first frame stands alone, and so does
            the one that answers a report of loss.
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
            frame = self._encoder.encode(image, settings)
            size = len(frame.payload)
            arrived = all(link.carries(number, [size]))
            picture, decode_ms = _received(decoder, frame.payload) if arrived else (None, None)
            if picture is None and number >= quiet_until:
                quiet_until = number + delay
                refresh.add(quiet_until)
            yield Sent(size, arrived, picture, frame.encode_ms, decode_ms)


def _received(decoder: FrameDecoder, payload: bytes) -> tuple[Picture | None, float | None]:
    """Return the picture and the milliseconds it took; None when its reference was lost."""
    try:
        decoded = decoder.decode(payload)
    except MissingReferenceError:
        return None, None
    return decoded.image, decoded.decode_ms


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
