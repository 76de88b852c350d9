# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Requests for regions between ground and rover, over a link that delays and loses."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
import random

from codec_image import picture
from gsc_ros.codec.frame import EncoderSettings, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.msg import GscRegion, RegionNotice, RegionRequest
from gsc_ros.nodes.region import MAX_PACKET_BYTES, Outcome
from gsc_ros.nodes.region_ground import GroundRegions
from gsc_ros.nodes.region_rover import RoverRegions, SENDER_PATIENCE_NS
import pytest

SECOND = 10 ** 9
STEP = SECOND // 5
PAYLOAD = FrameEncoder(load_profile('tiny')).encode(
    picture(48, 64), EncoderSettings(channels=2)).payload
# That all has left is news only where the answer stays out.
DONE = [Outcome.ACCEPTED, Outcome.ARRIVED]


@dataclass
class World:
    """Both ends, a sender that answers at once, and a link with a delay."""

    delay_ns: int = SECOND // 2
    answer_ns: int = SECOND  # until an answer has left
    lose: Callable[[str], bool] = lambda kind: False
    cameras: tuple[str, ...] = ('front', 'left')
    sender: bool = True
    now_ns: int = 100 * SECOND
    under_way: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    requests: list[RegionRequest] = field(default_factory=list)
    answers: list[GscRegion] = field(default_factory=list)
    notices: list[RegionNotice] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    said: int = 0
    in_link: int = 0
    most_in_link: int = 0
    room: int = MAX_PACKET_BYTES

    def __post_init__(self) -> None:
        self.ground = GroundRegions(
            self.cameras, self._ask, lambda size: SECOND, self.notices.append,
            self.answers.append)
        self.rover = RoverRegions(
            self.cameras, self._say, self._offer, self._ask_sender, lambda seconds: self.room)
        self.reply: Callable[[RegionRequest], GscRegion | None] = region

    def ask(self, camera: str = 'front', ttl_s: float = 0.0, **fields: int) -> None:
        request = RegionRequest(camera=camera, **({
            'x': 8, 'y': 4, 'width': 64, 'height': 48, 'quality': 50} | fields))
        request.header.stamp.sec = 77
        request.ttl.sec, request.ttl.nanosec = divmod(round(ttl_s * SECOND), SECOND)
        self.ground.ask(request, self.now_ns)

    def run(self, seconds: float) -> None:
        end_ns = self.now_ns + round(seconds * SECOND)
        while self.now_ns < end_ns:
            self.now_ns += STEP
            due = [action for time_ns, action in self.under_way if time_ns <= self.now_ns]
            self.under_way = [item for item in self.under_way if item[0] > self.now_ns]
            for action in due:
                action()
            self.ground.tick(self.now_ns)
            self.rover.tick(self.now_ns)

    def outcomes(self, camera: str = 'front') -> list[Outcome]:
        return [Outcome(notice.outcome) for notice in self.notices if notice.camera == camera]

    def _later(self, delay_ns: int, action: Callable[[], object]) -> None:
        self.under_way.append((self.now_ns + delay_ns, action))

    def _ask(self, data: bytes) -> bool:
        self.asked.append(self.now_ns)
        if not self.lose('ask'):
            self._later(self.delay_ns, lambda: self.rover.take(data, self.now_ns))
        return True

    def _say(self, data: bytes) -> bool:
        self.said += 1
        if not self.lose('word'):
            self._later(self.delay_ns, lambda: self.ground.take(data))
        return True

    def _offer(self, data: bytes, deadline_ns: int, on_sent: Callable[[], None]) -> bool:
        self.in_link += 1
        self.most_in_link = max(self.most_in_link, self.in_link)

        def leave() -> None:
            self.in_link -= 1
            on_sent()
            if not self.lose('answer'):
                self._later(self.delay_ns, lambda: self.ground.take(data))
        self._later(self.answer_ns, leave)
        return True

    def _ask_sender(self, request: RegionRequest) -> bool:
        if self.sender:
            self.requests.append(request)
            answer = self.reply(request)
            if answer is not None:
                self._later(STEP, lambda: self.rover.take_region(
                    request.camera, answer, self.now_ns))
        return self.sender


