# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two cameras through the three real nodes over a comfortable link."""

from __future__ import annotations

from collections.abc import Callable

from conftest import World
from graph import (
    calibration,
    Camera,
    garbage_frames,
    LATCHED,
    NodeProcess,
    Probe,
    stamp_of,
    wait_for,
)
from gsc_ros.msg import GscFrame, GscStatus
from lifecycle_msgs.msg import Transition
import pytest
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

CAMERAS = ('front', 'left')
OUTPUT_WIDTH = 160


pytestmark = pytest.mark.usefixtures('survival')


@pytest.fixture(scope='module')
def nodes(world: World) -> dict[str, NodeProcess]:
    nodes = {
        'sender': world.start('sender', cameras=CAMERAS, max_fps=0.0),
        'bridge': world.start('bridge', cameras=CAMERAS, link_bps=1_000_000),
        'receiver': world.start('receiver', cameras=CAMERAS, output_width=OUTPUT_WIDTH, **{
            'qos_overrides./reconstructed/left/caption.publisher.reliability': 'best_effort'})}
    for camera in CAMERAS:
        world.probe.listen_to_camera(camera)
        world.probe.listen(GscFrame, f'ground/{camera}/gsc')
    world.probe.wait_until_active(*nodes)
    return nodes


def wait_for_images(probe: Probe, camera: str, count: int = 3) -> list[Image]:
    return probe.wait_for_messages(f'reconstructed/{camera}/image', count)


def wait_for_status(
    probe: Probe, camera: str, what: str, wanted: Callable[[GscStatus], bool],
) -> GscStatus:
    return wait_for(what, lambda: next(
        (status for status in probe.received(f'reconstructed/{camera}/status') if wanted(status)),
        None))


def test_every_picture_has_the_stamp_and_frame_of_its_source(probe: Probe):
    with Camera(probe, 'front') as front, Camera(probe, 'left') as left:
        for camera in (front, left):
            wait_for_images(probe, camera.name, 5)
    for camera in (front, left):
        for topic in ('image', 'confidence', 'camera_info', 'status'):
            messages = probe.received(f'reconstructed/{camera.name}/{topic}')
            assert messages, topic
            assert {stamp_of(message) for message in messages} <= set(camera.sent)
            assert {message.header.frame_id for message in messages} == {camera.frame_id}


def test_picture_confidence_and_calibration_have_the_published_size(probe: Probe):
    with Camera(probe, 'front', width=320, height=192) as camera:
        image = wait_for_images(probe, 'front')[-1]
        info, confidence, status = (
            probe.wait_for_messages(f'reconstructed/front/{topic}')[-1]
            for topic in ('camera_info', 'confidence', 'status'))
    assert (image.width, image.height, image.encoding, image.step) == (160, 96, 'rgb8', 480)
    assert len(image.data) == 160 * 96 * 3
    assert (confidence.width, confidence.height, confidence.encoding) == (160, 96, 'mono8')
    source = calibration(Header(), camera.width, camera.height)
    assert (info.width, info.height) == (160, 96)
    assert list(info.k[:6]) == pytest.approx(list(source.k[:6] / 2))
    assert list(info.p[:8]) == pytest.approx(list(source.p[:8] / 2))
    assert list(info.d) == list(source.d) and list(info.r) == list(source.r)
    assert info.distortion_model == source.distortion_model
    assert (status.width, status.height, status.mode) == (320, 192, 'structure')


def test_status_accounts_for_every_byte(probe: Probe):
    with Camera(probe, 'front'):
        # Of frames that a busy receiver passes over there is no status.
        def payloads() -> dict[int, int]:
            return {frame.sequence: len(frame.payload)
                    for frame in probe.received('ground/front/gsc')}
        status = wait_for_status(probe, 'front', 'the status of a frame',
                                 lambda status: status.sequence in payloads())
    assert status.bytes_total == payloads()[status.sequence] == (
        status.bytes_header + status.bytes_text + status.bytes_channel_set
        + status.bytes_objects + status.bytes_structure + status.bytes_regions)
    assert status.bpp == pytest.approx(8 * status.bytes_total / (320 * 192), rel=1e-5)
    assert len(status.channels) > 0 and status.layers_received > 0
    assert status.encode_ms > 0 and status.decode_ms > 0
    assert 0 < status.age < 60
    assert len(status.profile_hash) == 64


