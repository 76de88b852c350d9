# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Where perception looks in the images of a sender: the sources of each camera, asked with each frame.

    <camera>/regions/detections, <camera>/regions/roi ──┐
    <camera>/gsc/region_request ──> for its ttl ────────┤
    importance, detector (one for all cameras), zones ──┴─> merged ──> key regions of a frame

Messages are remembered on the executor's thread; the sources are asked on the encoder's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any

from gsc_ros.codec.error import CodecError
from gsc_ros.codec.region.object_list import MAX_OBJECTS
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.codec.region.trial import Judge
from gsc_ros.msg import RegionRequest
from gsc_ros.nodes import detection, stamp
from gsc_ros.nodes.key_region_schema import RegionParameters, SourceName
from gsc_ros.nodes.region import UNHURRIED_S
from gsc_ros.perception.source.detector import DetectorSource
from gsc_ros.perception.source.held import Held
from gsc_ros.perception.source.merge import Merged
from gsc_ros.perception.source.opening import open_source
from gsc_ros.perception.source.source import RegionSource, SourceError
from gsc_ros.perception.source.told import Told
from gsc_ros.perception.source.zones import parse_zones
import numpy as np
from sensor_msgs.msg import RegionOfInterest

# What tells the source `topic`: names of the topics below the parameter `regions.topic`.
_DETECTIONS, _ROI = 'detections', 'roi'


@dataclass
class _Camera:
    merged: Merged
    told: dict[str, Told]  # by the topic that tells; requests by the name of their source
    # Of the newest image that was coded; before that there is nothing to scale a box by.
    width: int = 0
    height: int = 0
    stamp_ns: int = 0
    messages: int = 0
    found: int = 0
    failures: int = 0
    look_ms: float = 0.0
    trouble: str | None = None


