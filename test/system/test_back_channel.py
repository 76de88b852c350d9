# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An operator asks for regions and sets parameters of the rover, through the real nodes."""

from __future__ import annotations

from array import array
from collections.abc import Callable
import time

from conftest import World
from graph import Camera, NodeProcess, PATIENCE_S, Probe, stamp_of, wait_for
from gsc_ros.msg import GscFrame, GscRegion, RegionNotice, RegionRequest
from gsc_ros.nodes.conversion import to_rgb
import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from sensor_msgs.msg import CameraInfo, Image

CAMERAS = ('front', 'left')
REGIONS = {name: f'reconstructed/{name}/region' for name in CAMERAS}
MAX_WIDTH = 160

pytestmark = pytest.mark.usefixtures('survival')


@pytest.fixture(scope='module')
def nodes(world: World) -> dict[str, NodeProcess]:
    probe = world.probe
    nodes = {
        'sender': world.start(
            'sender', cameras=CAMERAS, max_bytes=300, left__max_width=MAX_WIDTH,
            region_ring_s=20.0),
        'bridge': world.start(
            'bridge', cameras=CAMERAS, link_bps=60_000, sim__delay_ms=150.0, sim__loss=0.02,
            remote_timeout_s=20.0, remote_parameters=[
                'sender.max_fps', 'sender.*.quantizer', 'sender.caption', 'bridge.target_fps',
                'nobody.max_fps']),
        'receiver': world.start('receiver', cameras=CAMERAS)}
    for name in CAMERAS:
        probe.listen(Image, f'reconstructed/{name}/image')
        probe.listen(Image, f'{REGIONS[name]}/image')
        probe.listen(CameraInfo, f'{REGIONS[name]}/camera_info')
        probe.listen(GscFrame, f'ground/{name}/gsc')
    probe.listen(RegionNotice, 'ground/region_notice')
    probe.wait_until_active(*nodes)
    requests = probe.publisher(RegionRequest, 'ground/region_request')
    wait_for('a bridge that takes requests', lambda: requests.get_subscription_count() == 1)
    return nodes


def ask(probe: Probe, camera: str = 'front', stamp: tuple[int, int] = (0, 0), ttl_s: int = 0,
        **fields: int) -> RegionRequest:
    request = RegionRequest(camera=camera, **({
        'x': 100, 'y': 60, 'width': 96, 'height': 64, 'quality': 100} | fields))
    request.header.stamp.sec, request.header.stamp.nanosec = stamp
    request.ttl.sec = ttl_s
    probe.publish('ground/region_request', request)
    return request


def outcomes(probe: Probe) -> list[int]:
    return [notice.outcome for notice in probe.received('ground/region_notice')]


def wait_for_outcome(probe: Probe, outcome: int) -> RegionNotice:
    return wait_for(f'outcome {outcome}', lambda: next(
        (notice for notice in probe.received('ground/region_notice')
         if notice.outcome == outcome), None))


def region(probe: Probe, camera: str) -> tuple[Image, CameraInfo]:
    """Wait for a region and its calibration."""
    image = probe.wait_for_messages(f'{REGIONS[camera]}/image')[-1]
    info = wait_for('its calibration', lambda: next(
        (info for info in probe.received(f'{REGIONS[camera]}/camera_info')
         if info.header == image.header), None))
    return image, info


def original(camera: Camera, message: Image) -> np.ndarray:
    """Return the picture that a camera published with the stamp of `message`, as RGB."""
    return camera.paint(1 + camera.sent.index(stamp_of(message)), 'rgb8')


def error(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.mean(np.square(np.subtract(first, second, dtype=np.float32))))


