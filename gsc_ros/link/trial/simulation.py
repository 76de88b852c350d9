# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Both ends of a link over modelled channels, in simulated time.

    feeds (coded frames) ──> rover ~~~ channel ~~~> ground ──> outcomes, trace

A run takes as long as the processor needs for it. The same settings give the same run: also the
epochs, which a real end must draw at random, follow from the seed of the channel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
import heapq
from itertools import count
from random import Random

from gsc_ros.link.audit import BudgetAudit, Departure, verify_budget
from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.datagram.framing import CameraAnnounce
from gsc_ros.link.endpoint import (
    Delivery,
    Endpoint,
    EndpointConfig,
    ReceivedControl,
    ReceivedFrame,
)
from gsc_ros.link.record.cipher import EPOCH_BYTES
from gsc_ros.link.schedule.scheduler import CameraPolicy, FrameMessage
from gsc_ros.link.statistic import LinkStatistics
from gsc_ros.link.transports.sim import connect

NS_PER_S = 1_000_000_000
# The bytes of a CameraInfo on the link, when the pictures bring none.
_CALIBRATION_BYTES = 80
_SENDER_SESSION = 5
_HEADER_BYTES = 12


@dataclass(frozen=True)
class CodedFrame:
    """
    A packet that may be cut.

    :param ends: its length in bytes after each layer, ascending.
    :param render: from a number of layers to the packet of that length.
    """

    ends: tuple[int, ...]
    render: Callable[[int], bytes]


@dataclass(frozen=True)
class Feed:
    """
    A camera and what it shows.

    :param name: of the camera.
    :param frames: coded frames; after the last one the first one follows.
    :param fps: frames per second.
    :param priority: 0 (most urgent) .. 255.
    :param policy: how its frames are treated.
    :param start_ns: when the first one is offered.
    """

    name: str
    frames: Sequence[CodedFrame]
    fps: float
    priority: int = 0
    policy: CameraPolicy = field(default_factory=CameraPolicy)
    start_ns: int = 0


@dataclass(frozen=True)
class LinkSetup:
    """
    Everything about a link but what is sent.

    :param rover: budget and rules of the sending end.
    :param ground: of the receiving end.
    :param forward: the channel from the rover to the ground.
    :param backward: the channel from the ground to the rover.
    :param mtu: largest datagram in bytes.
    :param overhead_bits: what the radio or IP adds to each datagram.
    """

    rover: EndpointConfig
    ground: EndpointConfig
    forward: ChannelConfig
    backward: ChannelConfig
    mtu: int
    overhead_bits: int = 0


def synthetic_frame(least_bytes: int, whole_bytes: int, layers: int = 12) -> CodedFrame:
    """
    Return a packet of no picture, whose layers grow by the same factor each.

    Like a real one it begins with a header that depends on where it is cut.

    :param least_bytes: with its first layer, >= 12.
    :param whole_bytes: with all of them.
    """
    steps = max(1, layers - 1)
    factor = whole_bytes / least_bytes
    ends = sorted({round(least_bytes * factor ** (step / steps)) for step in range(layers)})
    content = Random(whole_bytes).randbytes(whole_bytes)

    def render(kept: int) -> bytes:
        head = Random(ends[kept - 1]).randbytes(_HEADER_BYTES)
        return head + content[_HEADER_BYTES:ends[kept - 1]]

    return CodedFrame(tuple(ends), render)


class Fate(Enum):
    """What became of a frame."""

    WAITING = 'waiting'
    DROPPED = 'dropped'
    SENT = 'sent'
    DELIVERED = 'delivered'


@dataclass
class FrameOutcome:
    """
    What became of a frame that was offered; times are those of the simulation.

    :param camera: number of the feed.
    :param number: how-manyth of it, from 0.
    :param offered_ns: when it was offered.
    :param offered_bytes: its whole length.
    :param fate: SENT: it began to leave and has not arrived.
    :param begun_ns: when its first datagram left; None: never.
    :param delivered_ns: when it was handed on; None: never.
    :param layers: that were delivered.
    :param delivered_bytes: that were delivered.
    """

    camera: int
    number: int
    offered_ns: int
    offered_bytes: int
    fate: Fate = Fate.WAITING
    begun_ns: int | None = None
    delivered_ns: int | None = None
    layers: int = 0
    delivered_bytes: int = 0