class KeyRegionWatch:
    """Says where perception looks in each frame; a source that fails costs its own regions only."""

    def __init__(self, cameras: Mapping[str, RegionParameters],
                 log: Callable[[str], None]) -> None:
        """
        Open the sources.

        :param cameras: the parameters of each camera.
        :param log: called with the reason of each failure.
        :raises SourceError: when a source cannot be opened.
        """
        self._log = log
        self._detector: DetectorSource | None = None
        self._cameras = {name: self._open(parameters) for name, parameters in cameras.items()}

    def stop(self) -> None:
        """Forget what was said."""
        for camera in self._cameras.values():
            for told in camera.told.values():
                told.clear()

    def look(self, name: str, image: np.ndarray, size: tuple[int, int],
             stamp_ns: int) -> list[KeyRegion]:
        """
        Return the key regions of a frame, the most important first; on the encoder's thread.

        :param image: uint8 ``[H, W, 3]`` RGB, as it is coded.
        :param size: width and height of the original, in whose pixels others give their boxes.
        :param stamp_ns: of the image.
        """
        camera, start_s = self._cameras[name], time.perf_counter()
        camera.width, camera.height = size
        camera.stamp_ns = stamp_ns
        before = sum(camera.merged.failures.values())
        found = camera.merged.find(image, stamp_ns)
        if sum(camera.merged.failures.values()) > before:
            self.report(name, camera.merged.error)
        camera.found += len(found)
        camera.look_ms = 1e3 * (time.perf_counter() - start_s)
        return found

    def judge(self, name: str, image: np.ndarray) -> Judge | None:
        """
        Return what says how far the detector finds the same in a picture as in an image.

        One that fails says of all pictures that they serve alike.

        :param image: that of the last :meth:`look`.
        :return: None when there is no detector.
        """
        if self._detector is None:
            return None
        try:
            agreement = self._detector.judge(image)
        except SourceError as error:
            self.report(name, str(error))
            return None

        def judge(picture: np.ndarray) -> float:
            try:
                return agreement(picture)
            except SourceError as error:
                self.report(name, str(error))
                return 0.0
        return judge

    def take_detections(self, name: str, message: Any) -> None:
        """Let the objects of a message be key regions until the next message, or for a while."""
        self._take(name, _DETECTIONS, detection.from_message(message),
                   stamp.to_ns(message.header.stamp))

    def take_roi(self, name: str, message: RegionOfInterest) -> None:
        """Let a box be a key region until the next one, or for a while."""
        self._take(name, _ROI, detection.from_region_of_interest(message), 0)

    def ask(self, name: str, request: RegionRequest) -> None:
        """Let the box of an operator be a key region of the frames until its time is over."""
        camera, kind = self._cameras[name], SourceName.REQUEST.value
        if kind not in camera.told:
            return
        ttl_s = request.ttl.sec + request.ttl.nanosec / stamp.NANOSECONDS
        try:
            region = KeyRegion((
                request.x, request.y, request.x + request.width, request.y + request.height))
        except CodecError:  # the region desk refuses it in words
            return
        _tell(camera, kind, [region], 0, ttl_s if ttl_s > 0 else None)

    def report(self, name: str, reason: str) -> None:
        """Count a failure, of a source or of the coding of its regions, and remember why."""
        camera = self._cameras[name]
        camera.failures += 1
        camera.trouble = f'no key regions: {reason}'
        self._log(f'{name}: {camera.trouble}')

    def values(self, name: str) -> Mapping[str, object]:
        """Return the counters of a camera."""
        camera = self._cameras[name]
        return {'key_regions_found': camera.found, 'key_region_messages': camera.messages,
                'key_region_failures': camera.failures, 'key_region_ms': camera.look_ms}

    def take_trouble(self, name: str) -> str | None:
        """Return what has failed since this was asked last, or None."""
        camera = self._cameras[name]
        trouble, camera.trouble = camera.trouble, None
        return trouble

    def _open(self, parameters: RegionParameters) -> _Camera:
        sources: list[RegionSource] = []
        told: dict[str, Told] = {}
        for kind in parameters.names:
            if kind is SourceName.TOPIC:
                told |= {topic: Told(kind.value, parameters.topic_keep_s)
                         for topic in (_DETECTIONS, _ROI)}
            elif kind is SourceName.REQUEST:
                told[kind.value] = Told(kind.value, UNHURRIED_S, replaces=False)
            elif kind is SourceName.ZONES:
                if not parameters.zones:
                    raise SourceError('regions.zones: names no box for the source zones')
                sources.append(parse_zones(parameters.zones))
            else:
                looker = self._open_detector(parameters) if kind is SourceName.DETECTOR else (
                    open_source(kind.value, parameters.threads))
                period_s = parameters.period_s
                sources.append(Held(looker, period_s) if period_s else looker)
        return _Camera(Merged([*told.values(), *sources], MAX_OBJECTS), told)

    def _open_detector(self, parameters: RegionParameters) -> DetectorSource:
        """Return the detector: its network is large, and remembers nothing of a camera."""
        if self._detector is None:
            if not parameters.detector:
                raise SourceError('regions.detector: names no file for the source detector')
            labels, score = parameters.detector_labels, parameters.detector_score
            self._detector = open_source(
                f'detector:{parameters.detector}', parameters.threads,
                None if score < 0 else score, MAX_OBJECTS, Path(labels) if labels else None)
        return self._detector

    def _take(self, name: str, topic: str, regions: list[KeyRegion], stamp_ns: int) -> None:
        camera = self._cameras[name]
        camera.messages += 1
        _tell(camera, topic, regions, stamp_ns)


def _tell(camera: _Camera, what: str, regions: list[KeyRegion], stamp_ns: int,
          ttl_s: float | None = None) -> None:
    """Let a source remember regions of the image with a stamp; 0 is the newest image."""
    if camera.width:
        camera.told[what].tell(
            regions, camera.width, camera.height, stamp_ns or camera.stamp_ns, ttl_s)
