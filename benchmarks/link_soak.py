# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Run both ends of a link for hours of simulated time and audit every window of both directions.

    python benchmarks/link_soak.py [--hours 10] [--seed 0] [--json]

Cameras come and go, change rate, priority and calibration; ends and senders restart; the budget
changes; the channel loses singly and in bursts, damages, delays, duplicates and reorders. Datagrams
are encrypted and repaired. Exit status 1 when a window exceeds the budget or frames stop coming.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
import json
from random import Random
import sys
import time

from gsc_ros.link.audit import BudgetStep, Departure, verify_budget
from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.channel.loss import LossKind
from gsc_ros.link.datagram.framing import CameraAnnounce
from gsc_ros.link.endpoint import Endpoint, EndpointConfig, ReceivedFrame
from gsc_ros.link.record.cipher import Direction, EPOCH_BYTES, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.schedule.scheduler import CameraPolicy, FrameMessage
from gsc_ros.link.transports.sim import connect

S = 1_000_000_000
MS = 1_000_000
CAMERAS = 4
BACK_BPS = 1200


@dataclass(frozen=True)
class Figures:
    """What the soak found; excess in bits is negative when every window has room left."""

    hours: float
    frames_offered: int
    frames_received: int
    datagrams: int
    forward_excess_bits: float
    back_excess_bits: float
    used_share: float
    restarts: int
    budget_changes: int
    longest_gap_s: float
    held: bool
    wall_s: float


