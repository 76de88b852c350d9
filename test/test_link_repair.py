# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import random

from gsc_ros.link.datagram.framing import Kind
from gsc_ros.link.repair.fec import Parity
from gsc_ros.link.repair.redundancy import (
    count_repeats,
    LossMemory,
    parities_needed,
    residual_loss,
)
from gsc_ros.link.repair.repair import PathMeasure, Protection, Repair, RepairConfig, RepairMode
from gsc_ros.link.repair.share import RepairShare
from hypothesis import given, settings
from hypothesis import strategies as st
from lossy_pipe import bernoulli, bursts, MS, MTU, Pipe, S, wire_bits
import pytest

BODY = bytes([Kind.FRAGMENT << 4])


def lossy(seconds: float, loss: float = 0.1, **options) -> Pipe:
    pipe = Pipe(
        options.pop('config', RepairConfig()), loss=bernoulli(loss, 1),
        back_loss=bernoulli(loss, 2), **options)
    pipe.run(seconds)
    return pipe


def assert_exact(pipe: Pipe) -> None:
    for sender, receiver in ((pipe.rover, pipe.ground), (pipe.ground, pipe.rover)):
        assert receiver.got
        assert all(sender.sent[counter] == body for counter, (body, _) in receiver.got.items())


# The bars


@pytest.mark.parametrize('useful_ns', [2 * S, 5 * S])
def test_at_10_percent_loss_99_percent_of_first_bodies_are_in_time(useful_ns) -> None:
    pipe = lossy(400, useful_ns=useful_ns)
    first, whole = pipe.decodable(useful_ns)
    assert first >= 0.99
    assert whole >= 0.85
    assert pipe.share('fec') <= 0.3
    assert pipe.share('repeat') <= 0.3
    assert_exact(pipe)


@pytest.mark.parametrize('useful_ns', [2 * S, 5 * S])
def test_through_bursts_98_percent_of_first_bodies_are_in_time(useful_ns) -> None:
    pipe = Pipe(
        RepairConfig(), loss=bursts(200 * MS, 0.05, 3), back_loss=bursts(200 * MS, 0.05, 4),
        rate_bps=20_000, back_bps=2000, useful_ns=useful_ns)
    pipe.run(400)
    assert pipe.decodable(useful_ns)[0] >= 0.98
    assert pipe.share('fec') <= 0.3
    assert_exact(pipe)


def test_where_there_is_time_for_three_repeats_hardly_any_parity_is_sent() -> None:
    assert lossy(200, useful_ns=8 * S).share('fec') < 0.08


def test_where_there_is_no_time_for_a_repeat_none_is_sent() -> None:
    pipe = lossy(200, useful_ns=1500 * MS)
    assert pipe.share('repeat') < 0.005
    assert pipe.share('fec') > 0.1


def test_a_link_without_loss_pays_nothing() -> None:
    pipe = lossy(120, loss=0.0)
    assert pipe.decodable(2 * S) == (1.0, 1.0)
    assert pipe.share('frame') > 0.99
    assert pipe.rover.repair.reserve(Protection.STRONG, pipe.now_ns) == 0
    assert pipe.ground.bits.get('nack', 0) == 0
    assert set(pipe.rover.bits) == {'frame'}


def test_once_loss_has_ended_so_has_parity() -> None:
    pipe = lossy(60)
    assert pipe.share('fec') > 0.1
    pipe.loss = (bernoulli(0, 1), bernoulli(0, 1))
    pipe.run(500)
    before = pipe.rover.bits['fec']
    pipe.run(100)
    assert pipe.rover.bits['fec'] == before


def test_a_link_without_a_way_back_has_the_parity_that_is_configured() -> None:
    config = RepairConfig(least_loss=0.1)
    pipe = lossy(200, config=config, two_way=False, useful_ns=2 * S)
    assert pipe.decodable(2 * S)[0] >= 0.99
    assert 0.1 < pipe.share('fec') <= 0.3
    silent = lossy(50, two_way=False, useful_ns=2 * S)
    assert silent.share('fec') == 0


def test_repeats_are_not_counted_on_while_the_round_trip_is_unknown() -> None:
    pipe = lossy(300, known_round_trip=False, useful_ns=2 * S, round_trip_ns=400 * MS)
    assert pipe.decodable(2 * S)[0] >= 0.99
    assert pipe.share('fec') > 0.1


