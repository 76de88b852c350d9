# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A slow source that is asked now and then: in between, its last answer holds."""

from __future__ import annotations

from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.perception.source.source import Picture, RegionSource, SourceError


class Held:
    """
    Ask a source once in a period at most, and repeat its answer until then.

    :param source: the source.
    :param period_s: seconds of the camera's clock between two questions, above 0. A clock that goes
        back asks at once, as does a picture of another size.
    """

    def __init__(self, source: RegionSource, period_s: float) -> None:
        if not period_s > 0:
            raise SourceError(f'a period of {period_s:g} s is not positive')
        self.name = source.name
        self._source = source
        self._period_ns = round(period_s * 1e9)
        self._asked: tuple[int, tuple[int, ...]] | None = None
        self._answer: list[KeyRegion] = []

    def find(self, image: Picture, stamp_ns: int) -> list[KeyRegion]:
        """Return the source's answer, or its last one; see RegionSource."""
        if self._asked is not None:
            asked_ns, shape = self._asked
            if 0 <= stamp_ns - asked_ns < self._period_ns and shape == image.shape:
                return list(self._answer)
        # A source that fails is not asked again before its time either.
        self._asked, self._answer = (stamp_ns, image.shape), []
        self._answer = self._source.find(image, stamp_ns)
        return list(self._answer)
