# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

from gsc_ros.link.schedule.camera_queue import Plan
from gsc_ros.link.schedule.message import CameraPolicy, CameraState, DropReason, QueuedMessage, Rank
from gsc_ros.link.schedule.scheduler import Scheduler, SchedulerConfig
from hypothesis import settings
from hypothesis.stateful import invariant, rule, RuleBasedStateMachine
from hypothesis.strategies import booleans, integers
from link_simulation import ENDS, make_frame, make_payload, MS, S
import pytest

MTU = 100


class PlainCut:
    """Bodies of given sizes."""

    strong = True

    def __init__(self, bodies):
        self._bodies = list(bodies)

    @property
    def left(self):
        return sum(map(len, self._bodies))

    def size(self, now_ns):
        return len(self._bodies[0])

    def take(self, now_ns):
        return self._bodies[0]

    def advance(self):
        self._bodies.pop(0)


class PlainPacketizer:
    """Datagrams of at most 100 bytes without headers."""

    max_datagrams = 10
    slack_bits = 0

    def bits(self, size, now_ns):
        return 8 * size

    def plan(self, message, length, now_ns):
        return Plan(-(-length // MTU), 8 * length, 8 * min(MTU, length))

    def begin(self, message, layers, floor, packet, now_ns):
        return PlainCut(packet[start:start + MTU] for start in range(0, len(packet), MTU))


def make_scheduler(rate_bps=20_000, repair=None, **config):
    return Scheduler(
        SchedulerConfig(**config), PlainPacketizer(), rate_bps, 8 * MTU, 0, repair)


def make_message(kind='control', rank=Rank.PROMPT, sizes=(160,), on_sent=None, **options):
    """Return a message of datagrams of so many bits."""
    cut = PlainCut(bytes([index]) * (size // 8) for index, size in enumerate(sizes))
    return QueuedMessage(kind, rank, cut, on_sent, **options)


def send_next(scheduler, now_ns=0):
    """Send one datagram; return its bytes and what it was, or None."""
    while (candidate := scheduler.select(now_ns)) is not None:
        if candidate.repair is not None:
            scheduler.sent(candidate, now_ns)
            return None, candidate
        outgoing = scheduler.open(candidate, now_ns)
        if outgoing is not None:
            assert 8 * len(outgoing.body) == candidate.bits
            scheduler.sent(candidate, now_ns)
            return outgoing.body, candidate
    return None


def drain(scheduler, now_ns=0):
    """Send everything; return what each datagram was."""
    candidates = []
    while (sent := send_next(scheduler, now_ns)) is not None:
        candidates.append(sent[1])
    return candidates


def test_a_waiting_frame_gives_way_to_a_newer_one():
    scheduler = make_scheduler()
    scheduler.offer(make_frame(sequence=1, ends=(40,)), 0)
    scheduler.offer(make_frame(sequence=2, ends=(40,)), MS)
    datagram, _ = send_next(scheduler, 2 * MS)
    assert datagram == make_payload(2, 40)
    assert send_next(scheduler, 2 * MS) is None
    assert scheduler.counter.dropped[DropReason.SUPERSEDED] == 1


def test_a_frame_that_others_refer_to_is_worth_those_that_follow_within_its_use():
    scheduler = make_scheduler()
    worth = {}
    for sequence in range(20):
        now_ns = sequence * 100 * MS
        chained = sequence % 2 == 1
        scheduler.offer(replace(make_frame(sequence=sequence, ends=(40,)), chained=chained), now_ns)
        candidate = scheduler.select(now_ns)
        worth[chained] = scheduler.open(candidate, now_ns).worth
        scheduler.sent(candidate, now_ns)
    assert worth == {False: 1, True: 11}


def test_a_frame_that_has_begun_is_finished_before_a_newer_one():
    scheduler = make_scheduler()
    scheduler.offer(make_frame(sequence=1, ends=(250,)), 0)
    datagrams = [send_next(scheduler)[0]]
    scheduler.offer(make_frame(sequence=2, ends=(250,)), MS)
    assert scheduler.state(0) is CameraState.BOTH
    datagrams += [send_next(scheduler, MS)[0] for _ in range(2)]
    assert b''.join(datagrams) == make_payload(1, 250)
    assert scheduler.state(0) is CameraState.WAITING
    assert scheduler.counter.dropped[DropReason.SUPERSEDED] == 0


def test_the_states_follow_the_table():
    scheduler = make_scheduler()
    assert scheduler.state(0) is CameraState.EMPTY
    scheduler.offer(make_frame(ends=(150,)), 0)
    assert scheduler.state(0) is CameraState.WAITING
    send_next(scheduler)
    assert scheduler.state(0) is CameraState.SENDING
    send_next(scheduler)
    assert scheduler.state(0) is CameraState.EMPTY


def test_until_its_first_datagram_leaves_a_newer_frame_can_take_its_place():
    scheduler = make_scheduler()
    scheduler.offer(make_frame(sequence=1, ends=(40,)), 0)
    assert scheduler.select(0) is not None
    scheduler.offer(make_frame(sequence=2, ends=(40,)), MS)
    assert send_next(scheduler, MS)[0] == make_payload(2, 40)


def test_the_more_urgent_camera_goes_first_even_between_the_datagrams_of_another():
    scheduler = make_scheduler()
    scheduler.offer(make_frame(0, ends=(250,), priority=5), 0)
    send_next(scheduler)
    scheduler.offer(make_frame(1, ends=(40,), priority=4), 0)
    assert [candidate.camera_id for candidate in drain(scheduler)] == [1, 0, 0]


@pytest.mark.parametrize(('weights', 'share'), [((1, 1), 0.5), ((3, 1), 0.75)])
def test_equals_share_the_link_by_weight_in_bits_not_in_frames(weights, share):
    scheduler = make_scheduler()
    sizes = (250, 90)
    for camera_id, weight in enumerate(weights):
        scheduler.set_policy(camera_id, CameraPolicy(weight=weight))
    bits = [0, 0]
    for step in range(3000):
        for camera_id, size in enumerate(sizes):
            if scheduler.state(camera_id) is CameraState.EMPTY:
                scheduler.offer(make_frame(camera_id, step, ends=(size,)), step * MS)
        candidate = send_next(scheduler, step * MS)[1]
        bits[candidate.camera_id] += candidate.bits
    assert bits[0] / sum(bits) == pytest.approx(share, abs=0.01)


def test_a_camera_that_was_silent_has_no_claim_for_its_absence():
    scheduler = make_scheduler()
    for step in range(500):
        scheduler.offer(make_frame(0, step, ends=(90,)), step * MS)
        send_next(scheduler, step * MS)
    order = []
    for step in range(500, 520):
        for camera_id in (0, 1):
            if scheduler.state(camera_id) is CameraState.EMPTY:
                scheduler.offer(make_frame(camera_id, step, ends=(90,)), step * MS)
        order.append(send_next(scheduler, step * MS)[1].camera_id)
    assert order.count(0) >= 9


def run_at_budget(scheduler, rate_bps, cameras, seconds):
    """Offer frames of cameras (id, fps, priority) and send at the rate; return sent lengths."""
    now = credit = 0
    begun = {camera_id: [] for camera_id, _, _ in cameras}
    next_ns = [0] * len(cameras)
    sequence = 0
    while now < seconds * S:
        for index, (camera_id, fps, priority) in enumerate(cameras):
            if next_ns[index] <= now:
                sequence += 1
                scheduler.offer(make_frame(camera_id, sequence, priority=priority), now)
                next_ns[index] += int(S / fps)
        credit = min(2 * 8 * MTU * S, credit + rate_bps * MS)
        while (candidate := scheduler.select(now)) and candidate.bits * S <= credit:
            if scheduler.open(candidate, now) is not None:
                scheduler.sent(candidate, now)
                credit -= candidate.bits * S
                if candidate.layers:
                    begun[candidate.camera_id].append(ENDS[candidate.layers - 1])
        now += MS
    return begun


def test_layers_are_shed_before_any_frame_is_dropped():
    scheduler = make_scheduler(12_000)
    begun = run_at_budget(scheduler, 12_000, [(0, 10, 0)], 60)
    assert sum(scheduler.counter.dropped.values()) == 0
    assert len(begun[0]) == 600
    assert scheduler.counter.layers_shed > 0
    # Steps are coarse; what one frame leaves unused goes to a later one.
    assert sum(begun[0]) * 8 / 60 == pytest.approx(12_000, rel=0.05)


def test_the_lower_camera_keeps_its_first_layer_and_the_urgent_one_gets_the_rest():
    scheduler = make_scheduler(20_000)
    begun = run_at_budget(scheduler, 20_000, [(0, 10, 0), (1, 10, 1)], 60)
    assert sum(scheduler.counter.dropped.values()) == 0
    assert len(begun[0]) == len(begun[1]) == 600
    assert sum(begun[0]) > 4 * sum(begun[1])
    assert set(begun[1]) <= {40, 60}


def test_cameras_of_different_rates_all_keep_their_frames():
    scheduler = make_scheduler(15_000)
    cameras = [(0, 10, 0), (1, 5, 0), (2, 1, 0), (3, 7, 3)]
    begun = run_at_budget(scheduler, 15_000, cameras, 60)
    assert sum(scheduler.counter.dropped.values()) <= 2
    assert [len(frames) for frames in begun.values()] == pytest.approx(
        [600, 300, 60, 420], abs=3)


def test_where_not_even_the_first_layers_fit_only_they_are_sent():
    scheduler = make_scheduler(2000)
    begun = run_at_budget(scheduler, 2000, [(0, 10, 0)], 60)
    assert set(begun[0][10:]) == {40}
    assert scheduler.counter.dropped[DropReason.SUPERSEDED] > 100


def test_a_target_rate_buys_better_frames_with_fewer_of_them():
    scheduler = make_scheduler(2000)
    scheduler.set_policy(0, CameraPolicy(target_fps=0.5))
    begun = run_at_budget(scheduler, 2000, [(0, 10, 0)], 60)
    assert set(begun[0]) == {250}


def test_layers_under_the_minimum_are_never_shed():
    scheduler = make_scheduler(2000)
    scheduler.set_policy(0, CameraPolicy(min_layers=4))
    begun = run_at_budget(scheduler, 2000, [(0, 10, 0)], 60)
    assert set(begun[0][10:]) == {130}


def test_a_camera_that_falls_silent_leaves_its_part_to_the_others():
    scheduler = make_scheduler(20_000)
    first = run_at_budget(scheduler, 20_000, [(0, 10, 0), (1, 10, 0)], 10)
    assert max(first[0][20:]) <= 180
    now = 20 * S
    for step in range(10):
        drain(scheduler, now)
        now += 100 * MS
        scheduler.offer(make_frame(0, 1000 + step), now)
    assert scheduler.allowance_bits(0, now) >= 0.9 * 2000


def test_a_frame_past_its_deadline_is_dropped_and_counted():
    scheduler = make_scheduler()
    scheduler.offer(make_frame(deadline_ns=S), 0)
    assert scheduler.select(S - 1) is not None
    assert scheduler.select(S) is None
    assert scheduler.counter.dropped[DropReason.EXPIRED] == 1


def test_the_owner_of_a_frame_that_is_given_up_is_told_why_ever_it_is():
    def watched(name, **options):
        return replace(make_frame(ends=(250,), **options), on_dropped=lambda: told.append(name))
    told = []
    scheduler = make_scheduler(stall_ns=3 * S)
    scheduler.offer(watched('superseded'), 0)
    scheduler.offer(watched('expired', deadline_ns=S), 0)
    assert told == ['superseded']
    scheduler.expire(S)
    assert told[1:] == ['expired']
    scheduler.offer(replace(watched('invalid'), render=lambda _: b''), S)
    assert send_next(scheduler, S) is None
    scheduler.offer(watched('stalled'), S)
    send_next(scheduler, S)
    scheduler.expire(S + 3 * S + 1)
    scheduler.offer(watched('sent'), 5 * S)
    drain(scheduler, 5 * S)
    assert told[2:] == ['invalid', 'stalled']
    assert not scheduler.offer(replace(watched('refused'), camera_id=256), 5 * S)
    assert len(told) == 4


def test_a_begun_frame_is_finished_past_its_deadline_but_not_once_the_far_end_forgot_it():
    scheduler = make_scheduler(stall_ns=3 * S)
    scheduler.offer(make_frame(ends=(250,), deadline_ns=S), 0)
    send_next(scheduler, 0)
    assert send_next(scheduler, 3 * S) is not None
    assert scheduler.select(6 * S + 1) is None
    assert scheduler.counter.dropped[DropReason.EXPIRED] == 1


@pytest.mark.parametrize('change', [
    {'camera_id': 256}, {'priority': -1}, {'sequence': 1 << 32}, {'session': 1 << 16},
    {'stamp_ns': 1 << 63}, {'ends': ()}, {'ends': (0,)}, {'ends': (5, 5)}, {'ends': (9, 3)},
    {'ends': tuple(range(1, 1026))}])
def test_a_message_that_is_not_well_formed_is_dropped_as_invalid(change):
    scheduler = make_scheduler()
    assert not scheduler.offer(replace(make_frame(), **change), 0)
    assert scheduler.select(0) is None
    assert scheduler.counter.dropped[DropReason.INVALID] == 1


def test_a_frame_that_cannot_be_cut_or_is_cut_to_another_length_is_dropped_as_invalid():
    def refuse(layers):
        raise ValueError('not a packet')

    scheduler = make_scheduler()
    scheduler.offer(replace(make_frame(0), render=refuse), 0)
    scheduler.offer(replace(make_frame(1), render=lambda layers: b'short'), 0)
    scheduler.offer(make_frame(2, ends=(40,)), 0)
    assert [candidate.camera_id for candidate in drain(scheduler)] == [2]
    assert scheduler.counter.dropped[DropReason.INVALID] == 2


def test_a_frame_whose_first_layers_need_too_many_datagrams_is_too_large():
    scheduler = make_scheduler()
    assert not scheduler.offer(make_frame(ends=(1001,)), 0)
    assert scheduler.counter.dropped[DropReason.TOO_LARGE] == 1


def test_a_frame_that_is_too_large_as_a_whole_is_cut_to_what_can_be_sent():
    scheduler = make_scheduler(10_000_000)
    assert scheduler.offer(make_frame(ends=(100, 1000, 1001)), 0)
    assert len(drain(scheduler)) == 10
    assert scheduler.counter.layers_shed == 1


def test_held_cameras_wait_and_keep_only_their_newest_frame():
    scheduler = make_scheduler()
    scheduler.hold(0, True)
    scheduler.offer(make_frame(sequence=1, ends=(40,)), 0)
    scheduler.offer(make_frame(sequence=2, ends=(40,)), 0)
    assert scheduler.select(0) is None
    scheduler.hold(0, False)
    assert send_next(scheduler)[0] == make_payload(2, 40)


def test_control_messages_go_first_within_their_share_and_frames_after_that():
    scheduler = make_scheduler(8000, control_share=0.1)
    for index in range(60):
        scheduler.offer_message(make_message())
        scheduler.offer(make_frame(0, index, ends=(90,)), 0)
    kinds = []
    now = 0
    for index in range(200):
        scheduler.offer(make_frame(0, 100 + index, ends=(90,)), now)
        kinds.append(send_next(scheduler, now)[1])
        now += kinds[-1].bits * S // 8000
    control = sum(c.bits for c in kinds if c.kind == 'control')
    total = sum(c.bits for c in kinds)
    assert kinds[0].kind == 'control'
    assert control / total == pytest.approx(0.1, abs=0.02)


def test_control_messages_take_the_whole_link_when_no_frame_waits():
    scheduler = make_scheduler()
    for _ in range(60):
        scheduler.offer_message(make_message())
    assert len(drain(scheduler)) == 60


def test_prompt_goes_before_urgent_before_slow_and_urgent_before_frames():
    scheduler = make_scheduler()
    scheduler.offer(make_frame(ends=(40,)), 0)
    scheduler.offer_message(make_message('late', Rank.SLOW, (800, 800)))
    scheduler.offer_message(make_message('first', Rank.URGENT, (800, 800, 800)))
    scheduler.offer_message(make_message('now', Rank.PROMPT))
    kinds = [candidate.kind for candidate in drain(scheduler)]
    assert kinds == ['now', 'first', 'first', 'first', 'frame']
    assert [c.kind for c in drain(scheduler, S)] == ['late']


def test_repeated_announcements_keep_to_their_share_even_when_nothing_else_waits():
    scheduler = make_scheduler(8000, control_share=0.1)
    scheduler.offer_message(make_message('late', Rank.SLOW, (800, 800, 800)))
    assert len(drain(scheduler)) == 1
    assert scheduler.share_wait_ns(0) == S
    assert len(drain(scheduler, S)) == 1
    assert len(drain(scheduler, 2 * S)) == 1
    assert scheduler.share_wait_ns(2 * S) is None


def fill(scheduler, now, index, *kinds):
    """See to it that a frame and a message of each kind waits."""
    scheduler.offer(make_frame(0, index, ends=(90,)), now)
    for rank in kinds:
        scheduler.offer_message(make_message(rank.value, rank, (800,) * 5))


def shares(scheduler, *kinds, rate_bps=8000, datagrams=2000):
    """Return the share of each kind while all of them wait all the time."""
    now, bits = 0, {}
    for index in range(datagrams):
        fill(scheduler, now, index, *kinds)
        candidate = send_next(scheduler, now)[1]
        bits[candidate.kind] = bits.get(candidate.kind, 0) + candidate.bits
        now += candidate.bits * S // rate_bps
    return {kind: part / sum(bits.values()) for kind, part in bits.items()}


def test_each_class_gets_its_share_while_all_of_them_wait():
    found = shares(make_scheduler(8000), Rank.PROMPT, Rank.REGION, Rank.BACKGROUND)
    assert found['prompt'] == pytest.approx(0.1, abs=0.01)
    assert found['region'] == pytest.approx(0.2, abs=0.01)
    assert found['background'] == pytest.approx(0.05, abs=0.01)
    assert found['frame'] == pytest.approx(0.65, abs=0.02)


def test_what_is_in_the_background_takes_the_whole_link_when_no_frame_waits():
    scheduler = make_scheduler(8000)
    scheduler.offer_message(make_message('background', Rank.BACKGROUND, (800,) * 50))
    scheduler.offer_message(make_message('region', Rank.REGION, (800,) * 50))
    kinds = [candidate.kind for candidate in drain(scheduler)]
    assert sorted(kinds) == ['background'] * 50 + ['region'] * 50
    assert kinds[1:50] == ['region'] * 49 or kinds[2:51] == ['region'] * 49


class PlainRepair:
    """Has something to repair all the time."""

    class Body:
        def __init__(self, kind, size):
            self.kind = kind
            self.size = size

    def __init__(self, nacks=0, repairs=0):
        self.nacks, self.repairs = nacks, repairs

    def nack(self, now_ns):
        return self.Body('nack', 10) if self.nacks else None

    def repair(self, now_ns):
        return self.Body('fec', 100) if self.repairs else None


def test_requests_for_repeats_go_first_and_repairs_after_announcements_before_regions():
    repair = PlainRepair(1, 1)
    scheduler = make_scheduler(repair=repair)
    scheduler.offer(make_frame(ends=(40,)), 0)
    scheduler.offer_message(make_message('announcement', Rank.URGENT, (800,)))
    scheduler.offer_message(make_message('region', Rank.REGION, (800,)))
    kinds = []
    for _ in range(5):
        kinds.append(send_next(scheduler)[1].kind)
        repair.nacks -= kinds[-1] == 'nack'
        repair.repairs -= kinds[-1] == 'fec'
    assert kinds == ['nack', 'announcement', 'fec', 'region', 'frame']


def test_frames_are_cut_to_what_repairs_and_regions_leave():
    def bits(**repair):
        scheduler = make_scheduler(20_000, PlainRepair(**repair))
        for index in range(20):
            now = index * 100 * MS
            scheduler.offer(make_frame(0, index), now)
            if repair:
                scheduler.sent(scheduler.select(now), now)
        return scheduler.allowance_bits(0, now)
    assert bits() == pytest.approx(0.98 * 2000, rel=0.01)
    # 800 of 2000 bits in each tenth of a second; the window is 10 s, of which 2 have passed.
    assert bits(repairs=1) == pytest.approx(0.98 * 2000 - 0.2 * 800, rel=0.01)


def test_a_bulk_message_past_its_deadline_is_given_up_and_its_owner_told():
    told = []
    scheduler = make_scheduler()
    scheduler.offer_message(make_message(
        'region', Rank.REGION, (800, 800), told.append, deadline_ns=S,
        on_dropped=lambda: told.append('dropped')))
    send_next(scheduler, 0)
    assert scheduler.select(S) is None
    assert told == ['dropped']
    assert scheduler.counter.dropped[DropReason.EXPIRED] == 1


def test_bulk_queues_are_bounded():
    scheduler = make_scheduler(bulk_queue=2)
    taken = [scheduler.offer_message(make_message('region', Rank.REGION)) for _ in range(3)]
    assert taken == [True, True, False]
    assert scheduler.counter.dropped[DropReason.QUEUE_FULL] == 0
    assert scheduler.offer_message(make_message('background', Rank.BACKGROUND))


def test_after_an_outage_a_begun_frame_gives_way_to_one_that_waits_and_to_nothing_else():
    scheduler = make_scheduler()
    for camera_id in (0, 1):
        scheduler.offer(make_frame(camera_id, 1, ends=(250,), priority=camera_id), 0)
        send_next(scheduler)
        scheduler.offer(make_frame(2, 1, ends=(40,)), 0)
        drain(scheduler) if camera_id else None
    scheduler.offer(make_frame(0, 2, ends=(250,)), 0)
    send_next(scheduler)
    scheduler.renew()
    assert scheduler.state(0) is CameraState.SENDING
    scheduler.offer(make_frame(0, 3, ends=(250,)), 0)
    scheduler.renew()
    assert scheduler.state(0) is CameraState.WAITING
    assert send_next(scheduler)[0] == make_payload(3, 250)[:100]


def test_a_frame_tells_when_its_last_datagram_has_left():
    told = []
    scheduler = make_scheduler()
    scheduler.offer(replace(make_frame(ends=(150,)), on_sent=lambda: told.append(1)), 0)
    send_next(scheduler)
    assert not told
    send_next(scheduler)
    assert told == [1]


@pytest.mark.parametrize('fps', [0.2, 0.5, 3, 10])
def test_a_camera_of_any_rate_gets_its_frames_whole_where_the_link_carries_them(fps):
    scheduler = make_scheduler(20_000)
    begun = run_at_budget(scheduler, 20_000, [(0, fps, 0)], 30)
    assert set(begun[0][2:]) == {250} if fps < 9 else max(begun[0]) == 250


def test_a_camera_that_becomes_slower_gets_larger_frames_soon():
    scheduler = make_scheduler(2400)
    for index in range(50):
        scheduler.offer(make_frame(0, index), index * 100 * MS)
        drain(scheduler, index * 100 * MS)
    layers = []
    for index in range(10):
        now = 5 * S + index * 5 * S
        scheduler.offer(make_frame(0, 100 + index), now)
        layers += [c.layers for c in drain(scheduler, now) if c.layers]
    assert layers[-3:] == [len(ENDS)] * 3


def test_the_sender_of_a_control_message_learns_when_its_last_datagram_has_left():
    scheduler = make_scheduler()
    times = []
    scheduler.offer_message(make_message(sizes=(160, 80), on_sent=times.append))
    send_next(scheduler, 1)
    assert times == []
    send_next(scheduler, 2)
    assert times == [2]


def test_the_control_queue_is_bounded_and_what_does_not_fit_is_counted():
    scheduler = make_scheduler(control_queue=3)
    assert [scheduler.offer_message(make_message()) for _ in range(5)] == [True] * 3 + [False] * 2
    assert scheduler.counter.dropped[DropReason.QUEUE_FULL] == 2


def test_what_waits_is_reported():
    scheduler = make_scheduler()
    scheduler.offer(make_frame(0, ends=(40,)), 0)
    scheduler.offer(make_frame(1, ends=(250,)), 0)
    scheduler.offer_message(make_message(sizes=(160, 80)))
    assert scheduler.queued() == (3, 320 + 2000 + 240)
    send_next(scheduler)
    assert scheduler.queued() == (3, 320 + 2000 + 80)
    drain(scheduler)
    assert scheduler.queued() == (0, 0)


@pytest.mark.parametrize('policy', [
    {'weight': 0}, {'weight': 1001}, {'target_fps': -1.0}, {'target_fps': float('nan')},
    {'target_fps': 1001.0}, {'min_layers': 0}])
def test_impossible_policies_are_refused(policy):
    with pytest.raises(ValueError):
        CameraPolicy(**policy)


@pytest.mark.parametrize('config', [
    {'control_share': 0.0}, {'control_share': 0.6}, {'control_queue': 0}, {'stall_ns': 0},
    {'region_share': 0.0}, {'background_share': 0.6}, {'bulk_queue': 0}])
def test_impossible_configurations_are_refused(config):
    with pytest.raises(ValueError):
        SchedulerConfig(**config)


class SchedulerMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, every frame is accounted for exactly once."""

    def __init__(self):
        super().__init__()
        self.scheduler = make_scheduler(control_queue=5, bulk_queue=3, stall_ns=2 * S)
        self.now = 0
        self.offered = 0

    @rule(camera=integers(0, 3), priority=integers(0, 2), size=integers(1, 1200),
          deadline=integers(1, 3 * S), broken=booleans())
    def offer(self, camera, priority, size, deadline, broken):
        self.offered += 1
        frame = make_frame(
            camera, self.offered, ends=(size, size + 50), priority=priority,
            deadline_ns=self.now + deadline)
        if broken and size % 7 == 0:
            frame = replace(frame, render=lambda layers: b'')
        self.scheduler.offer(frame, self.now)

    @rule(rank=integers(0, len(Rank) - 1), size=integers(1, 100), deadline=integers(1, 3 * S))
    def offer_message(self, rank, size, deadline):
        rank = list(Rank)[rank]
        taken = self.scheduler.offer_message(make_message(
            rank=rank, sizes=(8 * size, 80),
            deadline_ns=self.now + deadline if deadline % 2 else None))
        # The owner of a bulk message that is not taken keeps it.
        self.offered += taken or rank not in (Rank.REGION, Rank.BACKGROUND)

    @rule(camera=integers(0, 3), held=booleans())
    def hold(self, camera, held):
        self.scheduler.hold(camera, held)

    @rule(rate=integers(1, 100_000))
    def change_rate(self, rate):
        self.scheduler.set_rate(rate, self.now)

    @rule(step=integers(0, S))
    def wait(self, step):
        self.now += step

    @rule()
    def send(self):
        send_next(self.scheduler, self.now)

    @rule()
    def renew(self):
        self.scheduler.renew()

    @rule()
    def refuse(self):
        # The transport did not take it: the same candidate comes again.
        candidate = self.scheduler.select(self.now)
        if candidate and self.scheduler.open(candidate, self.now) is not None:
            again = self.scheduler.select(self.now)
            assert (again.bits, again.camera_id) == (candidate.bits, candidate.camera_id)

    @invariant()
    def every_message_is_accounted_for(self):
        counter = self.scheduler.counter
        waiting = self.scheduler.queued()[0]
        assert self.offered == (
            waiting + counter.sent_messages + sum(counter.dropped.values()))
        assert waiting <= 4 * 2 + 5 + 2 * 3


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