def region(request: RegionRequest, **fields: object) -> GscRegion:
    """Return what a sender answers."""
    answer = GscRegion(**({
        'camera': request.camera, 'number': request.number, 'x': request.x, 'y': request.y,
        'width': request.width, 'height': request.height, 'image_width': 320,
        'image_height': 240, 'payload': array('B', PAYLOAD)} | fields))
    answer.header.stamp = request.header.stamp
    answer.header.frame_id = 'front_optical'
    return answer


def refusal(outcome: Outcome) -> Callable[[RegionRequest], GscRegion]:
    return lambda request: GscRegion(
        camera=request.camera, number=request.number, refusal=int(outcome))


def test_a_request_is_answered_with_the_region_and_each_step_is_told():
    world = World()
    world.ask(ttl_s=20)
    world.run(5)
    assert world.outcomes() == DONE
    request, answer = world.requests[0], world.answers[0]
    assert (request.header.stamp.sec, request.quality, request.max_bytes) == (77, 50, world.room)
    assert bytes(answer.payload) == PAYLOAD
    assert (answer.header.stamp.sec, answer.header.frame_id) == (77, 'front_optical')
    assert (answer.x, answer.y, answer.width, answer.height) == (8, 4, 64, 48)
    assert (answer.image_width, answer.image_height) == (320, 240)
    notice = world.notices[-1]
    assert (notice.header.stamp.sec, notice.x, notice.number) == (77, 8, request.number)
    assert notice.text == Outcome.ARRIVED.text
    assert world.ground.waiting == 0


@pytest.mark.parametrize('outcome', [
    Outcome.OUTSIDE, Outcome.TOO_OLD, Outcome.NO_IMAGE, Outcome.NO_ROOM, Outcome.FAILED])
def test_a_refusal_of_the_sender_comes_back(outcome: Outcome):
    world = World()
    world.reply = refusal(outcome)
    world.ask()
    world.run(5)
    assert world.outcomes() == [Outcome.ACCEPTED, outcome]
    assert outcome.text in world.ground.trouble and outcome.text in world.rover.trouble
    assert not world.answers


@pytest.mark.parametrize('camera, fields, outcome', [
    ('rear', {}, Outcome.NO_CAMERA), ('front', {'width': 0}, Outcome.MALFORMED),
    ('front', {'height': 0}, Outcome.MALFORMED), ('front', {'quality': 0}, Outcome.MALFORMED),
    ('front', {'quality': 101}, Outcome.MALFORMED), ('front', {'ttl_s': -1.0}, Outcome.MALFORMED)])
def test_what_can_be_refused_on_the_ground_costs_the_link_nothing(
        camera: str, fields: dict[str, float], outcome: Outcome):
    world = World()
    world.ask(camera, **fields)
    assert world.outcomes(camera) == [outcome]
    assert not world.asked


def test_a_camera_without_a_sender_is_refused():
    world = World(sender=False)
    world.ask()
    world.run(3)
    assert world.outcomes() == [Outcome.NO_CAMERA]


def test_a_camera_that_the_rover_does_not_carry_is_refused():
    world = World()
    world.rover._cameras = ('left',)
    world.ask()
    world.run(3)
    assert world.outcomes() == [Outcome.NO_CAMERA]


def test_a_sender_that_never_answers_is_given_up():
    world = World()
    world.reply = lambda request: None
    world.ask()
    world.run(SENDER_PATIENCE_NS / SECOND + 3)
    assert world.outcomes() == [Outcome.ACCEPTED, Outcome.NO_CAMERA]


def test_a_request_ends_with_its_ttl():
    world = World(lose=lambda kind: True)
    world.ask(ttl_s=10)
    world.run(9)
    assert not world.notices
    world.run(2)
    assert world.outcomes() == [Outcome.EXPIRED]
    assert len(world.asked) == 4
    world.run(20)
    assert len(world.asked) == 4


def test_an_answer_that_cannot_leave_within_ttl_is_given_up_on_the_rover():
    world = World(answer_ns=30 * SECOND)
    world.ask(ttl_s=8)
    world.run(12)
    assert world.outcomes() == [Outcome.ACCEPTED, Outcome.EXPIRED]
    assert world.rover.counters[Outcome.EXPIRED] == 1


