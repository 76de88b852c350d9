# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The embedded generator in real receivers: instead of the structure pictures, and beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math
import time

from conftest import World
from graph import calibration, NodeProcess, picture, Probe, stamp_of, wait_for
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.generator.opening import open_generator
from gsc_ros.codec.profile import load_profile
from gsc_ros.msg import GscFrame, GscStatus
from lifecycle_msgs.msg import Transition
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

CAMERAS = ('front', 'left')
WIDTH, HEIGHT = 256, 160
PROFILE = load_profile('tiny')
# Both receivers hear the same packets; what one of them publishes is found under its own name.
AUTO, GENERATE, BROKEN = 'auto', 'generate', 'broken'
TOPICS = (('image', Image), ('confidence', Image), ('camera_info', CameraInfo),
          ('status', GscStatus))

pytestmark = pytest.mark.usefixtures('survival')


def renamed(prefix: str) -> dict[str, str]:
    """Return the remapping of a receiver's topics to names of its own."""
    return {f'reconstructed/{camera}/{kind}{topic}': f'{prefix}/{camera}/{kind}{topic}'
            for camera in CAMERAS for kind in ('', 'generated/') for topic, _ in TOPICS}


@pytest.fixture(scope='module')
def nodes(world: World) -> dict[str, NodeProcess]:
    nodes = {
        name: world.start(
            'receiver', node_name=name, remap=renamed(name), cameras=CAMERAS,
            mode='generate' if name == BROKEN else name, **parameters)
        for name, parameters in (
            (AUTO, {'generator__start_previous': True}), (GENERATE, {'output_width': 128}),
            (BROKEN, {'generator__profile': 'a dream'}))}
    for name in nodes:
        for camera in CAMERAS:
            for topic, message in TOPICS:
                for kind in ('', 'generated/'):
                    world.probe.listen(message, f'{name}/{camera}/{kind}{topic}')
    world.probe.wait_until_active(*nodes)
    for name in (AUTO, GENERATE):
        world.probe.wait_for_report(f'{name}: generator', 'waiting for a frame')
    return nodes


@dataclass
class Sender:
    """Publishes packets as a bridge does on the ground."""

    probe: Probe
    encoder: FrameEncoder
    sequence: int = 0

    def send(self, camera: str, count: int = 1) -> GscFrame:
        """Send a picture that moves with `count`; return the frame."""
        self.sequence += 1
        encoded = self.encoder.encode(
            picture(WIDTH, HEIGHT, count),
            EncoderSettings(channels=16, caption='a rover in a quarry', seed=5))
        header = Header(frame_id=f'{camera}_optical')
        header.stamp.sec, header.stamp.nanosec = divmod(time.time_ns(), 10 ** 9)
        frame = GscFrame(
            header=header, camera=camera, session=1, sequence=self.sequence,
            payload=encoded.payload, layer_ends=list(encoded.layer_ends), encode_ms=math.nan)
        self.probe.publish(f'ground/{camera}/gsc', frame)
        return frame


