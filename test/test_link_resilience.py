# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a link must reach under loss, outages and attack of its own traffic, in simulated time."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle

from gsc_ros.link.audit import verify_budget
from gsc_ros.link.channel.channel import ChannelConfig, LossKind
from gsc_ros.link.datagram.framing import Heartbeat
from gsc_ros.link.endpoint import BulkRank, ReceivedBulk, ReceivedControl
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.layer import RecordConfig, RecordLayer
from gsc_ros.link.repair.repair import RepairConfig, RepairMode
from gsc_ros.link.schedule.scheduler import CameraPolicy
from link_simulation import Camera, make_payload, MS, S, Simulation
import pytest


def shares(simulation, since_ns=0):
    """Return which part of the bits that have left since a time left as what."""
    bits = {}
    for departure in simulation.trace:
        if departure.time_ns >= since_ns:
            bits[departure.kind] = bits.get(departure.kind, 0) + departure.bits
    return {kind: part / sum(bits.values()) for kind, part in bits.items()}


def run_lossy(path, cameras, useful_ns, seconds, back_bps=2400, **options):
    """Let a link settle for half a minute, run it, and let what is on its way arrive."""
    simulation = Simulation(
        path.rate_bps, cameras, suite=Suite.AES_CCM, channel=path, back_bps=back_bps,
        back_channel=replace(path, seed=path.seed + 1, rate_bps=back_bps),
        repair=RepairConfig(useful_ns=useful_ns), **options)
    simulation.run(30 + seconds)
    found = shares(simulation, 30 * S)
    cameras.clear()
    simulation.run(15)
    statistics = simulation.rover.statistics(simulation.now_ns)
    assert verify_budget(simulation.trace, path.rate_bps, statistics.burst_bits).holds
    for frame in simulation.frames():
        assert frame.payload == make_payload(frame.sequence, len(frame.payload))
    return simulation, found


def small_cameras():
    return [Camera(0), Camera(1)]


def large_cameras():
    return [Camera(0, 2.0, ends=(300, 600, 1000, 1500), policy=CameraPolicy(target_fps=0.5))]


