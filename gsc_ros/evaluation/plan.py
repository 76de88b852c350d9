# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is compared, and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import math

from gsc_ros.codec.region.setting import RegionSettings
from gsc_ros.evaluation.packet_loss import LossyLink
from gsc_ros.evaluation.region_source import Found
from gsc_ros.evaluation.resampling import Picture

OWN = 'gsc'
OWN_STREAM = 'gsc-stream'
OWN_REGIONS = 'gsc-regions'
OWN_STREAM_REGIONS = 'gsc-stream-regions'
OWN_AGREEMENT = 'gsc-regions-agreement'
OWN_STREAM_AGREEMENT = 'gsc-stream-regions-agreement'


@dataclass(frozen=True)
class Point:
    """
    A codec at one setting: means over all frames.

    :param codec: its word on the command line.
    :param setting: quality, target rate or quantizer, in words.
    :param downscale: factor by which pictures were made smaller before; 1 for our codec.
    :param bytes: of a frame.
    :param bpp: bits per pixel of the original.
    :param kbps: kbit/s at the frame rate of the input.
    :param psnr: dB; this and the next four as in :class:`score.Score`.
    :param encode_ms: milliseconds per frame, with the reduction before and the program's start.
    :param decode_ms: milliseconds per frame, with the enlargement after.
    :param arrived: share of frames all of whose packets came; None without a lossy link.
    :param decodable: share of frames that came and all that they build on, too.
    :param regions: key regions of a frame that were sent; None for a codec without.
    :param failure: why there are no figures; empty when there are.
    """

    codec: str
    setting: str
    downscale: float = 1.0
    bytes: float = math.nan
    bpp: float = math.nan
    kbps: float = math.nan
    psnr: float = math.nan
    ssim: float = math.nan
    ms_ssim: float | None = None
    vsi: float | None = None
    f1: float | None = None
    encode_ms: float = math.nan
    decode_ms: float = math.nan
    arrived: float | None = None
    decodable: float | None = None
    regions: float | None = None
    failure: str = ''


@dataclass(frozen=True)
class Outcome:
    """
    A point and a picture to look at.

    :param point: the figures.
    :param sample: PNG of the frame of the gallery, as the decoder gave it; empty for none.
    """

    point: Point
    sample: bytes = b''


@dataclass(frozen=True)
class Codec:
    """What the report says of a codec; ``missing`` is why it was left out, or empty."""

    name: str
    title: str
    settings: str
    own: bool = False
    missing: str = ''


@dataclass(frozen=True)
class Plan:
    """
    What to compare.

    :param images: uint8 [H, W, 3] RGB; of one size when ``mode`` is not 'stills'.
    :param fps: frames per second.
    :param mode: 'stills', 'stream' or 'loss'.
    :param rates: bits per pixel for stills, else kbit/s; ascending.
    :param downscales: factors that peers may choose from, ascending.
    :param peers: their names; None for all.
    :param ours: names of the ways in which ours codes; None for all that the mode has.
    :param profile: ours, by name or folder.
    :param threads: of our graphs.
    :param workers: peers that run at a time.
    :param link: of mode 'loss'.
    :param trials: how many seeds of losses to average over, from the link's on.
    :param regions: where perception looks in each image, for ours and for the peers that can; None
        compares whole frames alone.
    :param objects: whether ours sends the list of classes and boxes, too.
    :param agreement: whether ours also lets the source's detector decide how a packet is shared.
    :param base_share: share of a packet's bytes that ours keeps for the whole picture.
    :param gallery: number of the image whose reconstructions are kept to look at.
    """

    images: Sequence[Picture]
    fps: float
    mode: str
    rates: Sequence[float]
    downscales: Sequence[float]
    peers: Sequence[str] | None = None
    ours: Sequence[str] | None = None
    profile: str = 'tiny'
    threads: int = 2
    workers: int = 2
    link: LossyLink = field(default_factory=lambda: LossyLink(0))
    trials: int = 1
    regions: Found | None = None
    objects: bool = False
    agreement: bool = False
    base_share: float = RegionSettings.base_share
    gallery: int = 0


@dataclass(frozen=True)
class Listed:
    """
    The list of objects as the receiver gets it, without looking at a picture.

    :param bytes: of a packet that holds it and as little else as can be.
    :param list_bytes: of the list alone.
    :param kbps: kbit/s of such packets at the frame rate of the input.
    :param f1: agreement with what the detector finds on the originals; None when it finds nothing.
    """

    bytes: float
    list_bytes: float
    kbps: float
    f1: float | None


@dataclass(frozen=True)
class Comparison:
    """
    What came out.

    :param codecs: all of them.
    :param outcomes: their points in order of codec, downscale and setting.
    :param listed: what the list of objects says; None where no source knows classes, or without a
        detector.
    """

    codecs: tuple[Codec, ...]
    outcomes: tuple[Outcome, ...]
    listed: Listed | None = None

    @property
    def points(self) -> list[Point]:
        """Return the points that have figures."""
        return [outcome.point for outcome in self.outcomes if not outcome.point.failure]
