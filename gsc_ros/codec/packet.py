# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The packet: the container that carries one frame over the link.

This module is the specification of the bytes; ``docs/wire.md`` says the same in prose. All
numbers are big endian::

    byte  0      magic 0xA (high nibble), version 1 (low nibble)
    byte  1      flags: bit 0 text, bit 1 explicit channel set, bit 2 regions, bit 3 caption
                 reference, bit 4 stream, bit 5 objects; the others are zero
    bytes 2-3    short hash of the profile that made the packet
    bytes 4-8    width - 1 (13 bits), height - 1 (13), channel count (9), quantizer (4), zero (1)
    byte  9      seed
    bytes 10-11  CRC-16/CCITT of the whole packet with these two bytes zero
    then, by importance:
      reference    (flag bit 4)  bytes 10-11 of the packet whose symbols are the context of these
      text         (flag bit 0)  caption id, varint length, 1..4095, and that many bytes (see
                                 codec.text)
                   (flag bit 3)  instead: caption id alone; the caption is the one sent with it
      channel set  (flag bit 1)  combinatorial rank of the channel set, in the fewest bytes
      objects      (flag bit 5)  what a detector has found (see codec.region.object_list)
      structure                  the rest: one range-coded stream; zeros follow where it ends
      regions      (flag bit 2)  number of regions - 1, a byte of 0..31; one range-coded stream
                                 (see codec.region.bitstream); the length of that, its varint
                                 backwards, so that the structure lies where it does without them

Channels are coded in ascending order and in groups, the *layers*; each region is a layer, too. A
packet may be shortened after any layer with :func:`cut`; what comes out is a complete packet with
fewer regions or channels. A packet that refers to another is all one layer, because the one that
follows it refers to all of it.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
import math

from gsc_ros.codec.error import CodecError, PacketError
from gsc_ros.codec.region.object_list import packed_bytes, packed_count

MAGIC = 0xA
VERSION = 1
HEADER_BYTES = 12
CRC_OFFSET = 10
CRC_INITIAL = 0xFFFF

FLAG_TEXT = 0x01
FLAG_CHANNEL_SET = 0x02
FLAG_REGIONS = 0x04
FLAG_CAPTION_REFERENCE = 0x08
FLAG_STREAM = 0x10
FLAG_OBJECTS = 0x20
KNOWN_FLAGS = (
    FLAG_TEXT | FLAG_CHANNEL_SET | FLAG_REGIONS | FLAG_CAPTION_REFERENCE | FLAG_STREAM
    | FLAG_OBJECTS)
REFERENCE_BYTES = 2

SIZE_BITS = 13
COUNT_BITS = 9
QUANTIZER_BITS = 4
MIN_SIDE = 16
MAX_SIDE = 1 << SIZE_BITS
LATENT_CHANNELS = 320
MAX_QUANTIZERS = 1 << QUANTIZER_BITS
MAX_TEXT_BYTES = 4095
MAX_REGIONS = 32
# Of a length in groups of seven bits: enough for any packet.
MAX_VARINT_BYTES = 4
MAX_PACKET_BYTES = 1 << 26

# Channel counts after which a packet may be cut. Part of the wire format: cut() and the decoder
# must agree on them without reading a profile.
LAYERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 320)

# Of a file that holds one packet.
PACKET_SUFFIX = '.gsc'

SECTIONS = ('header', 'text', 'channel_set', 'objects', 'structure', 'regions')


