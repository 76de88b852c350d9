# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The comparison: every codec at many operating points, each scored on the same pictures.

Our codec runs first and alone, so that nothing disturbs its times; the peers share the processors.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import as_completed, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
import hashlib
import math
import time
from typing import Any

import cv2
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.frame import EncoderSettings
from gsc_ros.evaluation import ffmpeg, packet_loss
from gsc_ros.evaluation.own import Coded, OwnCodec, Sent, with_quantizer, within
from gsc_ros.evaluation.packet_loss import LossyLink
from gsc_ros.evaluation.resampling import Picture, reduced, resized
from gsc_ros.evaluation.score import Scorer
from gsc_ros.evaluation.still_peer import PeerError, STILL_PEERS, StillPeer
from gsc_ros.evaluation.store import Store
from gsc_ros.evaluation.video_peer import KeyFrames, NEVER, VIDEO_PEERS, VideoPeer
import numpy as np

OWN = 'gsc'
OWN_STREAM = 'gsc-stream'
# Beyond the last rate of interest a curve only needs one more point to be cut at that rate.
RATE_MARGIN = 1.5
# Seconds between the key frames that a stream may have without being asked for.
KEY_INTERVALS_S = (None, 1.0, 3.0)


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
    :param profile: ours, by name or folder.
    :param threads: of our graphs.
    :param workers: peers that run at a time.
    :param link: of mode 'loss'.
    :param trials: how many seeds of losses to average over, from the link's on.
    :param gallery: number of the image whose reconstructions are kept to look at.
    """

    images: Sequence[Picture]
    fps: float
    mode: str
    rates: Sequence[float]
    downscales: Sequence[float]
    peers: Sequence[str] | None = None
    profile: str = 'tiny'
    threads: int = 2
    workers: int = 2
    link: LossyLink = field(default_factory=lambda: LossyLink(0))
    trials: int = 1
    gallery: int = 0


@dataclass(frozen=True)
class Comparison:
    """What came out: the codecs, and their points in order of codec, downscale and setting."""

    codecs: tuple[Codec, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def points(self) -> list[Point]:
        """Return the points that have figures."""
        return [outcome.point for outcome in self.outcomes if not outcome.point.failure]


#: Called with the work done, the work there is, and what is going on.
Report = Callable[[int, int, str], None]


def peers_of(mode: str) -> tuple[StillPeer, ...] | tuple[VideoPeer, ...]:
    """Return the peers of a mode; losses are simulated for H.264 and HEVC alone."""
    if mode == 'stills':
        return STILL_PEERS
    if mode == 'loss':
        return tuple(peer for peer in VIDEO_PEERS if peer.low_delay and peer.kind != 'obu')
    return VIDEO_PEERS


def compare(plan: Plan, scorer: Scorer, store: Store, report: Report) -> Comparison:
    """
    Run all codecs; those of the peers' results that are in the store are taken from there.

    :raises ProfileError: our profile cannot be used.
    :raises OSError: the store cannot be written.
    """
    chosen = [peer for peer in peers_of(plan.mode) if plan.peers is None or peer.name in plan.peers]
    missing = {peer.name: peer.missing() or '' for peer in chosen}
    present = [peer for peer in chosen if not missing[peer.name]]
    jobs = [(peer, factor) for peer in present for factor in plan.downscales]
    total = 1 + len(jobs)
    report(0, total, OWN)
    own = OwnCodec(plan.profile, plan.threads)
    own.warm_up(plan.images[0])
    outcomes = {(): _own(plan, own, scorer)}
    run = _Peers(plan, scorer, store)
    with ThreadPoolExecutor(plan.workers) as pool:
        pending = {pool.submit(run.curve, peer, factor): (peer, factor) for peer, factor in jobs}
        try:
            report(1, total, ', '.join(peer.title for peer in present))
            for done, future in enumerate(as_completed(pending), 2):
                peer, factor = pending[future]
                outcomes[(peer.name, factor)] = future.result()
                report(done, total, f'{peer.title} at 1/{factor:g}')
        finally:
            pool.shutdown(cancel_futures=True)
    codecs = [Codec(OWN, 'gsc', f'{own.settings}, every frame alone', own=True)]
    if plan.mode != 'stills':
        codecs.append(Codec(
            OWN_STREAM, 'gsc stream', f'{own.settings}, frames from the one before', own=True,
            missing='' if own.streams else 'its profile has no such mode'))
    codecs += [Codec(peer.name, peer.title, peer.settings, missing=missing[peer.name])
               for peer in chosen]
    order = [(), *((peer.name, factor) for peer, factor in jobs)]
    return Comparison(tuple(codecs), tuple(one for key in order for one in outcomes[key]))


def _own(plan: Plan, own: OwnCodec, scorer: Scorer) -> list[Outcome]:
    """Return the points of our codec."""
    outcomes = []
    for name, setting, measure in _own_runs(plan, own, scorer):
        try:
            outcomes.append(_outcome(Point(name, setting), measure()))
        except CodecError as error:
            outcomes.append(Outcome(Point(name, setting, failure=str(error))))
    return outcomes


def _own_runs(plan: Plan, own: OwnCodec,
              scorer: Scorer) -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
    """Yield the codec's name, the setting in words, and what measures it."""
    if plan.mode == 'stills':
        for index in range(own.quantizers):
            yield OWN, f'quantizer {index}', partial(
                lambda index: _mean(plan, scorer, own.stills(plan.images, index)), index)
        for rate in plan.rates:
            yield OWN, f'at most {rate:g} bpp', partial(
                lambda rate: _mean(plan, scorer, own.stills_within(plan.images, rate)), rate)
        return

    def sent(settings: Callable[[], EncoderSettings], stream: bool) -> dict[str, Any]:
        made = replace(settings(), stream=stream)
        return _trials(plan, lambda link: _mean_sent(
            plan, scorer, own.send(plan.images, plan.fps, made, link)))

    for name in (OWN, OWN_STREAM) if own.streams else (OWN,):
        stream = name == OWN_STREAM
        # A quantizer lets frames differ in size, as the peers do; with losses it takes too long.
        for index in range(own.quantizers) if plan.mode == 'stream' else ():
            yield name, f'quantizer {index}', partial(
                sent, partial(with_quantizer, index), stream)
        for rate in plan.rates:
            yield name, f'frames of at most {rate:g} kbit/s', partial(
                sent, partial(within, int(rate * 1000 / plan.fps / 8)), stream)


