# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The rover's end of the back channel: what the ground asks for beside frames that stand alone.

    region request ════> <camera>/gsc/region_request ──> sender ──> <camera>/gsc/region ════> answer
    parameter change ══> allow-list ──> <node>/set_parameters, or this node ═══════════════> answer
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
import math
import time

from gsc_ros.link.endpoint import Delivery, ReceivedBulk, ReceivedControl
from gsc_ros.link.schedule.scheduler import BulkRank, SchedulerConfig
from gsc_ros.msg import GscRegion, RegionRequest
from gsc_ros.nodes.back_channel import MAX_MESSAGE_BYTES, MessageType
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.lifecycle import ManagedNode
from gsc_ros.nodes.parameter_client import ParameterClient
from gsc_ros.nodes.parameter_exchange import RoverParameters
from gsc_ros.nodes.pump import SharedEnd
from gsc_ros.nodes.qos import notice_qos
from gsc_ros.nodes.region import ANSWER_HEAD_BYTES, link_bytes
from gsc_ros.nodes.region_rover import RoverRegions
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.timer import Timer

TICK_S = 0.2
# Messages of the ground that wait for the executor, at most.
INBOX = 64

_REQUESTS = {bytes([kind]) for kind in (MessageType.REGION_REQUEST, MessageType.PARAMETER_CHANGE)}


class RoverBackChannel:
    """
    Answers requests for regions and changes of parameters.

    All work is done on the executor's thread; the pump only hands messages over.
    """

    def __init__(self, node: ManagedNode, cameras: Sequence[str], end: SharedEnd) -> None:
        """Advertise the requests; nothing is taken before :meth:`start`."""
        self._node = node
        self._end = end
        self._cameras = tuple(cameras)
        self._inbox: deque[bytes] = deque(maxlen=INBOX)
        self._active = False
        self._subscriptions: list[Subscription] = []
        self._timer: Timer | None = None
        self._requests: dict[str, Publisher] = {
            name: node.create_lifecycle_publisher(
                RegionRequest, f'{name}/gsc/region_request', notice_qos())
            for name in self._cameras}
        self._parameter_client = ParameterClient(node)
        self._regions = RoverRegions(
            self._cameras, end.offer_control, self._offer, self._ask_sender, self._room)
        self._parameters = RoverParameters(
            lambda: node.settings.remote_parameters, end.offer_control,
            self._parameter_client.set,
            lambda: self._end.use(lambda end, _: end.max_control_bytes))
        self._wake = node.create_guard_condition(self._work)

    def start(self) -> None:
        """Listen to the ground and to the senders."""
        self._subscriptions = [
            self._node.create_subscription(
                GscRegion, f'{name}/gsc/region',
                lambda region, name=name: self._regions.take_region(
                    name, region, time.monotonic_ns()), notice_qos())
            for name in self._cameras]
        self._timer = self._node.create_timer(TICK_S, self._work, clock=self._node.steady_clock)
        self._active = True

    def stop(self) -> None:
        """Forget all requests."""
        self._active = False
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        self._inbox.clear()
        self._regions.clear()

    def close(self) -> None:
        """Release publishers and clients."""
        for publisher in self._requests.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._parameter_client.close()
        self._node.destroy_guard_condition(self._wake)

    def take(self, delivery: Delivery) -> bool:
        """Take a message of the ground, on any thread; return whether it is one for this end."""
        mine = isinstance(delivery, (ReceivedControl, ReceivedBulk)) and (
            delivery.data[:1] in _REQUESTS and len(delivery.data) <= MAX_MESSAGE_BYTES)
        if mine:
            self._inbox.append(delivery.data)
            self._wake.trigger()
        return mine

    def diagnose(self) -> Iterable[Report]:
        """Yield what has been asked for, once something was."""
        regions, parameters = self._regions, self._parameters
        counts = {outcome.name.lower(): count
                  for outcome, count in regions.counters.items() if count}
        if counts:
            yield Report('regions', Level.WARN if regions.trouble else Level.OK,
                         regions.trouble or 'answering', counts)
            regions.trouble = None
        if parameters.accepted or parameters.refused:
            yield Report('remote parameters', Level.OK, 'taking changes', {
                'accepted': parameters.accepted, 'refused': parameters.refused})

    def _work(self) -> None:
        if not self._active:
            return
        now_ns = time.monotonic_ns()
        while self._inbox:
            data = self._inbox.popleft()
            if not self._regions.take(data, now_ns):
                self._parameters.take(data)
        self._regions.tick(now_ns)
        self._parameter_client.tick(time.monotonic())

    def _offer(self, answer: bytes, deadline_ns: int, on_sent: Callable[[], None]) -> bool:
        return self._end.offer_bulk(answer, BulkRank.REGION, deadline_ns, on_sent)

    def _ask_sender(self, request: RegionRequest) -> bool:
        publisher = self._requests[request.camera]
        if publisher.get_subscription_count() == 0:
            return False
        publisher.publish(request)
        return True

    def _room(self, seconds: float | None) -> int:
        """Return the bytes that regions get for certain within so many seconds of the ground's."""
        statistics = self._end.statistics()
        if seconds is not None and math.isfinite(statistics.round_trip):
            seconds -= statistics.round_trip
        largest, bits = self._end.use(
            lambda end, _: (end.max_bulk_bytes, end.message_bits(end.max_bulk_bytes)))
        room = link_bytes(
            SchedulerConfig().region_share * statistics.budget_bps, 8 * largest / bits, seconds)
        return max(0, min(room, largest - ANSWER_HEAD_BYTES))
