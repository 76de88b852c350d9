# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The rover's end of the back channel: what the ground asks for beside frames that stand alone.

    region request ════> <camera>/gsc/region_request ──> sender ──> <camera>/gsc/region ════> answer
    parameter change ══> allow-list ──> <node>/set_parameters, or this node ═══════════════> answer
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
import math
import time

from gsc_ros.link.endpoint import Delivery
from gsc_ros.link.schedule.message import BulkRank
from gsc_ros.msg import GscRegion, RegionRequest
from gsc_ros.nodes.back_channel import MAX_MESSAGE_BYTES, MessageType
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.inbox import Inbox
from gsc_ros.nodes.lifecycle import ManagedNode
from gsc_ros.nodes.parameter_client import ParameterClient
from gsc_ros.nodes.parameter_exchange import RoverParameters
from gsc_ros.nodes.pump import SharedEnd
from gsc_ros.nodes.qos import notice_qos
from gsc_ros.nodes.region import ANSWER_HEAD_BYTES, link_bytes
from gsc_ros.nodes.region_rover import RoverRegions
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription


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
        self._inbox = Inbox(
            node, (MessageType.REGION_REQUEST, MessageType.PARAMETER_CHANGE), MAX_MESSAGE_BYTES,
            self._work)
        self._subscriptions: list[Subscription] = []
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

    def start(self) -> None:
        """Listen to the ground and to the senders."""
        self._subscriptions = [
            self._node.create_subscription(
                GscRegion, f'{name}/gsc/region',
                lambda region, name=name: self._regions.take_region(
                    name, region, time.monotonic_ns()), notice_qos())
            for name in self._cameras]
        self._inbox.open()

    def stop(self) -> None:
        """Forget all requests."""
        self._inbox.shut()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._regions.clear()

    def close(self) -> None:
        """Release publishers and clients."""
        for publisher in self._requests.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._parameter_client.close()
        self._inbox.close()

    def take(self, delivery: Delivery) -> bool:
        """Take a message of the ground, on any thread; return whether it is one for this end."""
        return self._inbox.take(delivery)

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
        now_ns = time.monotonic_ns()
        for data in self._inbox.drain():
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
        rate_bps, largest, bits = self._end.use(lambda end, _: (
            end.region_bps, end.max_bulk_bytes, end.message_bits(end.max_bulk_bytes)))
        room = link_bytes(rate_bps, 8 * largest / bits, seconds)
        return max(0, min(room, largest - ANSWER_HEAD_BYTES))
