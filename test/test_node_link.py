# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The link of the bridge, its pump and its trace, without a ROS graph."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
import dataclasses
from pathlib import Path
import resource
import signal
import threading
import time

from gsc_ros.cli.link_preset import CHANNEL, NODE, RULES
from gsc_ros.cli.link_setting import add_budget_arguments, add_channel_arguments, link_settings
from gsc_ros.link.audit import Departure, read_trace, verify_budget
from gsc_ros.link.datagram.framing import CameraAnnounce
from gsc_ros.link.endpoint import (
    Delivery,
    ReceivedCalibration,
    ReceivedControl,
    ReceivedFrame,
)
from gsc_ros.link.schedule.scheduler import FrameMessage
from gsc_ros.link.trial.simulation import LinkRun
from gsc_ros.nodes.bridge import Bridge
from gsc_ros.nodes.link import Link
from gsc_ros.nodes.pump import LinkPump
from gsc_ros.nodes.schema import BridgeParameters, SimParameters
from gsc_ros.nodes.trace import TraceFile
import pytest
import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

PATIENCE_S = 20.0


class Bench:
    """A running link that records what arrives and what fails."""

    def __init__(self, settings: BridgeParameters, trace: TraceFile | None = None) -> None:
        self.arrived: list[Delivery] = []
        self.failures: list[Exception] = []
        self.event = threading.Condition()
        self.link = Link(settings, time.monotonic_ns(), trace.write if trace else None)
        self.pump = LinkPump(self.link.ends, self.link.transports, self._fail)
        self.rover, self.ground = self.pump.ends
        self.rover.deliver = self.ground.deliver = self._take
        self.rover.announce(CameraAnnounce(0, 'front', 'optical'))
        self.pump.start()

    def _take(self, delivery: Delivery) -> None:
        with self.event:
            self.arrived.append(delivery)
            self.event.notify_all()
        if isinstance(delivery, ReceivedFrame) and delivery.payload == b'poison':
            raise ValueError('poison')

    def _fail(self, error: Exception) -> None:
        with self.event:
            self.failures.append(error)
            self.event.notify_all()

    def send(self, sequence: int, payload: bytes) -> None:
        self.rover.offer_frame(FrameMessage(
            camera_id=0, priority=0, sequence=sequence, session=1, stamp_ns=10 ** 18 + sequence,
            ends=(len(payload),), render=lambda _: payload))

    def frames(self) -> list[ReceivedFrame]:
        return [delivery for delivery in self.arrived if isinstance(delivery, ReceivedFrame)]

    def wait(self, condition) -> None:
        with self.event:
            assert self.event.wait_for(condition, PATIENCE_S)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(BridgeParameters(link_bps=1_000_000))
    yield bench
    bench.pump.close()


def test_a_request_of_the_ground_reaches_the_rover(bench: Bench):
    assert bench.ground.offer_control(b'a frame, please')
    bench.wait(lambda: ReceivedControl(b'a frame, please') in bench.arrived)


def test_who_offers_a_frame_learns_that_it_is_refused(bench: Bench):
    def frame(camera_id: int) -> FrameMessage:
        return FrameMessage(camera_id, 0, 0, 1, 0, (7,), lambda _: b'payload')
    assert bench.rover.offer_frame(frame(0))
    assert not bench.rover.offer_frame(frame(1))


def test_frame_arrives_whole_with_its_stamp_and_announcement(bench: Bench):
    bench.send(5, b'payload')
    bench.wait(bench.frames)
    frame = bench.frames()[0]
    assert (frame.payload, frame.sequence, frame.stamp_ns) == (b'payload', 5, 10 ** 18 + 5)
    assert (frame.camera, frame.frame_id) == ('front', 'optical')
    assert isinstance(bench.arrived[0], ReceivedCalibration)


def test_delivery_that_raises_is_reported_and_the_link_goes_on(bench: Bench):
    bench.send(1, b'poison')
    bench.wait(lambda: bench.failures)
    bench.send(2, b'cure')
    bench.wait(lambda: any(frame.payload == b'cure' for frame in bench.frames()))
    assert [str(error) for error in bench.failures] == ['poison']


