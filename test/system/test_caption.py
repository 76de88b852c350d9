# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Captions across the real graph: sent once, then named, and never waited for."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
import threading

from caption_endpoint import complete, Endpoint, say, serving
from conftest import World
from graph import Camera, NodeProcess, Probe, wait_for
from gsc_ros.msg import GscStatus
import pytest
from std_msgs.msg import String

# A busy machine loses frames on the graph, too: what is lost must come again.
REFRESH_S = 3.0
NEVER_S = 3600.0
TOPICS = ('image', 'camera_info', 'confidence', 'caption', 'status')

pytestmark = pytest.mark.usefixtures('survival')


class Model:
    """What the endpoint says, and whether it does so yet."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.words = 'A rover\nbefore a wall.'

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.ready.wait(60.0)
        complete(self.words)(handler)


@pytest.fixture(scope='module')
def model() -> Model:
    return Model()


@pytest.fixture(scope='module')
def endpoint(model: Model) -> Iterator[Endpoint]:
    """Return an endpoint that refuses the first question."""
    with serving(say('', 400), model.answer) as endpoint:
        yield endpoint
        model.ready.set()


@pytest.fixture(scope='module')
def nodes(world: World, endpoint: Endpoint) -> dict[str, NodeProcess]:
    nodes = {
        'sender': world.start(
            'sender', cameras=['front'], max_fps=0.0, captioner='openai', caption_model='a-model',
            caption_url=endpoint.url, caption_interval_s=0.5, caption_scene_threshold=1.0,
            caption_refresh_interval_s=REFRESH_S),
        'bridge': world.start('bridge', cameras=['front'], link_bps=1_000_000),
        'receiver': world.start('receiver', cameras=['front'])}
    world.probe.listen_to_camera('front')
    world.probe.listen(String, 'reconstructed/front/caption')
    world.probe.wait_until_active(*nodes)
    return nodes


def wait_for_state(probe: Probe, state: str, camera: str = 'reconstructed/front') -> GscStatus:
    return wait_for(f'caption that is {state}', lambda: next(
        (status for status in probe.received(f'{camera}/status')
         if status.caption_state == state), None))


def captions(probe: Probe) -> set[str]:
    return {message.data for message in probe.received('reconstructed/front/caption')}


def test_frames_go_on_while_the_captioner_fails_and_while_it_takes_its_time(
        probe: Probe, endpoint: Endpoint):
    with Camera(probe, 'front'):
        report = probe.wait_for_report('sender: captioner', 'no caption: the endpoint answers 400')
        assert int(report['failed']) == 1
        wait_for('another question', lambda: len(endpoint.requests) == 2)
        probe.forget()
        probe.wait_for_messages('reconstructed/front/image', 5)
        status = probe.wait_for_messages('reconstructed/front/status')[-1]
    assert (status.caption_state, status.caption_id) == (GscStatus.CAPTION_NONE, -1)
    assert captions(probe) == set()


def test_a_late_caption_goes_with_a_later_frame_and_is_then_named(probe: Probe, model: Model):
    model.ready.set()
    with Camera(probe, 'front'):
        received = wait_for_state(probe, GscStatus.CAPTION_RECEIVED)
        as_before = wait_for_state(probe, GscStatus.CAPTION_AS_BEFORE)
        wait_for('the caption', lambda: captions(probe) == {'A rover before a wall.'})
        probe.wait_for_report('sender: captioner', 'describing')
    assert received.bytes_text > as_before.bytes_text == 1
    assert received.caption_id == as_before.caption_id >= 0


def test_a_receiver_that_starts_late_misses_the_caption_until_the_refresh(
        world: World, probe: Probe):
    probe.listen(GscStatus, 'late/front/status')
    assert probe.set_parameter('sender', 'caption_refresh_interval_s', NEVER_S)[0]
    with Camera(probe, 'front'):
        late = world.start('receiver', node_name='late', cameras=['front'], remap={
            f'reconstructed/front/{topic}': f'late/front/{topic}' for topic in TOPICS})
        missing = wait_for_state(probe, GscStatus.CAPTION_MISSING, 'late/front')
        assert probe.set_parameter('sender', 'caption_refresh_interval_s', 0.5)[0]
        received = wait_for_state(probe, GscStatus.CAPTION_RECEIVED, 'late/front')
        wait_for_state(probe, GscStatus.CAPTION_AS_BEFORE, 'late/front')
    assert probe.set_parameter('sender', 'caption_refresh_interval_s', REFRESH_S)[0]
    assert missing.caption_id == received.caption_id
    assert missing.bytes_text == 1
    late.end()


def test_a_caption_gets_through_a_link_that_drops_most_frames(probe: Probe, model: Model):
    assert probe.set_parameter('bridge', 'link_bps', 4000)[0]
    assert probe.set_parameter('sender', 'caption_scene_threshold', 0.0)[0]
    before = probe.wait_for_messages('link_status')[-1].dropped_superseded
    with Camera(probe, 'front', fps=20.0):
        for words in ('A rock.', 'A wall of stone.', 'Sand.', 'A hill far away.'):
            model.words = words
            wait_for('a new caption', lambda words=words: words in captions(probe))
        wait_for('status with dropped frames', lambda: (
            probe.received('link_status')[-1].dropped_superseded > before))
