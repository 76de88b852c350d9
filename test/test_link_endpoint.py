# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
import math
import random
import time

from gsc_ros.link.audit import BudgetStep, verify_budget
from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.datagram.framing import CameraAnnounce
from gsc_ros.link.endpoint import (
    BulkRank,
    Endpoint,
    EndpointConfig,
    ReceivedCalibration,
    ReceivedControl,
)
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.repair.repair import RepairConfig, RepairMode
from gsc_ros.link.schedule.scheduler import CameraPolicy
from gsc_ros.link.transports.sim import connect
from hypothesis import given, settings
from hypothesis import strategies as st
from link_simulation import Camera, ENDS, EPOCH_NS, make_frame, make_payload, MS, S, Simulation
import pytest


def bits_by_kind(trace):
    """Return how many bits left as what."""
    bits = {}
    for departure in trace:
        bits[departure.kind] = bits.get(departure.kind, 0) + departure.bits
    return bits


def assert_budget_holds(simulation):
    """Check both directions of a simulation whose budget was not changed."""
    for trace, end in ((simulation.trace, simulation.rover),
                       (simulation.back_trace, simulation.ground)):
        statistics = end.statistics(simulation.now_ns)
        assert verify_budget(trace, statistics.budget_bps, statistics.burst_bits).holds
        assert sum(departure.bits for departure in trace) >= statistics.sent_bits


# What the link promises


@pytest.mark.parametrize(('mtu', 'suite', 'share'), [
    (512, Suite.AES_CCM, 0.94), (128, Suite.AES_CCM, 0.90), (256, Suite.CHACHA20_POLY1305, 0.90)])
def test_a_saturated_2400_bit_link_is_packet_payload_and_two_cameras_share_it(mtu, suite, share):
    policy = CameraPolicy(target_fps=0.08)
    cameras = [
        Camera(index, policy=policy, ends=(300, 600, 1000, 1400, 1600)) for index in (0, 1)]
    simulation = Simulation(2400, cameras, mtu=mtu, suite=suite)
    simulation.run(600)
    statistics = simulation.rover.statistics(simulation.now_ns)
    assert_budget_holds(simulation)
    assert statistics.sent_bits >= 0.99 * 2400 * 600
    assert statistics.sent_payload_bits >= share * statistics.sent_bits
    received = [sum(len(f.payload) for f in simulation.frames(c)) for c in (0, 1)]
    assert received[0] == pytest.approx(received[1], rel=0.02)
    assert statistics.received_datagrams > 0


def test_one_10_hz_camera_keeps_its_frame_rate_at_20_kbit_by_shedding_layers():
    simulation = Simulation(20_000, [Camera(0)])
    simulation.run(120)
    statistics = simulation.rover.statistics(simulation.now_ns)
    assert_budget_holds(simulation)
    assert len(simulation.frames()) / 120 >= 9.9
    assert statistics.layers_shed > 0
    assert statistics.frames_shed > 0
    assert statistics.sent_bits >= 0.95 * 20_000 * 120
    assert statistics.dropped_superseded <= 2


@pytest.mark.parametrize(('rate_bps', 'mtu', 'priorities'), [
    (20_000, 256, (0, 0)), (20_000, 256, (0, 1)), (11_000, 64, (0, 0)), (14_000, 128, (0, 0, 1))])
def test_no_frame_is_dropped_after_the_start_where_all_first_layers_fit(
        rate_bps, mtu, priorities):
    cameras = [Camera(index, priority=p) for index, p in enumerate(priorities)]
    simulation = Simulation(rate_bps, cameras, mtu=mtu)
    simulation.run(10)
    before = simulation.rover.statistics(simulation.now_ns).dropped_superseded
    # A camera that changes brings an announcement among the frames; that may cost it a few.
    simulation.run(120)
    assert simulation.rover.statistics(simulation.now_ns).dropped_superseded == before
    assert_budget_holds(simulation)


