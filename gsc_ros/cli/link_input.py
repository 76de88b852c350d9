# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `gsc link` sends: pictures, which it codes, or packets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from gsc_ros.cli.error import DataError
from gsc_ros.cli.file import read_bytes
from gsc_ros.cli.packet_layer import packet_ends
from gsc_ros.cli.progress import track
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.frame import EncodedFrame, EncoderSettings, FrameEncoder
from gsc_ros.codec.packet import (
    cut,
    MAX_PACKET_BYTES,
    Packet,
    PACKET_SUFFIX,
    parse,
)
from gsc_ros.codec.profile import load_profile
from gsc_ros.link.trial.simulation import CodedFrame
from gsc_ros.sources.folder import natural_key
from gsc_ros.sources.frame import SourceError
from gsc_ros.sources.opening import open_source

PACKET_FPS = 10.0


@dataclass(frozen=True)
class LinkInput:
    """
    Coded frames.

    :param frames: in order, at least one.
    :param fps: at which they were recorded, or 10.
    """

    frames: list[CodedFrame]
    fps: float


def read_packets(path: Path, profile: str, limit: int) -> LinkInput | None:
    """
    Read packets; where layers can be told apart they can be shed.

    :param path: a packet, or a folder of packets; of anything else None is returned.
    :param profile: of which they may be; packets of another one are sent whole.
    :param limit: packets, at most.
    :raises DataError: when a packet is damaged.
    """
    if path.is_dir():
        files = sorted(path.glob(f'*{PACKET_SUFFIX}'), key=lambda file: natural_key(file.name))
    else:
        files = [path] if path.suffix == PACKET_SUFFIX else []
    if not files:
        return None
    frames = []
    for file in track(files[:limit], 'reading'):
        payload = read_bytes(file, MAX_PACKET_BYTES)
        try:
            ends = _packet_ends(payload, parse(payload), profile)
        except CodecError as error:
            raise DataError(f'{file}: {error}') from error
        frames.append(_coded(payload, ends))
    return LinkInput(frames, PACKET_FPS)


def _packet_ends(payload: bytes, packet: Packet, profile_name: str) -> tuple[int, ...]:
    """Return the length of a packet after each layer; only the whole where it cannot be cut."""
    profile = load_profile(profile_name)
    if packet.stream_reference is not None or packet.profile_hash != profile.short_hash:
        return (len(payload),)
    return packet_ends(payload, profile_name)


def encode_pictures(
    source: str, profile: str, settings: EncoderSettings, topic: str | None, limit: int,
) -> LinkInput:
    """
    Code pictures, each alone.

    :param source: what `open_source` takes.
    :param limit: pictures, at most.
    :raises DataError: when there are none, or one cannot be coded.
    """
    try:
        opened = open_source(source, topic=topic)
        encoder = FrameEncoder(load_profile(profile))
        frames = [
            _of(encoder.encode(frame.image, settings)) for frame in track(
                islice(opened, limit), 'encoding', total=min(limit, len(opened)))]
    except (SourceError, CodecError) as error:
        raise DataError(str(error)) from error
    if not frames:
        raise DataError(f'{source}: no picture of it can be read')
    return LinkInput(frames, opened.fps)


def _of(frame: EncodedFrame) -> CodedFrame:
    return _coded(frame.payload, frame.layer_ends)


def _coded(payload: bytes, ends: tuple[int, ...]) -> CodedFrame:
    if len(ends) == 1:
        return CodedFrame(ends, lambda _: payload)
    return CodedFrame(ends, lambda layers: cut(payload, layers, ends))
