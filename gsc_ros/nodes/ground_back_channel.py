# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The ground's end of the back channel: what operators ask the rover for.

    <prefix>/region_request ──> ════ request ═══> rover
    <prefix>/region_notice <─── what becomes of it
    <prefix>/<camera>/gsc/region <════ answer ═══ rover
    remote/set_parameters <───> ════ change, answer ════ rover
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
import time

from gsc_ros.link.endpoint import Delivery
from gsc_ros.msg import GscRegion, RegionNotice, RegionRequest
from gsc_ros.nodes.back_channel import ask_period_s, MessageType, offer_message
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.inbox import Inbox
from gsc_ros.nodes.lifecycle import ManagedNode
from gsc_ros.nodes.parameter_exchange import GroundParameters
from gsc_ros.nodes.pump import SharedEnd
from gsc_ros.nodes.qos import ground_qos, notice_qos
from gsc_ros.nodes.region import Outcome
from gsc_ros.nodes.region_ground import GroundRegions
from gsc_ros.nodes.region_message import MAX_ANSWER_BYTES
from gsc_ros.nodes.remote_service import RemoteService
from gsc_ros.nodes.schema import BridgeParameters
from rcl_interfaces.msg import Parameter
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription


class GroundBackChannel:
    """
    Passes the requests of operators to the rover, and its answers to them.

    All work is done on the executor's thread; the pump and the service only hand over.
    """

    def __init__(self, node: ManagedNode, cameras: Sequence[str], end: SharedEnd,
                 settings: BridgeParameters) -> None:
        """Advertise the answers; nothing is asked before :meth:`start`."""
        self._node = node
        self._end = end
        self._cameras = tuple(cameras)
        self._prefix = settings.output_prefix
        self._inbox = Inbox(
            node, (MessageType.REGION_NOTICE, MessageType.PARAMETER_ANSWER,
                   MessageType.REGION_ANSWER), MAX_ANSWER_BYTES, self._work)
        self._calls: deque[tuple[Parameter, Callable[[bool, str], None]]] = deque()
        self._subscription: Subscription | None = None
        self._service: RemoteService | None = None
        self._notices = node.create_lifecycle_publisher(
            RegionNotice, f'{self._prefix}/region_notice', notice_qos())
        self._answers: dict[str, Publisher] = {
            name: node.create_lifecycle_publisher(
                GscRegion, f'{self._prefix}/{name}/gsc/region', ground_qos())
            for name in self._cameras}
        self._regions = GroundRegions(
            self._cameras, self._offer, self._pause_ns, self._notices.publish,
            lambda region: self._answers[region.camera].publish(region))
        self._parameters = GroundParameters(self._offer, self._pause_ns)

    def start(self) -> None:
        """Listen to operators and to the rover."""
        self._subscription = self._node.create_subscription(
            RegionRequest, f'{self._prefix}/region_request',
            lambda request: self._regions.ask(request, time.monotonic_ns()), notice_qos())
        self._service = RemoteService(self._node, self._call)
        self._inbox.open()

    def stop(self) -> None:
        """Forget all requests; calls of the service fail."""
        self._inbox.shut()
        if self._service is not None:
            self._service.close()
            self._service = None
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        self._calls.clear()
        self._regions.clear()
        self._parameters.clear('the bridge has stopped')

    def close(self) -> None:
        """Release the publishers."""
        for publisher in (self._notices, *self._answers.values()):
            self._node.destroy_lifecycle_publisher(publisher)
        self._inbox.close()

    def take(self, delivery: Delivery) -> bool:
        """Take a message of the rover, on any thread; return whether it is one for this end."""
        return self._inbox.take(delivery)

    def diagnose(self) -> Iterable[Report]:
        """Yield what has been asked for, once something was."""
        regions, parameters = self._regions, self._parameters
        counts = {outcome.name.lower(): count
                  for outcome, count in regions.counters.items() if count}
        if counts or regions.waiting:
            yield Report(
                'regions asked for', Level.WARN if regions.trouble else Level.OK,
                regions.trouble or (
                    'waiting for the rover' if regions.waiting else Outcome.ARRIVED.text),
                counts | {'waiting': regions.waiting})
            regions.trouble = None
        if parameters.asked:
            yield Report('remote parameters asked for', Level.OK, 'passing changes on', {
                'asked': parameters.asked, 'accepted': parameters.accepted,
                'refused': parameters.refused, 'expired': parameters.expired})

    def _call(self, parameter: Parameter, done: Callable[[bool, str], None]) -> None:
        """Hand a parameter of the service over, on its thread."""
        self._calls.append((parameter, done))
        self._inbox.wake()

    def _work(self) -> None:
        now_ns = time.monotonic_ns()
        for data in self._inbox.drain():
            if not self._regions.take(data):
                self._parameters.take(data)
        while self._calls:
            parameter, done = self._calls.popleft()
            self._parameters.set(
                parameter.name, parameter.value, now_ns,
                round(self._node.settings.remote_timeout_s * 1e9), done)
        self._regions.tick(now_ns)
        self._parameters.tick(now_ns)

    def _offer(self, data: bytes) -> bool:
        return self._end.use(lambda end, now_ns: offer_message(end, data, now_ns))

    def _pause_ns(self, data_bytes: int) -> int:
        """Return the time between two requests of that many bytes for each camera."""
        bits = self._end.message_bits(data_bytes)
        return round(1e9 * ask_period_s(len(self._cameras), self._end.budget_bps, bits))
