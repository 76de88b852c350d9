# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the rover that the ground sets, over a link that loses."""

from __future__ import annotations

from collections.abc import Callable
import random

from gsc_ros.nodes.parameter_exchange import (
    GroundParameters,
    MAX_ANSWERED,
    MAX_PENDING,
    RoverParameters,
)
from gsc_ros.nodes.remote_parameter import (
    allowed,
    MAX_REASON_BYTES,
    message,
    ParameterAnswer,
    ParameterChange,
    Scalar,
    scalar,
)
import pytest
from rcl_interfaces.msg import ParameterType, ParameterValue

SECOND = 10 ** 9
PATTERNS = ('sender.max_fps', 'sender.*.max_fps', 'bridge.target_fps')


class World:
    """Both ends, nodes that take every number but 13, and a link without delay."""

    def __init__(self, lose: Callable[[], bool] = lambda: False) -> None:
        self.now_ns = 0
        self.lose = lose
        self.room = 247
        self.values: dict[str, list[Scalar]] = {}
        self.results: dict[str, tuple[bool, str]] = {}
        self.sent: list[int] = []
        self.waiting: list[Callable[[bool, str], None]] | None = None
        self.ground = GroundParameters(self._ask, lambda size: SECOND)
        self.rover = RoverParameters(
            lambda: PATTERNS, self._say, self._apply, lambda: self.room)

    def set(self, name: str, value: Scalar | ParameterValue, timeout_s: float = 10.0) -> None:
        content = value if isinstance(value, ParameterValue) else message(value)
        self.ground.set(
            name, content, self.now_ns, round(timeout_s * SECOND),
            lambda accepted, reason: self._done(name, accepted, reason))

    def run(self, seconds: float) -> None:
        end_ns = self.now_ns + round(seconds * SECOND)
        while self.now_ns < end_ns:
            self.now_ns += SECOND // 5
            self.ground.tick(self.now_ns)

    def _done(self, name: str, accepted: bool, reason: str) -> None:
        assert name not in self.results, 'answered twice'
        self.results[name] = accepted, reason

    def _ask(self, data: bytes) -> bool:
        self.sent.append(self.now_ns)
        if not self.lose():
            self.rover.take(data)
        return True

    def _say(self, data: bytes) -> bool:
        if not self.lose():
            self.ground.take(data)
        return True

    def _apply(self, node: str, name: str, value: Scalar,
               done: Callable[[bool, str], None]) -> None:
        if self.waiting is not None:
            self.waiting.append(done)
            return
        self.values.setdefault(f'{node}.{name}', []).append(value)
        done(value != 13, '13 is bad luck' if value == 13 else '')


@pytest.mark.parametrize('value', [True, False, 7, -2 ** 63, 2.5, 'a rover', ''])
def test_scalars_keep_type_and_value(value: Scalar):
    back = scalar(message(value))
    assert back == value and type(back) is type(value)
    crossed = ParameterChange.parse(ParameterChange(1, 'sender.x', value).pack()).value
    assert crossed == value and type(crossed) is type(value)


def test_a_parameter_is_set_on_the_rover():
    world = World()
    world.set('sender.max_fps', 2.0)
    world.run(1)
    assert world.values == {'sender.max_fps': [2.0]}
    assert world.results == {'sender.max_fps': (True, '')}


def test_a_node_that_refuses_gives_its_reason():
    world = World()
    world.set('sender.max_fps', 13)
    world.run(1)
    assert world.results == {'sender.max_fps': (False, '13 is bad luck')}


@pytest.mark.parametrize('name', [
    'sender.profile', 'sender.max_fps.x', 'sender', '', 'bridge.link_bps', 'receiver.max_fps',
    'sender..max', 'max_fps', 'sender.front.left.max_fps', 'sender.' + 'x' * 200])
def test_what_is_not_on_the_list_is_refused_and_touches_nothing(name: str):
    world = World()
    world.set(name, 2.0)
    world.run(1)
    assert not world.results[name][0]
    assert 'remote_parameters' in world.results[name][1]
    assert not world.values


