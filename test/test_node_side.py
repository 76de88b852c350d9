# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rover's and the ground's side of the bridge, each with an end of a link that only records."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
import time

from gsc_ros.codec.frame import EncoderSettings, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.delivery import ReceivedCalibration, ReceivedControl, ReceivedFrame
from gsc_ros.link.schedule.message import FrameMessage
from gsc_ros.msg import GscFrame
from gsc_ros.nodes.back_channel import RefreshRequest
from gsc_ros.nodes.diagnostic import Level
from gsc_ros.nodes.ground_side import GroundSide
from gsc_ros.nodes.lifecycle import ManagedNode
from gsc_ros.nodes.rover_side import RoverSide
from gsc_ros.nodes.schema import BridgeParameters
import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from region_profile import region_profile
from std_msgs.msg import UInt32

PATIENCE_S = 20.0


class RecordingEnd:
    """Takes all that is offered, as an end of a link does, and keeps it."""

    budget_bps = 2000

    def __init__(self) -> None:
        self.announced: list[CameraAnnounce] = []
        self.frames: list[FrameMessage] = []
        self.control: list[bytes] = []

    def announce(self, camera: CameraAnnounce) -> None:
        self.announced.append(camera)

    def offer_frame(self, message: FrameMessage) -> bool:
        self.frames.append(message)
        return True

    def message_bits(self, data_bytes: int) -> int:
        return 8 * (data_bytes + 10)

    def offer_control(self, data: bytes) -> bool:
        self.control.append(data)
        return True