def test_control_messages_cannot_starve_frames():
    simulation = Simulation(9600, [Camera(0)], mtu=256)

    def flood():
        for _ in range(20):
            simulation.rover.offer_control(bytes(100), simulation.now_ns)
        simulation.at(simulation.now_ns + 100 * MS, flood)

    simulation.at(5 * S, flood)
    simulation.run(60)
    # What frames leave unused is theirs, too.
    bits = bits_by_kind(simulation.trace)
    assert bits['control'] <= 0.25 * sum(bits.values())
    assert simulation.rover.statistics(simulation.now_ns).dropped_queue_full > 0
    assert len(simulation.frames()) >= 540


@settings(max_examples=25, deadline=None)
@given(
    st.integers(500, 50_000), st.sampled_from([32, 64, 128, 256, 1500]),
    st.integers(0, 1 << 30), st.floats(0, 0.5), st.integers(0, 300))
def test_the_budget_holds_in_every_window_whatever_is_offered_and_whenever_it_is_polled(
        rate_bps, mtu, seed, loss, jitter_ms):
    chance = random.Random(seed)
    config = ChannelConfig(loss=loss, jitter_ns=jitter_ms * MS, delay_ns=200 * MS, seed=seed)
    rover_side, ground_side = connect(config, config, mtu, overhead_bits=chance.choice([0, 224]))
    trace, back = [], []
    suite = chance.choice([Suite.NONE, Suite.AES_CCM])
    keys = None if suite is Suite.NONE else KeyRing.random()
    two_way = chance.random() < 0.7
    repair = RepairConfig(chance.choice(list(RepairMode)), least_loss=chance.choice([0.0, 0.2]))
    rover = Endpoint(EndpointConfig(
        rate_bps, record=RecordConfig(Direction.ROVER, suite, keys, two_way), repair=repair),
        rover_side, 0, trace.append)
    ground = Endpoint(EndpointConfig(
        1000, record=RecordConfig(Direction.GROUND, suite, keys, two_way), repair=repair),
        ground_side, 0, back.append)
    for camera_id in range(3):
        rover.announce(CameraAnnounce(camera_id, 'camera', 'optical', 0, bytes(100)))
    burst_bits = rover.statistics(0).burst_bits
    changes, now, latest, sequence = [], 0, 0, 0
    for _ in range(100):
        now += chance.choice([0, 1, MS, 37 * MS, S, -5 * MS])
        latest = max(latest, now)
        for _ in range(chance.randrange(3)):
            sequence += 1
            end = chance.randrange(1, 900)
            rover.offer_frame(make_frame(
                chance.randrange(3), sequence, ends=(end, end + chance.randrange(1, 500))), now)
        if chance.random() < 0.1:
            rover.offer_control(bytes(chance.randrange(rover.max_control_bytes)), now)
        if chance.random() < 0.05:
            size = chance.randrange(1, min(3000, rover.max_bulk_bytes))
            rover.offer_bulk(bytes(size), chance.choice(list(BulkRank)), now)
        if chance.random() < 0.05:
            # In an instant of its own, because a trace cannot tell what came first within one.
            now = latest = latest + 1
            rover.set_rate(chance.randrange(500, 50_000), now)
            statistics = rover.statistics(now)
            changes.append(BudgetStep(now, statistics.budget_bps, statistics.burst_bits))
        assert rover.poll(now) > now
        assert ground.poll(now) > now
    assert verify_budget(trace, rate_bps, burst_bits, changes).holds
    assert verify_budget(back, 1000, ground.statistics(now).burst_bits).holds


# What arrives


def test_stamp_frame_id_session_priority_and_payload_arrive_exactly():
    simulation = Simulation(50_000, [Camera(7, fps=5, priority=3)], mtu=64)
    simulation.run(2)
    frames = simulation.frames()
    assert len(frames) >= 9
    for frame in frames:
        assert frame.camera == 'camera7'
        assert frame.frame_id == 'camera7_optical'
        assert (frame.priority, frame.session) == (3, 5)
        assert frame.stamp_ns == EPOCH_NS + frame.sequence * S // 5
        assert frame.payload == make_payload(frame.sequence, 250)
        assert frame.encode_ms == pytest.approx(12.5, rel=0.033)
    assert frames[0].received_ns > 0


