# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What objects and key regions of a run cost, and what the regions gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
import math

from gsc_ros.demo.recording import ImageStore, Recording
from gsc_ros.demo.score import ScoredFrame
from gsc_ros.demo.statistic import Statistic, statistic
from gsc_ros.evaluation.metric import psnr
import numpy as np


@dataclass(frozen=True)
class RegionFigures:
    """
    Objects and key regions over the frames of a run.

    `share` is the share of the picture that regions cover, 0..1. PSNR in decibels, and confidence,
    0..255, are within the regions and outside of all, over the frames that have any. `classes` is
    how many objects of each class were told of.
    """

    sources: tuple[str, ...]
    frames: int
    regions: Statistic
    objects: Statistic
    share: Statistic
    region_bytes: Statistic
    object_bytes: Statistic
    psnr_inside_db: Statistic
    psnr_outside_db: Statistic
    confidence_inside: Statistic
    confidence_outside: Statistic
    classes: dict[str, int]


@dataclass(frozen=True)
class _Part:
    psnr_db: float
    confidence: float


def region_figures(sources: Sequence[str], recording: Recording,
                   frames: Sequence[ScoredFrame]) -> RegionFigures | None:
    """
    Measure a run.

    :param sources: who said where perception looks; none give None.
    :param frames: the scored reconstructions.
    """
    if not sources:
        return None
    some = [scored for scored in frames if scored.frame.regions]
    masks = [_mask(scored) for scored in some]
    inside = [_part(scored, mask, recording.store) for scored, mask in zip(some, masks)]
    outside = [_part(scored, ~mask, recording.store) for scored, mask in zip(some, masks)]
    told = [recording.objects.get(scored.frame.stamp_ns, ()) for scored in frames]
    return RegionFigures(
        tuple(sources), len(some), statistic(len(scored.frame.regions) for scored in frames),
        statistic(map(len, told)), statistic(mask.mean() for mask in masks),
        statistic(scored.frame.sections.regions for scored in frames),
        statistic(scored.frame.sections.objects for scored in frames),
        statistic(part.psnr_db for part in inside), statistic(part.psnr_db for part in outside),
        statistic(part.confidence for part in inside),
        statistic(part.confidence for part in outside),
        dict(Counter(name for names in told for name in names).most_common()))


def _mask(scored: ScoredFrame) -> np.ndarray:
    """Return which pixels lie in a region, bool ``[H, W]``."""
    frame = scored.frame
    # The boxes are in pixels of the picture as coded, which is the one that was published here.
    mask = np.zeros(frame.image.shape[:2], bool)
    for left, top, right, bottom in (region.box for region in frame.regions):
        mask[top:bottom, left:right] = True
    return mask


def _part(scored: ScoredFrame, mask: np.ndarray, store: ImageStore) -> _Part:
    """Return how good a part of a picture is; NaN of one without pixels or original."""
    if not mask.any():
        return _Part(math.nan, math.nan)
    frame, source = scored.frame, scored.source
    confidence = float(store.get(frame.confidence)[mask].mean())
    if source is None or source.image.shape != frame.image.shape:
        return _Part(math.nan, confidence)
    # The pixels of the part as a picture of one row.
    original, image = (store.get(stored)[mask][None] for stored in (source.image, frame.image))
    return _Part(psnr(original, image), confidence)