def test_newest_request_of_a_camera_wins_and_others_are_left_alone():
    world = World(answer_ns=5 * SECOND)
    world.ask('left', x=1)
    for x in range(10):
        world.ask('front', x=x)
    world.run(30)
    assert world.outcomes('left') == DONE
    assert world.outcomes('front') == 9 * [Outcome.SUPERSEDED] + DONE
    assert [request.x for request in world.requests if request.camera == 'front'] == [0, 9]
    assert [answer.x for answer in world.answers if answer.camera == 'front'][-1] == 9


def test_a_flood_of_requests_takes_one_message_per_second_and_camera():
    world = World(answer_ns=3 * SECOND)
    for _ in range(150):
        world.ask()
        world.run(0.2)
    assert len(world.asked) <= 31
    assert world.most_in_link == 1
    world.run(20)
    assert world.outcomes()[-2:] == DONE
    assert world.outcomes().count(Outcome.SUPERSEDED) == 149
    assert world.ground.waiting == 0


@pytest.mark.parametrize('seed', range(5))
def test_requests_words_and_answers_may_be_lost(seed: int):
    chance = random.Random(seed)
    world = World(lose=lambda kind: chance.random() < 0.4)
    for _ in range(5):
        world.ask(ttl_s=120)
        world.run(120)
    assert world.outcomes().count(Outcome.ARRIVED) == 5
    assert len(world.answers) == 5
    # Asking again does not make the sender code again.
    assert len(world.requests) == 5


def test_an_answer_that_was_lost_is_sent_once_more():
    lost = ['answer']
    world = World(lose=lambda kind: bool(kind in lost and not lost.remove(kind)))
    world.ask(ttl_s=60)
    world.run(30)
    assert world.outcomes()[-1] is Outcome.ARRIVED
    assert len(world.answers) == len(world.requests) == 1


def test_a_rover_that_restarts_is_asked_again_before_it_has_accepted():
    world = World(lose=lambda kind: kind == 'word' and world.said < 3)
    world.ask(ttl_s=60)
    world.run(2)
    world.rover.clear()
    world.run(30)
    assert world.outcomes()[-1] is Outcome.ARRIVED


@pytest.mark.parametrize('fields', [
    {'camera': 'left'}, {'width': 63}, {'width': 0}, {'image_width': 60}, {'payload': b''},
    {'payload': array('B', PAYLOAD[:-1])}, {'payload': array('B', bytes(70_000))},
    {'refusal': 200}, {'refusal': int(Outcome.SENT)}])
def test_what_a_sender_may_not_answer_stays_off_the_link(fields: dict[str, object]):
    world = World()
    world.reply = lambda request: region(request, **fields)
    world.ask(ttl_s=10)
    world.run(5)
    assert world.most_in_link == 0
    assert world.outcomes()[:1] == [Outcome.ACCEPTED]
    assert not world.answers


def test_an_answer_larger_than_its_limit_stays_off_the_link():
    world = World(room=len(PAYLOAD) - 1)
    world.ask()
    world.run(5)
    assert world.outcomes() == [Outcome.ACCEPTED, Outcome.NO_ROOM]


def test_answers_nobody_waits_for_are_left_out():
    world = World()
    world.rover.take_region('front', region(RegionRequest(
        camera='front', width=64, height=48)), world.now_ns)
    world.ask()
    world.run(0.6)
    world.rover.take_region('front', region(RegionRequest(
        camera='front', number=1 + world.requests[0].number, width=64, height=48)), world.now_ns)
    world.run(5)
    assert len(world.answers) == 1


def test_an_answer_after_a_restart_of_the_ground_is_published():
    world = World(answer_ns=3 * SECOND)
    world.ask()
    world.run(2)
    world.ground.clear()
    world.run(5)
    assert len(world.answers) == 1


def test_what_is_too_long_for_the_link_ends_the_request():
    world = World()

    def refuse(*_: object) -> bool:
        raise ValueError('does not fit')
    world.rover._offer = refuse
    world.ask()
    world.run(5)
    assert world.outcomes() == [Outcome.ACCEPTED, Outcome.NO_ROOM]
    world.ground._send = refuse
    world.ask('left')
    assert world.outcomes('left') == [Outcome.NO_ROOM]
    assert 'does not fit' in world.notices[-1].text
