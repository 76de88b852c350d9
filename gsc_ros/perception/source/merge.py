# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several sources at once: their regions united, ranked, and no more than a frame can carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.perception.network.network import NetworkError
from gsc_ros.perception.source.source import MAX_REGIONS, Picture, RegionSource, SourceError
import numpy as np
import numpy.typing as npt

#: Two boxes that overlap by more, intersection over union, are one thing.
SAME_IOU = 0.5
#: A box without a class of which more lies in another of at least its weight says nothing new.
INSIDE = 0.9
_NO_CLASS = -1


class Merged:
    """
    Several sources as one.

    A source that fails is left out of the frame and counted, in whatever way it fails: the others
    still say what they see.

    :param sources: asked in this order.
    :param most: regions that are returned, the most important ones.
    :ivar failures: how often each source has failed, by name.
    :ivar error: what the last one of them said; '' when none has.
    """

    name = 'merged'

    def __init__(self, sources: Sequence[RegionSource], most: int = MAX_REGIONS) -> None:
        self.sources = tuple(sources)
        self.failures: Counter[str] = Counter()
        self.error = ''
        self._most = most

    def find(self, image: Picture, stamp_ns: int) -> list[KeyRegion]:
        """Return the regions of all sources; see RegionSource. It does not raise."""
        found: list[KeyRegion] = []
        for source in self.sources:
            try:
                found += source.find(image, stamp_ns)
            except (SourceError, NetworkError) as error:
                self._count(source, str(error))
            except Exception as error:  # noqa: BLE001 - networks, and sources of other packages
                self._count(source, repr(error))
        return merge(found, self._most)

    def _count(self, source: RegionSource, reason: str) -> None:
        self.failures[source.name] += 1
        self.error = f'{source.name}: {reason}'


def merge(regions: Sequence[KeyRegion], most: int = MAX_REGIONS) -> list[KeyRegion]:
    """
    Unite regions that mean the same, and rank them.

    Of two that are one thing the heavier gives box and source; a class goes to it from the lighter
    when it has none, with the lighter's box, because who knows the class knows the outline. Things
    of two classes stay two, and what has a class is never swallowed by what merely surrounds it.

    :param regions: of any sources; the order decides between equal weights.
    :param most: regions returned, at least 1. Of those beyond, each costs a comparison with these.
    :return: heaviest first.
    """
    kept: list[KeyRegion] = []
    boxes, classes = np.empty((most, 4)), np.empty(most, int)
    for region in sorted(regions, key=lambda region: -region.weight):
        count = len(kept)
        same = np.flatnonzero(_are_one(boxes[:count], classes[:count], region))
        if len(same):
            at = int(same[0])
            if kept[at].class_id is None and region.class_id is not None:
                kept[at] = replace(region, weight=kept[at].weight)
        elif count < most:
            at = count
            kept.append(region)
        else:
            continue
        boxes[at] = kept[at].box
        classes[at] = _NO_CLASS if kept[at].class_id is None else kept[at].class_id
    return kept


def _are_one(boxes: npt.NDArray[np.float64], classes: npt.NDArray[np.int_],
             lighter: KeyRegion) -> npt.NDArray[np.bool_]:
    """
    Return which of several regions mean the same thing as one that is no heavier, bool [N].

    :param boxes: float [N, 4].
    :param classes: int [N], _NO_CLASS for none.
    """
    box = np.array(lighter.box)
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    area = np.prod(box[2:] - box[:2])
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    same = shared > SAME_IOU * (area + areas - shared)
    if lighter.class_id is None:
        return same | (shared > INSIDE * area)
    return same & ((classes == _NO_CLASS) | (classes == lighter.class_id))