def test_operator_gets_a_box_of_the_frame_that_was_looked_at(probe: Probe):
    with Camera(probe, 'front') as camera:
        seen = probe.wait_for_messages('reconstructed/front/image', 3)[-1]
        ask(probe, stamp=stamp_of(seen), ttl_s=20)
        image, info = region(probe, 'front')
        wait_for_outcome(probe, RegionNotice.ARRIVED)
    assert stamp_of(image) == stamp_of(seen) and image.header.frame_id == 'front_optical'
    assert (image.width, image.height, image.encoding) == (96, 64, 'rgb8')
    roi = info.roi
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == (100, 60, 96, 64)
    assert (info.width, info.height) == (320, 192)
    assert info.k[0] == pytest.approx(0.6 * 320)
    crop = original(camera, image)[60:124, 100:196]
    coarse = error(to_rgb(seen)[60:124, 100:196], crop)
    assert error(to_rgb(image), crop) < 0.5 * coarse


@pytest.mark.parametrize('encoding', ['mono8', 'bgr8'])
def test_a_box_is_cut_from_the_original_whatever_the_frames_are(probe: Probe, encoding: str):
    camera = Camera(probe, 'left')
    camera.encoding = encoding
    with camera:
        frame = probe.wait_for_messages('reconstructed/left/image', 2)[-1]
        assert (frame.width, frame.height) == (MAX_WIDTH, 96)
        ask(probe, 'left', x=200, y=150, width=999, height=999)
        image, info = region(probe, 'left')
    assert (image.width, image.height) == (120, 42)
    assert (info.roi.x_offset, info.roi.y_offset) == (200, 150)
    assert (info.width, info.height) == (320, 192)
    crop = camera.paint(1 + camera.sent.index(stamp_of(image)), encoding)[150:, 200:]
    crop = np.dstack(3 * [crop]) if encoding == 'mono8' else crop[:, :, ::-1]
    assert error(to_rgb(image), crop) < 100


def test_a_tiny_box_is_grown_to_what_can_be_coded(probe: Probe):
    with Camera(probe, 'front'):
        probe.wait_for_messages('reconstructed/front/image')
        ask(probe, x=0, y=190, width=1, height=1)
        image, info = region(probe, 'front')
    assert (image.width, image.height) == (16, 16)
    assert (info.roi.x_offset, info.roi.y_offset) == (0, 176)


def old_stamp() -> tuple[int, int]:
    return int(time.time()) - 1000, 0


@pytest.mark.parametrize('outcome, fields', [
    (RegionNotice.OUTSIDE, lambda: {'x': 320}),
    (RegionNotice.TOO_OLD, lambda: {'stamp': old_stamp()}),
    (RegionNotice.NO_CAMERA, lambda: {'camera': 'rear'}),
    (RegionNotice.MALFORMED, lambda: {'quality': 0}),
    (RegionNotice.MALFORMED, lambda: {'width': 0})])
def test_a_request_that_cannot_be_honoured_comes_back(
        probe: Probe, outcome: int, fields: Callable[[], dict[str, object]]):
    with Camera(probe, 'front'):
        probe.wait_for_messages('reconstructed/front/image')
        request = ask(probe, **fields())
        notice = wait_for_outcome(probe, outcome)
        probe.wait_for_report('bridge: regions asked for', notice.text)
    assert notice.header == request.header
    assert (notice.camera, notice.x, notice.width) == (request.camera, request.x, request.width)
    assert not probe.received(f'{REGIONS["front"]}/image')


def test_a_flood_of_requests_brings_the_newest_and_stops_nothing(probe: Probe):
    with Camera(probe, 'front') as camera:
        probe.wait_for_messages('reconstructed/front/image')
        for x in range(100):
            ask(probe, x=x, ttl_s=30)
            time.sleep(0.01)
        wait_for('the newest box', lambda: any(
            info.roi.x_offset == 99 for info in probe.received(
                f'{REGIONS["front"]}/camera_info')))
        probe.forget()
        probe.wait_for_messages('reconstructed/front/image', 5)
        assert len(camera.sent) > 5
    assert int(probe.wait_for_report('sender: front', '')['regions_asked']) < 20