def test_the_calibration_crosses_once_and_before_the_first_frame():
    simulation = Simulation(50_000, [Camera(0)])
    simulation.run(30)
    first, *rest = simulation.deliveries
    assert first == ReceivedCalibration('camera0', 0, 'camera0_optical', b'c' * 150)
    assert not any(isinstance(delivery, ReceivedCalibration) for delivery in rest)
    assert bits_by_kind(simulation.trace)['announcement'] < 2000


def test_a_changed_calibration_crosses_again_and_frames_wait_for_it():
    simulation = Simulation(50_000, [Camera(0)])
    simulation.at(2 * S + 1, lambda: simulation.announce(simulation.cameras[0], b'new'))
    simulation.run(4)
    at = simulation.deliveries.index(
        ReceivedCalibration('camera0', 0, 'camera0_optical', b'new'))
    before, after = simulation.deliveries[1:at], simulation.deliveries[at + 1:]
    assert all(frame.stamp_ns <= EPOCH_NS + 2 * S for frame in before)
    assert all(frame.stamp_ns >= EPOCH_NS + 2 * S for frame in after)
    assert len(after) >= 18


def test_a_calibration_that_changes_with_every_frame_starves_only_its_own_camera():
    simulation = Simulation(10_500, [Camera(0), Camera(1)])

    def change():
        simulation.announce(simulation.cameras[0], random.Random(simulation.now_ns).randbytes(150))
        simulation.at(simulation.now_ns + 50 * MS, change)

    simulation.at(3 * S, change)
    simulation.run(60)
    assert bits_by_kind(simulation.trace)['announcement'] <= 0.15 * 10_500 * 60
    assert len(simulation.frames(1)) >= 530


def zoom(simulation, camera_ids, calibration_bytes=80):
    """Let the calibration of cameras change just before each of their frames."""
    def change():
        for camera_id in camera_ids:
            simulation.announce(simulation.cameras[camera_id], random.Random(
                simulation.now_ns).randbytes(calibration_bytes))
        simulation.at(simulation.now_ns + 100 * MS, change)

    simulation.at(0, change)


def test_a_camera_that_zooms_keeps_its_frames_where_the_reserved_share_carries_its_calibrations():
    simulation = Simulation(100_000, [Camera(0), Camera(1)])
    zoom(simulation, [0])
    simulation.run(60)
    assert_budget_holds(simulation)
    assert len(simulation.frames(0)) >= 0.75 * 600
    assert len(simulation.frames(1)) >= 0.99 * 600
    assert bits_by_kind(simulation.trace)['announcement'] <= 0.11 * 100_000 * 60


@pytest.mark.parametrize(('rate_bps', 'frames'), [(2400, 8), (9600, 35), (50_000, 180)])
def test_every_announcement_of_a_camera_that_zooms_brings_a_frame(rate_bps, frames):
    # On the slower links the next calibration comes before the last one has crossed.
    simulation = Simulation(rate_bps, [Camera(0), Camera(1)])
    zoom(simulation, [0], calibration_bytes=150)
    simulation.run(60)
    assert_budget_holds(simulation)
    announced = sum(isinstance(delivery, ReceivedCalibration) and delivery.camera_id == 0
                    for delivery in simulation.deliveries)
    assert len(simulation.frames(0)) >= max(frames, announced - 2)
    # Each frame comes right after the calibration that it was offered with.
    calibrations = {random.Random(100 * MS * index).randbytes(150): index for index in range(600)}
    current = None
    for delivery in simulation.deliveries:
        if delivery.camera_id == 0:
            if isinstance(delivery, ReceivedCalibration):
                current = calibrations[delivery.calibration]
            else:
                assert delivery.sequence == current