def test_stopped_link_can_be_started_again(bench: Bench):
    bench.pump.stop()
    bench.send(1, b'later')
    bench.pump.start()
    bench.wait(bench.frames)


def test_both_ends_count(bench: Bench):
    bench.send(1, b'payload')
    bench.wait(bench.frames)
    rover, ground = bench.rover.statistics(), bench.ground.statistics()
    assert (rover.sent_frames, ground.received_frames) == (1, 1)
    assert (rover.budget_bps, rover.burst_bits) == (1_000_000, 1_000_000)


def test_raised_rate_raises_the_channel_with_the_budget():
    slow = BridgeParameters(link_bps=800)
    bench = Bench(slow)
    fast = BridgeParameters(link_bps=1_000_000)
    bench.rover.use(lambda _, now_ns: bench.link.change(fast, now_ns))
    bench.send(1, bytes(20_000))
    bench.wait(bench.frames)
    bench.pump.close()


@pytest.mark.parametrize('settings, burst_bits', [
    (BridgeParameters(link_bps=2400), 4096),
    (BridgeParameters(link_bps=2400, mtu=1500), 24_000),
    (BridgeParameters(link_bps=20_000), 20_000),
    (BridgeParameters(link_bps=20_000, burst_bits=8000), 8000),
    (BridgeParameters(link_bps=20_000, burst_bits=2048), 2048),
])
def test_burst_is_as_given_or_holds_two_datagrams(settings: BridgeParameters, burst_bits: int):
    link = Link(settings, 0, None)
    assert link.rover.statistics(0).burst_bits == burst_bits


@pytest.mark.parametrize('burst_bits', [1, 2047])
def test_burst_that_holds_no_datagram_is_refused_with_the_reason(burst_bits: int):
    settings = BridgeParameters(link_bps=20_000, burst_bits=burst_bits)
    reason = f'burst_bits must hold one full datagram of 2048 bits, got {burst_bits}'
    with pytest.raises(ValueError, match=reason):
        Link(settings, 0, None)
    link = Link(BridgeParameters(link_bps=9600), 0, None)
    with pytest.raises(ValueError, match=reason):
        link.change(settings, 0)
    statistics = link.rover.statistics(0)
    assert (statistics.budget_bps, statistics.burst_bits) == (9600, 9600)


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    rclpy.init(args=['--ros-args', '-p', 'autostart:=false'])
    node = Bridge()
    yield node
    node.release()
    node.destroy_node()
    rclpy.shutdown()


def test_bridge_tells_why_it_cannot_be_configured_with_a_burst(
        bridge: Bridge, capfd: pytest.CaptureFixture[str]):
    assert bridge.set_parameters([Parameter('burst_bits', value=100)])[0].successful
    assert bridge.trigger_configure() != TransitionCallbackReturn.SUCCESS
    assert bridge.state == 'unconfigured'
    assert 'burst_bits must hold one full datagram of 2048 bits, got 100' in capfd.readouterr().err


def test_bridge_refuses_a_burst_that_holds_no_datagram_while_it_runs(bridge: Bridge):
    assert bridge.trigger_configure() == TransitionCallbackReturn.SUCCESS
    refused, = bridge.set_parameters([Parameter('burst_bits', value=2047)])
    assert not refused.successful
    assert refused.reason == (
        'burst_bits: 2047 cannot hold one full datagram of 2048 bits: give more, or a smaller mtu')
    assert bridge.settings.burst_bits == 0
    for accepted in (2048, 0):
        result, = bridge.set_parameters([Parameter('burst_bits', value=accepted)])
        assert result.successful
        assert bridge.settings.burst_bits == accepted


@pytest.mark.parametrize('link_bps, return_bps', [
    (10, 10), (50, 50), (300, 106), (2400, 240), (20_000, 2000), (10 ** 9, 10 ** 8)])