class LinkRun:
    """
    One run; see the module's docstring.

    :param setup: the link.
    :param feeds: the cameras; their numbers are their places.
    :param control_period_ns: the rover sends a control message so often; 0: none.
    :raises ValueError: when a value is out of range.
    """

    def __init__(
        self, setup: LinkSetup, feeds: Sequence[Feed], control_period_ns: int = 0,
    ) -> None:
        """Make both ends."""
        self.setup = setup
        self.feeds = feeds
        self.now_ns = 0
        self.outcomes: list[FrameOutcome] = []
        self.trace: list[Departure] = []
        self.back_trace: list[Departure] = []
        self.controls_ns: list[int] = []
        self.offered_until_ns = 0
        self.measured: LinkStatistics | None = None
        self._control_period_ns = control_period_ns
        self._pending: dict[tuple[int, int], FrameOutcome] = {}
        self._actions: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._epochs = Random(f'{setup.forward.seed}:epochs')
        self._sides = connect(setup.forward, setup.backward, setup.mtu, setup.overhead_bits)
        self.start_rover()
        self.start_ground()
        for number, feed in enumerate(feeds):
            self.at(feed.start_ns, lambda number=number: self._offer(number, 0))
        if control_period_ns:
            self.at(0, self._send_control)

    def start_rover(self) -> None:
        """Replace the rover's end by one that knows nothing, as after a crash."""
        self.rover = Endpoint(
            self._restarted(self.setup.rover), self._sides[0], self.now_ns, self.trace.append)
        for number, feed in enumerate(self.feeds):
            self.rover.set_policy(number, feed.policy)
            self.rover.announce(CameraAnnounce(
                number, feed.name, f'{feed.name}_optical', feed.priority,
                bytes(_CALIBRATION_BYTES)))

    def start_ground(self) -> None:
        """Replace the ground's end by one that knows nothing, as after a crash."""
        self.ground = Endpoint(
            self._restarted(self.setup.ground), self._sides[1], self.now_ns,
            self.back_trace.append)

    def _restarted(self, config: EndpointConfig) -> EndpointConfig:
        epoch = self._epochs.randbytes(EPOCH_BYTES)
        return replace(config, record=replace(config.record, epoch=epoch))

    def at(self, time_ns: int, action: Callable[[], None]) -> None:
        """Call `action` at a time of the simulation."""
        heapq.heappush(self._actions, (time_ns, next(self._order), action))

    def run(self, seconds: float, drain_s: float = 0.0) -> None:
        """
        Let time pass.

        :param seconds: frames are offered for so long.
        :param drain_s: then what is under way may still arrive for so long.
        """
        self.offered_until_ns = self.now_ns + round(seconds * NS_PER_S)
        self._advance(self.offered_until_ns)
        self.measured = self.rover.statistics(self.now_ns)
        self._actions.clear()
        self._advance(self.now_ns + round(drain_s * NS_PER_S))

    def audits(self) -> tuple[BudgetAudit, BudgetAudit]:
        """Return whether the budget held, of the rover and of the ground."""
        return tuple(
            verify_budget(trace, statistics.budget_bps, statistics.burst_bits)
            for trace, statistics in (
                (self.trace, self.rover.statistics(self.now_ns)),
                (self.back_trace, self.ground.statistics(self.now_ns))))

    def _advance(self, end_ns: int) -> None:
        while self.now_ns < end_ns:
            while self._actions and self._actions[0][0] <= self.now_ns:
                heapq.heappop(self._actions)[2]()
            wakes = [self.rover.poll(self.now_ns), self.ground.poll(self.now_ns), end_ns]
            for delivery in self.ground.take_deliveries():
                self._take(delivery)
            self.rover.take_deliveries()
            # An end learns at its next poll of what the other has just sent.
            wakes += [arrival for side in self._sides
                      if (arrival := side.next_arrival_ns()) is not None]
            if self._actions:
                wakes.append(self._actions[0][0])
            self.now_ns = max(self.now_ns + 1, min(wakes))

    def _offer(self, camera: int, number: int) -> None:
        feed = self.feeds[camera]
        frame = feed.frames[number % len(feed.frames)]
        outcome = FrameOutcome(camera, number, self.now_ns, frame.ends[-1])
        self.outcomes.append(outcome)
        self._pending[camera, number] = outcome

        def render(layers: int) -> bytes:
            if outcome.begun_ns is None:
                outcome.fate, outcome.begun_ns = Fate.SENT, self.now_ns
            return frame.render(layers)

        taken = self.rover.offer_frame(FrameMessage(
            camera, feed.priority, number, _SENDER_SESSION, self.now_ns, frame.ends, render,
            on_dropped=lambda: self._drop(outcome)), self.now_ns)
        if not taken:
            self._drop(outcome)
        self.at(feed.start_ns + round((number + 1) * NS_PER_S / feed.fps),
                lambda: self._offer(camera, number + 1))

    def _drop(self, outcome: FrameOutcome) -> None:
        if outcome.fate is not Fate.DELIVERED:
            outcome.fate = Fate.DROPPED
            self._pending.pop((outcome.camera, outcome.number), None)

    def _send_control(self) -> None:
        self.rover.offer_control(self.now_ns.to_bytes(8, 'big'), self.now_ns)
        self.at(self.now_ns + self._control_period_ns, self._send_control)

    def _take(self, delivery: Delivery) -> None:
        if isinstance(delivery, ReceivedControl):
            self.controls_ns.append(self.now_ns - int.from_bytes(delivery.data, 'big'))
        elif isinstance(delivery, ReceivedFrame):
            outcome = self._pending.pop((delivery.camera_id, delivery.sequence), None)
            if outcome is not None:
                feed = self.feeds[outcome.camera]
                frame = feed.frames[outcome.number % len(feed.frames)]
                outcome.fate, outcome.delivered_ns = Fate.DELIVERED, self.now_ns
                outcome.delivered_bytes = len(delivery.payload)
                outcome.layers = 1 + frame.ends.index(len(delivery.payload))
