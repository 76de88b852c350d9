# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Quality against the signal-to-noise ratio: every codec over the same channel.

At an operating point (channel uses and code rate) every codec has the same bytes for a frame, the
same parity and the same noise. When neither packet nor base comes through, the last picture that
did is shown again, and mid gray before the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gsc_ros.codec.error import CodecError
from gsc_ros.evaluation.region_source import Found
from gsc_ros.evaluation.resampling import Picture
from gsc_ros.evaluation.snr.coding import Coded, Coder, NotFittingError, OwnCoder, PeerCoder
from gsc_ros.evaluation.snr.link import NoisyLink
from gsc_ros.evaluation.snr.score import mean, PairScorer
from gsc_ros.evaluation.still_peer import PeerError, StillPeer
from gsc_ros.evaluation.stream_cache import digest, StreamCache
from gsc_ros.link.channel.noise import Modulation
import numpy as np

WHOLE, BASE, LOST = 'whole', 'base', 'lost'
GRAY = 128
# Seeds of frames lie next to each other, those of trials so far apart.
_TRIAL_STRIDE = 1 << 32


@dataclass(frozen=True)
class OperatingPoint:
    """
    What a frame may cost.

    :param uses: symbols.
    :param code_rate: part of the datagrams that carry the packet.
    """

    uses: int
    code_rate: float


@dataclass(frozen=True)
class SnrPlan:
    """
    What to compare.

    :param images: uint8 [H, W, 3] RGB of one size, in the order of sending.
    :param snrs_db: Es/N0 in dB, ascending.
    :param operating_points: what a frame may cost.
    :param modulation: how bits become symbols.
    :param mtu: the largest datagram in bytes.
    :param peers: the codecs to compare with.
    :param downscales: factors that they may choose from, ascending.
    :param profile: ours, by name or folder.
    :param threads: of our graphs.
    :param workers: pictures that are scored at a time.
    :param seed: of the noise.
    :param trials: seeds to average over, from this one on.
    :param gallery: number of the image of which the report shows what came.
    :param found: where perception looks in the images, for ours with key regions; None for no
        such codec.
    :param objects: whether that one sends the list of classes and boxes, too.
    """

    images: Sequence[Picture]
    snrs_db: Sequence[float]
    operating_points: Sequence[OperatingPoint]
    modulation: Modulation
    mtu: int
    peers: Sequence[StillPeer]
    downscales: Sequence[float]
    profile: str = 'tiny'
    threads: int = 2
    workers: int = 2
    seed: int = 0
    trials: int = 5
    gallery: int = 0
    found: Found | None = None
    objects: bool = False


@dataclass(frozen=True)
class SnrCodec:
    """What the report says of a codec; ``missing`` is why it was left out, or empty."""

    name: str
    title: str
    settings: str
    own: bool = False
    missing: str = ''


@dataclass(frozen=True)
class SnrPoint:
    """
    A codec at an operating point and a signal-to-noise ratio: means over frames and seeds.

    :param codec: its name.
    :param operating_point: number of the operating point.
    :param snr_db: Es/N0 in dB.
    :param whole: share of the frames whose packet came through.
    :param base: share of those of which only the base did.
    :param metrics: by name; without those that were not computed.
    :param shown: digest of what the first seed's receiver shows of the gallery's image.
    """

    codec: str
    operating_point: int
    snr_db: float
    whole: float
    base: float
    metrics: dict[str, float | None]
    shown: str


@dataclass(frozen=True)
class Fit:
    """
    What a codec makes of an operating point.

    :param codec: its name.
    :param operating_point: number of the operating point.
    :param capacity: bytes that a packet may have.
    :param bytes: of a packet in the mean; None when none fits.
    :param uses: symbols of a frame in the mean; None when none fits.
    :param fitting: share of the frames that it can code in so few bytes.
    :param setting: of the gallery's image, in words, or why there is none.
    """

    codec: str
    operating_point: int
    capacity: int
    bytes: float | None
    uses: float | None
    fitting: float
    setting: str


@dataclass(frozen=True)
class SnrStudy:
    """What came out; ``pictures`` are those that points have been shown, by digest."""

    codecs: tuple[SnrCodec, ...]
    fits: tuple[Fit, ...]
    points: tuple[SnrPoint, ...]
    pictures: dict[str, Picture]


@dataclass(frozen=True)
class _Run:
    """All seeds of a codec at a point: what came of each frame, and what is shown of it."""

    codec: str
    operating_point: int
    snr_db: float
    came: list[str]
    shown: list[tuple[int, str]]


#: Called with the work done, the work there is, and what is going on.
Report = Callable[[int, int, str], None]


