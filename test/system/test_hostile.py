# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Requests and messages that are valid for ROS and meant to do harm."""

from __future__ import annotations

from array import array
from dataclasses import replace
from functools import lru_cache
import hashlib
import json
from pathlib import Path
import shutil
import time

from conftest import World
from graph import Camera, NodeProcess, Probe, wait_for
from gsc_ros.codec import packet
from gsc_ros.codec.frame import EncoderSettings, FrameEncoder
from gsc_ros.codec.profile import find_profile, load_profile
from gsc_ros.msg import GscFrame
from lifecycle_msgs.msg import Transition
import numpy as np
import pytest

NODES = ('sender', 'bridge', 'receiver')


pytestmark = pytest.mark.usefixtures('survival')


@pytest.fixture(scope='module')
def nodes(world: World) -> dict[str, NodeProcess]:
    nodes = {
        'sender': world.start('sender', max_fps=0.0),
        'bridge': world.start('bridge', link_bps=1_000_000),
        'receiver': world.start('receiver', cameras=['front', 'left'])}
    for camera in ('front', 'left'):
        world.probe.listen_to_camera(camera)
    world.probe.wait_until_active(*nodes)
    return nodes


def wait_for_images(probe: Probe) -> None:
    probe.forget()
    with Camera(probe, 'front'):
        probe.wait_for_messages('reconstructed/front/image', 2)


@pytest.mark.parametrize('node', NODES)
@pytest.mark.parametrize('transition', [
    Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_CLEANUP, Transition.TRANSITION_CREATE,
    99])
def test_transition_that_an_active_node_has_not_is_answered_with_no(
    probe: Probe, node: str, transition: int,
):
    assert not probe.change_state(node, transition)
    assert probe.state(node) == 'active'


def test_frame_id_too_long_for_the_link_is_counted_and_stops_nothing(probe: Probe):
    camera = Camera(probe, 'front')
    camera.frame_id = 'f' * 300
    with camera:
        report = probe.wait_for_report('bridge: front', 'invalid frames')
    assert int(report['invalid']) > 0
    wait_for_images(probe)


@lru_cache
def flat_packet(side: int) -> bytes:
    """Return the packet of a gray picture of `side` x `side` pixels, a few bytes."""
    image = np.full((side, side, 3), 128, np.uint8)
    encoder = FrameEncoder(load_profile('tiny'))
    return encoder.encode(image, EncoderSettings(channels=1, quantizer=0)).payload


def tiny_frame(camera: str, sequence: int, payload: bytes | None = None) -> GscFrame:
    """Return a frame with a packet, by default that of a small picture."""
    payload = flat_packet(64) if payload is None else payload
    frame = GscFrame(camera=camera, session=3, sequence=sequence, payload=array('B', payload),
                     layer_ends=[len(payload)])
    frame.header.stamp.sec = 100 + sequence
    return frame


def play(probe: Probe, camera: str, numbers: range) -> int:
    """Publish frames one after the other; return how many became pictures."""
    def seen() -> tuple[int, int]:
        report = probe.report(f'receiver: {camera}')
        return len(probe.received(f'reconstructed/{camera}/image')), sum(
            int(report[counter]) for counter in ('duplicate', 'out_of_order', 'replaced'))

    probe.publisher(GscFrame, f'ground/{camera}/gsc')
    wait_for('the receiver', lambda: probe.node.count_subscribers(f'ground/{camera}/gsc'))
    wait_for('a report', lambda: probe.report(f'receiver: {camera}'))
    images, old = seen()
    for sequence in numbers:
        probe.publish(f'ground/{camera}/gsc', tiny_frame(camera, sequence))
        time.sleep(0.05)  # more frames at once than the queue holds would be replaced
    wait_for('the end of the frames', lambda: sum(seen()) >= images + old + len(numbers))
    return seen()[0] - images


def test_recorded_frames_that_loop_become_pictures_again(probe: Probe):
    assert play(probe, 'left', range(30)) > 0
    assert play(probe, 'left', range(30)) > 0


def test_old_frames_only_is_what_the_receiver_says_of_them(probe: Probe):
    play(probe, 'left', range(100, 102))

    def repeat() -> bool:
        probe.publish('ground/left/gsc', tiny_frame('left', 101))
        report = probe.report('receiver: left')
        return report is not None and report['message'] == 'old frames only'
    wait_for('the report of old frames', repeat)


def test_small_packet_of_a_huge_picture_stalls_nobody(
    probe: Probe, nodes: dict[str, NodeProcess],
):
    play(probe, 'left', range(200, 201))
    huge = packet.serialize(replace(packet.parse(flat_packet(64)), width=8192, height=8192))
    probe.publish('ground/left/gsc', tiny_frame('left', 201, huge))
    report = probe.wait_for_report('receiver: left', '8192 x 8192')
    assert int(report['undecodable']) > 0
    assert nodes['receiver'].resident_mb() < 400
    assert play(probe, 'left', range(201, 203)) > 0
    assert not probe.set_parameter('receiver', 'max_pixels', 255)[0]


