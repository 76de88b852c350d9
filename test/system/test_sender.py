# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sender alone: lazy, choosy about its input, and honest about what limits it."""

from __future__ import annotations

from array import array
import time

from conftest import World
import cv2
from graph import picture, Probe, wait_for
from gsc_ros.codec import packet
from gsc_ros.msg import GscFrame
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image


@pytest.fixture(scope='module')
def probe(world: World) -> Probe:
    world.start('sender', cameras=['front', 'left'], max_fps=0.0, left__transport='compressed',
                left__max_width=160)
    world.probe.wait_until_active('sender')
    # Made first, so that the sender finds a camera as soon as it looks for one.
    world.probe.publisher(CompressedImage, 'left/image_raw/compressed')
    return world.probe


def subscribers(probe: Probe, topic: str) -> int:
    return probe.node.count_subscribers(topic)


def test_camera_is_left_alone_until_somebody_listens(probe: Probe):
    probe.wait_for_report('sender: front', 'no subscriber')
    assert subscribers(probe, 'front/image_raw') == 0
    listener = probe.node.create_subscription(
        GscFrame, 'front/gsc', lambda _: None, qos_profile_sensor_data)
    wait_for('a subscription to the camera', lambda: subscribers(probe, 'front/image_raw') == 1)
    probe.wait_for_report('sender: front', 'no camera')
    probe.node.destroy_subscription(listener)
    wait_for('the end of the subscription', lambda: subscribers(probe, 'front/image_raw') == 0)
    probe.wait_for_report('sender: front', 'no subscriber')


def test_images_that_come_faster_than_they_are_coded_are_replaced(probe: Probe):
    probe.listen(GscFrame, 'front/gsc')
    pixels = picture(640, 480, 1)
    image = Image(width=640, height=480, step=1920, encoding='rgb8',
                  data=array('B', pixels.tobytes()))

    def burst_and_look() -> bool:
        for _ in range(10):
            image.header.stamp.sec, image.header.stamp.nanosec = divmod(time.time_ns(), 10 ** 9)
            probe.publish('front/image_raw', image)
        report = probe.report('sender: front')
        return report is not None and report['message'] == 'CPU bound'

    wait_for('the report of a busy CPU', burst_and_look)
    report = probe.report('sender: front')
    assert int(report['replaced']) > 0
    assert int(report['sent']) > 0


def test_compressed_images_are_taken_and_scaled_down(probe: Probe):
    probe.listen(GscFrame, 'left/gsc')
    jpeg = cv2.imencode('.jpg', picture(320, 192, 1))[1]
    image = CompressedImage(format='rgb8; jpeg compressed bgr8', data=array('B', jpeg.tobytes()))
    image.header.frame_id = 'left_optical'

    def shoot() -> list[GscFrame]:
        image.header.stamp.sec, image.header.stamp.nanosec = divmod(time.time_ns(), 10 ** 9)
        probe.publish('left/image_raw/compressed', image)
        return probe.received('left/gsc')

    frame = wait_for('a frame', shoot)[0]
    coded = packet.parse(bytes(frame.payload))
    assert (coded.width, coded.height) == (160, 96)
    assert (frame.camera, frame.camera_id, frame.header.frame_id) == ('left', 1, 'left_optical')
    assert frame.layer_ends[-1] == len(frame.payload)


def test_damaged_compressed_image_is_counted(probe: Probe):
    bad = CompressedImage(format='jpeg', data=array('B', b'\xff\xd8 no picture'))

    def report_refusal() -> bool:
        probe.publish('left/image_raw/compressed', bad)
        report = probe.report('sender: left')
        return report is not None and 'bad image' in report['message']

    wait_for('the report of a bad image', report_refusal)
    assert int(probe.report('sender: left')['refused']) > 0
