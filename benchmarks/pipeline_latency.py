#!/usr/bin/env python3
# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what the pipeline adds to a frame's age besides encoding, decoding and the link.

The three nodes run as processes over a link so fast that its time does not count. For each frame,
the time from just before its image is published until the reconstruction has been received, less
the times that encoder and decoder report, is what the graph costs: messages through the middleware
(and into Python in this process), conversion, queues, threads. Prints one JSON object.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
import json
import os
from pathlib import Path
import statistics
import sys
import tempfile
import time
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / 'test' / 'system'))
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
# Fast DDS 2 (Jazzy) reads the first of these, Fast DDS 3 (Kilted) the second.
for variable in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
    os.environ.setdefault(variable, str(REPOSITORY / 'config' / 'fastdds.xml'))

from graph import Camera, free_domain, NodeProcess, Probe, stamp_of, wait_for  # noqa: E402
from gsc_ros.msg import GscFrame, GscStatus  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

LINK_BPS = 100_000_000
PROMISED_MS = 10.0
# The first frames pay for discovery and for caches.
WARM_UP = 5

# Message and time of its reception in nanoseconds, by stamp.
Received = dict[tuple[int, int], tuple[int, Any]]


@dataclass(frozen=True)
class Passage:
    """Milliseconds that the graph added to one frame: up to its coded form, and from there on."""

    sender: float
    ground: float

    @property
    def total(self) -> float:
        """Return the sum."""
        return self.sender + self.ground


class Arrivals:
    """When each message of a frame was received, by stamp."""

    def __init__(self, probe: Probe) -> None:
        """Listen to camera `front`."""
        self._coded = self._listen(probe, GscFrame, 'front/gsc')
        self._images = self._listen(probe, Image, 'reconstructed/front/image')
        self._statuses = self._listen(probe, GscStatus, 'reconstructed/front/status')

    def passage(self, stamp: tuple[int, int]) -> Passage | None:
        """Return what a frame has cost, None while a part of it is missing."""
        if not all(stamp in received for received in (
                self._coded, self._images, self._statuses)):
            return None
        published_ns = stamp[0] * 10 ** 9 + stamp[1]
        coded_ns, frame = self._coded[stamp]
        image_ns, status = self._images[stamp][0], self._statuses[stamp][1]
        return Passage(
            sender=(coded_ns - published_ns) / 1e6 - frame.encode_ms,
            ground=(image_ns - coded_ns) / 1e6 - status.decode_ms)

    def _listen(self, probe: Probe, message: type, topic: str) -> Received:
        received: Received = {}
        probe.node.create_subscription(
            message, topic,
            lambda item: received.setdefault(stamp_of(item), (time.time_ns(), item)), 5)
        return received


def measure(frames: int, pause_s: float, width: int, height: int) -> dict[str, object]:
    """Run the pipeline and return the figures."""
    domain = free_domain()
    with tempfile.TemporaryDirectory() as folder:
        nodes = [
            NodeProcess('sender', Path(folder, 'sender.log'), domain, max_fps=0.0),
            NodeProcess('bridge', Path(folder, 'bridge.log'), domain, link_bps=LINK_BPS),
            NodeProcess('receiver', Path(folder, 'receiver.log'), domain)]
        probe = Probe(domain)
        try:
            arrivals = Arrivals(probe)
            probe.wait_until_active('sender', 'bridge', 'receiver')
            camera = Camera(probe, 'front', width=width, height=height)
            passages: list[Passage] = []
            while len(passages) < WARM_UP + frames:
                # One frame at a time: waiting behind another one is not the graph's cost.
                stamp = camera.shoot()
                try:
                    passages.append(wait_for(
                        'reconstruction', lambda stamp=stamp: arrivals.passage(stamp), 2.0))
                except AssertionError:  # the nodes have not found each other yet
                    continue
                time.sleep(pause_s)
        except AssertionError:
            for node in nodes:
                print(f'{node.name}:\n{node.output}', file=sys.stderr)
            raise
        finally:
            for node in nodes:
                node.end()
            probe.close()
    passages = passages[WARM_UP:]
    total = [passage.total for passage in passages]
    return {
        'benchmark': 'pipeline_latency', 'frames': frames, 'width': width, 'height': height,
        'added_ms_median': round(statistics.median(total), 2),
        'added_ms_p95': round(sorted(total)[int(0.95 * (frames - 1))], 2),
        'sender_ms_median': round(statistics.median(p.sender for p in passages), 2),
        'ground_ms_median': round(statistics.median(p.ground for p in passages), 2),
        'load_average': round(os.getloadavg()[0], 2), 'promised_ms': PROMISED_MS,
        'holds': statistics.median(total) < PROMISED_MS}


def main() -> int:
    """Print the figures; return 0 when the promise holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--frames', type=int, default=50, help='frames to measure')
    parser.add_argument('--pause', type=float, default=0.05, help='seconds between two frames')
    parser.add_argument('--width', type=int, default=640, help='width of its images')
    parser.add_argument('--height', type=int, default=480, help='height of its images')
    arguments = parser.parse_args()
    figures = measure(arguments.frames, arguments.pause, arguments.width, arguments.height)
    print(json.dumps(figures))
    return 0 if figures['holds'] else 1


if __name__ == '__main__':
    sys.exit(main())
