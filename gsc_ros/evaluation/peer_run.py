# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The peers' operating points: what was measured before is taken from the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
import time
from typing import Any

from gsc_ros.evaluation import average, ffmpeg, packet_loss
from gsc_ros.evaluation.own import Coded
from gsc_ros.evaluation.packet_loss import LossyLink
from gsc_ros.evaluation.plan import Outcome, Plan, Point
from gsc_ros.evaluation.region_peer import Crops, RegionPeer
from gsc_ros.evaluation.resampling import Picture, reduced
from gsc_ros.evaluation.score import Scorer
from gsc_ros.evaluation.still_peer import PeerError, StillPeer
from gsc_ros.evaluation.store import Store
from gsc_ros.evaluation.stream_cache import digest, StreamCache
from gsc_ros.evaluation.video_peer import KeyFrames, NEVER, VideoPeer
import numpy as np

Peer = StillPeer | VideoPeer | RegionPeer

# Beyond the last rate of interest a curve only needs one more point to be cut at that rate.
RATE_MARGIN = 1.5
# Seconds between the key frames that a stream may have without being asked for.
KEY_INTERVALS_S = (None, 1.0, 3.0)
# Bits per coded pixel for which a video codec is tried: with fewer, a smaller picture is better and
# the encoder misses its rate; with more, a larger one is.
USEFUL_BPP = (0.005, 0.1)