def test_garbage_on_the_topics_of_regions_is_refused_and_stops_nothing(probe: Probe):
    noise = array('B', np.random.default_rng(1).integers(0, 256, 300, dtype=np.uint8).tobytes())
    box = {'camera': 'front', 'width': 64, 'height': 48, 'image_width': 320, 'image_height': 192}
    for topic in ('front/gsc/region', 'ground/front/gsc/region'):
        publisher = probe.publisher(GscRegion, topic)
        wait_for(f'a listener to {topic}', lambda publisher=publisher: (
            publisher.get_subscription_count() > 0))
        for garbage in (
                GscRegion(), GscRegion(**box), GscRegion(**box, payload=noise),
                GscRegion(**box, refusal=255), GscRegion(camera='rear', payload=noise),
                GscRegion(**box | {'width': 65535, 'height': 65535}, payload=noise),
                GscRegion(**box, payload=array('B', bytes(200_000)))):
            publisher.publish(garbage)
    requests = probe.publisher(RegionRequest, 'front/gsc/region_request')
    wait_for('a sender that listens', lambda: requests.get_subscription_count() > 0)
    for request in (
            RegionRequest(), RegionRequest(camera='rear', width=1, height=1, max_bytes=2 ** 32 - 1),
            RegionRequest(x=65535, y=65535, width=65535, height=65535, max_bytes=10)):
        requests.publish(request)
    probe.wait_for_report('receiver: front', '')
    with Camera(probe, 'front'):
        probe.wait_for_messages('reconstructed/front/image')
        ask(probe, x=7)
        wait_for('the region', lambda: any(
            info.roi.x_offset == 7 for info in probe.received(
                f'{REGIONS["front"]}/camera_info')))

        def counted() -> bool:
            report = probe.report('receiver: front')
            return report is not None and int(report['regions_undecodable']) >= 3
        wait_for('undecodable regions in the report', counted)


def test_without_originals_there_is_no_region(probe: Probe):
    assert probe.set_parameter('sender', 'region_ring_s', 0.0) == (True, '')
    with Camera(probe, 'front'):
        probe.wait_for_messages('reconstructed/front/image')
        ask(probe)
        wait_for_outcome(probe, RegionNotice.NO_IMAGE)
    assert probe.set_parameter('sender', 'region_ring_s', 20.0) == (True, '')


def test_parameters_of_the_rover_are_set_from_the_ground(probe: Probe):
    assert probe.set_parameter('remote', 'sender.max_fps', 3.5) == (True, '')
    assert probe.get_parameter('sender', 'max_fps') == 3.5
    assert probe.set_parameter('remote', 'bridge.target_fps', 2.5) == (True, '')
    assert probe.get_parameter('bridge', 'target_fps') == 2.5
    assert probe.set_parameter('remote', 'bridge.target_fps', 0.0) == (True, '')
    assert probe.set_parameter('remote', 'sender.max_fps', 10.0) == (True, '')


def test_what_ros2_param_does_sets_a_parameter_of_the_rover(probe: Probe):
    # It waits for all services of the node before it calls one.
    client = AsyncParameterClient(probe.node, 'remote')
    assert client.wait_for_services(PATIENCE_S)
    future = client.set_parameters([Parameter('sender.max_fps', value=4.5)])
    wait_for('the answer', future.done)
    assert [(result.successful, result.reason) for result in future.result().results] == [
        (True, '')]
    assert probe.get_parameter('sender', 'max_fps') == 4.5
    assert probe.set_parameter('remote', 'sender.max_fps', 10.0) == (True, '')


@pytest.mark.parametrize('name, value, reason', [
    ('sender.profile', 'other', 'remote_parameters'),
    ('bridge.link_bps', 10, 'remote_parameters'),
    ('sender.max_fps', -1.0, 'max_fps'),
    ('sender.front.quantizer', 99, 'quantizer'),
    ('sender.caption', ['a', 'b'], 'cross the link'),
    ('nobody.max_fps', 1.0, 'nobody')])
def test_changes_that_the_rover_refuses_come_back_with_the_reason(
        probe: Probe, name: str, value: object, reason: str):
    accepted, said = probe.set_parameter('remote', name, value)
    assert not accepted
    assert reason in said
