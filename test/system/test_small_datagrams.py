# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames, regions and parameters through the real nodes, in datagrams of 32 bytes."""

from __future__ import annotations

from conftest import World
from graph import Camera, NodeProcess, Probe, wait_for
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.msg import GscFrame, RegionNotice, RegionRequest
import pytest
from sensor_msgs.msg import Image

CAMERA = 'c' * 64
REGION = f'reconstructed/{CAMERA}/region'

pytestmark = pytest.mark.usefixtures('survival')


@pytest.fixture(scope='module')
def nodes(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, NodeProcess]:
    probe, keys = world.probe, tmp_path_factory.mktemp('keys') / 'link.keys'
    KeyRing.random().save(keys, new=True)
    nodes = {
        'sender': world.start('sender', cameras=(CAMERA,), max_bytes=200, region_ring_s=20.0),
        'bridge': world.start(
            'bridge', cameras=(CAMERA,), mtu=32, link_bps=100_000, security='aes-ccm',
            key_file=str(keys), remote_parameters=[f'sender.{CAMERA}.max_fps', 'sender.caption']),
        'receiver': world.start('receiver', cameras=(CAMERA,))}
    for kind, topic in ((Image, f'{REGION}/image'), (GscFrame, f'ground/{CAMERA}/gsc'),
                        (RegionNotice, 'ground/region_notice')):
        probe.listen(kind, topic)
    probe.wait_until_active(*nodes)
    requests = probe.publisher(RegionRequest, 'ground/region_request')
    wait_for('a bridge that takes requests', lambda: requests.get_subscription_count() == 1)
    return nodes


def test_a_region_comes_back(probe: Probe):
    with Camera(probe, CAMERA):
        probe.wait_for_messages(f'ground/{CAMERA}/gsc')
        probe.publish('ground/region_request', RegionRequest(
            camera=CAMERA, x=100, y=60, width=96, height=64, quality=50))
        probe.wait_for_messages(f'{REGION}/image')
    assert RegionNotice.NO_ROOM not in [
        notice.outcome for notice in probe.received('ground/region_notice')]


@pytest.mark.parametrize('name, value', [
    (f'{CAMERA}.max_fps', 2.5), ('caption', 'more than a datagram of 32 bytes can hold')])
def test_a_parameter_of_the_rover_is_set(probe: Probe, name: str, value: object):
    assert probe.set_parameter('remote', f'sender.{name}', value) == (True, '')
    assert probe.get_parameter('sender', name) == value
