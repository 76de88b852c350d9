# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Regions and parameters over two ends of a link whose datagrams are small."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from codec_image import picture
from gsc_ros.codec.frame import EncoderSettings, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.link.audit import Departure
from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.endpoint import BulkRank, Endpoint, EndpointConfig
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.transports.sim import connect
from gsc_ros.msg import GscRegion, RegionNotice, RegionRequest
from gsc_ros.nodes.back_channel import (
    ask_period_s,
    MAX_MESSAGE_BYTES,
    offer_message,
    REFRESH_BYTES,
    RefreshRequest,
    SHARE,
)
from gsc_ros.nodes.parameter_exchange import GroundParameters, RoverParameters
from gsc_ros.nodes.region import Outcome
from gsc_ros.nodes.region_ground import GroundRegions
from gsc_ros.nodes.region_rover import RoverRegions
from gsc_ros.nodes.remote_parameter import message, Scalar
import pytest

S = 10 ** 9
CAMERA = 'camera_of_' + 54 * 'x'
PAYLOAD = FrameEncoder(load_profile('tiny')).encode(
    picture(48, 64), EncoderSettings(channels=2)).payload
IP_BITS = 8 * 28


class World:
    """Both bridges' ends of a link and of the back channel, without ROS, in simulated time."""

    def __init__(self, suite: Suite, mtu: int, loss: float = 0.0, rate_bps: int = 9600) -> None:
        keys = None if suite is Suite.NONE else KeyRing.random()
        sides = connect(ChannelConfig(rate_bps=rate_bps, loss=loss, seed=1),
                        ChannelConfig(rate_bps=rate_bps, loss=loss, seed=2), mtu, IP_BITS)
        self.now_ns = 0
        self.departures: list[Departure] = []
        self.rover_end, self.ground_end = (
            Endpoint(EndpointConfig(bps, record=RecordConfig(direction, suite, keys)), side, 0,
                     trace)
            for bps, direction, side, trace in zip(
                (rate_bps, rate_bps // 10), (Direction.ROVER, Direction.GROUND), sides,
                (None, self.departures.append)))
        self.notices: list[RegionNotice] = []
        self.answers: list[GscRegion] = []
        self.values: dict[str, Scalar] = {}
        self.results: list[tuple[bool, str]] = []
        self.ground_regions = GroundRegions(
            (CAMERA,), self._ask, self._pause_ns, self.notices.append, self.answers.append)
        self.ground_parameters = GroundParameters(self._ask, self._pause_ns)
        self.rover_regions = RoverRegions(
            (CAMERA,), self._say,
            lambda data, deadline_ns, sent: self.rover_end.offer_bulk(
                data, BulkRank.REGION, self.now_ns, deadline_ns, sent),
            self._ask_sender, lambda seconds: 10_000)
        self.rover_parameters = RoverParameters(
            lambda: ('sender.*.caption',), self._say, self._apply,
            lambda: self.rover_end.max_control_bytes)

    def run(self, seconds: float) -> None:
        end_ns = self.now_ns + round(seconds * S)
        while self.now_ns < end_ns:
            wakes = [end.poll(self.now_ns) for end in (
                self.rover_end, self.ground_end, self.rover_end)]
            for delivery in self.rover_end.take_deliveries():
                if not self.rover_regions.take(delivery.data, self.now_ns):
                    assert self.rover_parameters.take(delivery.data)
            for delivery in self.ground_end.take_deliveries():
                if not self.ground_regions.take(delivery.data):
                    assert self.ground_parameters.take(delivery.data)
            self.ground_regions.tick(self.now_ns)
            self.ground_parameters.tick(self.now_ns)
            self.rover_regions.tick(self.now_ns)
            self.now_ns = min(*wakes, self.now_ns + S // 5)

    def _ask(self, data: bytes) -> bool:
        return offer_message(self.ground_end, data, self.now_ns)

    def _say(self, data: bytes) -> bool:
        return self.rover_end.offer_control(data, self.now_ns)

    def _pause_ns(self, size: int) -> int:
        return round(S * ask_period_s(
            1, self.ground_end.statistics(self.now_ns).budget_bps,
            self.ground_end.message_bits(size)))

    def _ask_sender(self, request: RegionRequest) -> bool:
        answer = GscRegion(
            camera=request.camera, number=request.number, x=request.x, y=request.y,
            width=request.width, height=request.height, image_width=320, image_height=240,
            payload=array('B', PAYLOAD))
        answer.header.frame_id = 64 * 'f'
        self.rover_regions.take_region(request.camera, answer, self.now_ns)
        return True

    def _apply(self, node: str, name: str, value: Scalar,
               done: Callable[[bool, str], None]) -> None:
        self.values[f'{node}.{name}'] = value
        done(True, '')


SMALLEST = pytest.mark.parametrize('suite, mtu, loss', [
    (Suite.NONE, 32, 0.0), (Suite.AES_CCM, 32, 0.0), (Suite.CHACHA20_POLY1305, 35, 0.0),
    (Suite.AES_CCM, 32, 0.1)])


@SMALLEST
def test_a_region_is_asked_for_and_answered_over_the_smallest_datagrams(
        suite: Suite, mtu: int, loss: float):
    world = World(suite, mtu, loss)
    world.run(5)
    request = RegionRequest(camera=CAMERA, width=64, height=48, quality=50)
    world.ground_regions.ask(request, world.now_ns)
    world.run(60)
    assert [notice.outcome for notice in world.notices][-1] == Outcome.ARRIVED
    assert bytes(world.answers[0].payload) == PAYLOAD


@SMALLEST
def test_a_parameter_is_set_over_the_smallest_datagrams(suite: Suite, mtu: int, loss: float):
    world = World(suite, mtu, loss)
    world.run(5)
    name, value = f'sender.{CAMERA}.caption', 400 * 'w'
    world.ground_parameters.set(
        name, message(value), world.now_ns, 120 * S, lambda *result: world.results.append(result))
    world.run(120)
    assert world.values == {name: value}
    assert world.results == [(True, '')]


def test_what_the_rover_would_not_take_is_refused_in_words():
    world = World(Suite.AES_CCM, 256)
    world.ground_parameters.set(
        'sender.front.caption', message(MAX_MESSAGE_BYTES * 'w'), 0, S,
        lambda *result: world.results.append(result))
    assert world.results == [(False, (
        'name and value are too long: they take 1051 bytes, and at most 1024 cross'))]


def test_refreshes_take_their_share_of_what_is_really_on_the_wire():
    world = World(Suite.AES_CCM, 128, rate_bps=2400)
    world.run(5)
    before = world.ground_end.statistics(world.now_ns)
    assert world.ground_end.offer_control(RefreshRequest(0, 1, 2).pack(), world.now_ns)
    bits = world.ground_end.message_bits(REFRESH_BYTES)
    assert bits == 8 * (REFRESH_BYTES + 1 + 9) + IP_BITS
    assert bits / ask_period_s(1, before.budget_bps, bits) <= SHARE * before.budget_bps


@pytest.mark.parametrize('size', [1, 22, 23, 100, 500])
def test_what_a_message_takes_on_the_wire_is_not_underestimated(size: int):
    world = World(Suite.AES_CCM, 32)
    world.run(10)
    world.departures.clear()
    assert offer_message(world.ground_end, bytes(size), world.now_ns)
    kind = 'control' if size <= world.ground_end.max_control_bytes else 'region'
    for _ in range(200):
        world.now_ns += S // 5
        for end in (world.rover_end, world.ground_end):
            end.poll(world.now_ns)
            end.take_deliveries()
    taken = sum(departure.bits for departure in world.departures if departure.kind == kind)
    assert 0 < taken <= world.ground_end.message_bits(size)