@dataclass(frozen=True)
class Packet:
    """
    The content of one packet.

    :param profile_hash: short hash of the profile, 0..65535.
    :param width: image width in pixels, 16..8192.
    :param height: image height in pixels, 16..8192.
    :param channels: the latent channels the stream holds, ascending, in 0..319, 1..320 of them.
    :param quantizer: index of the quantizer in the profile, 0..15.
    :param seed: seed of a generator at the receiver, 0..255.
    :param text: coded caption, at most 4095 bytes; empty for none.
    :param stream: range-coded symbols of the channels.
    :param caption_id: names the caption, 0..255; None when there is neither a text nor a
        reference. With an empty text, the caption is the one that an earlier packet sent with
        this id.
    :param stream_reference: checksum of the packet whose symbols are the context of these,
        0..65535; None when the packet stands alone.
    :param objects: list of objects as bytes (see :mod:`gsc_ros.codec.region.object_list`); empty
        for none.
    :param region_count: number of regions, 0..32.
    :param regions: range-coded regions; empty without any.
    """

    profile_hash: int
    width: int
    height: int
    channels: tuple[int, ...]
    quantizer: int
    seed: int = 0
    text: bytes = b''
    stream: bytes = b''
    caption_id: int | None = None
    stream_reference: int | None = None
    objects: bytes = b''
    region_count: int = 0
    regions: bytes = b''

    @property
    def caption_reference(self) -> bool:
        """Whether the caption is one that was sent before, named by its id alone."""
        return self.caption_id is not None and not self.text

    @property
    def layer_counts(self) -> tuple[int, ...]:
        """Channel counts after which this packet may be cut; the last one is all of them."""
        count = len(self.channels)
        return layer_counts(count) if self.stream_reference is None else (count,)

    @property
    def layers(self) -> int:
        """Number of layers: of the structure, and one for each region where it may be cut off."""
        regions = self.region_count if self.stream_reference is None else 0
        return len(self.layer_counts) + regions

    @property
    def explicit(self) -> bool:
        """Whether the channels are not simply the first ones and must be named in the packet."""
        return self.channels[-1] != len(self.channels) - 1

    def section_sizes(self) -> dict[str, int]:
        """Return the bytes of each section of :data:`SECTIONS`; they add up to the packet."""
        text = 0 if self.caption_id is None else 1
        if self.text:
            text += len(_varint(len(self.text))) + len(self.text)
        reference = 0 if self.stream_reference is None else REFERENCE_BYTES
        explicit = channel_set_bytes(len(self.channels)) if self.explicit else 0
        return {
            'header': HEADER_BYTES + reference,
            'text': text,
            'channel_set': explicit,
            'objects': len(self.objects),
            'structure': len(self.stream),
            'regions': _regions_bytes(len(self.regions)) if self.region_count else 0,
        }

    def region_ends(self, ends: Sequence[int]) -> tuple[int, ...]:
        """
        Return the length of this packet if it were cut after each of its regions.

        :param ends: bytes of ``regions`` needed for each.
        """
        size = sum(replace(self, region_count=0, regions=b'').section_sizes().values())
        return tuple(size + _regions_bytes(end) for end in ends)


def layer_counts(channel_count: int) -> tuple[int, ...]:
    """
    Return the channel counts after which a packet of ``channel_count`` channels may be cut.

    The last one is ``channel_count`` itself.
    """
    return tuple(count for count in LAYERS if count < channel_count) + (channel_count,)


@lru_cache(maxsize=512)
def channel_set_bytes(channel_count: int) -> int:
    """Return the size of the explicit set of ``channel_count`` channels in bytes."""
    return ((math.comb(LATENT_CHANNELS, channel_count) - 1).bit_length() + 7) // 8


def rank_channels(channels: Sequence[int]) -> int:
    """Return the rank of ascending ``channels`` among all sets of as many channels."""
    return sum(math.comb(channel, index + 1) for index, channel in enumerate(channels))


def unrank_channels(rank: int, channel_count: int) -> tuple[int, ...]:
    """
    Return the ascending set of ``channel_count`` channels with this rank.

    :raises PacketError: when there is no such set.
    """
    if not 0 <= rank < math.comb(LATENT_CHANNELS, channel_count):
        raise PacketError(f'there is no set of {channel_count} channels with the rank sent')
    channels = []
    channel = LATENT_CHANNELS - 1
    for size in range(channel_count, 0, -1):
        while math.comb(channel, size) > rank:
            channel -= 1
        rank -= math.comb(channel, size)
        channels.append(channel)
        channel -= 1
    return tuple(reversed(channels))


