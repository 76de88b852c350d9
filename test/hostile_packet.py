# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Damaged packets for the decoder, with right checksums so that the damage is not seen at once.

    python test/hostile_packet.py --minutes 10 [--seed 0]

Every packet must give symbols or a PacketError, soon and in little memory; what does not ends the
run with the packet in hexadecimal.
"""

from __future__ import annotations

import argparse
import binascii
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
import resource
import time

from golden_region import region_packets
from gsc_ros.codec import packet as wire
from gsc_ros.codec import text
from gsc_ros.codec.error import PacketError
from gsc_ros.codec.frame import FrameDecoder
from gsc_ros.codec.profile import load_profile, Profile
from gsc_ros.codec.region.bitstream import CodedRegion, encode_regions, NO_MOTION
import numpy as np

GOLDEN = Path(__file__).resolve().parent / 'golden'
# What the decoder of these tests accepts; a receiver has such a limit, too.
MAX_PIXELS = 1 << 20
MAX_SECONDS = 10.0
MAX_EXTRA_MB = 64.0


def with_checksum(data: bytes) -> bytes:
    """Return a packet whose checksum is right; what is too short for one stays as it is."""
    if len(data) < wire.HEADER_BYTES:
        return data
    blank = data[:10] + b'\0\0' + data[12:]
    return data[:10] + binascii.crc_hqx(blank, 0xFFFF).to_bytes(2, 'big') + data[12:]


def damage(data: bytes, random: Random) -> bytes:
    """Return a packet with some damage of some kind."""
    damaged = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        start = random.randrange(len(damaged) + 1)
        stop = min(len(damaged), start + random.choice((1, 2, 8, 64)))
        noise = random.randbytes(random.choice((1, 2, 8, 64, 1000)))
        kind = random.randrange(7)
        if kind == 0:
            del damaged[start:]
        elif kind == 1:
            del damaged[start:stop]
        elif kind == 2:
            damaged[start:stop] = noise
        elif kind == 3:
            damaged[start:start] = damaged[start:stop]
        elif kind == 4 and damaged:
            place = random.randrange(min(len(damaged), 16))
            damaged[place] ^= 1 << random.randrange(8)
        elif kind == 5 and len(damaged) > 1:
            damaged[1] = random.randrange(64)
        else:
            damaged += bytes(random.randrange(100))
    return bytes(damaged)


def hostile(packets: list[bytes], profile_hash: int, random: Random) -> bytes:
    """Return a damaged packet; mostly of this profile and with a right checksum."""
    data = damage(random.choice(packets), random)
    if len(data) >= wire.HEADER_BYTES and random.random() < 0.95:
        data = bytes([0xA1, data[1]]) + profile_hash.to_bytes(2, 'big') + data[4:]
    return with_checksum(data) if random.random() < 0.95 else data


def attempt(decoder: FrameDecoder, data: bytes, symbol_max: int, render: bool) -> str:
    """
    Decode, and return what came out: ``decoded`` or ``refused``.

    :raises AssertionError: when it took too long, or what came out is impossible.
    """
    start = time.monotonic()
    try:
        packet = wire.parse(data)
        assert wire.serialize(packet) == data, 'another packet says the same'
        text.decompress(packet.text)
        read = decoder.read(data)
        symbols = read.symbols
        assert symbols.dtype == np.int16 and len(symbols) == len(packet.channels)
        assert np.abs(symbols).max() <= symbol_max, 'symbols out of range'
        assert all(0 <= share <= 1 for one in read.objects for share in one.box)
        assert packet.region_count == (0 if read.scene is None else len(read.scene.regions))
        if render:
            assert decoder.render(read).image.shape == (packet.height, packet.width, 3)
        outcome = 'decoded'
    except PacketError:
        outcome = 'refused'
    assert time.monotonic() - start < MAX_SECONDS, 'too slow'
    return outcome


def largest(profile: Profile) -> bytes:
    """Return a packet of the largest picture that is accepted, all of its channels in use."""
    side = int(MAX_PIXELS ** 0.5)
    grid = side // profile.pitch
    symbols = np.random.default_rng(0).integers(-2, 3, (wire.LATENT_CHANNELS, grid, grid))
    channels = tuple(range(wire.LATENT_CHANNELS))
    coded = profile.context.encode(symbols, channels, 0, (wire.LATENT_CHANNELS,))
    packet = wire.Packet(
        profile_hash=profile.short_hash, width=side, height=side, channels=channels, quantizer=0,
        stream=coded.stream)
    if profile.has_regions:
        # All of it once more, at the finest scale.
        cells = side // 8
        whole = CodedRegion(
            1, 0, 0, cells, cells, 0, None, NO_MOTION, 1, np.zeros((1, cells, cells), np.int16))
        regions = encode_regions(profile.region_context, [whole], side, side)
        packet = replace(packet, region_count=1, regions=regions.stream)
    return wire.serialize(packet)


def stream_starts(packets: list[bytes], profile_hash: int) -> list[bytes]:
    """Return the packets of a profile that stand alone and that others refer to."""
    parsed = [wire.parse(data) for data in packets]
    referred = {packet.stream_reference for packet in parsed}
    return [data for data, packet in zip(packets, parsed)
            if wire.checksum(data) in referred and packet.stream_reference is None
            and packet.profile_hash == profile_hash]


def memory_mb() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Throw packets at a decoder for the time or the number asked for."""
    parser = argparse.ArgumentParser(description='Throw damaged packets at the decoder.')
    parser.add_argument('--minutes', type=float, default=10.0, help='how long (%(default)s)')
    parser.add_argument('--count', type=int, help='how many packets at most')
    parser.add_argument('--seed', type=int, default=0, help='which packets (%(default)s)')
    parser.add_argument('--profile', default='tiny', help='of the packets (%(default)s)')
    arguments = parser.parse_args()
    profile = load_profile(arguments.profile)
    decoder = FrameDecoder(profile, max_pixels=MAX_PIXELS)
    packets = [path.read_bytes() for path in sorted(GOLDEN.glob('*.gsc'))]
    if profile.has_regions:
        # Of another profile than the golden ones, or those once more.
        packets += region_packets(profile).values()
    starts = stream_starts(packets, profile.short_hash)
    # The largest picture of all channels, once, is what is allowed to every packet.
    decoder.decode(largest(profile))
    allowed = memory_mb()
    random, seen = Random(arguments.seed), Counter[str]()
    end = time.monotonic() + 60 * arguments.minutes
    while time.monotonic() < end and seen.total() != arguments.count:
        data = hostile(packets, profile.short_hash, random)
        if random.random() < 0.1:
            # Otherwise hardly any packet of a stream finds what it refers to.
            for start in starts:
                decoder.follow(start)
        try:
            seen[attempt(decoder, data, profile.manifest.symbol_max, random.random() < 0.1)] += 1
            assert memory_mb() - allowed < MAX_EXTRA_MB, 'too much memory'
        except BaseException:
            print(f'seed {arguments.seed}, packet {seen.total()}: {data.hex()}')
            raise
    print(f'{dict(seen)}, {memory_mb() - allowed:.1f} MB of extra memory')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