@pytest.mark.parametrize('mode, parity, repeats', [
    (RepairMode.NONE, False, False), (RepairMode.FEC, True, False),
    (RepairMode.NACK, False, True)])
def test_a_mode_uses_what_it_is_called_after(mode, parity, repeats) -> None:
    pipe = lossy(60, config=RepairConfig(mode=mode), round_trip_ns=400 * MS)
    assert (pipe.rover.bits.get('fec', 0) > 0) is parity
    assert (pipe.rover.bits.get('repeat', 0) > 0) is repeats
    assert (pipe.ground.bits.get('nack', 0) > 0) is repeats


def test_a_lost_last_datagram_before_a_pause_is_noticed() -> None:
    pipe = lossy(600, fps=0.5, frame=(100,), useful_ns=1500 * MS, round_trip_ns=200 * MS)
    assert pipe.decodable(1500 * MS)[0] >= 0.99
    assert pipe.share('heartbeat') < 0.03


@pytest.mark.parametrize('jitter_ns', [20 * MS, 400 * MS])
def test_reordering_is_not_taken_for_loss(jitter_ns) -> None:
    pipe = lossy(200, loss=0.0, jitter_ns=jitter_ns)
    assert pipe.decodable(2 * S) == (1.0, 1.0)
    assert pipe.share('repeat') < 0.01
    assert pipe.share('fec') < 0.05
    assert_exact(pipe)


def test_after_an_outage_there_is_no_storm() -> None:
    pipe = lossy(60, loss=0.0, useful_ns=20 * S)
    pipe.loss = (lambda _: True, lambda _: True)
    pipe.run(60)
    pipe.loss = (bernoulli(0, 1), bernoulli(0, 1))
    before, nacks = pipe.rover.bits.get('repeat', 0), pipe.ground.bits.get('nack', 0)
    pipe.run(10)
    assert pipe.rover.bits.get('repeat', 0) - before <= 0.3 * 9600 * 10 + 2 * wire_bits(MTU)
    assert pipe.ground.bits.get('nack', 0) - nacks <= 0.25 * 960 * 10 + 2 * wire_bits(MTU)
    pipe.run(60)
    before = pipe.rover.bits.get('repeat', 0)
    pipe.run(60)
    assert pipe.rover.bits.get('repeat', 0) == before


# The arithmetic


def test_the_residual_loss_of_independent_losses_is_that_of_the_binomial_law() -> None:
    for sources, parities in ((1, 1), (5, 2), (9, 4)):
        n, p = sources + parities - 1, 0.1
        more = sum(math.comb(n, k) * p ** k * (1 - p) ** (n - k) for k in range(parities, n + 1))
        assert residual_loss(p, 1 / (1 - p), sources, parities, 1) == pytest.approx(p * more)


def test_bursts_need_more_parity_and_distance_between_datagrams_less() -> None:
    assert parities_needed(0.0, 1.0, 8, 1, 0.005) == 0
    assert parities_needed(0.004, 1.0, 8, 1, 0.005) == 0
    scattered = parities_needed(0.05, 1.0, 8, 1, 0.005)
    assert 0 < scattered < parities_needed(0.05, 4.0, 8, 1, 0.005)
    assert parities_needed(0.05, 4.0, 8, 4, 0.005) < parities_needed(0.05, 4.0, 8, 1, 0.005)


@settings(max_examples=100)
@given(st.floats(0, 0.35), st.floats(1, 50), st.integers(1, 48), st.integers(1, 8))
def test_a_parity_more_is_never_worse(loss, burst, sources, spacing) -> None:
    losses = [residual_loss(loss, burst, sources, parities, spacing) for parities in range(6)]
    assert losses[0] == loss
    assert all(0 <= b <= a + 1e-9 for a, b in zip(losses, losses[1:])) or sources == 1


def test_a_repeat_counts_only_where_it_is_in_time() -> None:
    path = {'gap_ns': 100 * MS, 'reorder_ns': 30 * MS, 'datagram_ns': 100 * MS}
    assert count_repeats(2 * S, 1200 * MS, **path) == 0
    assert count_repeats(3 * S, 1200 * MS, **path) == 1
    assert count_repeats(4 * S, 1200 * MS, **path) == 2
    assert count_repeats(100 * S, None, **path) == 0