class Stage:
    """A node for a side of the bridge, another one that listens, and both of them served."""

    def __init__(self) -> None:
        self.node = ManagedNode('bridge', BridgeParameters)
        self.listener = Node('listener')
        self.executor = SingleThreadedExecutor()
        self.heard: list[object] = []
        for node in (self.node, self.listener):
            self.executor.add_node(node)

    def start(self, side: RoverSide | GroundSide) -> None:
        """Let a side work on the active node."""
        assert self.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert self.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        side.start()

    def listen(self, message: type, topic: str) -> None:
        self.listener.create_subscription(message, topic, self.heard.append, 10)

    def wait(self, condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
        end = time.monotonic() + patience_s
        while not condition() and time.monotonic() < end:
            self.executor.spin_once(0.02)
        return condition()

    def settle(self) -> None:
        """Serve what is on its way."""
        self.wait(lambda: False, 0.3)


@pytest.fixture
def stage() -> Iterator[Stage]:
    rclpy.init(args=[])
    stage = Stage()
    yield stage
    stage.executor.shutdown()
    stage.listener.destroy_node()
    stage.node.destroy_node()
    rclpy.shutdown()


@pytest.fixture(scope='module')
def coded() -> GscFrame:
    y, x = np.mgrid[:192, :320]
    shade = 128 + 60 * np.sin(x / 17) + 50 * np.cos(y / 11)
    image = np.dstack([shade, np.roll(shade, 20, 1), 255 - shade]).clip(0, 255).astype(np.uint8)
    frame = FrameEncoder(load_profile('tiny')).encode(image, EncoderSettings())
    message = GscFrame(camera='front', sequence=7, session=3, payload=array('B', frame.payload),
                       layer_ends=list(frame.layer_ends))
    message.header.frame_id = 'optical'
    return message


@pytest.fixture
def end() -> RecordingEnd:
    return RecordingEnd()


@pytest.fixture
def offered(stage: Stage, end: RecordingEnd, coded: GscFrame) -> FrameMessage:
    """Give the rover's side a frame, and return what it offers to the link."""
    side = RoverSide(stage.node, end)
    stage.start(side)
    stage.listen(UInt32, 'front/gsc/taken')
    publisher = stage.listener.create_publisher(GscFrame, 'front/gsc', 1)
    assert stage.wait(lambda: publisher.get_subscription_count() > 0)
    assert stage.wait(lambda: stage.node.count_subscribers('front/gsc/taken') > 0)
    publisher.publish(coded)
    assert stage.wait(lambda: bool(end.frames))
    return end.frames[-1]


def test_a_frame_is_offered_as_it_came_and_its_camera_is_announced(
        offered: FrameMessage, end: RecordingEnd, coded: GscFrame):
    assert (offered.sequence, offered.session, offered.ends) == (7, 3, tuple(coded.layer_ends))
    assert (end.announced[-1].name, end.announced[-1].frame_id) == ('front', 'optical')
    assert offered.render(len(offered.ends)) == bytes(coded.payload)


def test_a_frame_that_leaves_in_two_pieces_is_answered_once(
        stage: Stage, offered: FrameMessage):
    whole = offered.render(len(offered.ends))
    base = offered.render(1)
    assert len(base) == offered.ends[0] < len(whole)
    assert stage.wait(lambda: bool(stage.heard))
    stage.settle()
    assert [message.data for message in stage.heard] == [7]


def test_key_regions_that_the_link_sheds_are_told(stage: Stage, end: RecordingEnd, tmp_path: Path):
    encoder = FrameEncoder(region_profile(tmp_path / 'profile'))
    ramp = np.add.outer(np.arange(192), np.arange(320)) % 256
    coded = encoder.encode(np.dstack([ramp] * 3).astype(np.uint8), EncoderSettings(channels=64), [
        KeyRegion((20, 20, 80, 80)), KeyRegion((200, 90, 280, 160))])
    assert len(coded.regions) == 2 and len(coded.layer_ends) > 3
    side = RoverSide(stage.node, end)
    stage.start(side)
    publisher = stage.listener.create_publisher(GscFrame, 'front/gsc', 1)
    assert stage.wait(lambda: publisher.get_subscription_count() > 0)

    def leaves(sequence: int, shed: int) -> str:
        publisher.publish(GscFrame(
            camera='front', sequence=sequence, session=3, payload=array('B', coded.payload),
            layer_ends=list(coded.layer_ends)))
        assert stage.wait(lambda: end.frames and end.frames[-1].sequence == sequence)
        for layers in (len(coded.layer_ends) - shed, 1):  # whole, and then its base
            end.frames[-1].render(layers)
        (report,) = side.diagnose()
        assert report.level is Level.OK
        return f'{report.message}; {report.values["key_regions_shed"]} of ' + str(
            report.values['key_regions'])

    assert leaves(1, 0) == 'carrying; 0 of 2'
    shedding = 'carrying, with key regions cut off: link full'
    assert leaves(2, 1) == f'{shedding}; 1 of 4'
    assert leaves(3, len(coded.layer_ends) - 1) == f'{shedding}; 3 of 6'
    assert leaves(4, 0) == 'carrying; 3 of 8'


def test_a_frame_that_the_link_gives_up_is_answered_too(stage: Stage, offered: FrameMessage):
    offered.on_dropped()
    assert stage.wait(lambda: [message.data for message in stage.heard] == [7])


def test_a_complaint_of_the_ground_asks_the_sender_for_a_frame_that_stands_alone(
        stage: Stage, end: RecordingEnd):
    side = RoverSide(stage.node, end)
    assert not side.take(ReceivedControl(b'something else'))
    assert side.take(ReceivedControl(RefreshRequest(0, 1, 2).pack()))


def received(camera: str, camera_id: int = 4) -> ReceivedFrame:
    return ReceivedFrame(camera, camera_id, 'optical', 9, 3, 7, 10 ** 18, 5.0, b'payload', 0)


def test_what_arrives_is_published_and_a_complaint_names_its_frame_as_the_rover_does(
        stage: Stage, end: RecordingEnd):
    side = GroundSide(stage.node, end)
    stage.start(side)
    stage.listen(GscFrame, 'ground/front/gsc')
    refresh = stage.listener.create_publisher(UInt32, 'ground/front/gsc/refresh', 10)
    assert stage.wait(lambda: refresh.get_subscription_count() > 0)
    assert stage.wait(lambda: stage.node.count_subscribers('ground/front/gsc') > 0)
    refresh.publish(UInt32(data=6))
    stage.settle()
    assert [report.message for report in side.diagnose()] == ['waiting for the first frame']
    assert not end.control  # nothing has arrived that could be complained of
    assert side.take(received('front'))
    assert [report.message for report in side.diagnose()][:1] == ['arriving']
    assert stage.wait(lambda: bool(stage.heard))
    frame, = stage.heard
    assert (frame.camera, frame.camera_id, frame.sequence) == ('front', 4, 7)
    assert (frame.header.frame_id, frame.header.stamp.sec) == ('optical', 10 ** 9)
    refresh.publish(UInt32(data=5))
    refresh.publish(UInt32(data=6))
    assert stage.wait(lambda: bool(end.control))
    stage.settle()
    assert [RefreshRequest.parse(data) for data in end.control] == [RefreshRequest(4, 3, 5)]


def test_a_camera_that_nobody_asked_for_is_reported_and_not_published(
        stage: Stage, end: RecordingEnd):
    side = GroundSide(stage.node, end)
    stage.start(side)
    assert side.take(ReceivedCalibration('rear', 1, 'optical', b''))
    assert side.take(received('rear'))
    report = next(report for report in side.diagnose() if report.part == 'cameras')
    assert report.level is Level.WARN and report.values['names'] == 'rear'
    for number in range(1000):
        side.take(received(f'camera{number}'))
    report = next(report for report in side.diagnose() if report.part == 'cameras')
    assert len(report.values['names']) < 2000
    assert not side.take(ReceivedControl(b'of another part'))