@pytest.mark.parametrize('cameras', [small_cameras, large_cameras])
@pytest.mark.parametrize(('useful_ns', 'means'), [(10 * S, 'repeat'), (3 * S // 2, 'fec')])
def test_at_10_percent_loss_and_a_long_round_trip_frames_can_be_decoded(cameras, useful_ns, means):
    path = ChannelConfig(rate_bps=9600, delay_ns=600 * MS, loss=0.1, seed=3)
    simulation, found = run_lossy(path, cameras(), useful_ns, 60, mtu=128)
    assert simulation.decodable(30 * S) >= 0.99
    assert found.get('fec', 0) <= 0.3
    assert found.get('repeat', 0) <= 0.3
    assert found[means] >= 0.05
    # So short that a repeat would come too late, or so long that parity would be a waste.
    assert found.get({'repeat': 'fec', 'fec': 'repeat'}[means], 0) <= 0.03


def test_bursts_of_200_ms_for_5_percent_of_the_time_cost_few_frames():
    path = ChannelConfig(
        rate_bps=20_000, delay_ns=300 * MS, loss=0.05, loss_model=LossKind.GILBERT_ELLIOTT,
        burst_ns=200 * MS, seed=3)
    simulation, found = run_lossy(path, small_cameras(), 3 * S, 60, mtu=256)
    assert simulation.decodable(30 * S) >= 0.98
    assert found.get('fec', 0) <= 0.35
    assert found.get('repeat', 0) <= 0.3


def test_without_repair_the_same_losses_do_cost_frames():
    path = ChannelConfig(rate_bps=9600, delay_ns=600 * MS, loss=0.1, seed=3)
    simulation = Simulation(
        9600, [Camera(0)], mtu=128, channel=path, repair=RepairConfig(RepairMode.NONE))
    simulation.run(60)
    assert simulation.decodable() <= 0.95


def test_without_a_way_back_parity_alone_brings_frames_through():
    path = ChannelConfig(rate_bps=9600, loss=0.1, seed=3)
    simulation = Simulation(
        9600, [Camera(0)], mtu=128, suite=Suite.AES_CCM, two_way=False, channel=path,
        back_channel=ChannelConfig(loss=1.0), announce_period_ns=5 * S,
        repair=RepairConfig(least_loss=0.1))
    simulation.run(60)
    assert simulation.decodable(15 * S) >= 0.98
    assert simulation.ground.statistics(simulation.now_ns).peer_confirmed


@pytest.mark.parametrize('suite', [Suite.NONE, Suite.AES_CCM])
def test_control_messages_are_not_starved_by_two_cameras_that_saturate_the_link(suite):
    simulation = Simulation(9600, [Camera(0), Camera(1)], mtu=256, suite=suite)

    def send():
        simulation.rover.offer_control(simulation.now_ns.to_bytes(8, 'big') * 2, simulation.now_ns)
        simulation.at(simulation.now_ns + 1013 * MS, send)

    simulation.at(5 * S, send)
    delays = []
    while len(delays) < 120:
        simulation.run(0.01)
        delays += [
            simulation.now_ns - int.from_bytes(delivery.data[:8], 'big')
            for delivery in simulation.deliveries if isinstance(delivery, ReceivedControl)]
        simulation.deliveries.clear()
    assert max(delays) <= S


def cut_off(simulation, seconds):
    """Let nothing pass for some time, either way."""
    sides = (simulation.rover_side, simulation.ground_side)
    real = [side.send for side in sides]
    for side in sides:
        side.send = lambda datagram, now: True
    simulation.run(seconds)
    for side, send in zip(sides, real):
        side.send = send


@pytest.mark.parametrize(('rate_bps', 'ends'), [
    (9600, (40, 60, 90, 130, 180, 250)), (2400, (100, 200, 375)), (9600, (500, 1000, 1500))])
def test_after_60_s_of_silence_the_newest_frame_and_a_heartbeat_come_within_3_s(rate_bps, ends):
    path = ChannelConfig(rate_bps=rate_bps, delay_ns=50 * MS, loss=0.05, seed=5)
    simulation = Simulation(
        rate_bps, [Camera(0, ends=ends)], mtu=128, suite=Suite.AES_CCM, channel=path,
        back_channel=replace(path, seed=6))
    simulation.run(30)
    before_ns = simulation.now_ns
    cut_off(simulation, 60)
    end_ns = simulation.now_ns
    for end in (simulation.rover, simulation.ground):
        statistics = end.statistics(end_ns)
        assert not statistics.connected
        assert statistics.heard_age >= 59
    simulation.deliveries.clear()
    simulation.run(3)
    assert simulation.rover.connected(simulation.now_ns)
    assert simulation.ground.connected(simulation.now_ns)
    # The first one that comes is of the time after the outage, or was the newest at its end.
    first = simulation.frames()[0]
    assert first.sequence >= (end_ns - S) // (100 * MS) - 5
    # What was lost during the outage is neither asked for nor repeated in a flood.
    simulation.run(27)
    assert shares(simulation, end_ns).get('repeat', 0) <= 0.15
    assert shares(simulation, before_ns).get('fec', 0) <= 0.3


def test_an_outage_of_the_way_back_alone_costs_no_frames():
    path = ChannelConfig(rate_bps=9600, delay_ns=50 * MS)
    simulation = Simulation(
        9600, [Camera(0)], mtu=128, suite=Suite.AES_CCM, channel=path)
    simulation.run(10)
    simulation.ground_side.send = lambda datagram, now: True
    before = len(simulation.frames())
    simulation.run(60)
    assert len(simulation.frames()) - before >= 590


def test_with_keys_frames_wait_until_the_far_end_has_accepted_us():
    simulation = Simulation(
        9600, [Camera(0)], suite=Suite.AES_CCM, channel=ChannelConfig(9600, 300 * MS),
        back_channel=ChannelConfig(9600, 300 * MS))
    simulation.run(30)
    simulation.cameras.clear()
    simulation.run(2)
    kinds = [departure.kind for departure in simulation.trace]
    greetings = kinds.index('announcement')
    assert 1 <= greetings <= 6
    assert set(kinds[:greetings]) <= {'heartbeat', 'receipt'}
    assert simulation.frames()[0].received_ns < 3 * S
    assert simulation.decodable() == 1.0
    assert simulation.ground.statistics(simulation.now_ns).unconfirmed <= 4


@pytest.mark.parametrize('side', ['rover', 'ground'])
def test_with_keys_an_end_that_restarts_goes_on(side):
    simulation = Simulation(9600, [Camera(0)], suite=Suite.AES_CCM)
    for session in range(3, 9):
        simulation.run(5)
        {'rover': simulation.start_rover, 'ground': simulation.start_ground}[side](session)
        simulation.deliveries.clear()
        simulation.run(5)
        assert len(simulation.frames()) >= 20
    other = {'rover': simulation.ground, 'ground': simulation.rover}[side]
    assert other.statistics(simulation.now_ns).peer_restarts == 6


def test_keys_are_changed_in_the_middle_of_frames_which_arrive_all_the_same():
    simulation = Simulation(
        9600, [Camera(0, ends=(1000,), fps=2)], mtu=128, suite=Suite.AES_CCM)
    simulation.run(5)
    both = simulation.keys.with_new_key(2)
    simulation.ground.set_keys(both)
    for number in (2, 1, 2):
        simulation.run(3.3)
        simulation.rover.set_keys(both.with_active(number))
    simulation.run(3)
    simulation.cameras.clear()
    simulation.run(3)
    assert simulation.decodable() == 1.0
    assert simulation.ground.statistics(simulation.now_ns).peer_restarts >= 3
    assert simulation.ground.statistics(simulation.now_ns).malformed == 0


def test_nobody_who_only_hears_a_link_makes_it_send_more_than_its_reserved_share():
    simulation = Simulation(9600, [Camera(0)], mtu=128, suite=Suite.AES_CCM)
    heard = []
    real = simulation.rover_side.send
    simulation.rover_side.send = lambda datagram, now: (heard.append(datagram), real(
        datagram, now))[1]
    simulation.run(10)
    old = [datagram for datagram in heard if datagram[0] & 0x80]
    simulation.start_rover(session=4)
    receive = simulation.ground_side.receive
    simulation.ground_side.receive = lambda now: old * 3 + receive(now)
    simulation.run(20)
    assert simulation.ground.statistics(simulation.now_ns).peer_restarts == 1
    assert len(simulation.frames()) >= 250
    answers = sum(d.bits for d in simulation.back_trace if d.kind == 'heartbeat')
    assert answers <= 0.15 * 2400 * 30


def record_sessions(simulation, direction, count):
    """Return the first datagram of each of so many sessions of an end."""
    layers = (RecordLayer(RecordConfig(direction, Suite.AES_CCM, simulation.keys), 128, 0)
              for _ in range(count))
    return [layer.seal(Heartbeat().pack(), 0) for layer in layers]


def replay(side, recordings, per_s, simulation):
    """Let an end hear recordings, again and again."""
    receive, turn = side.receive, cycle(recordings)
    due = [simulation.now_ns]

    def receive_more(now_ns):
        more = []
        while due[0] <= now_ns:
            more.append(next(turn))
            due[0] += S // per_s
        return more + receive(now_ns)

    side.receive = receive_more


@pytest.mark.parametrize('sessions', [8, 1000])
def test_recordings_of_earlier_sessions_take_no_more_than_the_reserved_share(sessions):
    payload = []
    for attacked in (False, True):
        simulation = Simulation(9600, [Camera(0)], mtu=128, suite=Suite.AES_CCM)
        simulation.run(10)
        if attacked:
            recordings = record_sessions(simulation, Direction.GROUND, sessions)
            replay(simulation.rover_side, recordings, 50, simulation)
        before = len(simulation.frames())
        simulation.run(40)
        payload.append(sum(len(frame.payload) for frame in simulation.frames()[before:]))
        assert len(simulation.frames()) - before >= 390
    assert payload[1] >= (1 - 0.11) * payload[0]


@pytest.mark.parametrize('sessions', [8, 1000])
def test_recordings_do_not_keep_a_link_shut_after_both_ends_have_restarted(sessions):
    path = ChannelConfig(rate_bps=9600, delay_ns=300 * MS)
    simulation = Simulation(
        9600, [Camera(0, fps=5)], mtu=128, suite=Suite.AES_CCM, channel=path, back_channel=path)
    simulation.run(10)
    replay(simulation.rover_side, record_sessions(simulation, Direction.GROUND, sessions), 50,
           simulation)
    replay(simulation.ground_side, record_sessions(simulation, Direction.ROVER, sessions), 50,
           simulation)
    simulation.start_rover(session=3)
    simulation.start_ground(session=4)
    before = len(simulation.frames())
    simulation.run(5 if sessions == 8 else 100)
    assert len(simulation.frames()) > before + 5


def offer_bulk(simulation, data, rank=BulkRank.REGION, **options):
    return simulation.rover.offer_bulk(data, rank, simulation.now_ns, **options)


def received_bulk(simulation):
    return [d.data for d in simulation.deliveries if isinstance(d, ReceivedBulk)]


def test_a_region_has_its_share_of_a_saturated_link_and_a_background_message_less():
    simulation = Simulation(9600, small_cameras(), mtu=128, suite=Suite.AES_CCM)
    simulation.run(10)
    told = []
    assert offer_bulk(simulation, b'r' * 5000, on_sent=lambda: told.append(simulation.now_ns))
    assert offer_bulk(simulation, b'b' * 5000, BulkRank.BACKGROUND)
    start_ns = simulation.now_ns
    simulation.run(20)
    found = shares(simulation, start_ns)
    assert found['region'] == pytest.approx(0.2, abs=0.03)
    assert found['background'] == pytest.approx(0.05, abs=0.02)
    simulation.run(30)
    assert received_bulk(simulation) == [b'r' * 5000]
    assert 20 * S < told[0] - start_ns < 30 * S


def keep_offering(simulation, rank):
    def offer():
        while offer_bulk(simulation, bytes(2000), rank):
            pass
        simulation.at(simulation.now_ns + 200 * MS, offer)

    simulation.at(simulation.now_ns, offer)


@pytest.mark.parametrize(('rank', 'share'), [(BulkRank.REGION, 0.2), (BulkRank.BACKGROUND, 0.05)])
@pytest.mark.parametrize(('rate_bps', 'mtu'), [(20_000, 256), (20_000, 64), (9600, 128)])
def test_bulk_messages_keep_to_their_share_beside_a_camera_whose_frames_fill_the_link(
        rank, share, rate_bps, mtu):
    camera = Camera(0, ends=tuple(range(40, 601, 10)))
    simulation = Simulation(rate_bps, [camera], mtu=mtu, suite=Suite.AES_CCM)
    simulation.run(10)
    keep_offering(simulation, rank)
    simulation.run(15)  # the frames follow what was used over 10 s
    start_ns, before = simulation.now_ns, len(simulation.frames())
    simulation.run(60)
    bits = sum(departure.bits for departure in simulation.trace
               if departure.time_ns >= start_ns and departure.kind == rank.value)
    assert bits == pytest.approx(share * rate_bps * 60, rel=0.06)
    assert len(simulation.frames()) - before >= 0.94 * 600


@pytest.mark.parametrize('rank', BulkRank)
def test_bulk_messages_get_what_a_slow_camera_leaves(rank):
    simulation = Simulation(20_000, [Camera(0, fps=1, ends=(250,))], suite=Suite.AES_CCM)
    simulation.run(10)
    keep_offering(simulation, rank)
    simulation.run(5)
    start_ns, before = simulation.now_ns, len(simulation.frames())
    simulation.run(60)
    assert shares(simulation, start_ns)[rank.value] >= 0.75
    assert len(simulation.frames()) - before >= 59
    assert sum(d.bits for d in simulation.trace if d.time_ns >= start_ns) >= 0.9 * 20_000 * 60


def test_bulk_messages_of_all_sizes_arrive_whole_over_a_path_that_loses():
    path = ChannelConfig(rate_bps=50_000, delay_ns=200 * MS, loss=0.1, jitter_ns=50 * MS, seed=2)
    simulation = Simulation(
        50_000, [], mtu=128, suite=Suite.AES_CCM, channel=path,
        back_channel=replace(path, seed=8))
    simulation.run(5)
    sizes = (1, 100, 1000, simulation.rover.max_bulk_bytes)
    for size in sizes:
        assert offer_bulk(simulation, bytes(size))
    simulation.run(60)
    assert sorted(map(len, received_bulk(simulation))) == sorted(sizes)
    for size in (0, simulation.rover.max_bulk_bytes + 1):
        with pytest.raises(ValueError):
            offer_bulk(simulation, bytes(size))


def test_a_bulk_message_past_its_deadline_is_given_up_and_its_owner_told():
    told = []
    simulation = Simulation(1000, [Camera(0)])
    assert offer_bulk(
        simulation, bytes(3000), deadline_ns=2 * S, on_dropped=lambda: told.append('dropped'))
    simulation.run(3)
    assert told == ['dropped']
    assert not received_bulk(simulation)
