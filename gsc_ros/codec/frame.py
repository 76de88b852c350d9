# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Frames to packets and back: what nodes and commands use.

::

    image ─> analysis ─> y ─> selection, quantizer ─> symbols ─> context model ─> packet
      └─ key regions ─> what they are more than the base picture ─> region model ───┘
    packet ─> context model ─> symbols ─> y_hat ─> synthesis ─> image, confidence <─ regions
                                            └─ image, caption ─> condition of a generator
"""

from __future__ import annotations

from collections.abc import Sequence
import copy
from dataclasses import dataclass, field, replace
import time

from gsc_ros.codec import packet as wire
from gsc_ros.codec import text
from gsc_ros.codec.candidate import Candidate, head_bytes, LatentCoder
from gsc_ros.codec.error import CodecError, PacketError, ProfileError, ProfileMismatchError
from gsc_ros.codec.generator.generator import Condition
from gsc_ros.codec.profile import Profile
from gsc_ros.codec.rate_control import fit
from gsc_ros.codec.rate_distortion import choose, choose_within, ErrorMeter
from gsc_ros.codec.region.bitstream import decode_regions
from gsc_ros.codec.region.canvas import Canvas, PlacedRegion
from gsc_ros.codec.region.encoder import Followed
from gsc_ros.codec.region.frame import FrameRegions
from gsc_ros.codec.region.object_list import ObjectBox, pack_within, unpack_objects
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.codec.region.scene import BaseCanvas, Scene
from gsc_ros.codec.region.setting import Offer, RegionSettings, SentRegion
from gsc_ros.codec.region.share import Shared, Sharing
from gsc_ros.codec.region.transform import RegionTransform
from gsc_ros.codec.region.trial import Judge
from gsc_ros.codec.region.window import base_canvas
from gsc_ros.codec.selection import most_similar, Selection
from gsc_ros.codec.stream import Remembered, StreamMemory
from gsc_ros.codec.structure import Analysis, check_image, Synthesis
import numpy as np

# Of what a limit leaves beside header and text, the share that the list of objects may take.
_OBJECT_SHARE = 1 / 3


@dataclass(frozen=True)
class EncoderSettings:
    """
    What a frame may cost and how it is made.

    :param channels: latent channels to send at most, 1..320; those without a symbol are left out.
    :param quantizer: quantizer of the profile; None for its default. Ignored with ``max_bytes``.
    :param selection: which channels to send.
    :param max_bytes: a size the whole packet must not exceed; the encoder then chooses the
        quantizer and how many of the channels to send. None for no limit.
    :param caption: text sent along, up to 4094 bytes of UTF-8.
    :param caption_id: names the caption, so that later frames may refer to it, 0..255.
    :param caption_reference: send the id alone: the caption, which must be empty here, is the one
        that an earlier frame sent with this id.
    :param seed: seed for a generator at the receiver, 0..255.
    :param stream: code the frame with the one that the encoder made last as context, if that was of
        the same size. The frames of a stream, the first one included, cannot be cut. They cost
        less, and need the frame before to be decoded. Use one encoder for each camera.
    :param refresh_interval: frames of a stream after which one stands alone, at least 1.
    :param regions: what key regions may take of the frame.
    """

    channels: int = 32
    quantizer: int | None = None
    selection: Selection = Selection.ORDERED
    max_bytes: int | None = None
    caption: str = ''
    caption_id: int = 0
    caption_reference: bool = False
    seed: int = 0
    stream: bool = False
    refresh_interval: int = 100
    regions: RegionSettings = field(default_factory=RegionSettings)


@dataclass(frozen=True)
class EncodedFrame:
    """
    A frame ready to be sent.

    :param payload: the packet.
    :param layer_ends: strictly ascending lengths of every packet that ``packet.cut`` can make of
        the payload; the last one is the payload's own.
    :param sections: bytes of header, text, channel_set, objects, structure and
        regions; they add up.
    :param channels: the channels sent, ascending.
    :param quantizer: the quantizer used.
    :param stream_reference: checksum of the packet that this one refers to; None when it stands
        alone.
    :param width: image width in pixels.
    :param height: image height in pixels.
    :param encode_ms: wall-clock time of the encoding in milliseconds.
    :param regions: the key regions sent, in the order of the packet.
    :param allocation: the ways to spend bits on the base and regions that were compared, and which
        were taken; those of the base only where the settings ask for an explanation.
    :param region_failure: why there are no regions; empty unless something went wrong in them, for
        which the rest of the frame is never given up.
    """

    payload: bytes
    layer_ends: tuple[int, ...]
    sections: dict[str, int]
    channels: tuple[int, ...]
    quantizer: int
    stream_reference: int | None
    width: int
    height: int
    encode_ms: float
    regions: tuple[SentRegion, ...] = ()
    allocation: tuple[Offer, ...] = ()
    region_failure: str = ''


@dataclass(frozen=True)
class ReadFrame:
    """
    A packet of which everything is known but the picture.

    :param packet: the packet.
    :param caption: text that came along; empty for none.
    :param symbols: int16 ``[len(packet.channels), h, w]``.
    :param read_ms: wall-clock time of the reading in milliseconds.
    :param objects: what a detector on the rover has found.
    :param scene: the key regions; None for none.
    """

    packet: wire.Packet
    caption: str
    symbols: np.ndarray
    read_ms: float
    objects: tuple[ObjectBox, ...] = ()
    scene: Scene | None = None


@dataclass(frozen=True)
class Reconstruction:
    """
    A decoded frame.

    :param image: uint8 ``[H, W, 3]`` RGB.
    :param confidence: uint8 ``[H, W]``: 255 where no error is expected, 0 where the expected
        absolute error is a quarter of full scale or more.
    :param caption: text that came along; empty for none.
    :param caption_id: id of the caption, 0..255; None for no caption.
    :param caption_reference: whether only the id came: the caption is the one that an earlier
        frame brought with it.
    :param channels: channels that were received, ascending.
    :param layers: layers that were received.
    :param sections: bytes of header, text, channel_set, objects, structure and regions.
    :param symbols: int16 ``[len(channels), h, w]``, what the packet says of the latent.
    :param quantizer: the quantizer of the symbols.
    :param seed: seed that the packet carries for a generator, 0..255.
    :param mode: how the image was made: ``structure``.
    :param profile: name of the profile.
    :param decode_ms: wall-clock time of the decoding in milliseconds.
    :param objects: what a detector on the rover has found.
    :param regions: where key regions lie.
    :param region_mask: uint8 ``[H, W]``: 255 where the pixels are those of a region, 0 elsewhere,
        the feather between; None without regions.
    """

    image: np.ndarray
    confidence: np.ndarray
    caption: str
    caption_id: int | None
    caption_reference: bool
    channels: tuple[int, ...]
    layers: int
    sections: dict[str, int]
    symbols: np.ndarray
    quantizer: int
    seed: int
    mode: str
    profile: str
    decode_ms: float
    objects: tuple[ObjectBox, ...] = ()
    regions: tuple[PlacedRegion, ...] = ()
    region_mask: np.ndarray | None = None


class FrameEncoder:
    """
    Encodes frames.

    Use one encoder from one thread at a time; any thread will do. Encoders share a profile freely,
    and ONNX Runtime lets threads run a graph at the same time.

    :param profile: the profile.
    :param threads: threads of the analysis graph.
    :raises ProfileError: when a part of the profile cannot be used.
    """

    def __init__(self, profile: Profile, threads: int = 1):
        self._profile = profile
        self._analysis = Analysis(profile, threads)
        self._analysis.load()
        # Opened with the first frame whose channels are chosen by measured error.
        self._synthesis = Synthesis(profile, threads)
        # Checked now rather than with the first image.
        _ = profile.context, profile.gains
        self._regions = FrameRegions(profile, self._synthesis, threads)
        self._last: Remembered | None = None
        self._followed: tuple[Followed, ...] = ()
        self._since_refresh = 0

    def branch(self) -> FrameEncoder:
        """Return an encoder for another stream, on any thread; both use the same graphs."""
        other = copy.copy(self)
        other.refresh()
        return other

    def refresh(self) -> None:
        """Let the next frame stand alone: the receiver has lost one, or begins."""
        self._last = None

    def encode(
        self, image: np.ndarray, settings: EncoderSettings = EncoderSettings(),
        key_regions: Sequence[KeyRegion] = (), judge: Judge | None = None,
    ) -> EncodedFrame:
        """
        Encode one image.

        :param image: uint8 ``[H, W, 3]`` RGB, 16..8192 pixels a side.
        :param settings: how.
        :param key_regions: where perception looks. Of a profile that has no region model only the
            list of objects is sent.
        :param judge: says of a picture as the receiver will show it, uint8 ``[H, W, 3]``, how well
            it serves; a detector may say how far it finds the same as in the image. Of some ways to
            share the packet the one is taken for which ``alpha * judge(picture) - beta * bits`` is
            largest. Each is put together to be looked at, which takes its time.
        :raises CodecError: when the image or a setting is out of range, or not even one channel
            fits ``max_bytes``.
        """
        start = time.perf_counter()
        check_image(image)
        quantizer = self._quantizer(settings)
        if not 1 <= settings.channels <= wire.LATENT_CHANNELS:
            raise CodecError(
                f'{settings.channels} channels are not in 1..{wire.LATENT_CHANNELS}')
        caption, caption_id = self._caption(settings)
        work = self._analysis.reduce(image)
        latent = self._analysis.transform(work)
        height, width = image.shape[:2]
        before = self._before(settings, width, height)
        coder = LatentCoder(
            self._profile, latent, None if before is None else before.symbols,
            layered=not settings.stream)
        bare = wire.Packet(
            profile_hash=self._profile.short_hash, width=width, height=height, channels=(0,),
            quantizer=quantizer, seed=settings.seed, text=caption, caption_id=caption_id,
            stream_reference=None if before is None else before.reference)
        wanted = self._regions.wanted(
            image, key_regions, () if before is None else self._followed, settings.regions)
        head = replace(bare, objects=_packed_objects(wanted.objects, bare, settings.max_bytes))

        def shared_with(head: wire.Packet) -> tuple[Sharing, Shared]:
            def choose_base(max_bytes: int | None) -> Candidate:
                return self._choose(replace(settings, max_bytes=max_bytes), coder, work, head)
            sharing = Sharing(self._regions, self._profile, image, head, wanted, choose_base,
                              settings.max_bytes, settings.stream)
            return sharing, sharing.best(settings.regions, judge)

        try:
            sharing, shared = shared_with(head)
        except CodecError:
            if not head.objects:
                raise
            # The base first.
            head = bare
            sharing, shared = shared_with(head)
        candidate, regions = shared.candidate, shared.regions
        packet, ends = candidate.packet(head), candidate.packet_ends(head)
        if regions is not None:
            coded = regions.coded
            packet = replace(packet, region_count=len(coded.ends), regions=coded.stream)
            ends += packet.region_ends(coded.ends)
        payload = wire.serialize(packet)
        self._last = Remembered.of(payload, packet, candidate.symbols)
        self._followed = () if regions is None else regions.followed
        self._since_refresh = 0 if before is None else self._since_refresh + 1
        return EncodedFrame(
            payload=payload, layer_ends=(len(payload),) if settings.stream else ends,
            sections=packet.section_sizes(), channels=packet.channels,
            quantizer=packet.quantizer, stream_reference=packet.stream_reference, width=width,
            height=height, encode_ms=(time.perf_counter() - start) * 1e3,
            regions=() if regions is None else regions.sent,
            allocation=_offers(sharing, shared, coder) if settings.regions.explain
            else () if regions is None else regions.offers,
            region_failure=shared.failure)

    def _choose(
        self, settings: EncoderSettings, coder: LatentCoder, work: np.ndarray, head: wire.Packet,
    ) -> Candidate:
        """Return the way to send a frame that the settings ask for."""
        count, limit = settings.channels, settings.max_bytes
        if settings.selection is Selection.RATE_DISTORTION:
            meter = ErrorMeter(self._synthesis, coder, work)
            if limit is None:
                return choose(coder, meter, count, head)
            return choose_within(coder, meter, count, head, limit)
        channels = range(count)
        if settings.selection is Selection.SSIM:
            # As the receiver gets them: one without a symbol is like nothing.
            channels = most_similar(count, coder.symbols(head.quantizer), work)
        if limit is None:
            return coder.code(sorted(channels), head.quantizer)
        return fit(coder, channels, head, limit)

    def _before(self, settings: EncoderSettings, width: int, height: int) -> Remembered | None:
        """Return the frame that the next one refers to; None when that stands alone."""
        if settings.refresh_interval < 1:
            raise CodecError(f'a refresh interval of {settings.refresh_interval} is not positive')
        if not settings.stream:
            return None
        if not self._profile.context.streams:
            raise ProfileError(f'profile {self._profile.name} has no stream mode')
        last = self._last
        if last is None or (last.width, last.height) != (width, height):
            return None
        return last if self._since_refresh + 1 < settings.refresh_interval else None

    @staticmethod
    def _caption(settings: EncoderSettings) -> tuple[bytes, int | None]:
        """Return the coded caption and its id, if it has one."""
        if settings.caption_reference and settings.caption:
            raise CodecError('a caption and a reference to another one exclude each other')
        caption = text.compress(settings.caption)
        return caption, settings.caption_id if caption or settings.caption_reference else None

    def _quantizer(self, settings: EncoderSettings) -> int:
        """Return the quantizer asked for."""
        if settings.quantizer is None:
            return self._profile.manifest.default_quantizer
        if not 0 <= settings.quantizer < self._profile.manifest.quantizers:
            raise CodecError(
                f'quantizer {settings.quantizer} is not in '
                f'0..{self._profile.manifest.quantizers - 1}')
        return settings.quantizer


def _offers(sharing: Sharing, shared: Shared, coder: LatentCoder) -> tuple[Offer, ...]:
    """Return what has competed for a packet, base and regions, most gain for a bit first."""
    offers = sharing.base_offers(shared.candidate, coder)
    offers += () if shared.regions is None else shared.regions.offers
    return tuple(sorted(offers, key=lambda offer: -offer.gain_per_bit))


def _packed_objects(
    objects: Sequence[ObjectBox], head: wire.Packet, max_bytes: int | None,
) -> bytes:
    """Return the list of objects, no longer than what a limit has for it."""
    room = None if max_bytes is None else int(
        _OBJECT_SHARE * max(max_bytes - head_bytes(head, (0,)), 0))
    return pack_within(objects, head.width, head.height, room)


class FrameDecoder:
    """
    Decodes packets.

    Use one decoder from one thread at a time; any thread will do. Decoders share a profile freely,
    and ONNX Runtime lets threads run a graph at the same time.

    :param profile: the profile the packets were made with.
    :param threads: threads of the synthesis graph.
    :param max_pixels: packets of larger pictures are refused: twelve bytes can announce one of
        any size, and time and memory are those of the picture.
    :raises ProfileError: when a part of the profile cannot be used.
    """

    def __init__(
        self, profile: Profile, threads: int = 1, max_pixels: int = wire.MAX_SIDE ** 2,
    ):
        self._profile = profile
        self._max_pixels = max_pixels
        self._synthesis = Synthesis(profile, threads)
        self._synthesis.load()
        self._context = profile.context
        self._memory = StreamMemory()
        self._transform = RegionTransform(profile, threads) if profile.has_regions else None
        if self._transform is not None:
            self._transform.load_synthesis()

    def branch(self) -> FrameDecoder:
        """Return a decoder for another stream, on any thread; both use the same graphs."""
        other = copy.copy(self)
        other._memory = StreamMemory()
        return other

    def follow(self, payload: bytes) -> None:
        """
        Take note of a packet whose picture nobody wants, so that others may refer to it.

        :raises PacketError: as :meth:`decode` does.
        """
        packet = wire.parse(payload)
        symbols = self.decode_symbols(packet)
        self._memory.keep(
            Remembered.of(payload, packet, symbols, self._scene(packet, symbols)))

    def decode(self, payload: bytes) -> Reconstruction:
        """
        Decode one packet.

        :param payload: any bytes.
        :raises PacketError: when it is not a whole, undamaged packet.
        :raises ProfileMismatchError: when it was made with another profile.
        :raises MissingReferenceError: when it refers to a packet that was not decoded before.
        """
        return self.render(self.read(payload))

    def read(self, payload: bytes) -> ReadFrame:
        """
        Read one packet, whose picture can be made later, or never.

        :raises PacketError: as :meth:`decode` does.
        """
        start = time.perf_counter()
        packet = wire.parse(payload)
        caption = text.decompress(packet.text)
        objects: tuple[ObjectBox, ...] = ()
        if packet.objects:
            objects, _ = unpack_objects(packet.objects, packet.width, packet.height)
        symbols = self.decode_symbols(packet)
        scene = self._scene(packet, symbols)
        self._memory.keep(Remembered.of(payload, packet, symbols, scene))
        return ReadFrame(
            packet, caption, symbols, (time.perf_counter() - start) * 1e3, objects, scene)

    def render(self, read: ReadFrame) -> Reconstruction:
        """Make the picture of a packet that this decoder, or a branch, has read; on any thread."""
        start = time.perf_counter()
        packet, symbols = read.packet, read.symbols
        picture = self._synthesis.render(
            symbols, packet.channels, packet.quantizer, packet.height, packet.width)
        canvas = Canvas.over(picture)
        regions = () if read.scene is None else read.scene.draw(canvas)
        return Reconstruction(
            image=canvas.picture, confidence=canvas.confidence, caption=read.caption,
            caption_id=packet.caption_id, caption_reference=packet.caption_reference,
            channels=packet.channels, layers=packet.layers,
            sections=packet.section_sizes(), symbols=symbols, quantizer=packet.quantizer,
            seed=packet.seed, mode='structure', profile=self._profile.name,
            decode_ms=read.read_ms + (time.perf_counter() - start) * 1e3, objects=read.objects,
            regions=regions, region_mask=canvas.mask if regions else None)

    def condition(
        self, frame: Reconstruction, caption: str, seed: int | None = None,
        start: np.ndarray | None = None,
    ) -> Condition:
        """
        Return what a generator is given of a frame that this decoder, or a branch, has decoded.

        :param frame: the decoded frame.
        :param caption: its caption, which may have come with an earlier frame; empty for none.
        :param seed: seed of the noise, 0..255; None for the one that the packet carries.
        :param start: picture to start from, uint8 of the frame's shape.
        """
        finest = max(self._profile.manifest.quantizers - 1, 1)
        return Condition(
            text=caption, latent=self._synthesis.latent(
                frame.symbols, frame.channels, frame.quantizer),
            channels=frame.channels, structure=frame.image, level=frame.quantizer / finest,
            seed=frame.seed if seed is None else seed, start=start, objects=frame.objects)

    def decode_symbols(self, packet: wire.Packet) -> np.ndarray:
        """
        Return the symbols of a packet, which are the same on every machine.

        :return: int16 ``[len(packet.channels), h, w]``.
        :raises PacketError: as :meth:`decode` does.
        """
        if packet.profile_hash != self._profile.short_hash:
            raise ProfileMismatchError(
                f'the packet was made with profile {packet.profile_hash:04x}, this is '
                f'{self._profile.name} {self._profile.short_hash:04x}')
        if packet.quantizer >= self._profile.manifest.quantizers:
            raise PacketError(f'the profile has no quantizer {packet.quantizer}')
        if packet.width * packet.height > self._max_pixels:
            raise PacketError(
                f'{packet.width}x{packet.height} pixels are more than {self._max_pixels}')
        pitch = self._profile.pitch
        before = self._memory.find(packet)
        return self._context.decode(
            packet.stream, packet.channels, packet.quantizer,
            -(-packet.height // pitch), -(-packet.width // pitch),
            None if before is None else before.symbols)

    def _scene(self, packet: wire.Packet, symbols: np.ndarray) -> Scene | None:
        """Return the regions of a packet, of which the symbols of the base are known."""
        if not packet.region_count:
            return None
        if self._transform is None:
            raise PacketError(f'profile {self._profile.name} has no region model')
        before = self._memory.find(packet)
        known = None if before is None else before.scene
        regions = decode_regions(
            self._profile.region_context, packet.regions, packet.region_count, packet.width,
            packet.height, 0 if known is None else len(known.regions))
        return Scene(regions, known, self._base(packet, symbols), self._transform)

    def _base(self, packet: wire.Packet, symbols: np.ndarray) -> BaseCanvas:
        return lambda boxes: base_canvas(
            self._synthesis, self._profile.pitch, symbols, packet.channels, packet.quantizer,
            packet.height, packet.width, boxes)