def test_camera_may_change_its_size_and_encoding_in_mid_stream(probe: Probe):
    camera = Camera(probe, 'front')
    with camera:
        for width, height, encoding in ((320, 192, 'bgr8'), (200, 120, 'mono8'),
                                        (333, 97, 'rgb8'), (320, 192, 'rgb8')):
            camera.width, camera.height, camera.encoding = width, height, encoding
            wait_for_status(probe, 'front', f'{width} x {height} {encoding}', lambda status, size=(
                width, height): (status.width, status.height) == size)
            info = wait_for('its calibration', lambda ratio=OUTPUT_WIDTH / width: next(
                (info for info in probe.received('reconstructed/front/camera_info')[-1:]
                 if info.k[0] == pytest.approx(0.6 * OUTPUT_WIDTH)), None))
            assert info.width == OUTPUT_WIDTH
            probe.forget()


def test_depth_is_refused_with_a_reason_and_pictures_go_on(probe: Probe):
    camera = Camera(probe, 'left')
    with camera:
        wait_for_images(probe, 'left')
        camera.encoding = '16UC1'
        report = probe.wait_for_report('sender: left', 'unsupported encoding')
        assert '16UC1 is depth' in report['message']
        assert int(report['refused']) > 0
        camera.encoding = 'rgb8'
        probe.forget()
        wait_for_images(probe, 'left')
        probe.wait_for_report('sender: left', 'coding')


def test_garbage_frames_are_counted_and_stop_nothing(probe: Probe):
    with Camera(probe, 'front'):
        wait_for_images(probe, 'front')
        before = int(wait_for('report', lambda: probe.report('bridge: front'))['invalid'])
        garbage = garbage_frames('front', seed=1)
        for frame in garbage:
            probe.publish('front/gsc', frame)
            probe.publish('ground/front/gsc', frame)

        def counted() -> bool:
            report = probe.report('bridge: front')
            return report is not None and int(report['invalid']) > before
        wait_for('invalid frames counted by the bridge', counted)
        probe.wait_for_report('receiver: front', 'undecodable')
        status = wait_for_status(probe, 'front', 'undecodable frames in the status',
                                 lambda status: status.frames_undecodable > 0)
        probe.forget()
        wait_for_images(probe, 'front')
        after = wait_for_status(probe, 'front', 'later status', lambda _: True)
    assert after.frames_received > status.frames_received


def test_duplicates_and_latecomers_are_dropped_and_counted(probe: Probe):
    with Camera(probe, 'left'):
        frames = probe.wait_for_messages('ground/left/gsc', 3)
    late = frames[0]
    late.sequence = (late.sequence - 1000) % 2 ** 32

    def counts() -> bool:
        # Frames of the camera that are still on their way may displace these.
        probe.publish('ground/left/gsc', frames[-1])
        probe.publish('ground/left/gsc', late)
        report = probe.report('receiver: left')
        return report is not None and int(report['duplicate']) >= 1 and int(
            report['out_of_order']) >= 1
    wait_for('a duplicate and a latecomer in the report', counts)