class Soak:
    """
    A link on which everything that may happen does.

    :param seed: the same seed repeats the run.
    """

    def __init__(self, seed: int) -> None:
        """Make both ends."""
        self._chance = Random(seed)
        self._mtu = self._chance.choice([64, 128, 256])
        self._keys = KeyRing.random()
        path = ChannelConfig(
            delay_ns=400 * MS, jitter_ns=200 * MS, loss=0.05, duplicate=0.01, reorder=0.02,
            loss_model=self._chance.choice(list(LossKind)),
            snr_db=self._chance.choice([9.0, 100.0]), seed=seed)
        self._rover_side, self._ground_side = connect(
            path, replace(path, seed=seed + 1), self._mtu)
        self._now_ns = 0
        self._rate_bps = 9600
        self._trace: list[Departure] = []
        self._back_trace: list[Departure] = []
        self._changes: list[BudgetStep] = []
        self._sequence = self._offered = self._received = self._restarts = 0
        self._sender_session = 1
        self._last_frame_ns = self._gap_ns = 0
        self._intervals_ns = [100 * MS] * CAMERAS
        self._next_ns = [0] * CAMERAS
        self._start_rover()
        self._start_ground()
        self._budget = (self._rate_bps, self._burst_bits())

    def run(self, hours: float) -> Figures:
        """Let time pass and return what was found."""
        start = time.monotonic()
        end_ns = int(hours * 3600 * S)
        next_event_ns = 0
        while self._now_ns < end_ns:
            if self._now_ns >= next_event_ns:
                self._disturb()
                next_event_ns = self._now_ns + self._chance.randrange(60 * S)
            self._offer()
            wakes = [self._rover.poll(self._now_ns), self._ground.poll(self._now_ns)]
            self._take()
            self._now_ns = min(*wakes, *self._next_ns, next_event_ns)
            # A process wakes late now and then.
            self._now_ns += self._chance.choice([0, 0, 0, MS, 20 * MS])
        forward = verify_budget(self._trace, *self._budget, self._changes)
        back = verify_budget(
            self._back_trace, BACK_BPS, self._ground.statistics(self._now_ns).burst_bits)
        spent = sum(
            step.rate_bps * (after - step.time_ns) for step, after in zip(
                [BudgetStep(0, *self._budget), *self._changes],
                [*(step.time_ns for step in self._changes), self._now_ns])) / S
        return Figures(
            hours, self._offered, self._received, len(self._trace),
            forward.excess_nanobits / S, back.excess_nanobits / S, forward.bits / spent,
            self._restarts, len(self._changes), self._gap_ns / S,
            forward.holds and back.holds and self._gap_ns < 60 * S, time.monotonic() - start)

    def _start_rover(self) -> None:
        self._rover = Endpoint(
            EndpointConfig(self._rate_bps, record=self._record(Direction.ROVER)),
            self._rover_side, self._now_ns, self._trace.append)
        for camera_id in range(CAMERAS):
            self._announce(camera_id)

    def _start_ground(self) -> None:
        self._ground = Endpoint(
            EndpointConfig(BACK_BPS, record=self._record(Direction.GROUND)),
            self._ground_side, self._now_ns, self._back_trace.append)

    def _record(self, direction: Direction) -> RecordConfig:
        epoch = self._chance.randbytes(EPOCH_BYTES)
        return RecordConfig(direction, Suite.AES_CCM, self._keys, epoch=epoch)

    def _announce(self, camera_id: int) -> None:
        calibration = self._chance.randbytes(self._chance.randrange(300))
        self._rover.announce(CameraAnnounce(camera_id, f'camera{camera_id}', '', 0, calibration))

    def _burst_bits(self) -> int:
        return self._rover.statistics(self._now_ns).burst_bits

    def _disturb(self) -> None:
        camera_id = self._chance.randrange(CAMERAS)
        event = self._chance.randrange(8)
        if event == 0:
            # In an instant of its own: a trace cannot tell what came first within one.
            self._now_ns += 1
            self._rate_bps = self._chance.choice([1200, 2400, 9600, 20_000, 50_000])
            self._rover.set_rate(self._rate_bps, self._now_ns)
            self._changes.append(BudgetStep(self._now_ns, self._rate_bps, self._burst_bits()))
        elif event == 1:
            self._restarts += 1
            self._start_rover()
        elif event == 2:
            self._restarts += 1
            self._start_ground()
        elif event == 3:
            self._sender_session = self._chance.randrange(1 << 16)
        elif event == 4:
            self._announce(camera_id)
        elif event == 5:
            self._rover.set_policy(camera_id, CameraPolicy(
                self._chance.randrange(1, 5), self._chance.choice([0.0, 0.5, 2.0]),
                self._chance.randrange(1, 7)))
        else:
            self._intervals_ns[camera_id] = self._chance.choice([33, 100, 500, 20_000]) * MS

    def _offer(self) -> None:
        for camera_id in range(CAMERAS):
            if self._next_ns[camera_id] > self._now_ns:
                continue
            self._next_ns[camera_id] = self._now_ns + self._intervals_ns[camera_id]
            size = self._chance.randrange(20, 100)
            ends = tuple(size * step for step in (1, 2, 3, 4, 6, 8))
            self._offered += 1
            self._sequence += 1
            self._rover.offer_frame(FrameMessage(
                camera_id, camera_id // 2, self._sequence, self._sender_session, self._now_ns,
                ends, lambda layers, ends=ends: bytes(ends[layers - 1])), self._now_ns)

    def _take(self) -> None:
        frames = sum(isinstance(d, ReceivedFrame) for d in self._ground.take_deliveries())
        self._rover.take_deliveries()
        if frames:
            self._received += frames
            self._gap_ns = max(self._gap_ns, self._now_ns - self._last_frame_ns)
            self._last_frame_ns = self._now_ns


def main() -> int:
    """Run the soak and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--hours', type=float, default=10.0, help='simulated time (default: 10)')
    parser.add_argument('--seed', type=int, default=0, help='repeats a run (default: 0)')
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    options = parser.parse_args()
    figures = Soak(options.seed).run(options.hours)
    if options.json:
        print(json.dumps(asdict(figures)))
    else:
        for name, value in asdict(figures).items():
            print(f'{name:20} {value}')
    return 0 if figures.held else 1


if __name__ == '__main__':
    sys.exit(main())
