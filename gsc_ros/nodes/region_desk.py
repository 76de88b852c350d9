# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The regions of a sender: the originals that it keeps, and a thread that codes boxes of them.

    image ──> ring of the last seconds ──find──┐
    request ──> newest wins ──> region thread: convert, crop, code ──> answer or refusal
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import threading
import time

from gsc_ros.codec.frame import FrameEncoder
from gsc_ros.codec.profile import Profile
from gsc_ros.msg import GscRegion, RegionRequest
from gsc_ros.nodes import conversion, memory, stamp
from gsc_ros.nodes.region import Box, MAX_PACKET_BYTES, Outcome, RegionRefused
from gsc_ros.nodes.region_coding import RegionCoder
from gsc_ros.nodes.region_ring import RegionRing
from gsc_ros.nodes.schema import SenderParameters
from gsc_ros.nodes.worker import Worker
from sensor_msgs.msg import CompressedImage, Image

MEGABYTE = 1_000_000
# A region that is being coded is not worth waiting for when the node stops.
_STOP_S = 1.0


@dataclass
class _Task:
    request: RegionRequest
    publish: Callable[[GscRegion], None]


@dataclass
class _Camera:
    ring: RegionRing[Image | CompressedImage] = field(default_factory=RegionRing)
    waiting: _Task | None = None
    asked: int = 0
    answered: int = 0
    refused: int = 0


class RegionDesk:
    """Keeps originals and answers requests for boxes of them; of each camera one request waits."""

    def __init__(self, profile: Profile, encoder: FrameEncoder,
                 settings: Callable[[], SenderParameters],
                 log: Callable[[str], None]) -> None:
        """
        Begin with nothing kept.

        :param profile: that of the frames; its synthesis is opened with the first request.
        :param encoder: that of the frames, with which the boxes share the graph.
        :param settings: returns the present parameters.
        :param log: called with the reason of each refusal.
        """
        self._profile = profile
        self._encoder = encoder
        self._settings = settings
        self._log = log
        self._coder: RegionCoder | None = None
        self._lock = threading.Lock()
        self._cameras = {name: _Camera() for name in settings().cameras}
        self._worker: Worker[_Task] = Worker('regions', self._answer, self._failed)

    def start(self) -> None:
        """Let requests be answered."""
        self._worker.start()

    def stop(self) -> None:
        """Answer nothing more, and keep no image."""
        self._worker.stop(_STOP_S)
        for camera in self._cameras.values():
            camera.ring.clear()
            camera.waiting = None

    def keep(self, name: str, image: Image | CompressedImage) -> None:
        """Keep an original, as long as the parameters say; nobody may change it afterwards."""
        settings = self._settings()
        self._cameras[name].ring.add(
            image, stamp.to_ns(image.header.stamp), len(image.data), time.monotonic_ns(),
            _keep_ns(settings), settings.region_ring_mb * MEGABYTE // len(self._cameras))

    def ask(self, name: str, request: RegionRequest, publish: Callable[[GscRegion], None]) -> None:
        """
        Answer a request, if no newer one of the camera comes before its turn.

        :param publish: gets the answer or the refusal, on the region thread or on this one.
        """
        camera, task = self._cameras[name], _Task(request, publish)
        with self._lock:
            camera.asked += 1
            displaced, camera.waiting = camera.waiting, task
        if displaced is not None:
            self._refuse(name, displaced, RegionRefused(Outcome.SUPERSEDED))
        self._worker.submit(name, task)

    def values(self, name: str) -> Mapping[str, object]:
        """Return the counters of a camera."""
        camera = self._cameras[name]
        return {
            'regions_asked': camera.asked, 'regions_answered': camera.answered,
            'regions_refused': camera.refused, 'originals': len(camera.ring),
            'originals_mb': camera.ring.bytes / MEGABYTE}

    def _answer(self, name: str, task: _Task) -> None:
        camera = self._cameras[name]
        with self._lock:
            if camera.waiting is not task:  # a newer one has taken its place
                return
            camera.waiting = None
        try:
            region = self._code(camera, name, task.request)
        except RegionRefused as refused:
            self._refuse(name, task, refused)
        except Exception as error:  # noqa: BLE001 - whoever waits must be told
            self._refuse(name, task, RegionRefused(Outcome.FAILED, str(error)))
        else:
            camera.answered += 1
            task.publish(region)
        # A box and its image may take much more than a frame does, and are rare.
        memory.release_freed()

    def _code(self, camera: _Camera, name: str, request: RegionRequest) -> GscRegion:
        settings = self._settings()
        message = camera.ring.find(
            stamp.to_ns(request.header.stamp), time.monotonic_ns(), _keep_ns(settings))[0]
        image = conversion.to_rgb(message, settings.max_pixels)
        if self._coder is None:
            self._coder = RegionCoder(self._profile, self._encoder)
            memory.release_freed()
        coded = self._coder.code(
            image, Box(request.x, request.y, request.width, request.height), request.quality,
            min(request.max_bytes, MAX_PACKET_BYTES))
        box = coded.box
        return GscRegion(
            header=message.header, camera=name, number=request.number, x=box.x, y=box.y,
            width=box.width, height=box.height, image_width=image.shape[1],
            image_height=image.shape[0], payload=array('B', coded.payload))

    def _refuse(self, name: str, task: _Task, refused: RegionRefused) -> None:
        self._cameras[name].refused += 1
        self._log(f'{name}: no region: {refused}')
        task.publish(GscRegion(
            camera=name, number=task.request.number, refusal=int(refused.outcome)))

    def _failed(self, name: str, error: Exception) -> None:
        self._log(f'{name}: no region: {error!r}')


def _keep_ns(settings: SenderParameters) -> int:
    return round(settings.region_ring_s * stamp.NANOSECONDS)
