# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Bridge: coded frames over a thin link, within its bit budget.

    <camera>/gsc ──> RoverSide ──> rover's end ═══ link ═══ ground's end ──> GroundSide ──>
                                                                       <prefix>/<camera>/gsc

The parameter `role` says which of the two halves run in this process: one on each machine, or
both over a simulated channel. `link.endpoint` decides what leaves when; the sides only give it
frames, and this node ties them to lifecycle, parameters and reports.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
import sys
import time
from typing import Protocol

from gsc_ros.link.endpoint import Delivery
from gsc_ros.msg import LinkStatus
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.ground_back_channel import GroundBackChannel
from gsc_ros.nodes.ground_side import GroundSide
from gsc_ros.nodes.lifecycle import LOG_PERIOD_S, ManagedNode
from gsc_ros.nodes.link import Link
from gsc_ros.nodes.link_report import (
    LinkReporter,
    spool_reports,
    status_message,
    transport_reports,
)
from gsc_ros.nodes.link_security import is_secure, key_ring
from gsc_ros.nodes.process import run
from gsc_ros.nodes.pump import LinkPump, SharedEnd
from gsc_ros.nodes.rover_back_channel import RoverBackChannel
from gsc_ros.nodes.rover_side import RoverSide
from gsc_ros.nodes.schema import BridgeParameters
from gsc_ros.nodes.trace import TraceFile
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.timer import Timer

STATUS_PERIOD_S = 1.0


class Side(Protocol):
    """A part of the bridge that works at one end of the link."""

    def start(self) -> None:
        """Begin to work, on activation."""

    def stop(self) -> None:
        """Pause."""

    def close(self) -> None:
        """Release what it holds."""

    def take(self, delivery: Delivery) -> bool:
        """Take what has reached the end, on the pump's thread; return whether it was its own."""

    def diagnose(self) -> Iterable[Report]:
        """Yield its state."""


class Bridge(ManagedNode):
    """Lifecycle node `bridge`."""

    def __init__(self) -> None:
        """Create the node with the process's ROS arguments."""
        self._trace: TraceFile | None = None
        self._link: Link | None = None
        self._pump: LinkPump | None = None
        self._rover: RoverSide | None = None
        self._sides: list[Side] = []
        self._status: Publisher | None = None
        self._timer: Timer | None = None
        super().__init__('bridge', BridgeParameters)
        self.add_post_set_parameters_callback(self._take_keys)

    def configure(self) -> None:
        """Make this process's ends of the link, and advertise what will arrive."""
        if self.settings.trace_file:
            self._trace = TraceFile(Path(self.settings.trace_file))
        self._link = Link(
            self.settings, time.monotonic_ns(), self._trace.write if self._trace else None)
        for path in self._link.set_aside:
            self.get_logger().error(f'the spool was damaged: it is now {path}, a new one begins')
        self._pump = LinkPump(self._link.ends, self._link.transports, self._link_failed)
        self._judge = LinkReporter(
            is_secure(self.settings), self.settings.one_way and self._link.rover is not None)
        self._status = self.create_lifecycle_publisher(LinkStatus, 'link_status', 10)
        if self._link.rover is not None:
            end = self._pump.ends[0]
            self._rover = RoverSide(self, end)
            self._join(end, self._rover, RoverBackChannel(
                self, self.settings.cameras, end))
        if self._link.ground is not None:
            end = self._pump.ends[-1]
            self._join(end, GroundSide(self, end), GroundBackChannel(
                self, self.settings.cameras, end, self.settings))

    def activate(self) -> None:
        """Take frames and let the link run."""
        for side in self._sides:
            side.start()
        self._timer = self.create_timer(
            STATUS_PERIOD_S, self._publish_status, clock=self.steady_clock)
        self._pump.start()

    def deactivate(self) -> None:
        """Take no more frames and stop the link."""
        for side in self._sides:
            side.stop()
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        if self._pump is not None:
            self._pump.stop()

    def cleanup(self) -> None:
        """Forget the link, close its ports and its trace."""
        for side in self._sides:
            side.close()
        self._sides.clear()
        self._rover = None
        if self._status is not None:
            self.destroy_lifecycle_publisher(self._status)
            self._status = None
        if self._pump is not None:
            self._pump.close()
            self._pump = None
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._trace is not None:
            self._trace.close()
            self._trace = None

    def settings_changed(self) -> None:
        """Change budget and policy of the running link."""
        if self._pump is not None:
            self._pump.ends[0].use(lambda _, now_ns: self._link.change(self.settings, now_ns))

    def refusal(self, name: str, value: object) -> str | None:
        """Return why a value does not suit the configured link, or None."""
        if self._link is None:
            return None
        if name == 'burst_bits':
            return self._link.burst_refusal(value)
        if name == 'key_file':
            try:
                key_ring(replace(self.settings, key_file=value))
            except ValueError as error:
                return str(error)
        return None

    def diagnose(self) -> Iterable[Report]:
        """Yield one report for the link, one for its transport, and one per camera."""
        changes = self._rover.changes if self._rover is not None else 0
        yield self._judge.report(self._pump.ends[0].statistics(), time.monotonic(), changes)
        yield from transport_reports(self._link.transports)
        yield from self._pump.ends[0].use(lambda _, __: list(spool_reports(self._link.ends)))
        if self._trace is not None and self._trace.lost:
            yield Report('trace', Level.WARN, f'incomplete: {self._trace.trouble}',
                         {'lost': self._trace.lost})
        reports: dict[str, Report] = {}
        for report in (report for side in self._sides for report in side.diagnose()):
            # Where both sides are here, a camera has one report; the rover's says how it is.
            known = reports.setdefault(report.part, report)
            reports[report.part] = replace(known, values={**known.values, **report.values})
        yield from reports.values()

    def _join(self, end: SharedEnd, *sides: Side) -> None:
        """Let each of `sides` look at what reaches an end, until one says that it was its own."""
        self._sides.extend(sides)
        end.deliver = lambda delivery: any(side.take(delivery) for side in sides)

    def _take_keys(self, changes: list[Parameter]) -> None:
        """Seal and open with the keys of the file from now on that was set, also if set again."""
        for change in changes:
            if change.name == 'key_file' and self._pump is not None:
                try:
                    keys = key_ring(replace(self.settings, key_file=change.value))
                except ValueError as error:  # the file has changed since it was looked at
                    self.get_logger().error(f'the keys stay as they were: {error}')
                    return
                if keys is not None:
                    self._pump.ends[0].use(lambda _, __, keys=keys: self._link.change_keys(keys))

    def _link_failed(self, error: Exception) -> None:
        if self.context.ok():  # else the process ends, and nothing can be published
            self.get_logger().error(f'link: {error!r}', throttle_duration_sec=LOG_PERIOD_S)

    def _publish_status(self) -> None:
        status = status_message(self.settings, *(end.statistics() for end in self._pump.ends))
        status.header.stamp = self.get_clock().now().to_msg()
        if self._rover is not None:
            status.dropped_invalid += self._rover.invalid
            status.dropped_reference = self._rover.refused
        self._status.publish(status)


def main() -> int:
    """Run the node as a process."""
    return run(Bridge)


if __name__ == '__main__':
    sys.exit(main())
