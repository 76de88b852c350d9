# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each reconstruction against the original with exactly the same stamp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import math

from gsc_ros.demo.recording import FrameRecord, Image, ImageStore, Recording, SourceRecord
from gsc_ros.evaluation.metric import ms_ssim, MS_SSIM_MIN_SIDE, psnr
from gsc_ros.evaluation.spectrum import MIN_SIDE, spectrum_distance

WORKERS = 2


@dataclass(frozen=True)
class ScoredFrame:
    """
    A reconstruction and how near it is to its original.

    :param source: the original; None when none with this stamp was seen.
    :param psnr_db: decibels; NaN without an original of the same size.
    :param ms_ssim: 0..1; NaN likewise, or when the picture is too small for five scales.
    :param spectrum_db: distance of the power spectra in decibels, see evaluation.spectrum; NaN
        likewise.
    """

    frame: FrameRecord
    source: SourceRecord | None
    psnr_db: float
    ms_ssim: float
    spectrum_db: float


def score_frames(recording: Recording, advance: Callable[[], None],
                 frames: Sequence[FrameRecord] | None = None) -> list[ScoredFrame]:
    """
    Score reconstructions, in the order of their stamps.

    :param advance: called after each frame, from any thread.
    :param frames: which ones; None for those of the recording.
    """
    sources = {source.stamp_ns: source for source in recording.sources}

    def score(frame: FrameRecord) -> ScoredFrame:
        source = sources.get(frame.stamp_ns)
        scored = _score(frame, source, recording.store)
        advance()
        return scored

    ordered = sorted(recording.frames if frames is None else frames,
                     key=lambda frame: frame.stamp_ns)
    # The metrics are numpy and OpenCV, which leave the interpreter lock alone.
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(score, ordered))


def _score(frame: FrameRecord, source: SourceRecord | None, store: ImageStore) -> ScoredFrame:
    if source is None or source.image.shape != frame.image.shape:
        return ScoredFrame(frame, source, math.nan, math.nan, math.nan)
    original: Image = store.get(source.image)
    image: Image = store.get(frame.image)
    side = min(image.shape[:2])
    return ScoredFrame(
        frame, source, psnr(original, image),
        ms_ssim(original, image) if side >= MS_SSIM_MIN_SIDE else math.nan,
        spectrum_distance(original, image) if side >= MIN_SIDE else math.nan)