@pytest.mark.parametrize('name, patterns, expected', [
    ('sender.max_fps', ('sender.max_fps',), True), ('sender.front.max_fps', PATTERNS, True),
    ('sender.front.x', ('sender.*.*',), True), ('sender.front.x', ('sender.*',), False),
    ('sender.max_fps', (), False), ('a.b', ('*.*',), True), ('a', ('*',), False)])
def test_a_star_stands_for_one_word(name: str, patterns: tuple[str, ...], expected: bool):
    assert allowed(name, patterns) is expected


@pytest.mark.parametrize('value', [
    ParameterValue(), ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY),
    ParameterValue(type=ParameterType.PARAMETER_BYTE_ARRAY)])
def test_arrays_and_nothing_do_not_cross(value: ParameterValue):
    world = World()
    world.set('sender.max_fps', value)
    assert 'cross the link' in world.results['sender.max_fps'][1]
    assert not world.sent


def test_a_rover_that_is_silent_is_given_up_after_the_time_out():
    world = World(lose=lambda: True)
    world.set('sender.max_fps', 2.0, timeout_s=10)
    world.run(9.8)
    assert not world.results
    world.run(0.4)
    accepted, reason = world.results['sender.max_fps']
    assert not accepted and 'in time' in reason
    assert len(world.sent) == 4
    world.run(20)
    assert len(world.sent) == 4


@pytest.mark.parametrize('seed', range(5))
def test_lost_changes_are_repeated_and_applied_once(seed: int):
    chance = random.Random(seed)
    world = World(lose=lambda: chance.random() < 0.5)
    world.set('sender.max_fps', 2.0, timeout_s=300)
    world.run(300)
    assert world.values == {'sender.max_fps': [2.0]}
    assert world.results == {'sender.max_fps': (True, '')}


def test_a_late_copy_does_not_undo_a_newer_change():
    world = World()
    first = ParameterChange(1, 'sender.max_fps', 1.0).pack()
    for data in (first, ParameterChange(2, 'sender.max_fps', 2.0).pack(), first):
        world.rover.take(data)
    assert world.values == {'sender.max_fps': [1.0, 2.0]}


def test_a_copy_that_comes_while_the_node_thinks_is_not_applied_again():
    world = World()
    world.waiting = []
    world.set('sender.max_fps', 2.0)
    world.run(5)
    assert len(world.sent) == 2 and len(world.waiting) == 1
    world.waiting[0](True, '')
    assert world.results == {'sender.max_fps': (True, '')}


def test_changes_share_the_way_back_and_are_bounded():
    world = World(lose=lambda: True)
    for number in range(MAX_PENDING + 2):
        world.set(f'sender.c{number}.max_fps', 1.0, timeout_s=20)
    assert len(world.results) == 2
    world.run(5)
    assert len(world.sent) <= 6
    assert all(after - before >= SECOND for before, after in zip(world.sent, world.sent[1:]))


def test_what_the_rover_remembers_is_bounded():
    world = World()
    for number in range(3 * MAX_ANSWERED):
        world.rover.take(ParameterChange(number, 'sender.max_fps', number).pack())
    assert len(world.rover._answers) == MAX_ANSWERED


def test_a_change_too_long_for_the_link_is_refused_at_once():
    world = World()

    def refuse(data: bytes) -> bool:
        raise ValueError('does not fit into one datagram')
    world.ground._send = refuse
    world.set('sender.caption', 'x' * 2000)
    assert 'one datagram' in world.results['sender.caption'][1]
    world.set('sender.' + 'x' * 300, 1)
    assert '255' in world.results['sender.' + 'x' * 300][1]


def test_a_long_reason_is_cut_between_letters():
    answer = ParameterAnswer.parse(ParameterAnswer(1, False, 'ä' * 200).pack())
    assert answer.reason == 'ä' * (MAX_REASON_BYTES // 2)


def test_a_bridge_that_stops_gives_up_what_waits():
    world = World(lose=lambda: True)
    world.set('sender.max_fps', 2.0)
    world.ground.clear('the bridge has stopped')
    assert world.results == {'sender.max_fps': (False, 'the bridge has stopped')}


def test_a_reason_is_cut_to_what_a_datagram_of_the_link_holds():
    world = World()
    world.room = 22
    world.set('sender.profile', 'other')
    assert world.results == {'sender.profile': (False, 'sender.profile i')}
