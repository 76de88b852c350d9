# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a sender takes of the memory when it keeps originals and codes regions."""

from __future__ import annotations

from conftest import World
from graph import Camera, wait_for
from gsc_ros.msg import GscFrame, GscRegion, RegionRequest
from gsc_ros.nodes.schema import SenderParameters
import pytest

# With graphs for key regions open, and what a region of the whole picture takes in passing.
RESIDENT_MB = 430.0
# Of a camera of KITTI.
WIDTH, HEIGHT = 1242, 375
IMAGE_MB = 3 * WIDTH * HEIGHT / 1e6


def test_sender_with_a_full_ring_stays_within_its_memory_over_many_regions(world: World):
    probe = world.probe
    sender = world.start('sender', cameras=['front'])
    probe.wait_until_active('sender')
    probe.listen(GscFrame, 'front/gsc')
    probe.listen(GscRegion, 'front/gsc/region')
    requests = probe.publisher(RegionRequest, 'front/gsc/region_request')
    wait_for('a sender that listens', lambda: requests.get_subscription_count() == 1)

    def originals_mb() -> float:
        return float((probe.report('sender: front') or {'originals_mb': 0})['originals_mb'])

    with Camera(probe, 'front', width=WIDTH, height=HEIGHT):
        room = SenderParameters().region_ring_mb
        wait_for('a full ring', lambda: originals_mb() > room - 2 * IMAGE_MB)
        for number, (width, height) in enumerate([
                (160, 120), (1242, 375), (96, 64), (640, 375), (200, 150), (16, 16)]):
            requests.publish(RegionRequest(
                camera='front', number=number, width=width, height=height, quality=100,
                max_bytes=3000))
            answers = probe.wait_for_messages('front/gsc/region', number + 1)
            assert answers[-1].refusal == GscRegion.NONE
        frames = len(probe.received('front/gsc'))
        probe.wait_for_messages('front/gsc', frames + 5)
        assert sender.resident_mb() < RESIDENT_MB
        assert originals_mb() == pytest.approx(room, abs=2 * IMAGE_MB)