class _Peers:
    """Runs the peers. Results are kept in the store: see :meth:`_measured`."""

    def __init__(self, plan: Plan, scorer: Scorer, store: Store) -> None:
        self._plan = plan
        self._scorer = scorer
        self._store = store
        digest = hashlib.sha256()
        for image in plan.images:
            digest.update(repr(image.shape).encode() + image.tobytes())
        self._common = {'images': digest.hexdigest(), 'fps': plan.fps, 'gallery': plan.gallery,
                        'metrics': scorer.identity, 'mode': plan.mode}
        if plan.mode == 'loss':
            self._common |= {'link': asdict(plan.link), 'trials': plan.trials}

    def curve(self, peer: StillPeer | VideoPeer, factor: float) -> list[Outcome]:
        """Return the points of a peer at one downscale."""
        small = [reduced(image, factor) for image in self._plan.images]
        if isinstance(peer, StillPeer):
            return self._still(peer, factor, small)
        if self._plan.mode == 'stream':
            return self._video(peer, factor, np.stack(small))
        return self._lossy(peer, factor, np.stack(small))

    def _still(self, peer: StillPeer, factor: float, small: list[Picture]) -> list[Outcome]:
        outcomes = []
        limit = RATE_MARGIN * self._plan.rates[-1]
        for quality in peer.qualities:
            def measure(quality: float = quality) -> dict[str, Any]:
                return _mean(self._plan, self._scorer,
                             (_still_coded(peer, quality, image) for image in small))
            outcomes.append(self._measured(
                Point(peer.name, f'quality {quality:g}', factor),
                {'settings': peer.settings, 'version': peer.version()}, measure))
            if outcomes[-1].point.bpp > limit:
                break
        return outcomes

    def _video(self, peer: VideoPeer, factor: float, small: np.ndarray) -> list[Outcome]:
        height, width = small.shape[1:3]

        def measure(kbps: float) -> dict[str, Any]:
            start = time.perf_counter()
            stream = peer.encode(small, self._plan.fps, kbps)
            encoded = time.perf_counter()
            pictures = peer.decode(stream, width, height)
            decoded = time.perf_counter()
            count = len(small)
            if len(pictures) != count:
                raise PeerError(f'{len(pictures)} of {count} frames came back')
            share = len(stream) / count
            return _mean(self._plan, self._scorer, (
                Coded(share, picture, (encoded - start) * 1e3 / count,
                      (decoded - encoded) * 1e3 / count) for picture in pictures))

        return [self._measured(
            Point(peer.name, f'target {kbps:g} kbit/s', factor),
            {'settings': peer.options(kbps, NEVER, 0), 'version': ffmpeg.version()},
            lambda kbps=kbps: measure(kbps)) for kbps in _targets(self._plan.rates)]

    def _lossy(self, peer: VideoPeer, factor: float, small: np.ndarray) -> list[Outcome]:
        plan = self._plan
        outcomes = []
        for seconds in KEY_INTERVALS_S:
            interval = NEVER if seconds is None else max(1, round(seconds * plan.fps))
            words = 'key frames on request' + (
                '' if seconds is None else f' and every {seconds:g} s')
            for kbps in _targets(plan.rates):
                def measure(kbps: float = kbps, interval: int = interval) -> dict[str, Any]:
                    return _trials(plan, lambda link: self._sent(
                        peer, small, kbps, interval, link))
                outcomes.append(self._measured(
                    Point(peer.name, f'target {kbps:g} kbit/s, {words}', factor),
                    {'settings': peer.options(kbps, interval, 0), 'version': ffmpeg.version()},
                    measure))
        return outcomes

    def _sent(self, peer: VideoPeer, small: np.ndarray, kbps: float, interval: int,
              link: LossyLink) -> dict[str, Any]:
        """
        Send a video over the lossy link.

        What is seen at a frame that was hit is the decoder's concealment, or the last good
        picture: whichever is better on the whole.
        """
        plan = self._plan
        height, width = small.shape[1:3]
        start = time.perf_counter()
        sent = packet_loss.transmit(
            lambda forced: peer.encode(small, plan.fps, kbps, KeyFrames(interval, forced)),
            peer.kind, plan.fps, link)
        encoded = time.perf_counter()
        count = len(small)
        if len(sent.frames) != count:
            raise PeerError(f'{len(sent.frames)} of {count} frames were coded')
        concealed = packet_loss.decode_damaged(sent.frames, peer.kind, width, height)
        decoded = time.perf_counter()
        good = {number: picture for number, picture in concealed.items() if sent.good[number]}
        size = len(sent.stream) / count
        times = ((encoded - start) * 1e3 / count, (decoded - encoded) * 1e3 / count)
        blank = np.full_like(small[0], 128)
        results = [_mean(plan, self._scorer, (
            Coded(size, picture, *times) for picture in packet_loss.held(pictures, count, blank)))
            for pictures in (concealed, good)]
        best = max(results, key=lambda result: (result['ms_ssim'] or 0, result['psnr']))
        return best | {'arrived': sum(sent.whole) / count, 'decodable': sum(sent.good) / count}

    def _measured(self, point: Point, description: dict[str, Any],
                  measure: Callable[[], dict[str, Any]]) -> Outcome:
        """Return a point from the store, else measure it; failures are tried anew next time."""
        described = {**self._common, 'codec': point.codec, 'setting': point.setting,
                     'downscale': point.downscale, 'how': repr(sorted(description.items()))}
        result = self._store.get(described)
        if result is None:
            try:
                result = measure()
            except (PeerError, ffmpeg.FFmpegError) as error:
                return Outcome(replace(point, failure=str(error)))
            self._store.put(described, result)
        return _outcome(point, result)