def serialize(packet: Packet) -> bytes:
    """
    Return the bytes of ``packet``.

    :raises CodecError: when a field is out of range.
    """
    _validate(packet)
    flags = (
        (FLAG_TEXT if packet.text else 0) | (FLAG_CHANNEL_SET if packet.explicit else 0)
        | (FLAG_CAPTION_REFERENCE if packet.caption_reference else 0)
        | (FLAG_STREAM if packet.stream_reference is not None else 0)
        | (FLAG_OBJECTS if packet.objects else 0) | (FLAG_REGIONS if packet.region_count else 0))
    count = len(packet.channels)
    fields = packet.width - 1
    fields = fields << SIZE_BITS | (packet.height - 1)
    fields = fields << COUNT_BITS | count
    fields = fields << QUANTIZER_BITS | packet.quantizer
    fields <<= 1
    data = bytearray([MAGIC << 4 | VERSION, flags])
    data += packet.profile_hash.to_bytes(2, 'big')
    data += fields.to_bytes(5, 'big')
    data.append(packet.seed)
    data += b'\0\0'
    if packet.stream_reference is not None:
        data += packet.stream_reference.to_bytes(REFERENCE_BYTES, 'big')
    if packet.caption_id is not None:
        data.append(packet.caption_id)
    if packet.text:
        data += _varint(len(packet.text)) + packet.text
    if packet.explicit:
        data += rank_channels(packet.channels).to_bytes(channel_set_bytes(count), 'big')
    data += packet.objects
    data += packet.stream
    if packet.region_count:
        data.append(packet.region_count - 1)
        data += packet.regions + _varint(len(packet.regions))[::-1]
    if len(data) > MAX_PACKET_BYTES:
        raise CodecError(f'a packet of {len(data)} bytes exceeds {MAX_PACKET_BYTES}')
    data[CRC_OFFSET:HEADER_BYTES] = _checksum(data).to_bytes(2, 'big')
    return bytes(data)