def test_return_path_has_a_tenth_or_what_receipts_need_and_never_more_than_the_link(
        link_bps: int, return_bps: int):
    settings = BridgeParameters(link_bps=link_bps)
    assert Link(settings, 0, None).ground.statistics(0).budget_bps == return_bps
    link = Link(BridgeParameters(), 0, None)
    link.change(settings, 0)
    assert link.ground.statistics(0).budget_bps == return_bps


@pytest.mark.parametrize('link_bps', [50, 300, 2400, 20_000])
@pytest.mark.parametrize('overhead_bytes', [0, 28])
def test_what_is_left_open_is_chosen_for_the_bridge_as_for_gsc_link(
        link_bps: int, overhead_bytes: int):
    link = Link(BridgeParameters(link_bps=link_bps, overhead_bytes=overhead_bytes), 0, None)
    parser = argparse.ArgumentParser()
    add_budget_arguments(parser)
    add_channel_arguments(parser)
    setup = link_settings(parser.parse_args(
        ['--bps', str(link_bps), '--overhead', str(overhead_bytes)])).setup()
    run = LinkRun(setup, [])
    for bridge, model in ((link.rover, run.rover), (link.ground, run.ground)):
        ours, its = bridge.statistics(0), model.statistics(0)
        assert (its.budget_bps, its.burst_bits) == (ours.budget_bps, ours.burst_bits)


def test_gsc_link_knows_the_parameters_of_the_bridge_with_their_defaults_and_ranges():
    for values, schema in ((RULES, BridgeParameters), (CHANNEL, SimParameters)):
        fields = {field.name: field for field in dataclasses.fields(schema)}
        for name, value in values.items():
            described = fields[name].metadata['spec']
            assert value.default == described.default
            assert value.choices == (described.choices or ())
            if not isinstance(value.default, str):
                assert (value.low, value.high) == (described.minimum, described.maximum)
    assert {field.name for field in dataclasses.fields(BridgeParameters)} == {
        'link_bps', 'sim', *RULES, *NODE}


def test_all_loss_delivers_nothing_and_the_trace_keeps_the_budget(tmp_path: Path):
    trace = TraceFile(tmp_path / 'trace.csv')
    bench = Bench(BridgeParameters(link_bps=50_000, sim=SimParameters(loss=1.0)), trace)
    bench.send(1, bytes(2000))

    def departed() -> bool:
        return bench.rover.statistics().sent_frames == 1
    end = time.monotonic() + PATIENCE_S
    while not departed() and time.monotonic() < end:
        time.sleep(0.01)
    bench.pump.close()
    trace.close()
    assert departed() and not bench.arrived
    departures = read_trace(tmp_path / 'trace.csv')
    assert sum(departure.bits for departure in departures) > 8 * 2000
    assert verify_budget(departures, 50_000, 50_000).holds


def test_trace_goes_on_where_a_killed_process_left_it(tmp_path: Path):
    path = tmp_path / 'trace.csv'
    for time_ns in (1, 2):
        # Never closed: every line must be on disk at once.
        TraceFile(path).write(Departure(time_ns, 8, 'frame'))
    assert read_trace(path) == [Departure(1, 8, 'frame'), Departure(2, 8, 'frame')]


@contextmanager
def small_disk() -> Iterator[None]:
    """Let no file of this process grow beyond 100 bytes: not the log of this test run either."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)


def test_trace_on_a_full_disk_counts_what_it_loses(tmp_path: Path):
    path = tmp_path / 'trace.csv'
    departures = [Departure(10 ** 9 + n, 2048, 'frame') for n in range(20)]
    with small_disk():
        trace = TraceFile(path)
        for departure in departures:
            trace.write(departure)
        trace.close()
    kept = read_trace(path)
    assert kept == departures[:len(kept)]
    assert 0 < trace.lost == 20 - len(kept)
    assert trace.trouble


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='there is no /dev/full')
def test_trace_that_cannot_begin_is_an_error():
    with pytest.raises(OSError):
        TraceFile(Path('/dev/full'))
