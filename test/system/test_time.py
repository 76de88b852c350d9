# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated time that stands still, and jumps back when a bag loops."""

from __future__ import annotations

from conftest import World
from graph import Camera, clock, wait_for
from rosgraph_msgs.msg import Clock


def test_bag_that_loops_keeps_its_pictures(world: World):
    probe = world.probe
    nodes = [
        world.start('sender', use_sim_time=True, max_fps=5.0),
        world.start('bridge', use_sim_time=True, link_bps=200_000),
        world.start('receiver', use_sim_time=True)]
    probe.listen_to_camera('front')
    probe.publisher(Clock, '/clock')
    probe.wait_until_active('sender', 'bridge', 'receiver')
    camera = Camera(probe, 'front')

    def play(first_s: float, frames: int) -> list[tuple[int, int]]:
        """Play a 5 Hz recording that begins at `first_s`; wait until each frame was seen."""
        stamps = []
        for number in range(frames):
            now_s = first_s + 0.2 * number
            camera.stamp = lambda now_s=now_s: round(now_s * 1e9)
            probe.publish('/clock', clock(now_s))
            stamps.append(camera.shoot())
            # Frames may be lost while the nodes have not yet found each other: publish again.
            wait_for(f'the picture of {now_s} s', lambda stamp=stamps[-1]: picture_seen(stamp))
        return stamps

    def picture_seen(stamp: tuple[int, int]) -> bool:
        return any((image.header.stamp.sec, image.header.stamp.nanosec) == stamp
                   for image in probe.received('reconstructed/front/image'))

    def found_each_other() -> bool:
        probe.publish('/clock', clock(900.0))
        camera.stamp = lambda: round(1e9 * (900.0 + len(camera.sent)))
        camera.shoot()
        return bool(probe.received('reconstructed/front/image'))

    wait_for('the first picture', found_each_other)
    first = play(1000.0, 4)
    probe.forget()
    second = play(1000.0, 4)
    assert first == second
    assert all(node.alive for node in nodes)
    # Diagnostics go on although the clock stands.
    probe.forget()
    report = probe.wait_for_report('receiver: front', 'reconstructing')
    assert int(report['out_of_order']) == 0
    assert int(report['duplicate']) == 0
    ages = [status.age for status in probe.received('reconstructed/front/status')]
    assert all(-1.0 < age < 60.0 for age in ages)
