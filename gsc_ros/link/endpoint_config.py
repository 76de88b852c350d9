# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The configuration of one end of a link."""

from __future__ import annotations

from dataclasses import dataclass, field

from gsc_ros.link.datagram.reassembly import ReassemblyLimits
from gsc_ros.link.record.cipher import Direction
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.repair.repair import RepairConfig
from gsc_ros.link.schedule.message import CameraPolicy
from gsc_ros.link.schedule.scheduler import SchedulerConfig

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


@dataclass(frozen=True)
class EndpointConfig:
    """
    Configure one end of a link.

    :param rate_bps: hard budget of what this end sends, in bit/s, >= 1; everything counts.
    :param burst_bits: most bits that may leave at once, at least one full datagram as it is on the
        wire; 0 chooses two of them, or one and 50 ms of the rate if that is more.
    :param record: how datagrams are protected, and which end this is.
    :param repair: what is done about lost datagrams.
    :param scheduler: bounds and shares of the queues.
    :param reassembly: bounds on memory for what arrives.
    :param policy: for cameras that have none of their own.
    :param expiry_ns: a frame that has not begun to leave by then is dropped; 0: never.
    :param announce_period_ns: cameras in use are announced again this often while the far end is
        not heard; one that is heard asks for what it lacks.
    :param heartbeat_period_ns: after so much silence of this end it sends a heartbeat.
    :param receipt_period_ns: least time between two receipts from this end.
    :param silence_ns: the far end counts as connected for so long after it was heard.
    :raises ValueError: when a value is out of range.
    """

    rate_bps: int
    burst_bits: int = 0
    record: RecordConfig = field(default_factory=lambda: RecordConfig(Direction.ROVER))
    repair: RepairConfig = field(default_factory=RepairConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    reassembly: ReassemblyLimits = field(default_factory=ReassemblyLimits)
    policy: CameraPolicy = field(default_factory=CameraPolicy)
    expiry_ns: int = 5 * NS_PER_S
    announce_period_ns: int = 60 * NS_PER_S
    heartbeat_period_ns: int = 2 * NS_PER_S
    receipt_period_ns: int = NS_PER_S
    silence_ns: int = 6 * NS_PER_S

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.rate_bps < 1:
            raise ValueError(f'rate_bps must be >= 1, got {self.rate_bps}')
        if self.burst_bits < 0 or self.expiry_ns < 0:
            raise ValueError('burst_bits and expiry_ns must be >= 0')
        for name in ('announce_period_ns', 'heartbeat_period_ns', 'receipt_period_ns',
                     'silence_ns'):
            if getattr(self, name) < NS_PER_MS:
                raise ValueError(f'{name} must be >= 1 ms')
