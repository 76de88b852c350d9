# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A rover and a ground station in ROS domains of their own, joined by nothing but the link.

`GSC_KILLS` sets how often each bridge is killed, over UDP and with a spool; once by default.
"""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import time

from conftest import World
from graph import Camera, NodeProcess, Probe, stamp_of, wait_for
from gsc_ros.link.audit import read_trace, verify_budget
from gsc_ros.msg import GscFrame, RegionRequest
import pytest
from relay import UdpRelay
from sensor_msgs.msg import Image
from serial_cable import SerialCable

CAMERAS = ('front', 'left')
LINK_BPS = 40_000
RETURN_BPS = LINK_BPS // 10
MAX_BYTES = 300
KILLS = int(os.environ.get('GSC_KILLS', '1'))
# After the end of an outage the newest frame is through within this, besides what a busy machine
# takes.
RECOVERY_S = 3.0
# By then the last image is coded, on disk and reported.
SETTLE_S = 4.0
SLACK_S = 3.0


def new_key(path: Path) -> Path:
    """Make a key file as an operator does."""
    subprocess.run([sys.executable, '-m', 'gsc_ros.cli.main', 'keys', 'new', str(path)], check=True)
    return path


class Machines:
    """The two worlds, their bridges, and what joins them."""

    def __init__(self, rover: World, ground: World, key_file: Path) -> None:
        """Start sender and receiver; `connect` starts the bridges."""
        self.rover, self.ground = rover, ground
        self.key_file = key_file
        self.bridges: dict[str, NodeProcess] = {}
        self._options: dict[str, dict[str, object]] = {}
        rover.start('sender', cameras=CAMERAS, max_bytes=MAX_BYTES)
        ground.start('receiver', cameras=CAMERAS)
        for camera in CAMERAS:
            ground.probe.listen_to_camera(camera)
            ground.probe.listen(GscFrame, f'ground/{camera}/gsc')
        rover.probe.wait_until_active('sender')
        ground.probe.wait_until_active('receiver')

    def trace(self, role: str) -> Path:
        """Return the file of all that a bridge has sent."""
        return self.world(role).folder / f'{role}.csv'

    def world(self, role: str) -> World:
        """Return where a bridge lives."""
        return self.rover if role == 'rover' else self.ground

    def connect(self, role: str, **options: object) -> None:
        """Choose the transport of a bridge, and start it."""
        self._options[role] = options
        self.start(role)

    def start(self, role: str, **options: object) -> None:
        """Start a bridge with its options, or with others."""
        self.bridges[role] = self.world(role).start('bridge', **{
            'cameras': CAMERAS, 'role': role, 'link_bps': LINK_BPS,
            'key_file': str(self.key_file), 'trace_file': str(self.trace(role)),
            **self._options[role], **options})
        self.world(role).probe.wait_until_active('bridge')

    def kill(self, role: str) -> None:
        """Kill a bridge without warning."""
        assert self.bridges[role].end(signal.SIGKILL) == -signal.SIGKILL


@pytest.fixture(scope='module')
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give the ground a domain of its own."""
    world = World(tmp_path_factory.mktemp('ground'))
    yield world
    world.close()


@pytest.fixture(scope='module')
def both(world: World, ground: World, tmp_path_factory: pytest.TempPathFactory) -> Machines:
    return Machines(world, ground, new_key(tmp_path_factory.mktemp('keys') / 'link.keys'))


@pytest.fixture(scope='module')
def relay() -> Iterator[UdpRelay]:
    relay = UdpRelay()
    yield relay
    relay.close()


@pytest.fixture(scope='module')
def over_udp(both: Machines, relay: UdpRelay) -> Machines:
    both.connect('ground', transport='udp', udp__bind='127.0.0.1:0',
                 udp__peers=relay.ground_peer)
    both.connect('rover', transport='udp', udp__bind='127.0.0.1:0', udp__peers=relay.rover_peer)
    return both


@pytest.fixture
def front(world: World) -> Iterator[Camera]:
    with Camera(world.probe, 'front') as camera:
        yield camera


@pytest.fixture(autouse=True)
def fresh_ground(ground: World) -> None:
    """Let no test see what came before it."""
    ground.probe.forget()


def wait_for_new_picture(ground: World, camera: Camera) -> None:
    """Wait for a reconstruction of an image that is taken from now on."""
    since = len(camera.sent)
    wait_for('a new picture', lambda: any(
        stamp_of(image) in camera.sent[since:]
        for image in ground.probe.received(f'reconstructed/{camera.name}/image')))


