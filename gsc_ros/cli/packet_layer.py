# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Where the layers and the regions of a packet end, which the packet does not say.

It is decoded and coded again, for which its profile is needed.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

from gsc_ros.codec.error import MissingReferenceError, ProfileMismatchError
from gsc_ros.codec.packet import layer_counts, Packet, parse

if TYPE_CHECKING:
    from gsc_ros.codec.profile import Profile
    from gsc_ros.codec.region.bitstream import CodedRegion


def measure_layers(payload: bytes, profile_name: str) -> list[int]:
    """
    Return the bytes that each layer adds to the structure stream, most important first.

    :raises CodecError: when the packet is damaged, or the profile missing or another one.
    """
    packet, profile = _with_profile(payload, profile_name)
    height, width = -(-packet.height // profile.pitch), -(-packet.width // profile.pitch)
    symbols = profile.context.decode(
        packet.stream, packet.channels, packet.quantizer, height, width)
    ends = profile.context.encode(
        symbols, packet.channels, packet.quantizer, layer_counts(len(packet.channels))).ends
    return [end - start for start, end in zip((0, *ends), ends)]


def measure_regions(payload: bytes, profile_name: str) -> tuple[list[CodedRegion], list[int]]:
    """
    Return the regions of a packet, the most important first, and the bytes that each adds.

    :raises CodecError: when the packet is damaged, or the profile missing or another one.
    """
    packet, profile = _with_profile(payload, profile_name)
    # Imported here, as the profile is: most packets are looked at without the entropy coder.
    from gsc_ros.codec.region.bitstream import decode_regions, encode_regions
    size = (packet.width, packet.height)
    regions = decode_regions(profile.region_context, packet.regions, packet.region_count, *size)
    ends = encode_regions(profile.region_context, regions, *size).ends
    return regions, [end - start for start, end in zip((0, *ends), ends)]


def packet_ends(payload: bytes, profile_name: str) -> tuple[int, ...]:
    """
    Return the length of a packet after each layer, the regions last.

    :raises CodecError: when the packet is damaged or refers to another, or the profile is missing
        or another one.
    """
    packet = parse(payload)
    ends = []
    layers = accumulate(measure_layers(payload, profile_name))
    for count, end in zip(layer_counts(len(packet.channels)), layers):
        head = replace(
            packet, channels=packet.channels[:count], stream=b'', region_count=0, regions=b'')
        ends.append(end + sum(head.section_sizes().values()))
    if packet.region_count:
        _, sizes = measure_regions(payload, profile_name)
        ends += packet.region_ends(tuple(accumulate(sizes)))
    # Zeros follow a stream, and so a packet may be longer or shorter than it need be.
    return (*ends[:-1], len(payload))


def _with_profile(payload: bytes, profile_name: str) -> tuple[Packet, Profile]:
    """Return a packet that stands alone, and its profile."""
    # Imported here: what is said of a packet without it needs nothing of the models.
    from gsc_ros.codec.profile import load_profile
    packet, profile = parse(payload), load_profile(profile_name)
    if packet.profile_hash != profile.short_hash:
        raise ProfileMismatchError(f'the packet was made with profile {packet.profile_hash:04x}, '
                                   f'{profile_name} is {profile.short_hash:04x}')
    if packet.stream_reference is not None:
        raise MissingReferenceError(
            'a packet that refers to another has one layer, which that one is needed to measure')
    return packet, profile