def study(plan: SnrPlan, links: Sequence[NoisyLink], scorer: PairScorer, streams: StreamCache,
          report: Report) -> SnrStudy:
    """
    Run all codecs.

    :param links: of the operating points.
    :param streams: codes for the peers.
    :raises ProfileError: our profile cannot be used.
    :raises OSError: the store of scores or streams cannot be written.
    """
    codecs, coders = _codecs(plan, streams)
    pictures: dict[str, Picture] = {}
    fits: list[Fit] = []
    runs: list[_Run] = []
    total = len(links) * len(coders)
    for number, link in enumerate(links):
        for title, coder in coders.items():
            report(len(fits), total, f'{title}, {link.capacity} bytes')
            coded, reasons = _coded(plan, coder, link)
            fits.append(_fit(plan, title, number, link, coded, reasons))
            if any(one is not None for one in coded):
                runs += _runs(plan, link, title, number, coded, pictures)
    scores = scorer.score((pair for run in runs for pair in run.shown), pictures, plan.workers,
                          lambda done, all_: report(done, all_, 'metrics'))
    points = []
    for run in runs:
        shown = run.shown[plan.gallery][1]
        points.append(SnrPoint(
            run.codec, run.operating_point, run.snr_db, *(
                run.came.count(what) / len(run.came) for what in (WHOLE, BASE)),
            mean([scores[pair] for pair in run.shown]), shown))
    kept = {point.shown: pictures[point.shown] for point in points}
    return SnrStudy(tuple(codecs), tuple(fits), tuple(points), kept)


def _codecs(plan: SnrPlan, streams: StreamCache) -> tuple[list[SnrCodec], dict[str, Coder]]:
    """Return what the report says of the codecs, and what codes for those that are there."""
    own = OwnCoder(plan.profile, plan.images, plan.threads, plan.found, plan.objects)
    codecs = [
        SnrCodec('gsc', 'gsc', f'{own.settings}; every frame alone, protected alike', own=True),
        SnrCodec('gsc-layers', 'gsc layers', 'the same packets, the first layers protected better',
                 own=True)]
    coders: dict[str, Coder] = {'gsc': own.whole, 'gsc-layers': own.layered}
    if plan.found is not None:
        missing = '' if own.has_regions else 'its profile has no model of key regions'
        codecs.append(SnrCodec(
            'gsc-regions', 'gsc regions', f'{own.settings}; key regions of {plan.found.source} in '
            'the same bytes, protected alike', own=True, missing=missing))
        if not missing:
            coders['gsc-regions'] = own.with_regions
    for peer in plan.peers:
        missing = peer.missing() or ''
        codecs.append(SnrCodec(peer.name, peer.title, peer.settings, missing=missing))
        if not missing:
            coders[peer.name] = PeerCoder(peer, plan.images, plan.downscales, streams)
    return codecs, coders


def _coded(plan: SnrPlan, coder: Coder,
           link: NoisyLink) -> tuple[list[Coded | None], list[str]]:
    """Return what is sent of each frame, and where nothing is why."""
    coded: list[Coded | None] = []
    reasons = []
    for number in range(len(plan.images)):
        try:
            coded.append(coder(number, link))
            reasons.append('')
        except (NotFittingError, PeerError, CodecError) as error:
            coded.append(None)
            reasons.append(str(error))
    return coded, reasons


def _fit(plan: SnrPlan, codec: str, number: int, link: NoisyLink,
         coded: Sequence[Coded | None], reasons: Sequence[str]) -> Fit:
    there = [one for one in coded if one is not None]
    shown = coded[plan.gallery]
    size = float(np.mean([len(one.sent.packet) for one in there])) if there else None
    uses = float(np.mean([link.uses(one.sent) for one in there])) if there else None
    return Fit(codec, number, link.capacity, size, uses, len(there) / len(coded),
               reasons[plan.gallery] if shown is None else shown.setting)


def _runs(plan: SnrPlan, link: NoisyLink, codec: str, number: int,
          coded: Sequence[Coded | None], pictures: dict[str, Picture]) -> Iterator[_Run]:
    """Yield what is shown at each signal-to-noise ratio; add the pictures by their digests."""
    gray = np.full_like(plan.images[0], GRAY)
    nothing = digest(gray)
    pictures[nothing] = gray
    names = []
    for one in coded:
        by_form = {}
        for form, picture in () if one is None else ((WHOLE, one.picture), (BASE, one.base)):
            if picture is not None:
                by_form[form] = digest(picture)
                pictures[by_form[form]] = picture
        names.append(by_form)
    for snr_db in plan.snrs_db:
        came, shown = [], []
        for trial in range(plan.trials):
            last = nothing
            for frame, one in enumerate(coded):
                seed = (plan.seed + trial) * _TRIAL_STRIDE + frame
                form = LOST if one is None else _outcome(link, one, snr_db, seed)
                last = names[frame].get(form, last)
                came.append(form)
                shown.append((frame, last))
        yield _Run(codec, number, snr_db, came, shown)


def _outcome(link: NoisyLink, coded: Coded, snr_db: float, seed: int) -> str:
    """Return what comes through of a frame."""
    received = link.receive(link.damaged(coded.sent, snr_db, seed))
    # What noise has made in spite of all checksums counts as lost.
    if received == coded.sent.packet:
        return WHOLE
    return BASE if received and received == coded.sent.base else LOST