def wait_for_status(probe: Probe, what: str, holds) -> object:
    """Wait for a LinkStatus that `holds`."""
    return wait_for(what, lambda: next(
        (status for status in reversed(probe.received('link_status')) if holds(status)), None))


def test_pictures_cross_udp_and_nothing_else_joins_the_two(
        over_udp: Machines, front: Camera, world: World, ground: World):
    wait_for_new_picture(ground, front)
    info = ground.probe.wait_for_messages('reconstructed/front/camera_info')[-1]
    assert stamp_of(info) in front.sent and info.header.frame_id == front.frame_id
    assert info.distortion_model == 'plumb_bob'
    assert ground.probe.node.count_publishers('front/image_raw') == 0
    assert ground.probe.node.count_publishers('front/gsc') == 0
    assert world.probe.node.count_publishers('reconstructed/front/image') == 0
    assert world.probe.node.count_publishers('ground/front/gsc') == 0


def test_an_operator_on_the_ground_gets_a_region_and_sets_a_parameter_of_the_rover(
        over_udp: Machines, front: Camera, world: World, ground: World):
    ground.probe.listen(Image, 'reconstructed/front/region/image')
    requests = ground.probe.publisher(RegionRequest, 'ground/region_request')
    wait_for('a bridge that takes requests', lambda: requests.get_subscription_count() == 1)
    seen = ground.probe.wait_for_messages('reconstructed/front/image')[-1]
    request = RegionRequest(
        header=seen.header, camera='front', x=40, y=30, width=80, height=60, quality=100)
    request.ttl.sec = 20
    requests.publish(request)
    region = ground.probe.wait_for_messages('reconstructed/front/region/image')[0]
    assert (region.header, region.width, region.height) == (seen.header, 80, 60)
    assert ground.probe.set_parameter('remote', 'sender.front.max_fps', 8.0) == (True, '')
    assert world.probe.get_parameter('sender', 'front.max_fps') == 8.0
    assert ground.probe.set_parameter('remote', 'sender.front.max_fps', -1.0) == (True, '')
    assert not ground.probe.set_parameter('remote', 'bridge.link_bps', 10)[0]


def test_each_side_says_how_the_link_is_and_that_it_is_authenticated(
        over_udp: Machines, front: Camera, world: World, ground: World):
    for role, probe, budget in (('rover', world.probe, LINK_BPS),
                                ('ground', ground.probe, RETURN_BPS)):
        status = wait_for_status(probe, f'connected {role}', lambda status: (
            status.connected and status.round_trip > 0))
        assert (status.role, status.transport, status.security) == (role, 'udp', 'aes-ccm')
        assert status.budget_bps == budget and status.forged == 0
        assert 0 <= status.heard_age < 6
        assert probe.wait_for_report('bridge: transport', 'open')
    status = wait_for_status(ground.probe, 'frames', lambda status: status.received_frames)
    assert status.received_bits > 0
    ground.probe.wait_for_report('bridge: front', 'arriving')
    world.probe.wait_for_report('bridge: front', 'carrying')


def test_both_sides_speak_through_an_outage_and_the_newest_frame_follows_it(
        over_udp: Machines, relay: UdpRelay, front: Camera, world: World, ground: World):
    wait_for_new_picture(ground, front)
    relay.cut = True
    try:
        for probe in (world.probe, ground.probe):
            probe.wait_for_report('bridge: link', 'far side not heard')
            probe.forget()
        began = time.monotonic()
        for probe in (world.probe, ground.probe):
            assert not any(
                status.connected for status in probe.wait_for_messages('link_status', 3))
        assert time.monotonic() - began < 3 + SLACK_S
    finally:
        relay.cut = False
    began = time.monotonic()
    wait_for_new_picture(ground, front)
    assert time.monotonic() - began < RECOVERY_S + SLACK_S
    for probe in (world.probe, ground.probe):
        wait_for_status(probe, 'contact', lambda status: status.connected)


def test_what_was_recorded_on_the_way_or_made_up_is_thrown_away_and_counted(
        over_udp: Machines, relay: UdpRelay, front: Camera, ground: World):
    wait_for_new_picture(ground, front)
    for datagram in relay.forward[-20:]:
        relay.inject(datagram)
        relay.inject(bytes([*datagram[:-1], datagram[-1] ^ 1]))
    status = wait_for_status(ground.probe, 'refusals', lambda status: (
        status.forged >= 20 and status.replayed >= 20))
    assert status.connected
    wait_for_new_picture(ground, front)