def test_loss_in_rare_bursts_is_remembered_between_them() -> None:
    memory = LossMemory(0.0)
    for second in range(300):
        memory.measure(0.3 if second % 10 == 0 else 0.0, 6.0, second * S)
    assert 0.02 < memory.loss < 0.06
    assert memory.burst == pytest.approx(6.0, abs=0.5)
    before = memory.loss
    memory.measure(math.nan, math.nan, 300 * S)
    memory.measure(1.0, math.nan, 400 * S)
    assert memory.loss == before


def test_frames_of_many_pieces_get_more_parity_for_each() -> None:
    def parities(pieces: int) -> int:
        repair = make_repair(round_trip_ns=None)
        counter = 0
        for frame in range(60):
            for piece in range(6):
                kind = Kind.FRAME if piece % pieces == 0 else Kind.CONTINUATION
                now_ns = (6 * frame + piece) * 100 * MS
                repair.sent(
                    counter, bytes([kind << 4, 1, 2]), Protection.STRONG, now_ns + S, now_ns)
                counter += 1
                while message := repair.select(now_ns, 119):
                    repair.departed(message, counter, wire_bits(message.size), now_ns)
                    counter += 1
        return repair.counts.parities

    assert parities(6) > 1.1 * parities(1) > 0


def test_a_frame_that_others_are_lost_with_gets_more_parity() -> None:
    def parities(worth: int) -> int:
        repair = make_repair(round_trip_ns=None)
        counter = 0
        for now_ns in range(0, 60 * S, 200 * MS):
            repair.sent(counter, BODY, Protection.STRONG, now_ns + S, now_ns, worth)
            counter += 1
            while message := repair.select(now_ns, 119):
                repair.departed(message, counter, wire_bits(message.size), now_ns)
                counter += 1
        return repair.counts.parities

    assert parities(20) > 1.1 * parities(1) > 0


@pytest.mark.parametrize('bad', [
    {'fec_share': 0.6}, {'nack_share': -0.1}, {'back_share': 0.0}, {'target': 0.0},
    {'least_loss': 0.5}, {'useful_ns': 0}, {'reorder_ns': -1}])
def test_values_out_of_range_are_refused(bad) -> None:
    with pytest.raises(ValueError):
        RepairConfig(**bad)


# One end


def make_repair(mode: RepairMode = RepairMode.AUTO, mtu: int = MTU, **path) -> Repair:
    repair = Repair(RepairConfig(mode=mode), 9600, wire_bits, mtu, 0)
    repair.measure(PathMeasure(**{
        'loss': 0.1, 'burst': 1.1, 'round_trip_ns': 1200 * MS, 'rate_bps': 9600, **path}), 0)
    return repair


def test_nothing_changes_before_a_message_has_departed() -> None:
    repair = make_repair()
    repair.sent(0, BODY + b'first', Protection.STRONG, 2 * S, 0)
    due_ns = repair.next_ns(0)
    messages = [repair.select(due_ns, 119) for _ in range(3)]
    assert len({message.build(1) for message in messages}) == 1
    repair.departed(messages[0], 1, wire_bits(messages[0].size), due_ns)
    again = repair.select(due_ns, 119)
    assert again is None or again.build(2) != messages[0].build(1)


def test_it_says_when_to_ask_again() -> None:
    repair = make_repair()
    repair.sent(0, BODY + b'first', Protection.STRONG, 2 * S, 0)
    assert repair.select(0, 119) is None
    due_ns = repair.next_ns(0)
    assert 0 < due_ns < 1400 * MS
    assert repair.select(due_ns - 1, 119) is None
    assert repair.select(due_ns, 119).kind == 'fec'


def test_a_parity_over_full_bodies_fits_once_room_is_reserved() -> None:
    repair = make_repair()
    counter = 0
    for now_ns in range(0, 10 * S, 100 * MS):
        message = repair.select(now_ns, 119)
        if message:
            assert message.size <= 119
            covered = Parity.parse(counter, message.build(counter)).covered
            repair.departed(message, counter, wire_bits(message.size), now_ns)
        else:
            room = 119 - repair.reserve(Protection.STRONG, now_ns)
            repair.sent(counter, BODY * room, Protection.STRONG, now_ns + 2 * S, now_ns)
        counter += 1
    assert repair.counts.parities > 15
    assert len(covered) > 5