@pytest.mark.parametrize('seed', range(3))
def test_frames_come_right_after_their_calibration_where_repair_changes_the_order(seed):
    path = ChannelConfig(rate_bps=20_000, delay_ns=300 * MS, loss=0.1, seed=seed)
    simulation = Simulation(
        20_000, [Camera(0, fps=5, ends=(150,))], mtu=128, channel=path,
        back_channel=replace(path, seed=seed + 9))
    chance = random.Random(seed)
    changes = [(0, b'c' * 150)]

    def change():
        changes.append((EPOCH_NS + simulation.now_ns, chance.randbytes(80)))
        simulation.announce(simulation.cameras[0], changes[-1][1])
        simulation.at(simulation.now_ns + chance.choice((300, 500, 1000, 5000)) * MS + 1, change)

    simulation.at(20 * S + 1, change)
    simulation.run(120)
    assert len(simulation.frames()) >= 450
    current = None
    for delivery in simulation.deliveries:
        if isinstance(delivery, ReceivedCalibration):
            current = delivery.calibration
        else:
            *_, (_, right) = (entry for entry in changes if entry[0] <= delivery.stamp_ns)
            assert current == right


def test_two_senders_of_one_camera_both_get_through():
    camera = Camera(0)
    simulation = Simulation(100_000, [camera])

    def alternate():
        camera.session ^= 1
        simulation.at(simulation.now_ns + 100 * MS, alternate)

    simulation.at(50 * MS, alternate)
    simulation.run(30)
    sessions = [frame.session for frame in simulation.frames()]
    assert min(sessions.count(4), sessions.count(5)) >= 60


@pytest.mark.parametrize(('rate_bps', 'mtu'), [(2400, 128), (9600, 256), (100_000, 256)])
def test_many_cameras_that_change_all_the_time_take_no_more_than_the_reserved_share(rate_bps, mtu):
    simulation = Simulation(rate_bps, [Camera(camera_id) for camera_id in range(5)], mtu=mtu)
    zoom(simulation, range(4))
    simulation.run(20)  # the first announcement of each leaves at once
    before = bits_by_kind(simulation.trace)['announcement']
    simulation.run(100)
    bits = bits_by_kind(simulation.trace)['announcement'] - before
    assert bits <= 0.11 * rate_bps * 100 + 4 * 2000
    assert_budget_holds(simulation)


def test_a_calibration_that_comes_just_after_the_first_frame_does_not_hold_a_very_thin_link_long():
    simulation = Simulation(300, [], mtu=128)
    camera = Camera(0)
    simulation.announce(camera, b'')
    simulation.cameras.append(camera)
    simulation.at(200 * MS, lambda: simulation.announce(camera, b'c' * 150))
    simulation.run(32)
    assert ReceivedCalibration('camera0', 0, 'camera0_optical', b'c' * 150) in simulation.deliveries
    assert len(simulation.frames()) > 3


def test_a_control_message_arrives_as_it_was_offered():
    simulation = Simulation(9600, [])
    simulation.rover.offer_control(b'hello', 0)
    simulation.run(2)
    assert simulation.deliveries == [ReceivedControl(b'hello')]


def test_sequence_numbers_wrap_without_a_gap():
    camera = Camera(0, sequence=(1 << 32) - 50)
    simulation = Simulation(50_000, [camera])
    simulation.run(10)
    sequences = [frame.sequence for frame in simulation.frames()]
    # The very first frames are superseded while the announcement crosses.
    expected = [((1 << 32) - 50 + index) % (1 << 32) for index in range(100)]
    assert sequences == expected[-len(sequences) - 1:][:len(sequences)]
    assert len(sequences) >= 95


# Faults


@pytest.mark.parametrize('delay_ms', [0, 600])
def test_frames_get_through_loss_jitter_and_delay(delay_ms):
    config = ChannelConfig(
        rate_bps=9600, delay_ns=delay_ms * MS, jitter_ns=300 * MS, loss=0.1, seed=3)
    simulation = Simulation(
        9600, [Camera(0), Camera(1)], channel=config, back_channel=replace(config, seed=4))
    simulation.run(120)
    statistics = simulation.rover.statistics(simulation.now_ns)
    assert_budget_holds(simulation)
    assert len(simulation.frames()) >= 0.85 * statistics.sent_frames
    assert statistics.loss == pytest.approx(0.1, abs=0.05)
    assert 2 * delay_ms / 1000 <= statistics.round_trip <= 2 * delay_ms / 1000 + 1.0
    for frame in simulation.frames():
        assert frame.payload == make_payload(frame.sequence, len(frame.payload))