def _targets(rates: Sequence[float]) -> list[float]:
    """Return the rates to aim at; encoders exceed them, so there are two below the lowest."""
    return [rates[0] / 4, rates[0] / 2, *rates]


def _still_coded(peer: StillPeer, quality: float, image: Picture) -> Coded:
    height, width = image.shape[:2]
    start = time.perf_counter()
    stream = peer.encode(image, quality)
    encoded = time.perf_counter()
    picture = peer.decode(stream, width, height)
    decoded = time.perf_counter()
    return Coded(peer.size(stream), picture, (encoded - start) * 1e3, (decoded - encoded) * 1e3)


def _mean(plan: Plan, scorer: Scorer, coded: Iterable[Coded]) -> dict[str, Any]:
    """Return the means over the plan's images, and the gallery's picture: JSON values."""
    rows: list[tuple[float, ...]] = []
    sample = b''

    def enlarged() -> Iterable[Picture]:
        nonlocal sample
        for number, (original, one) in enumerate(zip(plan.images, coded)):
            height, width = original.shape[:2]
            start = time.perf_counter()
            picture = resized(one.picture, width, height)
            decode_ms = one.decode_ms + (time.perf_counter() - start) * 1e3
            rows.append((one.size, 8 * one.size / (height * width), one.encode_ms, decode_ms))
            if number == plan.gallery:
                sample = cv2.imencode('.png', np.ascontiguousarray(one.picture[..., ::-1]))[1]
            yield picture

    score = scorer.mean(enlarged())
    size, bpp, encode_ms, decode_ms = np.mean(rows, axis=0).tolist()
    return {'bytes': size, 'bpp': bpp, 'kbps': size * 8 * plan.fps / 1000, **asdict(score),
            'encode_ms': encode_ms, 'decode_ms': decode_ms,
            'sample': base64.b64encode(bytes(sample)).decode()}


