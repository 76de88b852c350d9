# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our codec's operating points: measured anew in every run, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gsc_ros.codec.error import CodecError
from gsc_ros.codec.frame import EncoderSettings
from gsc_ros.codec.region.object_list import ObjectBox
from gsc_ros.evaluation import average
from gsc_ros.evaluation.own import OwnCodec, with_quantizer, within
from gsc_ros.evaluation.plan import (
    Codec,
    Listed,
    Outcome,
    OWN,
    OWN_AGREEMENT,
    OWN_REGIONS,
    OWN_STREAM,
    OWN_STREAM_AGREEMENT,
    OWN_STREAM_REGIONS,
    Plan,
    Point,
)
from gsc_ros.evaluation.resampling import Picture
from gsc_ros.evaluation.score import Scorer
from gsc_ros.perception.network.network import Detected
import numpy as np


@dataclass(frozen=True)
class _Way:
    """One of the ways that ours codes: a row of the report."""

    name: str
    title: str
    words: str
    stream: bool
    regions: bool
    judged: bool = False

    def missing(self, own: OwnCodec) -> str:
        """Return why the profile cannot do it, or nothing."""
        if self.stream and not own.streams:
            return 'its profile has no such mode'
        if self.regions and not own.has_regions:
            return 'its profile has no model of key regions'
        return ''


#: Names of all ways.
WAYS = (OWN, OWN_REGIONS, OWN_AGREEMENT, OWN_STREAM, OWN_STREAM_REGIONS, OWN_STREAM_AGREEMENT)
_WAYS = (
    _Way(OWN, 'gsc', 'every frame alone', False, False),
    _Way(OWN_REGIONS, 'gsc regions', 'every frame alone, key regions of {}', False, True),
    _Way(OWN_AGREEMENT, 'gsc regions, agreement',
         'every frame alone, key regions of {}, shared as its detector agrees', False, True, True),
    _Way(OWN_STREAM, 'gsc stream', 'frames from the one before', True, False),
    _Way(OWN_STREAM_REGIONS, 'gsc stream regions',
         'frames from the one before, key regions of {}', True, True),
    _Way(OWN_STREAM_AGREEMENT, 'gsc stream regions, agreement',
         'frames from the one before, key regions of {}, shared as its detector agrees', True, True,
         True),
)


def codecs(plan: Plan, own: OwnCodec) -> list[Codec]:
    """Return the rows of ours."""
    source = '' if plan.regions is None else plan.regions.source
    return [Codec(way.name, way.title, f'{own.settings}, {way.words.format(source)}', own=True,
                  missing=way.missing(own)) for way in _ways(plan)]


def outcomes(plan: Plan, own: OwnCodec, scorer: Scorer) -> list[Outcome]:
    """Return the points of ours; one that the codec refuses has its reason."""
    found = []
    for way in _ways(plan):
        if way.missing(own):
            continue
        for words, settings in _settings(plan, own, way):
            point = Point(way.name, words)
            try:
                found.append(average.outcome(point, _measured(plan, own, scorer, way, settings)))
            except CodecError as error:
                found.append(Outcome(replace(point, failure=str(error))))
    return found


def _ways(plan: Plan) -> list[_Way]:
    return [way for way in _WAYS if (plan.mode != 'stills' or not way.stream)
            and (plan.regions is not None or not way.regions)
            and (plan.agreement or not way.judged)
            and (plan.ours is None or way.name in plan.ours)]


def _settings(plan: Plan, own: OwnCodec, way: _Way) -> Iterator[
        tuple[str, Callable[[Picture], EncoderSettings]]]:
    """Yield settings in words, and what makes them for a picture or raises CodecError."""
    # A quantizer lets frames differ in size, as the peers do; with losses it takes too long. With
    # regions the limits of bytes are what is compared.
    if plan.mode != 'loss' and plan.regions is None:
        for index in range(own.quantizers):
            yield f'quantizer {index}', lambda image, index=index: with_quantizer(index)
    for rate in plan.rates:
        if plan.mode == 'stills':
            yield f'at most {rate:g} bpp', lambda image, rate=rate: within(
                int(rate * image.shape[0] * image.shape[1] / 8))
        else:
            yield f'frames of at most {rate:g} kbit/s', lambda image, rate=rate: within(
                int(rate * 1000 / plan.fps / 8))


def _measured(plan: Plan, own: OwnCodec, scorer: Scorer, way: _Way,
              settings: Callable[[Picture], EncoderSettings]) -> dict[str, Any]:
    looked = plan.regions if way.regions else None

    def made(image: Picture) -> EncoderSettings:
        wanted = replace(settings(image), stream=way.stream)
        if looked is None:
            return wanted
        shared = replace(wanted.regions, objects=plan.objects, base_share=plan.base_share)
        return replace(wanted, regions=replace(shared, base_share=None) if way.judged else shared)

    if plan.mode == 'stills':
        return average.mean(plan, scorer, own.stills(
            plan.images, made, looked, way.judged))
    return average.over_trials(plan, lambda link: average.mean_sent(plan, scorer, own.send(
        plan.images, plan.fps, made(plan.images[0]), link, looked, way.judged)))


def listed(plan: Plan, own: OwnCodec, scorer: Scorer) -> Listed | None:
    """
    Return what the list of objects tells; None without a detector or a source that knows classes.

    :raises CodecError: a frame cannot be encoded.
    """
    if plan.regions is None or scorer.classes is None or not any(
            region.class_id is not None for each in plan.regions.regions for region in each):
        return None
    sizes, lists, objects = zip(*own.lists(plan.images, plan.regions))
    size = float(np.mean(sizes))
    return Listed(size, float(np.mean(lists)), size * 8 * plan.fps / 1000,
                  scorer.listed([_boxes(found, image) for found, image in
                                 zip(objects, plan.images)]))


def _boxes(objects: Sequence[ObjectBox], image: Picture) -> Detected:
    """Return objects as a network would, with classes as lists number them."""
    height, width = image.shape[:2]
    boxes = np.array([one.box for one in objects], np.float32).reshape(-1, 4)
    return Detected(boxes * np.array([width, height] * 2, np.float32),
                    np.array([one.class_id for one in objects], np.int64),
                    np.array([one.score for one in objects], np.float32))
