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

from gsc_ros.link.endpoint import Delivery, ReceivedBulk, ReceivedControl
from gsc_ros.msg import GscRegion, RegionNotice, RegionRequest
from gsc_ros.nodes.back_channel import ask_period_s, MessageType, offer_message
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.lifecycle import ManagedNode
from gsc_ros.nodes.parameter_exchange import GroundParameters
from gsc_ros.nodes.pump import SharedEnd
from gsc_ros.nodes.qos import ground_qos, notice_qos
from gsc_ros.nodes.region import Outcome
from gsc_ros.nodes.region_ground import GroundRegions
from gsc_ros.nodes.remote_service import RemoteService
from gsc_ros.nodes.schema import BridgeParameters
from rcl_interfaces.msg import Parameter
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.timer import Timer

TICK_S = 0.2
# Messages of the rover, and calls of the service, that wait for the executor, at most.
INBOX = 64

_CONTROL = {bytes([kind]) for kind in (MessageType.REGION_NOTICE, MessageType.PARAMETER_ANSWER)}
_BULK = {bytes([MessageType.REGION_ANSWER])}


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
        self._inbox: deque[bytes] = deque(maxlen=INBOX)
        self._calls: deque[tuple[Parameter, Callable[[bool, str], None]]] = deque()
        self._active = False
        self._subscription: Subscription | None = None
        self._timer: Timer | None = None
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
        self._wake = node.create_guard_condition(self._work)

    def start(self) -> None:
        """Listen to operators and to the rover."""
        self._subscription = self._node.create_subscription(
            RegionRequest, f'{self._prefix}/region_request',
            lambda request: self._regions.ask(request, time.monotonic_ns()), notice_qos())
        self._timer = self._node.create_timer(TICK_S, self._work, clock=self._node.steady_clock)
        self._service = RemoteService(self._node, self._call)
        self._active = True

    def stop(self) -> None:
        """Forget all requests; calls of the service fail."""
        self._active = False
        if self._service is not None:
            self._service.close()
            self._service = None
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        self._inbox.clear()
        self._calls.clear()
        self._regions.clear()
        self._parameters.clear('the bridge has stopped')

    def close(self) -> None:
        """Release the publishers."""
        for publisher in (self._notices, *self._answers.values()):
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_guard_condition(self._wake)

    def take(self, delivery: Delivery) -> bool:
        """Take a message of the rover, on any thread; return whether it is one for this end."""
        mine = (isinstance(delivery, ReceivedControl) and delivery.data[:1] in _CONTROL) or (
            isinstance(delivery, ReceivedBulk) and delivery.data[:1] in _BULK)
        if mine:
            self._inbox.append(delivery.data)
            self._wake.trigger()
        return mine

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
        self._wake.trigger()

    def _work(self) -> None:
        if not self._active:
            return
        now_ns = time.monotonic_ns()
        while self._inbox:
            data = self._inbox.popleft()
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