@pytest.fixture(scope='module', name='sender')
def fixture_sender(world: World, nodes: dict[str, NodeProcess]) -> Iterator[Sender]:
    probe = world.probe
    info = probe.publisher(
        CameraInfo, 'ground/front/gsc/camera_info',
        QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    info.publish(calibration(Header(), WIDTH, HEIGHT))
    for camera in CAMERAS:
        publisher = probe.publisher(GscFrame, f'ground/{camera}/gsc')
        wait_for('receivers', lambda publisher=publisher: (
            publisher.get_subscription_count() == len(nodes)))
    yield Sender(probe, FrameEncoder(PROFILE))


def pixels(message: Image) -> np.ndarray:
    """Return the picture of a message, uint8 [H, W, 3] or [H, W]."""
    shape = (message.height, message.width, 3)[:3 if message.encoding == 'rgb8' else 2]
    return np.frombuffer(message.data, np.uint8).reshape(shape)


def of_stamp(probe: Probe, topic: str, frame: GscFrame) -> Image | GscStatus | CameraInfo:
    """Wait for the message of a topic that has the stamp of a frame."""
    return wait_for(f'message of {topic}', lambda: next(
        (message for message in probe.received(topic) if stamp_of(message) == stamp_of(frame)),
        None))


def test_auto_publishes_the_structure_at_once_and_the_generated_picture_beside_it(
        probe: Probe, sender: Sender):
    frame = sender.send('front')
    plain = of_stamp(probe, f'{AUTO}/front/status', frame)
    status = of_stamp(probe, f'{AUTO}/front/generated/status', frame)
    assert (plain.mode, plain.generator) == ('structure', '')
    assert math.isnan(plain.generate_ms) and math.isnan(plain.flicker)
    assert (status.mode, status.generator) == ('generate', 'tiny')
    assert status.generate_ms > 0 and status.age > plain.age
    assert (status.sequence, status.bytes_total) == (plain.sequence, plain.bytes_total)
    for kind in ('', 'generated/'):
        for topic in ('image', 'confidence', 'camera_info'):
            message = of_stamp(probe, f'{AUTO}/front/{kind}{topic}', frame)
            assert message.header.frame_id == 'front_optical'
            assert (message.width, message.height) == (WIDTH, HEIGHT)


def test_the_topics_of_the_structure_pictures_never_carry_a_generated_one(
        probe: Probe, sender: Sender):
    frames = [sender.send('front', count) for count in (1, 2, 3)]
    of_stamp(probe, f'{AUTO}/front/generated/image', frames[-1])
    decoder = FrameDecoder(PROFILE)
    for frame in frames:
        image = pixels(of_stamp(probe, f'{AUTO}/front/image', frame))
        np.testing.assert_allclose(
            image, decoder.decode(bytes(frame.payload)).image, atol=1)
    assert {status.mode for status in probe.received(f'{AUTO}/front/status')} == {'structure'}
    assert {status.mode for status in probe.received(f'{AUTO}/front/generated/status')} == {
        'generate'}


def test_generate_shows_the_picture_of_the_packet_and_its_seed(probe: Probe, sender: Sender):
    frame = sender.send('front', 4)
    image = pixels(of_stamp(probe, f'{GENERATE}/front/image', frame))
    status = of_stamp(probe, f'{GENERATE}/front/status', frame)
    assert (status.mode, status.generator) == ('generate', 'tiny')
    assert image.shape == (80, 128, 3)  # output_width
    decoder = FrameDecoder(PROFILE)
    condition = decoder.condition(decoder.decode(bytes(frame.payload)), 'a rover in a quarry')
    assert condition.seed == 5
    (expected,) = open_generator('tiny').generate([condition])
    halved = expected.reshape(80, 2, 128, 2, 3).mean(axis=(1, 3))
    assert np.abs(image - halved).mean() < 2
    assert not probe.received(f'{GENERATE}/front/generated/image')


def test_a_generated_picture_is_trusted_less_than_the_one_it_was_made_of(
        probe: Probe, sender: Sender):
    frame = sender.send('front', 5)
    plain = pixels(of_stamp(probe, f'{AUTO}/front/confidence', frame))
    generated = pixels(of_stamp(probe, f'{AUTO}/front/generated/confidence', frame))
    assert (generated <= plain.astype(int) + 1).all()
    assert generated.mean() < plain.mean()


def test_of_two_cameras_both_are_generated_and_counted(probe: Probe, sender: Sender):
    frames = [sender.send(camera, count) for count in range(6, 10) for camera in CAMERAS]
    for frame in frames[-2:]:
        status = of_stamp(probe, f'{GENERATE}/{frame.camera}/status', frame)
        # Whatever was not generated was overtaken, and nothing was lost on the way.
        shown = len(probe.received(f'{GENERATE}/{frame.camera}/status'))
        assert 1 <= shown <= 4
        assert status.frames_generator_failed == 0

    def counted() -> bool:
        report = probe.report(f'{GENERATE}: left')
        return report is not None and 4 == sum(
            int(report[name]) for name in ('generated', 'not_generated', 'replaced'))
    wait_for('the counts of the camera', counted)
    report = probe.wait_for_report(f'{GENERATE}: generator', 'generating')
    assert report['generator'] == 'tiny' and float(report['mean_batch']) >= 1
    assert 'flicker' in probe.report(f'{GENERATE}: left')


def test_flicker_is_measured_from_the_second_picture_on(probe: Probe, sender: Sender):
    for count in (20, 20):  # the same picture, the same noise
        status = of_stamp(
            probe, f'{GENERATE}/left/status', sender.send('left', count))
    assert abs(status.flicker) < 0.5


def test_without_its_generator_a_receiver_goes_on_with_the_structure_and_says_so(
        probe: Probe, sender: Sender):
    frame = sender.send('front', 30)
    status = of_stamp(probe, f'{BROKEN}/front/status', frame)
    assert (status.mode, status.generator) == ('structure', '')
    assert pixels(of_stamp(probe, f'{BROKEN}/front/image', frame)).any()
    report = probe.wait_for_report(f'{BROKEN}: generator', 'no generator')
    assert "'a dream'" in report['message']


def test_parameters_of_the_generator_and_the_badge_are_live(probe: Probe, sender: Sender):
    before = pixels(of_stamp(probe, f'{GENERATE}/front/image', sender.send('front', 40)))
    assert probe.set_parameter(GENERATE, 'generator.seed', 77) == (True, '')
    other = pixels(of_stamp(probe, f'{GENERATE}/front/image', sender.send('front', 40)))
    assert (before != other).any()
    assert probe.set_parameter(GENERATE, 'generator.seed', -1) == (True, '')
    assert probe.set_parameter(GENERATE, 'badge', True) == (True, '')
    marked = pixels(of_stamp(probe, f'{GENERATE}/front/image', sender.send('front', 40)))
    np.testing.assert_array_equal(marked[40:], before[40:])
    assert (marked[:6, :6] != before[:6, :6]).any()
    assert probe.set_parameter(GENERATE, 'badge', False) == (True, '')
    for name, value in (('generator.seed', 256), ('generator.guidance', -0.5),
                        ('generator.strength', 0.0), ('generator.profile', 'other'),
                        ('mode', 'structure')):
        accepted, reason = probe.set_parameter(GENERATE, name, value)
        assert not accepted and name in reason


def test_a_receiver_that_generates_can_be_cleaned_up_and_configured_again(
        probe: Probe, sender: Sender):
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
                       Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        assert probe.change_state(GENERATE, transition)
    probe.forget()
    probe.wait_for_report(f'{GENERATE}: generator', 'waiting for a frame')
    status = of_stamp(probe, f'{GENERATE}/left/status', sender.send('left', 50))
    assert (status.mode, status.frames_generated) == ('generate', 1)