def test_a_lost_announcement_is_asked_for_and_sent_again():
    simulation = Simulation(9600, [Camera(0)])
    real, simulation.rover_side.send = simulation.rover_side.send, lambda datagram, now: True
    simulation.run(2)
    simulation.rover_side.send = real
    simulation.run(5)
    assert len(simulation.frames()) >= 20
    assert simulation.ground.statistics(simulation.now_ns).unannounced > 0


def test_without_a_back_channel_announcements_are_repeated_and_frames_still_arrive():
    simulation = Simulation(
        9600, [Camera(0)], back_channel=ChannelConfig(loss=1.0), announce_period_ns=10 * S)
    simulation.run(15)
    simulation.start_ground(session=3)
    simulation.deliveries.clear()
    simulation.run(20)
    statistics = simulation.rover.statistics(simulation.now_ns)
    assert len(simulation.frames()) >= 50
    assert not statistics.connected
    assert math.isnan(statistics.loss)
    assert math.isnan(statistics.round_trip)


def test_a_far_end_that_restarts_gets_the_announcements_again():
    simulation = Simulation(9600, [Camera(0), Camera(1)])
    simulation.run(10)
    simulation.start_ground(session=99)
    simulation.deliveries.clear()
    simulation.run(5)
    assert len(simulation.frames(0)) >= 20
    assert len(simulation.frames(1)) >= 20
    assert simulation.rover.statistics(simulation.now_ns).peer_restarts == 1


def thin_link_with_long_calibrations(mtu, fps):
    """Return four cameras whose announcements take 10 s of a link, all pausing after them."""
    cameras = [Camera(index, fps, ends=(60, 120, 240)) for index, fps in enumerate(fps)]
    path = ChannelConfig(delay_ns=400 * MS)
    simulation = Simulation(
        1200, cameras, mtu=mtu, back_bps=1200, channel=path, back_channel=path,
        suite=Suite.AES_CCM)
    for camera in cameras:
        simulation.announce(camera, random.Random(camera.camera_id).randbytes(300))
    simulation.run(20)
    return simulation


@pytest.mark.parametrize(('mtu', 'fps'), [(64, (10, 10, 10, 10)), (128, (30, 10, 2, 0.05))])
def test_after_restarts_in_a_row_a_very_thin_link_carries_only_what_the_far_end_can_use(mtu, fps):
    simulation = thin_link_with_long_calibrations(mtu, fps)
    simulation.start_ground(session=3)
    # In the middle of the announcements for the first one.
    simulation.run(7)
    simulation.start_ground(session=4)
    simulation.deliveries.clear()
    simulation.run(24)
    statistics = simulation.ground.statistics(simulation.now_ns)
    assert all(simulation.frames(camera_id) for camera_id in range(4))
    # What has left before the rover heard of the restart, and no more.
    assert statistics.unannounced <= 1
    assert_budget_holds(simulation)


def test_where_all_cameras_begin_anew_no_pause_keeps_a_link_idle():
    simulation = thin_link_with_long_calibrations(128, (10, 10, 10, 0.05))
    for camera in simulation.cameras:
        camera.session = 6
    simulation.deliveries.clear()
    simulation.run(25)
    frames = [frame for frame in simulation.frames() if frame.session == 6]
    assert {frame.camera_id for frame in frames} >= {0, 1, 2}
    assert_budget_holds(simulation)


def test_a_rover_that_restarts_goes_on_and_keeps_the_budget_over_the_restart():
    simulation = Simulation(9600, [Camera(0)])
    simulation.run(10.05)
    burst_bits = simulation.rover.statistics(simulation.now_ns).burst_bits
    simulation.start_rover(session=77)
    simulation.deliveries.clear()
    simulation.run(10)
    assert len(simulation.frames()) >= 80
    assert simulation.ground.statistics(simulation.now_ns).peer_restarts == 1
    assert verify_budget(simulation.trace, 9600, burst_bits).holds