class PeerRun:
    """
    Runs the peers; threads may share it.

    :param store: keeps their streams and their figures.
    """

    def __init__(self, plan: Plan, scorer: Scorer, store: Store) -> None:
        self._plan = plan
        self._scorer = scorer
        self._store = store
        self._streams = StreamCache(store)
        self._common = {'images': [digest(image) for image in plan.images], 'fps': plan.fps,
                        'gallery': plan.gallery, 'metrics': scorer.identity, 'mode': plan.mode}
        if plan.mode == 'loss':
            self._common |= {'link': asdict(plan.link), 'trials': plan.trials}

    def curve(self, peer: Peer, factor: float) -> list[Outcome]:
        """Return the points of a peer at one downscale: of a RegionPeer, that of its thumbnail."""
        small = [reduced(image, factor) for image in self._plan.images]
        if isinstance(peer, RegionPeer):
            return list(self._regions(peer, factor, small))
        if isinstance(peer, StillPeer):
            return list(self._still(peer, factor, small))
        if self._plan.mode == 'stream':
            return self._video(peer, factor, np.stack(small))
        return self._lossy(peer, factor, np.stack(small))

    def _still(self, peer: StillPeer, factor: float, small: list[Picture]) -> Iterator[Outcome]:
        limit = RATE_MARGIN * self._plan.rates[-1]
        for quality in peer.qualities:
            def measure(quality: float = quality) -> dict[str, Any]:
                return average.mean(self._plan, self._scorer, (
                    self._still_coded(peer, quality, image) for image in small))
            found = self._measured(
                Point(peer.name, f'quality {quality:g}', factor),
                {'settings': peer.settings, 'version': peer.version()}, measure)
            yield found
            if found.point.bpp > limit:
                return

    def _still_coded(self, peer: StillPeer, quality: float, image: Picture) -> Coded:
        height, width = image.shape[:2]
        stream = self._streams.still(peer, image, quality)
        start = time.perf_counter()
        picture = peer.decode(stream.data, width, height)
        return Coded(peer.size(stream.data), picture, stream.encode_ms,
                     (time.perf_counter() - start) * 1e3)

    def _regions(self, peer: RegionPeer, factor: float,
                 small: list[Picture]) -> Iterator[Outcome]:
        """Yield a point for each quality of the thumbnail and each way to code the regions."""
        plan = self._plan
        limit = RATE_MARGIN * plan.rates[-1]
        boxes = [peer.boxes(found, *image.shape[1::-1])
                 for found, image in zip(plan.regions.regions, plan.images)]
        common = {'boxes': repr(boxes), 'settings': peer.settings, 'version': peer.still.version()}
        # Ways to code a crop outside: its picture is then shown over all thumbnails in turn.
        for crops in peer.crops:
            for quality in peer.thumbnail_qualities:
                def measure(quality: float = quality, crops: Crops = crops) -> dict[str, Any]:
                    return average.mean(plan, self._scorer, (
                        peer.code(self._streams, image, thumbnail, quality, areas, crops)
                        for image, thumbnail, areas in zip(plan.images, small, boxes)))
                point = Point(peer.name, f'quality {quality:g}, {crops.words}', factor)
                found = self._measured(point, common, measure)
                if not found.point.bpp > limit:
                    yield found

    def _video(self, peer: VideoPeer, factor: float, small: np.ndarray) -> list[Outcome]:
        height, width = small.shape[1:3]
        count = len(small)

        def measure(kbps: float) -> dict[str, Any]:
            stream = self._streams.video(peer, small, self._plan.fps, kbps, KeyFrames())
            start = time.perf_counter()
            pictures = peer.decode(stream.data, width, height)
            decode_ms = (time.perf_counter() - start) * 1e3 / count
            if len(pictures) != count:
                raise PeerError(f'{len(pictures)} of {count} frames came back')
            share = len(stream.data) / count
            return average.mean(self._plan, self._scorer, (
                Coded(share, picture, stream.encode_ms / count, decode_ms)
                for picture in pictures))

        return [self._measured(
            Point(peer.name, f'target {kbps:g} kbit/s', factor),
            {'settings': peer.options(kbps, NEVER, 0), 'version': peer.version()},
            lambda kbps=kbps: measure(kbps)) for kbps in self._targets(
                factor, width * height)]

    def _lossy(self, peer: VideoPeer, factor: float, small: np.ndarray) -> list[Outcome]:
        plan = self._plan
        outcomes = []
        for seconds in KEY_INTERVALS_S:
            interval = NEVER if seconds is None else max(1, round(seconds * plan.fps))
            words = 'key frames on request' + (
                '' if seconds is None else f' and every {seconds:g} s')
            for kbps in self._targets(factor, small[0, ..., 0].size):
                def measure(kbps: float = kbps, interval: int = interval) -> dict[str, Any]:
                    return average.over_trials(plan, lambda link: self._sent(
                        peer, small, kbps, interval, link))
                outcomes.append(self._measured(
                    Point(peer.name, f'target {kbps:g} kbit/s, {words}', factor),
                    {'settings': peer.options(kbps, interval, 0), 'version': peer.version()},
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
        milliseconds: list[float] = []

        def encode(forced: set[int]) -> bytes:
            stream = self._streams.video(
                peer, small, plan.fps, kbps, KeyFrames(interval, forced))
            milliseconds.append(stream.encode_ms)
            return stream.data

        sent = packet_loss.transmit(encode, peer.kind, plan.fps, link)
        count = len(small)
        if len(sent.frames) != count:
            raise PeerError(f'{len(sent.frames)} of {count} frames were coded')
        start = time.perf_counter()
        concealed = packet_loss.decode_damaged(sent.frames, peer.kind, width, height)
        decode_ms = (time.perf_counter() - start) * 1e3
        good = {number: picture for number, picture in concealed.items() if sent.good[number]}
        size = len(sent.stream) / count
        times = (milliseconds[-1] / count, decode_ms / count)
        blank = np.full_like(small[0], 128)
        results = [average.mean(plan, self._scorer, (
            Coded(size, picture, *times) for picture in packet_loss.held(pictures, count, blank)))
            for pictures in (concealed, good)]
        best = max(results, key=_quality)
        return best | {'arrived': sum(sent.whole) / count, 'decodable': sum(sent.good) / count}

    def _targets(self, factor: float, pixels: int) -> list[float]:
        """
        Return the rates to aim at, kbit/s, for pictures of a downscale.

        Encoders exceed them, so there are two below the lowest. Those that suit another of the
        downscales are left out.
        """
        rates, factors = self._plan.rates, self._plan.downscales
        low, high = (bpp * pixels * self._plan.fps / 1000 for bpp in USEFUL_BPP)
        return [rate for rate in (rates[0] / 4, rates[0] / 2, *rates)
                if (rate >= low or factor == factors[-1])
                and (rate <= high or factor == factors[0])]

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
        return average.outcome(point, result)


def _quality(result: dict[str, Any]) -> tuple[float, ...]:
    """Return what decides between two ways to show the same stream."""
    return (result['f1'] or 0.0, result['ms_ssim'] or 0.0, result['psnr'])
