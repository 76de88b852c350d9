# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Key regions through the real nodes: who says where perception looks, and what the ground gets."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any

from conftest import World
from graph import Camera, NodeProcess, Probe, stamp_of, wait_for
from gsc_ros.codec.region.object_list import ObjectBox
from gsc_ros.msg import CodedRegion, GscStatus, RegionRequest
from gsc_ros.nodes import detection
from gsc_ros.nodes.conversion import to_rgb
import numpy as np
import pytest
from region_profile import region_profile
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header

PREFIX = 'reconstructed/front'
# In pixels of the camera's image: left, top, right, bottom.
ZONE = (32, 32, 112, 112)
FRONT = {'width': 320, 'height': 192, 'fps': 3.0}

pytestmark = pytest.mark.usefixtures('survival')


@pytest.fixture(scope='module')
def nodes(world: World) -> dict[str, NodeProcess]:
    profile = str(world.folder / 'profile')
    region_profile(world.folder / 'profile')
    probe, width, height = world.probe, FRONT['width'], FRONT['height']
    zone = ','.join(str(side / (width, height)[index % 2]) for index, side in enumerate(ZONE))
    nodes = {
        'sender': world.start(
            'sender', profile=profile, max_bytes=1200, regions__zones=zone,
            regions__sources=['zones', 'topic', 'request'], regions__topic_keep_s=3600.0),
        'bridge': world.start('bridge', link_bps=200_000),
        'receiver': world.start('receiver', profile=profile, overlay=True)}
    probe.listen_to_camera('front')
    probe.listen(Image, f'{PREFIX}/overlay')
    probe.listen(detection.message_type(), f'{PREFIX}/detections')
    for message, topic in ((detection.message_type(), 'detections'), (RegionOfInterest, 'roi')):
        probe.publisher(message, f'front/regions/{topic}')
    probe.wait_until_active(*nodes)
    return nodes


@pytest.fixture
def probe(world: World, nodes: dict[str, NodeProcess]) -> Probe:
    return world.probe


def wait_for_status(probe: Probe, what: str, fits: Callable[[GscStatus], bool]) -> GscStatus:
    return wait_for(what, lambda: next(
        (status for status in reversed(probe.received(f'{PREFIX}/status')) if fits(status)), None))


def of_frame(probe: Probe, topic: str, status: GscStatus) -> Any:
    """Return the message of a topic that belongs to a frame."""
    return wait_for(f'{topic} of a frame', lambda: next(
        (message for message in probe.received(f'{PREFIX}/{topic}')
         if stamp_of(message) == stamp_of(status)), None))


def covers(region: CodedRegion, x: int, y: int) -> bool:
    return (region.x <= x < region.x + region.width) and (region.y <= y < region.y + region.height)


def test_a_zone_is_coded_better_and_its_confidence_is_raised(probe: Probe):
    with Camera(probe, 'front', **FRONT) as camera:
        status = wait_for_status(probe, 'a frame with a region', lambda status: status.regions)
    assert stamp_of(status) in camera.sent
    assert any(covers(region, 72, 72) for region in status.regions)
    assert status.bytes_regions > 0
    assert status.bytes_total <= 1200
    confidence = to_rgb(of_frame(probe, 'confidence', status))[..., 0]
    inside = np.zeros(confidence.shape, bool)
    for region in status.regions:
        inside[region.y:region.y + region.height, region.x:region.x + region.width] = True
    assert confidence[inside].mean() > confidence[~inside].mean() + 5


def test_what_the_robot_has_found_is_found_on_the_ground_with_the_stamp_of_the_frame(probe: Probe):
    car = ObjectBox(2, 0.8, (0.5, 0.25, 0.75, 0.5))
    with Camera(probe, 'front', **FRONT):
        wait_for_status(probe, 'a frame', lambda status: True)
        probe.publish('front/regions/detections', detection.to_message(
            [car], FRONT['width'], FRONT['height'], Header(), 0))
        status = wait_for_status(probe, 'an object', lambda status: status.bytes_objects)
    assert status.bytes_objects == 6
    found, = detection.from_message(of_frame(probe, 'detections', status))
    assert (found.class_id, found.score) == (2, pytest.approx(0.8, abs=0.07))
    assert found.box == pytest.approx((160, 48, 240, 96), abs=6)
    overlay, image = (to_rgb(of_frame(probe, topic, status)) for topic in ('overlay', 'image'))
    changed = (overlay != image).any(axis=2)
    left, _, right, _ = (round(side) for side in found.box)
    assert changed[60:90, left - 2:left + 4].any(), 'the object is drawn'
    assert not changed[150:].all(), 'and not all of the picture'
    wait_for('a count of objects', lambda: (
        probe.report('receiver: front') or {}).get('objects', '0') != '0')


def test_the_box_of_an_operator_is_a_region_of_the_next_frames(probe: Probe):
    requests = probe.publisher(RegionRequest, 'ground/region_request')
    wait_for('a bridge that takes requests', lambda: requests.get_subscription_count() == 1)

    def is_there(status: GscStatus) -> bool:
        return any(covers(region, 270, 150) for region in status.regions)
    with Camera(probe, 'front', **FRONT):
        wait_for_status(probe, 'a frame', lambda status: not is_there(status))
        request = RegionRequest(camera='front', x=240, y=120, width=64, height=64, quality=50)
        request.ttl.sec = 3600
        requests.publish(request)
        wait_for_status(probe, 'a region for the operator', is_there)


def test_regions_can_be_turned_off_while_the_sender_runs(probe: Probe):
    assert probe.set_parameter('sender', 'regions.max', 0) == (True, '')
    with Camera(probe, 'front', **FRONT):
        wait_for_status(probe, 'a frame without regions', lambda status: not status.regions)
        probe.forget()
        for status in probe.wait_for_messages(f'{PREFIX}/status', 3):
            assert not status.regions
    assert probe.set_parameter('sender', 'regions.max', 16) == (True, '')
    accepted, reason = probe.set_parameter('sender', 'regions.zones', '0,0,2,2')
    assert not accepted
    assert 'shares' in reason


def test_messages_that_make_no_sense_harm_nobody(probe: Probe):
    nowhere = ObjectBox(255, math.nan, (math.nan, 0.0, math.inf, -1.0))
    probe.publish('front/regions/detections', detection.to_message(
        [nowhere] * 32, FRONT['width'], FRONT['height'], Header(), 0))
    probe.publish('front/regions/roi', RegionOfInterest(
        x_offset=2 ** 32 - 1, width=2 ** 32 - 1, height=2 ** 32 - 1))
    with Camera(probe, 'front', **FRONT):
        probe.wait_for_messages(f'{PREFIX}/status', 2)


def test_a_sender_says_why_a_source_cannot_be_opened(world: World):
    sender = world.start('sender', node_name='blind', cameras=['left'],
                         regions__sources=['detector'], regions__detector='missing.onnx')
    report = world.probe.wait_for_report('blind: lifecycle', 'missing.onnx')
    assert 'configure failed' in report['message']
    assert sender.end() == 0