def parse(payload: bytes) -> Packet:
    """
    Return the packet that ``payload`` holds.

    Any byte string gives a packet or an error, in time and memory proportional to its length.

    :raises PacketError: when the payload is not a whole, undamaged packet of this version.
    """
    data = bytes(payload)
    if len(data) < HEADER_BYTES:
        raise PacketError(f'{len(data)} bytes are too few for a packet')
    if len(data) > MAX_PACKET_BYTES:
        raise PacketError(f'{len(data)} bytes are too many for a packet')
    if data[0] >> 4 != MAGIC:
        raise PacketError('this is not a packet: wrong magic number')
    if data[0] & 0xF != VERSION:
        raise PacketError(f'packet version {data[0] & 0xF} is not supported, only {VERSION}')
    if _checksum(data) != int.from_bytes(data[CRC_OFFSET:HEADER_BYTES], 'big'):
        raise PacketError('the checksum does not match: damaged or truncated packet')
    flags = data[1]
    if flags & ~KNOWN_FLAGS:
        raise PacketError(f'unknown flags 0x{flags & ~KNOWN_FLAGS:02x}')
    if flags & FLAG_TEXT and flags & FLAG_CAPTION_REFERENCE:
        raise PacketError('a text and a reference to another one exclude each other')
    fields = int.from_bytes(data[4:9], 'big')
    if fields & 1:
        raise PacketError('a reserved bit is set')
    quantizer = fields >> 1 & (1 << QUANTIZER_BITS) - 1
    count = fields >> 1 + QUANTIZER_BITS & (1 << COUNT_BITS) - 1
    height = 1 + (fields >> 1 + QUANTIZER_BITS + COUNT_BITS & (1 << SIZE_BITS) - 1)
    width = 1 + (fields >> 1 + QUANTIZER_BITS + COUNT_BITS + SIZE_BITS)
    if min(width, height) < MIN_SIDE:
        raise PacketError(f'an image of {width}x{height} is smaller than {MIN_SIDE} pixels')
    if not 1 <= count <= LATENT_CHANNELS:
        raise PacketError(f'{count} channels are not in 1..{LATENT_CHANNELS}')
    offset = HEADER_BYTES
    reference = caption_id = None
    if flags & FLAG_STREAM:
        if len(data) < offset + REFERENCE_BYTES:
            raise PacketError('the reference to another packet is truncated')
        reference = int.from_bytes(data[offset:offset + REFERENCE_BYTES], 'big')
        offset += REFERENCE_BYTES
    if flags & (FLAG_TEXT | FLAG_CAPTION_REFERENCE):
        if len(data) <= offset:
            raise PacketError('the caption id is truncated')
        caption_id = data[offset]
        offset += 1
    text = b''
    if flags & FLAG_TEXT:
        length, offset = _read_varint(data, offset, 'text')
        if not 1 <= length <= MAX_TEXT_BYTES:
            raise PacketError(f'a text of {length} bytes is not in 1..{MAX_TEXT_BYTES}')
        text = data[offset:offset + length]
        offset += length
        if len(text) != length:
            raise PacketError('the text section is truncated')
    channels = tuple(range(count))
    if flags & FLAG_CHANNEL_SET:
        size = channel_set_bytes(count)
        if len(data) < offset + size:
            raise PacketError('the channel set is truncated')
        explicit = unrank_channels(int.from_bytes(data[offset:offset + size], 'big'), count)
        if explicit == channels:
            raise PacketError('the first channels are named explicitly')
        channels = explicit
        offset += size
    objects = b''
    if flags & FLAG_OBJECTS:
        objects = data[offset:offset + packed_bytes(packed_count(data[offset:]))]
        offset += len(objects)
    stream, region_count, regions = data[offset:], 0, b''
    if flags & FLAG_REGIONS:
        length, size = _read_varint(stream[:-MAX_VARINT_BYTES - 1:-1], 0, 'regions')
        end = len(stream) - size
        if length >= end:
            raise PacketError('the regions are truncated')
        stream, tail = stream[:end - length - 1], stream[end - length - 1:end]
        region_count, regions = tail[0] + 1, tail[1:]
        if region_count > MAX_REGIONS:
            raise PacketError(f'{region_count} regions are not in 1..{MAX_REGIONS}')
    return Packet(
        profile_hash=int.from_bytes(data[2:4], 'big'), width=width, height=height,
        channels=channels, quantizer=quantizer, seed=data[9], text=text, stream=stream,
        caption_id=caption_id, stream_reference=reference, objects=objects,
        region_count=region_count, regions=regions)


def checksum(payload: bytes) -> int:
    """Return the checksum that a packet carries, by which another packet refers to it."""
    return int.from_bytes(payload[CRC_OFFSET:HEADER_BYTES], 'big')


def cut(payload: bytes, layers: int, ends: Sequence[int]) -> bytes:
    """
    Return ``payload`` shortened to its first ``layers`` layers, as a complete packet.

    :param payload: a packet, whole or already cut.
    :param layers: layers to keep, 1..len(ends): first those of the structure, then the regions.
    :param ends: ``EncodedFrame.layer_ends`` of the payload: the length of each possible result.
        Of an already cut payload, the ends up to its own length. A single one is the payload's own
        length: the encoder forbids any cut.
    :raises PacketError: when the payload is malformed or does not belong to ``ends``.
    """
    packet = parse(payload)
    counts = packet.layer_counts if len(ends) > 1 else (len(packet.channels),)
    regions = packet.region_count if len(ends) > 1 else 0
    if len(counts) + regions != len(ends) or ends[-1] != len(payload):
        raise PacketError('the layer ends are not those of this packet')
    if not 1 <= layers <= len(ends):
        raise PacketError(f'{layers} layers are not in 1..{len(ends)}')
    if layers == len(ends):
        return bytes(payload)
    # A prefix of a stream is a stream of fewer regions or channels: only the rest is written anew.
    if layers > len(counts):
        kept = layers - len(counts)
        room = ends[layers - 1] - sum(
            replace(packet, region_count=0, regions=b'').section_sizes().values())
        return serialize(replace(
            packet, region_count=kept, regions=_prefix(packet.regions, _stream_bytes(room))))
    shorter = replace(
        packet, channels=packet.channels[:counts[layers - 1]], stream=b'', region_count=0,
        regions=b'')
    room = ends[layers - 1] - sum(shorter.section_sizes().values())
    return serialize(replace(shorter, stream=_prefix(packet.stream, room)))