def _mean_sent(plan: Plan, scorer: Scorer, sent: Iterable[Sent]) -> dict[str, Any]:
    """Return the means of what was seen: the last picture there was, gray before the first."""
    frames: list[Sent] = []

    def seen() -> Iterable[Coded]:
        last = np.full_like(plan.images[0], 128)
        for one in sent:
            frames.append(one)
            last = last if one.picture is None else one.picture
            yield Coded(one.size, last, one.encode_ms, one.decode_ms or 0.0)

    result = _mean(plan, scorer, seen())
    times = [one.decode_ms for one in frames if one.decode_ms is not None]
    return result | {
        'decode_ms': float(np.mean(times)) if times else 0.0,
        'arrived': float(np.mean([one.arrived for one in frames])),
        'decodable': float(np.mean([one.picture is not None for one in frames]))}


def _trials(plan: Plan, measure: Callable[[LossyLink], dict[str, Any]]) -> dict[str, Any]:
    """Return the means over the seeds, and the first one's picture."""
    results = [measure(replace(plan.link, seed=plan.link.seed + trial))
               for trial in range(plan.trials)]
    mean: dict[str, Any] = {'sample': results[0]['sample']}
    for name in results[0].keys() - mean.keys():
        values = [result[name] for result in results if result[name] is not None]
        mean[name] = float(np.mean(values)) if values else None
    if plan.mode != 'loss':
        mean |= {'arrived': None, 'decodable': None}
    return mean


def _outcome(point: Point, result: dict[str, Any]) -> Outcome:
    figures = {name: value for name, value in result.items() if name != 'sample'}
    return Outcome(replace(point, **figures), base64.b64decode(result['sample']))