def test_a_sender_that_restarts_is_a_new_session_at_the_far_end():
    camera = Camera(0)
    simulation = Simulation(9600, [camera])
    simulation.run(10)
    camera.session, camera.sequence = 6, 0
    simulation.deliveries.clear()
    simulation.run(10)
    frames = [frame for frame in simulation.frames() if frame.session == 6]
    assert len(frames) >= 80
    assert frames[0].sequence < 20
    for frame in frames:
        assert frame.payload == make_payload(frame.sequence, len(frame.payload))


def test_after_an_outage_frames_and_statistics_come_back_by_themselves():
    simulation = Simulation(9600, [Camera(0)])
    simulation.run(10)
    sides = (simulation.rover_side, simulation.ground_side)
    real = [side.send for side in sides]
    for side in sides:
        side.send = lambda datagram, now: True
    simulation.run(60)
    statistics = simulation.rover.statistics(simulation.now_ns)
    assert not statistics.connected
    assert statistics.loss == 1.0
    assert statistics.heard_age >= 59
    for side, send in zip(sides, real):
        side.send = send
    simulation.deliveries.clear()
    simulation.run(3)
    assert len(simulation.frames()) >= 20
    assert simulation.rover.statistics(simulation.now_ns).connected


def test_both_ends_stay_connected_and_measured_when_no_frames_flow():
    simulation = Simulation(
        2400, [], channel=ChannelConfig(delay_ns=300 * MS), back_channel=ChannelConfig(
            delay_ns=300 * MS))
    simulation.run(60)
    for end, trace in ((simulation.rover, simulation.trace),
                       (simulation.ground, simulation.back_trace)):
        statistics = end.statistics(simulation.now_ns)
        assert statistics.connected
        assert statistics.sent_bits == sum(departure.bits for departure in trace)
        assert statistics.sent_bits / 60 < 150
    statistics = simulation.rover.statistics(simulation.now_ns)
    assert statistics.loss == 0.0
    assert statistics.round_trip == pytest.approx(0.6, abs=0.01)


def test_noise_on_the_link_is_counted_and_harms_nothing():
    chance = random.Random(1)
    simulation = Simulation(9600, [Camera(0)])
    receive = simulation.ground_side.receive
    simulation.ground_side.receive = lambda now: (
        receive(now) + [chance.randbytes(chance.randrange(80)) for _ in range(3)])
    simulation.run(20)
    assert simulation.ground.statistics(simulation.now_ns).malformed > 100
    good = [frame for frame in simulation.frames() if frame.payload == make_payload(
        frame.sequence, len(frame.payload))]
    assert len(good) >= 190


def test_a_transport_that_refuses_gets_the_same_datagram_again():
    simulation = Simulation(50_000, [Camera(0)])
    real, chance = simulation.rover_side.send, random.Random(2)
    simulation.rover_side.send = lambda datagram, now: (
        chance.random() < 0.5 and real(datagram, now))
    simulation.run(10)
    assert len(simulation.frames()) >= 95
    assert simulation.ground.statistics(simulation.now_ns).incomplete == 0


def test_frames_of_unknown_cameras_and_malformed_ones_are_counted_never_raised():
    simulation = Simulation(9600, [])
    assert not simulation.rover.offer_frame(make_frame(0), 0)
    simulation.rover.announce(CameraAnnounce(0, 'front'))
    assert not simulation.rover.offer_frame(make_frame(0, ends=(3, 2)), 0)
    assert simulation.rover.offer_frame(make_frame(0), 0)
    assert simulation.rover.statistics(0).dropped_invalid == 2


def test_frames_expire_by_the_configured_age_or_their_own_deadline():
    simulation = Simulation(9600, [], expiry_ns=S)
    simulation.rover.announce(CameraAnnounce(0, 'front'))
    simulation.rover.announce(CameraAnnounce(1, 'rear'))
    simulation.rover.poll(0)
    simulation.rover_side.ready_ns = lambda now: now + S
    simulation.rover.offer_frame(make_frame(0), 0)
    simulation.rover.offer_frame(make_frame(1, deadline_ns=3 * S), 0)
    simulation.rover.poll(2 * S)
    assert simulation.rover.statistics(2 * S).dropped_expired == 1
    simulation.rover.poll(4 * S)
    assert simulation.rover.statistics(4 * S).dropped_expired == 2


