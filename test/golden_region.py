# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Packets with regions of all kinds, and what is to be remembered of the regions of a packet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import hashlib

from codec_image import picture
from gsc_ros.codec import packet as wire
from gsc_ros.codec.entropy import Coded
from gsc_ros.codec.frame import EncoderSettings, FrameEncoder
from gsc_ros.codec.profile import Profile
from gsc_ros.codec.region.bitstream import CodedRegion, encode_regions, NO_MOTION
import numpy as np

HEIGHT, WIDTH = 200, 320


def region_packets(profile: Profile) -> dict[str, bytes]:
    """Return packets by name: whole, cut, and two of a stream."""
    encoder = FrameEncoder(profile)
    still = encoder.encode(picture(HEIGHT, WIDTH, seed=50), EncoderSettings(channels=8))
    packet, coded = _with_regions(profile, still.payload, [
        _region(2, 3, 2, 6, 4, 7, 24), _region(1, 30, 4, 3, 9, 15, 8),
        _region(4, 0, 0, 10, 7, 0, 1), _region(2, 19, 12, 1, 1, 3, 320)])
    ends = still.layer_ends + packet.region_ends(coded.ends)
    whole = wire.serialize(packet)
    encoder, moving = encoder.branch(), EncoderSettings(channels=8, stream=True)
    first, _ = _with_regions(
        profile, encoder.encode(picture(HEIGHT, WIDTH, seed=51), moving).payload,
        [_region(2, 1, 1, 4, 4, 5, 12), _region(1, 9, 9, 4, 4, 9, 6), _region(4, 5, 3, 2, 2, 2, 3)])
    second, _ = _with_regions(
        profile, encoder.encode(picture(HEIGHT, WIDTH, seed=51), moving).payload,
        [CodedRegion.continued(1, NO_MOTION), CodedRegion.continued(2, (5, -33, 2)),
         _region(2, 2, 1, 4, 4, 5, 12, 0, (-1, 2, 0)), _region(1, 20, 2, 3, 3, 9, 4)], tracked=3)
    start = wire.serialize(first)
    following = wire.serialize(replace(second, stream_reference=wire.checksum(start)))
    return {
        'regions': whole, 'regions_cut': wire.cut(whole, len(ends) - 2, ends),
        'regions_gone': wire.cut(whole, len(still.layer_ends), ends),
        'tracked_0': start, 'tracked_1': following}


def digest(regions: Sequence[CodedRegion]) -> str:
    """Return the SHA-256 of regions, heads and symbols."""
    found = hashlib.sha256()
    for region in regions:
        head = replace(region, symbols=None)
        found.update(repr(tuple(vars(head).values())).encode())
        found.update(region.symbols.astype('<i2').tobytes())
    return found.hexdigest()


def _region(
    scale: int, left: int, top: int, width: int, height: int, level: int, channels: int,
    track: int | None = None, motion: tuple[int, int, int] = NO_MOTION,
) -> CodedRegion:
    """Return a region whose symbols are few and small, from whole numbers alone."""
    places = np.arange(channels * height * width, dtype=np.int64)
    mixed = (places * 2654435761 + scale * 97 + left * 31 + top) >> 7
    symbols = np.where(mixed % 11 < 2, mixed % 5 - 2, 0) // (1 + places // (16 * height * width))
    return CodedRegion(scale, left, top, width, height, level, track, motion, channels,
                       symbols.reshape(channels, height, width).astype(np.int16))


def _with_regions(
    profile: Profile, payload: bytes, regions: Sequence[CodedRegion], tracked: int = 0,
) -> tuple[wire.Packet, Coded]:
    """Return a packet with these regions, and their stream."""
    coded = encode_regions(profile.region_context, regions, WIDTH, HEIGHT, tracked)
    packet = replace(wire.parse(payload), region_count=len(regions), regions=coded.stream)
    return packet, coded