def test_signal_in_the_middle_of_a_long_decoding_ends_the_node_cleanly(
    world: World, probe: Probe,
):
    payload = flat_packet(6144)
    busy = world.start(
        'receiver', node_name='busy', cameras=['left'], input_prefix='other', max_pixels=2 ** 26)
    probe.wait_until_active('busy')
    probe.publisher(GscFrame, 'other/left/gsc')
    wait_for('the receiver', lambda: probe.node.count_subscribers('other/left/gsc'))
    probe.publish('other/left/gsc', tiny_frame('left', 0, payload))

    def received() -> bool:
        report = probe.report('busy: left')
        return report is not None and report['received'] == '1'
    wait_for('the frame', received)
    assert busy.end() == 0
    assert 'Traceback' not in busy.output


def test_image_too_large_is_refused_by_the_sender(probe: Probe):
    assert probe.set_parameter('sender', 'max_pixels', 1000) == (True, '')
    with Camera(probe, 'front'):
        probe.wait_for_report('sender: front', '320 x 192 pixels, more than 1000')
    assert probe.set_parameter('sender', 'max_pixels', 8_000_000) == (True, '')
    wait_for_images(probe)


def test_stamps_that_stand_still_keep_no_picture_back(probe: Probe):
    assert probe.set_parameter('sender', 'max_fps', 10.0) == (True, '')
    camera = Camera(probe, 'front')
    camera.stamp = lambda: 1_700_000_000_000_000_000
    with camera:
        probe.wait_for_messages('reconstructed/front/image', 5)
        probe.wait_for_report('sender: front', 'stamps stand still')
    assert probe.set_parameter('sender', 'max_fps', 0.0) == (True, '')


@pytest.mark.parametrize('name', ['quantizer', 'front.quantizer'])
def test_quantizer_that_the_profile_has_not_is_refused(probe: Probe, name: str):
    levels = load_profile('tiny').manifest.quantizers
    assert probe.set_parameter('sender', name, levels - 1) == (True, '')
    accepted, reason = probe.set_parameter('sender', name, levels)
    assert not accepted and str(levels - 1) in reason
    assert probe.set_parameter('sender', name, -1) == (True, '')


def profile_of_two_levels(directory: Path) -> Path:
    """Write a profile that is `tiny` with its two coarsest quantizers only."""
    tiny = find_profile('tiny')
    shutil.copytree(tiny, directory, dirs_exist_ok=True)
    manifest = json.loads((tiny / 'manifest.json').read_text())
    with np.load(tiny / 'tables.npz') as tables:
        by_level = (manifest['quantizers'], manifest['latent_channels'])
        few = {name: array[:2] if array.shape[:2] == by_level else array
               for name, array in tables.items()}
    np.savez_compressed(directory / 'tables.npz', **few)
    digest = hashlib.sha256((directory / 'tables.npz').read_bytes()).hexdigest()
    manifest['files']['tables.npz'] = digest
    manifest |= {'name': 'two', 'quantizers': 2, 'default_quantizer': 1}
    (directory / 'manifest.json').write_text(json.dumps(manifest))
    return directory


def test_quantizer_that_the_profile_has_not_fails_the_configuration(
        world: World, probe: Probe, tmp_path: Path):
    world.start('sender', node_name='coarse', front__quantizer=2,
                profile=str(profile_of_two_levels(tmp_path / 'two')))
    report = probe.wait_for_report('coarse: lifecycle', 'front.quantizer: 2')
    assert report['state'] == 'unconfigured'
    assert probe.set_parameter('coarse', 'front.quantizer', -1) == (True, '')
    assert probe.change_state('coarse', Transition.TRANSITION_CONFIGURE)
    accepted, reason = probe.set_parameter('coarse', 'front.quantizer', 2)
    assert not accepted and '0 to 1' in reason


def test_frame_with_wrong_layers_is_reported(probe: Probe):
    wrong = tiny_frame('front', 0)
    wrong.layer_ends = [1, len(wrong.payload)]

    def report_invalid() -> bool:
        wrong.sequence += 1
        probe.publish('front/gsc', wrong)
        report = probe.report('bridge: link')
        return report is not None and report['message'] == 'invalid frames'
    wait_for('the report of invalid frames', report_invalid)
    assert int(probe.report('bridge: link')['dropped_invalid']) > 0
    wait_for_images(probe)


def test_frame_id_that_keeps_changing_is_not_called_a_full_link(probe: Probe):
    camera = Camera(probe, 'front')
    for number in range(40):
        camera.frame_id = f'frame_{number % 2}'
        camera.shoot()
        time.sleep(0.1)
    messages = {status.message for array_message in probe.received('/diagnostics')
                for status in array_message.status if status.name == 'bridge: link'}
    assert messages
    assert 'link full' not in messages