def test_a_live_change_of_rate_and_policy_takes_effect_at_once():
    simulation = Simulation(20_000, [Camera(0)])
    simulation.run(10)
    simulation.rover.set_rate(6000, simulation.now_ns)
    simulation.deliveries.clear()
    simulation.run(10)
    slow = simulation.frames()
    assert len(slow) >= 95
    simulation.rover.set_policy(0, CameraPolicy(min_layers=len(ENDS)))
    simulation.deliveries.clear()
    simulation.run(10)
    assert {len(frame.payload) for frame in simulation.frames()[1:]} == {250}
    statistics = simulation.rover.statistics(simulation.now_ns)
    assert statistics.budget_bps == 6000
    assert statistics.used_bps <= 6000 + statistics.burst_bits


@pytest.mark.parametrize('mtu', [32, 256])
def test_a_raised_rate_holds_at_once_for_what_still_waits(mtu):
    simulation = Simulation(10, [Camera(0)], mtu=mtu)
    # A datagram takes up to 25 s, and announcements have 1 bit/s.
    simulation.run(60)
    simulation.announce(simulation.cameras[0], b'new')
    simulation.rover.set_rate(10 ** 9, simulation.now_ns)
    simulation.rover_side.set_rate(10 ** 9, simulation.now_ns)
    assert not simulation.frames()
    simulation.run(2)
    assert len(simulation.frames()) >= 19


def test_a_clock_that_steps_back_neither_stops_the_link_nor_breaks_the_budget():
    simulation = Simulation(9600, [Camera(0)])
    simulation.run(5)
    polls = simulation.now_ns
    simulation.rover.poll(polls - 3 * S)
    simulation.rover.offer_frame(make_frame(0, 999), polls - 2 * S)
    simulation.run(5)
    assert len(simulation.frames()) >= 90
    assert_budget_holds(simulation)


def test_deliveries_that_nobody_takes_are_bounded():
    simulation = Simulation(9600, [])
    far = simulation.rover
    for index in range(5000):
        far.offer_control(b'', index * S)
        far.poll(index * S)
        simulation.ground.poll(index * S)
    assert len(simulation.ground.take_deliveries()) == 4096


@pytest.mark.parametrize('config', [
    {'rate_bps': 0}, {'burst_bits': -1}, {'expiry_ns': -1},
    {'heartbeat_period_ns': 0}, {'receipt_period_ns': 0}, {'announce_period_ns': 0},
    {'silence_ns': 0}])
def test_impossible_configurations_are_refused(config):
    with pytest.raises(ValueError):
        EndpointConfig(**{'rate_bps': 1000, **config})


def test_a_burst_smaller_than_one_datagram_is_refused():
    side, _ = connect(ChannelConfig(), ChannelConfig(), mtu=100, overhead_bits=200)
    with pytest.raises(ValueError, match='1000 bits'):
        Endpoint(EndpointConfig(1000, burst_bits=999), side, 0)
    end = Endpoint(EndpointConfig(1000, burst_bits=1000), side, 0)
    with pytest.raises(ValueError):
        end.set_rate(1000, 0, burst_bits=999)


def test_control_messages_that_do_not_fit_and_announcements_with_a_defect_are_refused():
    side, _ = connect(ChannelConfig(), ChannelConfig(), mtu=100)
    end = Endpoint(EndpointConfig(1000), side, 0)
    with pytest.raises(ValueError):
        end.offer_control(bytes(95), 0)
    assert end.offer_control(bytes(94), 0)
    with pytest.raises(ValueError):
        end.announce(CameraAnnounce(0, 'a' * 256))


def test_ten_minutes_of_two_cameras_take_seconds_of_processor_time():
    simulation = Simulation(20_000, [Camera(0), Camera(1)])
    start = time.process_time()
    simulation.run(60)
    # 10 datagrams a second need far less than a thousandth of one core.
    assert time.process_time() - start < 6
