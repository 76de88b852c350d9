# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stream over a link that loses, from the gate to the wait, in simulated time."""

from __future__ import annotations

from gsc_ros.codec.packet import checksum, Packet, parse, serialize
from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.endpoint import ReceivedControl, ReceivedFrame
from gsc_ros.link.repair.repair import RepairConfig, RepairMode
from gsc_ros.link.schedule.scheduler import FrameMessage
from gsc_ros.nodes.back_channel import ASK_PERIOD_S, RefreshRequest
from gsc_ros.nodes.stream_gate import StreamGate
from gsc_ros.nodes.stream_wait import Held, StreamWait
from link_simulation import Camera, EPOCH_NS, MS, S, Simulation
import pytest

LINK_BPS = 20_000
PACKET_BYTES = 200
LOSS = 0.05
FPS = 10
SESSION = 7
STEP_NS = 10 * MS


class StreamRun:
    """A sender that waits for its turn, the bridge's gate, and a receiver that decodes numbers."""

    def __init__(self, delay_ns: int, wait_s: float = 2.0, seed: int = 1, **repair: float) -> None:
        channel = {'delay_ns': delay_ns, 'loss': LOSS}
        self.link = Simulation(
            LINK_BPS, [], back_bps=LINK_BPS // 10,
            channel=ChannelConfig(rate_bps=LINK_BPS, seed=seed, **channel),
            back_channel=ChannelConfig(rate_bps=LINK_BPS // 10, seed=seed + 1, **channel),
            repair=RepairConfig(**repair))
        self.link.announce(Camera(0))
        self.gate = StreamGate()
        self.wait: StreamWait[int | None] = StreamWait(wait_s)
        self.coded: list[bytes] = []
        self.busy = False
        self.alone = True
        self.place = -1
        self.arrived: set[int] = set()
        self.decoded: set[int] = set()
        self.refreshes = 0
        self.asked_ns = -S
        # Longest time without a picture that is newer than the last.
        self.freeze_ns = 0
        self.shown_ns = 0

    @property
    def now_s(self) -> float:
        return self.link.now_ns / S

    def run(self, seconds: float) -> None:
        """Let time pass, a step at a time."""
        end_ns = self.link.now_ns + round(seconds * S)
        due_ns = self.link.now_ns
        while self.link.now_ns < end_ns:
            if self.link.now_ns >= due_ns and not self.busy:
                self._offer()
                due_ns += S // FPS
            self.link.run(STEP_NS / S)
            for delivery in self.link.rover.take_deliveries():
                if isinstance(delivery, ReceivedControl):
                    request = RefreshRequest.parse(delivery.data)
                    self.gate.complain(request.session, request.sequence)
                    self._refresh_if_due()
            for delivery in self.link.deliveries:
                if isinstance(delivery, ReceivedFrame):
                    self._take(delivery.sequence, delivery.payload)
            self.link.deliveries.clear()
            self._complain()

    def decodable(self) -> float:
        """Return the share of the coded frames that were decoded, but for the last 5 s."""
        judged = range(len(self.coded) - 5 * FPS)
        return len(self.decoded & set(judged)) / len(judged)

    def _offer(self) -> None:
        sequence = len(self.coded)
        reference = None if self.alone else checksum(self.coded[-1])
        self.alone = False
        payload = serialize(Packet(
            profile_hash=0, width=64, height=64, channels=(0,), quantizer=0,
            stream=sequence.to_bytes(4, 'big').ljust(PACKET_BYTES - 20),
            stream_reference=reference))
        self.coded.append(payload)
        frame = self.gate.admit(SESSION, sequence, parse(payload), payload, cuttable=False)
        if frame is None:
            self._refresh_if_due()
            return
        self.busy = True

        def leave(_: int) -> bytes:
            self.gate.leaves(frame)
            self.busy = False
            return payload

        def drop() -> None:
            self.gate.dropped(frame)
            self.busy = False
            self._refresh_if_due()

        self.link.rover.offer_frame(FrameMessage(
            0, 0, sequence, SESSION, EPOCH_NS + self.link.now_ns, (len(payload),), leave,
            on_dropped=drop, chained=frame.chained), self.link.now_ns)

    def _refresh_if_due(self) -> None:
        if self.gate.ask(self.now_s):
            self.alone = True
            self.refreshes += 1

    def _take(self, sequence: int, payload: bytes) -> None:
        assert payload == self.coded[sequence]
        self.arrived.add(sequence)
        alone = parse(payload).stream_reference is None
        if not alone and sequence - 1 not in self.decoded:
            if sequence > self.place:
                self.wait.hold(Held(SESSION, sequence, self.now_s, len(payload), None))
            return
        for held in (Held(SESSION, sequence, self.now_s, 0, None),
                     *self.wait.followers(SESSION, sequence)):
            self.decoded.add(held.sequence)
            if held.sequence > self.place:
                self.place = held.sequence
                self.wait.passed(SESSION, held.sequence, held.arrived_s)
                self.freeze_ns = max(self.freeze_ns, self.link.now_ns - self.shown_ns)
                self.shown_ns = self.link.now_ns

    def _complain(self) -> None:
        lost = self.wait.lost(self.now_s)
        if not lost:
            return
        self.place = lost[-1].sequence
        if self.link.now_ns - self.asked_ns >= ASK_PERIOD_S * S:
            self.asked_ns = self.link.now_ns
            self.link.ground.offer_control(
                RefreshRequest(0, SESSION, self.place).pack(), self.link.now_ns)


@pytest.mark.parametrize('delay_ms', [50, 300])
def test_at_5_percent_loss_99_percent_of_the_frames_of_a_stream_are_decoded(delay_ms: int):
    run = StreamRun(delay_ms * MS)
    run.run(120)
    assert run.decodable() >= 0.99
    assert run.freeze_ns <= 2 * S


def test_without_a_wait_repairs_come_too_late_for_a_stream():
    run = StreamRun(50 * MS, wait_s=0.0)
    run.run(60)
    assert run.decodable() < 0.9


@pytest.mark.parametrize('wait_s', [0.0, 2.0])
def test_without_repair_one_loss_brings_one_refresh(wait_s: float):
    run = StreamRun(300 * MS, wait_s, mode=RepairMode.NONE)
    run.run(120)
    missing = set(range(len(run.coded))) - run.arrived
    alone = sum(parse(payload).stream_reference is None for payload in run.coded)
    assert 0 < run.refreshes <= len(missing)
    assert alone == 1 + run.refreshes
    assert max(run.decoded) > len(run.coded) - 5 * FPS