def test_live_parameters_hold_from_the_next_frames(probe: Probe):
    with Camera(probe, 'front'):
        wait_for_status(probe, 'front', 'channels', lambda status: len(status.channels) > 4)
        assert probe.set_parameter('sender', 'front.channels', 4) == (True, '')
        wait_for_status(probe, 'front', 'at most 4 channels',
                        lambda status: len(status.channels) <= 4)
        assert probe.set_parameter('sender', 'front.caption', 'a rover') == (True, '')
        wait_for_status(probe, 'front', 'a caption', lambda status: status.bytes_text > 0)
        assert probe.set_parameter('bridge', 'link_bps', 500_000) == (True, '')
        wait_for('the new budget', lambda: any(
            status.budget_bps == 500_000 for status in probe.received('link_status')))
        for name, value in (('front.channels', 321), ('front.channels', 0), ('max_fps', -1.0),
                            ('selection', 'best'), ('profile', 'other')):
            accepted, reason = probe.set_parameter('sender', name, value)
            assert not accepted and name in reason
        assert probe.set_parameter('sender', 'front.channels', -1) == (True, '')
        assert probe.set_parameter('sender', 'front.caption', '') == (True, '')
        probe.forget()
        wait_for_status(probe, 'front', 'all channels again',
                        lambda status: len(status.channels) > 4 and status.bytes_text == 0)


def test_max_fps_thins_the_stream(probe: Probe):
    assert probe.set_parameter('sender', 'left.max_fps', 2.0)[0]
    with Camera(probe, 'left', fps=20.0) as camera:
        wait_for_images(probe, 'left', 4)
        sent = len(camera.sent)
    assert len(probe.received('ground/left/gsc')) <= sent / 10 + 2
    assert probe.set_parameter('sender', 'left.max_fps', -1.0)[0]


def test_deactivated_sender_encodes_nothing_until_it_is_active_again(probe: Probe):
    with Camera(probe, 'front'):
        wait_for_images(probe, 'front')
        assert probe.change_state('sender', Transition.TRANSITION_DEACTIVATE)
        probe.wait_for_report('sender: lifecycle', 'waiting for activation')
        sequence = probe.received('ground/front/gsc')[-1].sequence
        probe.wait_for_report('bridge: front', 'no frames from the sender')
        assert probe.received('ground/front/gsc')[-1].sequence <= sequence + 1
        assert probe.change_state('sender', Transition.TRANSITION_ACTIVATE)
        probe.forget()
        wait_for_images(probe, 'front')


def test_receiver_that_starts_late_gets_pictures_and_calibration(world: World, probe: Probe):
    probe.listen(CameraInfo, 'late/reconstructed/front/camera_info')
    with Camera(probe, 'front'):
        wait_for_images(probe, 'front')
        late = world.start('receiver', node_name='late_receiver', remap={
            'reconstructed/front/camera_info': 'late/reconstructed/front/camera_info'})
        info = probe.wait_for_messages('late/reconstructed/front/camera_info')[0]
    assert info.width == 320
    assert late.end() == 0


def test_latched_calibration_is_there_for_who_comes_last(probe: Probe):
    with Camera(probe, 'front'):
        wait_for_images(probe, 'front')
    probe.listen(CameraInfo, 'ground/front/gsc/camera_info', LATCHED)
    info = probe.wait_for_messages('ground/front/gsc/camera_info')[0]
    assert info.header.frame_id == 'front_optical'
    assert list(info.k) == list(calibration(Header(), 320, 192).k)


def test_quality_of_one_topic_can_be_overridden(probe: Probe):
    def reliability(topic: str) -> set[ReliabilityPolicy]:
        return {info.qos_profile.reliability
                for info in probe.node.get_publishers_info_by_topic(topic)}
    assert reliability('/reconstructed/left/caption') == {ReliabilityPolicy.BEST_EFFORT}
    for topic in ('front/caption', 'left/image', 'left/camera_info', 'left/status'):
        assert reliability(f'/reconstructed/{topic}') == {ReliabilityPolicy.RELIABLE}


def test_nodes_can_be_cleaned_up_and_configured_again(probe: Probe, nodes: dict[str, NodeProcess]):
    for node in nodes:
        for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
                           Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert probe.change_state(node, transition)
    probe.forget()
    with Camera(probe, 'front'):
        wait_for_images(probe, 'front')


def test_sender_names_the_missing_camera(probe: Probe):
    probe.wait_for_report('sender: left', 'no images from the camera')