def test_a_body_comes_out_once_whatever_brings_it() -> None:
    repair = make_repair()
    body = BODY + b'once'
    assert repair.receive(3, body, 0) == [(3, body)]
    repeat = bytes([Kind.REPEAT << 4]) + (3).to_bytes(2, 'big') + body
    assert repair.receive(5, repeat, 0) == []
    assert repair.counts.spurious == 1


def test_a_restart_of_the_far_end_begins_anew() -> None:
    repair = make_repair()
    repair.receive(1000, BODY + b'old', 0)
    repair.sent(0, BODY + b'mine', Protection.STRONG, 9 * S, 0)
    repair.peer_restarted(S)
    assert repair.highest == -1
    assert repair.receive(0, BODY + b'new', S) == [(0, BODY + b'new')]
    repair.receive(1, bytes([Kind.NACK << 4, 0, 0]), S)
    assert repair.select(S, 119) is None
    assert repair.select_nack(9 * S, 119) is None


def test_repair_bodies_inside_repair_bodies_are_refused() -> None:
    repair = make_repair()
    for kind in (Kind.REPEAT, Kind.PARITY, Kind.NACK):
        inner = bytes([kind << 4]) + b'abcdefgh'
        assert repair.receive(5, bytes([Kind.REPEAT << 4, 0, 3]) + inner, 0) == []
    assert repair.counts.malformed == 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(
    st.integers(1, 300), st.sampled_from([0, 1, 4, 8, 9, 10, 15]), st.binary(max_size=80)),
    max_size=60))
def test_whatever_arrives_nothing_raises_and_each_counter_comes_out_once(arrivals) -> None:
    repair = make_repair()
    repair.sent(0, BODY + b'mine', Protection.STRONG, 9 * S, 0)
    counter, seen = 0, set()
    for step, kind, rest in arrivals:
        counter += step
        body = bytes([kind << 4 | len(rest) % 16]) + rest if rest else b''
        for known, _ in repair.receive(counter, body, counter * MS):
            assert known not in seen and 0 <= known <= counter
            seen.add(known)
        for message in (repair.select(counter * MS, 60), repair.select_nack(counter * MS, 60)):
            if message:
                assert len(message.build(counter)) == message.size <= 60


def test_memory_stays_bounded_under_nonsense() -> None:
    generator = random.Random(5)
    repair = make_repair(mtu=1500)
    for counter in range(4000):
        kind = generator.choice((0, 8, 9, 9, 10))
        body = bytearray(generator.randbytes(1200))
        body[0] = kind << 4 | generator.randrange(16)
        if kind == Kind.PARITY:
            body[1] %= 128
            body[2], body[3] = 1, body[3] | 1
        repair.receive(counter, bytes(body), counter * MS)
        repair.sent(counter, bytes(body), Protection.STRONG, 10 ** 15, counter * MS)
        assert repair.held_bytes < 1_000_000


def test_a_changed_budget_changes_the_shares() -> None:
    repair = make_repair()
    repair.measure(PathMeasure(0.1, 1.0, 100 * MS, 1_000_000), 0)
    sent = counter = 0
    for now_ns in range(0, 2 * S, 4 * MS):
        repair.sent(counter, BODY * 100, Protection.STRONG, now_ns + S, now_ns)
        repair.receive(counter, bytes([Kind.NACK << 4]) + counter.to_bytes(2, 'big'), now_ns)
        counter += 1
        while message := repair.select(now_ns, 119):
            repair.departed(message, counter, wire_bits(message.size), now_ns)
            sent += wire_bits(message.size)
            counter += 1
    assert 2 * 0.3 * 9600 < sent <= 2 * 0.6 * 1_000_000 + 4 * wire_bits(MTU) + 600_000


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 3 * S), st.integers(1, 2000), st.integers(0, 300)),
                max_size=50))
def test_a_share_is_never_exceeded_by_more_than_was_unforeseen(steps) -> None:
    share = RepairShare(0.3, 9600, 2048, 0)
    now_ns = spent = most = 0
    for wait_ns, bits, unforeseen in steps:
        now_ns += wait_ns
        if share.wait_ns(bits, now_ns) == 0:
            share.spend(bits + unforeseen, now_ns)
            spent += bits + unforeseen
            most = max(most, unforeseen)
            assert spent <= 0.3 * 9600 * now_ns / S + most
