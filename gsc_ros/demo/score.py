# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each reconstruction against the original with exactly the same stamp."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import math

from gsc_ros.demo.recording import FrameRecord, Image, ImageStore, Recording, SourceRecord
from gsc_ros.evaluation.metric import ms_ssim, MS_SSIM_MIN_SIDE, psnr

WORKERS = 2


@dataclass(frozen=True)
class ScoredFrame:
    """
    A reconstruction and how near it is to its original.

    :param source: the original; None when none with this stamp was seen.
    :param psnr_db: decibels; NaN without an original of the same size.
    :param ms_ssim: 0..1; NaN likewise, or when the picture is too small for five scales.
    """

    frame: FrameRecord
    source: SourceRecord | None
    psnr_db: float
    ms_ssim: float


def score_frames(recording: Recording, advance: Callable[[], None]) -> list[ScoredFrame]:
    """
    Score every reconstruction, in the order of their stamps.

    :param advance: called after each frame, from any thread.
    """
    sources = {source.stamp_ns: source for source in recording.sources}

    def score(frame: FrameRecord) -> ScoredFrame:
        source = sources.get(frame.stamp_ns)
        scored = _score(frame, source, recording.store)
        advance()
        return scored

    frames = sorted(recording.frames, key=lambda frame: frame.stamp_ns)
    # The metrics are numpy and OpenCV, which leave the interpreter lock alone.
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(score, frames))


def _score(frame: FrameRecord, source: SourceRecord | None, store: ImageStore) -> ScoredFrame:
    if source is None or source.image.shape != frame.image.shape:
        return ScoredFrame(frame, source, math.nan, math.nan)
    original: Image = store.get(source.image)
    image: Image = store.get(frame.image)
    structural = ms_ssim(original, image) if min(image.shape[:2]) >= MS_SSIM_MIN_SIDE else math.nan
    return ScoredFrame(frame, source, psnr(original, image), structural)