def test_a_ground_with_another_key_gets_nothing_and_says_why(
        over_udp: Machines, front: Camera, ground: World, tmp_path: Path):
    wait_for_new_picture(ground, front)
    over_udp.kill('ground')
    over_udp.start('ground', key_file=str(new_key(tmp_path / 'other.keys')))
    ground.probe.forget()
    report = ground.probe.wait_for_report('bridge: link', 'authentication')
    assert int(report['forged']) > 0 and report['received_frames'] == '0'
    status = wait_for_status(ground.probe, 'status', lambda status: status.forged > 0)
    assert not status.connected and status.received_datagrams == 0
    assert not ground.probe.received('reconstructed/front/image')
    over_udp.kill('ground')
    over_udp.start('ground')
    wait_for_new_picture(ground, front)


def kill_at_random(both: Machines, camera: Camera, seed: int, times: int = KILLS) -> None:
    """Kill either bridge at random moments; each time, pictures must come again by themselves."""
    chance = random.Random(seed)
    for role in ('rover', 'ground') * times:
        wait_for_new_picture(both.ground, camera)
        time.sleep(chance.uniform(0.0, 1.0))
        both.kill(role)
        both.start(role)
        wait_for_new_picture(both.ground, camera)


def test_either_bridge_is_killed_at_random_moments_and_pictures_come_again(
        over_udp: Machines, front: Camera):
    kill_at_random(over_udp, front, seed=1)


@pytest.mark.parametrize('role, budget_bps', [('rover', LINK_BPS), ('ground', RETURN_BPS)])
def test_neither_side_ever_sent_more_than_its_budget(
        over_udp: Machines, role: str, budget_bps: int):
    status = over_udp.world(role).probe.wait_for_messages('link_status')[-1]
    assert status.budget_bps == budget_bps
    departures = read_trace(over_udp.trace(role))
    assert departures
    assert verify_budget(departures, budget_bps, status.burst_bits).holds


def test_frames_wait_on_disk_for_contact_through_kills_and_arrive_once_and_in_order(
        over_udp: Machines, relay: UdpRelay, world: World, ground: World):
    for role, peer in (('rover', relay.rover_peer), ('ground', relay.ground_peer)):
        over_udp.kill(role)
        over_udp.connect(
            role, transport='spool', spool__file=str(over_udp.world(role).folder / 'frames.spool'),
            udp__bind='127.0.0.1:0', udp__peers=peer)
    camera = Camera(world.probe, 'front', fps=4.0)

    def kept() -> int:
        return int((world.probe.report('bridge: spool') or {'frames': 0})['frames'])

    relay.cut = True
    try:
        with camera:
            wait_for('frames on disk', lambda: kept() >= 3)
        over_udp.kill('rover')
        over_udp.start('rover')
        world.probe.forget()
        before = wait_for('the same frames on disk', lambda: kept() if kept() >= 3 else 0)
        with camera:
            wait_for('more frames on disk', lambda: kept() >= before + 3)
        time.sleep(SETTLE_S)
        waiting = kept()
        assert not ground.probe.received('ground/front/gsc')
    finally:
        relay.cut = False
    frames = ground.probe.wait_for_messages('ground/front/gsc', waiting)
    stamps = [stamp_of(frame) for frame in frames]
    assert len(stamps) == waiting and stamps == sorted(set(stamps))
    assert set(stamps) <= set(camera.sent)
    world.probe.wait_for_report('bridge: spool', ' 0 frames wait')
    with camera:
        kill_at_random(over_udp, camera, seed=3)
    stamps = [stamp_of(frame) for frame in ground.probe.received('ground/front/gsc')]
    assert stamps == sorted(set(stamps))


def test_pictures_cross_a_serial_line_also_after_kills(
        over_udp: Machines, front: Camera, ground: World, world: World, tmp_path: Path):
    cable = SerialCable(tmp_path)
    try:
        for role, port in (('rover', cable.near), ('ground', cable.far)):
            over_udp.kill(role)
            over_udp.connect(
                role, transport='serial', serial__port=str(port.path), serial__baud=115_200)
        kill_at_random(over_udp, front, seed=2, times=1)
        for probe in (world.probe, ground.probe):
            status = wait_for_status(probe, 'contact', lambda status: (
                status.connected and status.transport == 'serial'))
            assert status.security == 'aes-ccm'
    finally:
        for role in ('rover', 'ground'):
            over_udp.kill(role)
        cable.close()
