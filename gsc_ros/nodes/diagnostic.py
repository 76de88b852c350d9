# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reports on `/diagnostics`: what limits a node now, and the counters that prove it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

# Letters of a foreign name or value that a message repeats, at most.
MAX_QUOTED = 80


class Level(Enum):
    """Severity, as diagnostic_msgs spells it."""

    OK = DiagnosticStatus.OK
    WARN = DiagnosticStatus.WARN
    ERROR = DiagnosticStatus.ERROR


@dataclass(frozen=True)
class Report:
    """State of one part of a node. `message` names the limiting cause in a few words."""

    part: str
    level: Level
    message: str
    values: Mapping[str, object] = field(default_factory=dict)


class Reporter:
    """Publishes the reports of one node; works in every lifecycle state."""

    def __init__(self, node: Node) -> None:
        """Advertise `/diagnostics` for `node`."""
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)

    def publish(self, reports: Iterable[Report]) -> None:
        """Publish one array, stamped now."""
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        name = self._node.get_fully_qualified_name().lstrip('/')
        array.status = [DiagnosticStatus(
            level=report.level.value, name=f'{name}: {report.part}', message=report.message,
            hardware_id=name,
            values=[KeyValue(key=key, value=_text(value)) for key, value in report.values.items()],
        ) for report in reports]
        self._publisher.publish(array)


def _text(value: object) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def brief(text: str) -> str:
    """Return `text`, which somebody else has chosen, short enough for a log line."""
    return text if len(text) <= MAX_QUOTED else f'{text[:MAX_QUOTED]}...'
