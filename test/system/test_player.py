# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The player: recordings and the built-in terrain as a camera."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys
import time

from conftest import World
import cv2
from graph import REPOSITORY, wait_for
from gsc_ros.sources.bag_writer import BagWriter
from gsc_ros.sources.terrain import TerrainSource
import numpy as np
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

RELIABLE = QoSProfile(depth=50)
# The best-effort profile, but with room for all frames of a test on a busy machine.
BEST_EFFORT = QoSProfile(depth=50, reliability=qos_profile_sensor_data.reliability)


def stamp_ns(message: Image) -> int:
    return message.header.stamp.sec * 10 ** 9 + message.header.stamp.nanosec


def listen(world: World, camera: str) -> None:
    world.probe.listen(Image, f'{camera}/image_raw', BEST_EFFORT)
    world.probe.listen(CameraInfo, f'{camera}/camera_info', BEST_EFFORT)


def write_folder(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        image = np.full((32, 48, 3), (9, 100, number), np.uint8)
        cv2.imwrite(str(folder / f'{number}.png'), image)


def test_the_terrain_arrives_as_rendered_with_its_calibration(world):
    listen(world, 'terrain')
    player = world.start('player', camera='terrain', stamp='recorded', count=3, seed=4, width=96,
                         height=64, wait_for_subscribers=1)
    assert player.wait() == 0
    images = world.probe.wait_for_messages('terrain/image_raw', 3)
    infos = world.probe.wait_for_messages('terrain/camera_info', 3)
    for image, info, frame in zip(images, infos, TerrainSource(4, 96, 64), strict=False):
        assert bytes(image.data) == frame.image.tobytes() and image.encoding == 'rgb8'
        assert stamp_ns(image) == frame.stamp_ns
        assert info.header == image.header and image.header.frame_id == frame.frame_id
        assert tuple(info.k) == frame.calibration.k and (info.width, info.height) == (96, 64)
    assert len(images) == 3


def test_a_bad_file_is_skipped_and_stamps_are_now(world, tmp_path):
    write_folder(tmp_path / 'in', 4)
    (tmp_path / 'in' / '1.png').write_bytes(b'no image')
    listen(world, 'folder')
    before = time.time_ns()
    player = world.start('player', camera='folder', input=str(tmp_path / 'in'), fps=20.0,
                         frame_id='eye', wait_for_subscribers=1)
    assert player.wait() == 0
    images = world.probe.wait_for_messages('folder/image_raw', 3)
    assert [image.data[0] for image in images] == [0, 2, 3]
    assert before < stamp_ns(images[0]) < stamp_ns(images[2]) < time.time_ns()
    assert images[0].header.frame_id == 'eye'
    assert '1.png' in player.output and '1 frames could not be read' in player.output
    assert not world.probe.received('folder/camera_info')


def test_a_looped_bag_goes_back_in_time_with_its_clock(world, tmp_path):
    start_ns = 1_700_000_000 * 10 ** 9
    with BagWriter(tmp_path / 'bag') as bag:
        for number in range(3):
            image = np.full((32, 48), number, np.uint8)
            bag.write_image('/any/image', image, start_ns + number * 100_000_000, 'optical')
    listen(world, 'bag')
    world.probe.listen(Clock, '/clock', RELIABLE)
    player = world.start('player', camera='bag', input=str(tmp_path / 'bag'), loop=True, count=5,
                         publish_clock=True, wait_for_subscribers=1)
    assert player.wait() == 0
    images = world.probe.wait_for_messages('bag/image_raw', 5)
    assert [stamp_ns(image) - start_ns for image in images] == [
        0, 100_000_000, 200_000_000, 0, 100_000_000]
    assert [image.data[0] for image in images] == [0, 1, 2, 0, 1]
    times = [message.clock.sec * 10 ** 9 + message.clock.nanosec - start_ns
             for message in world.probe.wait_for_messages('/clock', 10)]
    assert len(times) > 20 and max(times) <= 300_000_000
    assert sum(later < earlier for earlier, later in zip(times, times[1:])) == 1


def test_frames_keep_the_pace_of_their_stamps(world, tmp_path):
    write_folder(tmp_path / 'in', 9)
    (tmp_path / 'in' / 'timestamps.txt').write_text(
        ''.join(f'{100 + number * 0.2}\n' for number in range(9)))
    listen(world, 'pace')
    player = world.start('player', camera='pace', input=str(tmp_path / 'in'),
                         wait_for_subscribers=1)
    images = world.probe.wait_for_messages('pace/image_raw', 9)
    assert player.wait() == 0
    # Never early; late only where the machine is busy.
    assert 1.55 < (stamp_ns(images[-1]) - stamp_ns(images[0])) / 1e9 < 4


def test_a_reliable_subscriber_is_served_when_told_to_be(world):
    world.probe.listen(Image, '/reliable/image_raw', RELIABLE)
    override = {'qos_overrides./reliable/image_raw.publisher.reliability': 'reliable',
                'camera': 'reliable', 'count': 2, 'width': 64, 'height': 48,
                'wait_for_subscribers': 1}
    player = world.start('player', **override)
    assert len(world.probe.wait_for_messages('/reliable/image_raw', 2)) == 2
    assert player.wait() == 0


def test_a_loop_ends_well_at_a_signal(world):
    listen(world, 'signal')
    player = world.start('player', camera='signal', loop=True, width=64, height=48, fps=50.0)
    world.probe.wait_for_messages('signal/image_raw', 3)
    assert player.end() == 0


def test_bad_input_and_bad_parameters_end_with_one_line(world, tmp_path):
    for parameters, word in (({'input': str(tmp_path / 'nothing')}, 'no such file'),
                             ({'stamp': 'never'}, 'never'), ({'camera': 'a b'}, 'a b')):
        player = world.start('player', **parameters)
        assert player.wait() == 1
        wait_for('reason', lambda player=player, word=word: word in player.output)
        assert 'Traceback' not in player.output


def test_gsc_replay_is_the_player_with_options(world):
    listen(world, 'verb')
    words = ['replay', 'terrain', '--camera', 'verb', '--count', '2', '--width', '64', '--height',
             '48', '--stamp', 'recorded', '--wait-for-subscribers', '1']
    done = subprocess.run(
        [sys.executable, '-m', 'gsc_ros.cli.main', *words], cwd=REPOSITORY, timeout=60,
        env=os.environ | {'ROS_DOMAIN_ID': str(world.domain)}, check=False)
    assert done.returncode == 0
    images = world.probe.wait_for_messages('verb/image_raw', 2)
    assert stamp_ns(images[1]) - stamp_ns(images[0]) == 100_000_000