def _prefix(stream: bytes, length: int) -> bytes:
    """Return the first ``length`` bytes of a stream, or raise a PacketError."""
    if not 0 <= length <= len(stream):
        raise PacketError('the layer ends are not those of this packet')
    return stream[:length]


def _stream_bytes(section: int) -> int:
    """Return the length of the stream in a section of regions that is so long; -1 for none."""
    lengths = (section - 1 - size for size in range(1, MAX_VARINT_BYTES + 1))
    return next((length for length in lengths
                 if length >= 0 and _regions_bytes(length) == section), -1)


def _regions_bytes(length: int) -> int:
    """Return the bytes of a section of regions whose stream is so long."""
    return 1 + length + len(_varint(length))


def _validate(packet: Packet) -> None:
    """Raise a CodecError when a field does not fit its place in the packet."""
    for name, side in (('width', packet.width), ('height', packet.height)):
        if not MIN_SIDE <= side <= MAX_SIDE:
            raise CodecError(f'{name} {side} is not in {MIN_SIDE}..{MAX_SIDE}')
    channels = packet.channels
    if not 1 <= len(channels) <= LATENT_CHANNELS:
        raise CodecError(f'{len(channels)} channels are not in 1..{LATENT_CHANNELS}')
    if any(a >= b for a, b in zip(channels, channels[1:])):
        raise CodecError('the channels are not ascending')
    if channels[0] < 0 or channels[-1] >= LATENT_CHANNELS:
        raise CodecError(f'a channel is not in 0..{LATENT_CHANNELS - 1}')
    if not 0 <= packet.quantizer < MAX_QUANTIZERS:
        raise CodecError(f'quantizer {packet.quantizer} is not in 0..{MAX_QUANTIZERS - 1}')
    if not 0 <= packet.seed <= 0xFF:
        raise CodecError(f'seed {packet.seed} is not in 0..255')
    if not 0 <= packet.profile_hash <= 0xFFFF:
        raise CodecError('the profile hash does not fit 16 bits')
    if len(packet.text) > MAX_TEXT_BYTES:
        raise CodecError(f'a text of {len(packet.text)} bytes exceeds {MAX_TEXT_BYTES}')
    if packet.caption_id is None:
        if packet.text:
            raise CodecError('a text has no caption id')
    elif not 0 <= packet.caption_id <= 0xFF:
        raise CodecError(f'caption id {packet.caption_id} is not in 0..255')
    if packet.stream_reference is not None and not 0 <= packet.stream_reference <= 0xFFFF:
        raise CodecError('the reference to another packet does not fit 16 bits')
    if packet.objects and len(packet.objects) != packed_bytes(packed_count(packet.objects)):
        raise CodecError('something follows the list of objects')
    if not 0 <= packet.region_count <= MAX_REGIONS:
        raise CodecError(f'{packet.region_count} regions are not in 0..{MAX_REGIONS}')
    if packet.regions and not packet.region_count:
        raise CodecError('a stream of regions has no regions')


def _checksum(data: bytes | bytearray) -> int:
    """Return the CRC of a packet, its CRC field taken as zero."""
    crc = binascii.crc_hqx(data[:CRC_OFFSET] + b'\0\0', CRC_INITIAL)
    return binascii.crc_hqx(data[HEADER_BYTES:], crc)


def _varint(value: int) -> bytes:
    """Return ``value`` in groups of seven bits, least significant first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, offset: int, name: str) -> tuple[int, int]:
    """Return a length of four bytes at most in its shortest form, and the offset behind it."""
    value = 0
    for index, byte in enumerate(data[offset:offset + MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if index and not byte:
                break
            return value, offset + index + 1
    raise PacketError(f'the length of the {name} is truncated or malformed')
