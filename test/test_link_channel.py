# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from gsc_ros.link.channel.channel import Channel, ChannelConfig
from gsc_ros.link.channel.loss import LossKind, Outage
from gsc_ros.link.channel.noise import bit_error_rate, Modulation
from gsc_ros.link.channel.trace import ChannelTrace, read_channel_trace
from gsc_ros.link.transports.sim import connect
import pytest

S = 1_000_000_000
MS = 1_000_000


def carry(config, count=1000, gap_ns=10 * MS):
    """Send numbered datagrams at an even rate; return (arrival time, number) of those that come."""
    channel = Channel(config)
    for number in range(count):
        assert channel.send(number.to_bytes(2, 'big'), 16, number * gap_ns)
    arrivals = []
    while (now := channel.next_arrival_ns()) is not None:
        arrivals += [(now, int.from_bytes(data, 'big')) for data in channel.receive(now)]
    return arrivals


def test_a_datagram_arrives_after_its_serialisation_and_the_delay():
    channel = Channel(ChannelConfig(rate_bps=1000, delay_ns=20 * MS))
    assert channel.send(b'x' * 10, 80, 0)
    assert channel.next_arrival_ns() == 100 * MS
    assert channel.receive(100 * MS - 1) == []
    assert channel.receive(100 * MS) == [b'x' * 10]
    assert channel.next_arrival_ns() is None


def test_a_busy_channel_refuses_the_next_datagram_until_the_last_has_gone():
    channel = Channel(ChannelConfig(rate_bps=1000))
    assert channel.send(b'a', 8, 0)
    assert channel.ready_ns(0) == 8 * MS
    assert not channel.send(b'b', 8, 8 * MS - 1)
    assert channel.send(b'b', 8, 8 * MS)


def test_a_backlog_lets_so_much_work_wait_inside():
    channel = Channel(ChannelConfig(rate_bps=1000, backlog_ns=10 * MS))
    assert channel.send(b'a', 8, 0)
    assert channel.send(b'b', 8, 0)
    assert not channel.send(b'c', 8, 0)
    assert channel.ready_ns(0) == 6 * MS


def test_order_is_kept_without_jitter_and_jitter_may_change_it():
    assert [n for _, n in carry(ChannelConfig(rate_bps=2400, delay_ns=S))] == list(range(1000))
    jittered = carry(ChannelConfig(jitter_ns=100 * MS))
    assert sorted(n for _, n in jittered) == list(range(1000))
    assert [n for _, n in jittered] != list(range(1000))
    assert all(0 <= time - number * 10 * MS <= 100 * MS for time, number in jittered)


def test_loss_has_the_probability_that_was_asked_for():
    assert 850 <= len(carry(ChannelConfig(loss=0.1))) <= 950
    assert len(carry(ChannelConfig(loss=1.0))) == 0


def test_the_same_seed_gives_the_same_outcome_and_another_seed_another():
    config = {'loss': 0.2, 'jitter_ns': 50 * MS}
    assert carry(ChannelConfig(seed=1, **config)) == carry(ChannelConfig(seed=1, **config))
    assert carry(ChannelConfig(seed=1, **config)) != carry(ChannelConfig(seed=2, **config))


def test_another_model_of_loss_can_take_the_place_of_the_built_in_one():
    class Outage:
        def lost(self, begin_ns, end_ns):
            return begin_ns < S

    channel = Channel(ChannelConfig(), Outage())
    channel.send(b'a', 8, 0)
    channel.send(b'b', 8, S)
    assert channel.receive(2 * S) == [b'b']
    assert (channel.carried, channel.lost) == (1, 1)


@pytest.mark.parametrize('config', [
    {'rate_bps': -1}, {'delay_ns': -1}, {'jitter_ns': -1}, {'backlog_ns': -1}, {'loss': -0.1},
    {'loss': 1.1}, {'loss': float('nan')}, {'burst_ns': 0}, {'duplicate': 2.0}, {'reorder': -1.0},
    {'reorder_ns': -1}, {'snr_db': float('nan')}, {'snr_db': 1e6}])
def test_impossible_channels_are_refused(config):
    with pytest.raises(ValueError):
        ChannelConfig(**config)


def test_what_one_end_sends_only_the_other_receives():
    rover, ground = connect(ChannelConfig(), ChannelConfig(delay_ns=S), mtu=64, overhead_bits=224)
    assert (rover.mtu, rover.wire_bits(10)) == (64, 304)
    assert rover.send(b'to ground', 0)
    assert ground.send(b'to rover', 0)
    assert ground.receive(0) == [b'to ground']
    assert rover.receive(0) == []
    assert rover.next_arrival_ns() == S
    assert rover.receive(S) == [b'to rover']


def test_the_overhead_takes_its_time_on_the_link():
    rover, _ = connect(ChannelConfig(rate_bps=1000), ChannelConfig(), mtu=64, overhead_bits=92)
    rover.send(b'x', 0)
    assert rover.ready_ns(0) == 100 * MS


@pytest.mark.parametrize(('mtu', 'overhead'), [(31, 0), (1501, 0), (64, -1)])
def test_impossible_transports_are_refused(mtu, overhead):
    with pytest.raises(ValueError):
        connect(ChannelConfig(), ChannelConfig(), mtu, overhead)


@pytest.mark.parametrize(('rate_bps', 'ready_ms'), [(8000, 5.375), (100, 35), (0, 5)])
def test_a_change_of_rate_holds_for_what_is_left_of_the_datagrams_inside(rate_bps, ready_ms):
    rover, ground = connect(
        ChannelConfig(rate_bps=1000, delay_ns=7 * MS), ChannelConfig(), mtu=64)
    assert rover.send(b'x', 0)
    rover.set_rate(rate_bps, 5 * MS)  # 3 ms, or 3 bits, are left
    assert rover.ready_ns(5 * MS) == round(ready_ms * MS)
    assert ground.next_arrival_ns() == round((ready_ms + 7) * MS)
    assert ground.receive(round((ready_ms + 7) * MS)) == [b'x']


def test_a_change_of_rate_does_not_touch_what_has_left():
    rover, ground = connect(
        ChannelConfig(rate_bps=1000, delay_ns=90 * MS), ChannelConfig(), mtu=64)
    rover.send(b'x', 0)
    rover.set_rate(1, 8 * MS)
    assert (rover.ready_ns(8 * MS), ground.next_arrival_ns()) == (8 * MS, 98 * MS)


def test_every_effect_together_is_repeated_by_the_same_seed():
    config = {
        'rate_bps': 9600, 'jitter_ns': 50 * MS, 'loss': 0.2, 'loss_model': LossKind.GILBERT_ELLIOTT,
        'duplicate': 0.1, 'reorder': 0.1, 'snr_db': 5.0, 'outages': (Outage(S, 2 * S),)}
    assert carry(ChannelConfig(seed=3, **config)) == carry(ChannelConfig(seed=3, **config))
    assert carry(ChannelConfig(seed=3, **config)) != carry(ChannelConfig(seed=4, **config))


def test_one_effect_does_not_change_the_luck_of_another():
    plain = carry(ChannelConfig(loss=0.3, seed=1))
    held = carry(ChannelConfig(loss=0.3, seed=1, reorder=0.5, duplicate=0.5, jitter_ns=MS))
    assert {number for _, number in held} == {number for _, number in plain}


def test_what_is_held_back_is_overtaken_but_never_later_than_the_bound():
    arrivals = carry(ChannelConfig(delay_ns=5 * MS, reorder=0.2, reorder_ns=35 * MS))
    late = {number: time - number * 10 * MS - 5 * MS for time, number in arrivals}
    assert [number for _, number in arrivals] != sorted(late)
    assert all(0 <= delay <= 35 * MS for delay in late.values())
    assert 130 <= sum(delay > 0 for delay in late.values()) <= 270
    # 35 ms are 3.5 datagrams: nobody is overtaken by more.
    for place, (_, number) in enumerate(arrivals):
        assert sum(other > number for _, other in arrivals[:place]) <= 3


def test_duplicates_arrive_as_often_as_asked_for_and_not_before_the_first_copy():
    channel = Channel(ChannelConfig(delay_ns=S, duplicate=0.25))
    for number in range(1000):
        channel.send(number.to_bytes(2, 'big'), 16, number * MS)
    numbers = [int.from_bytes(data, 'big') for data in channel.receive(10 * S)]
    assert numbers == sorted(numbers) and set(numbers) == set(range(1000))
    assert len(numbers) == 1000 + channel.duplicated
    assert 180 <= channel.duplicated <= 320


def test_an_outage_takes_exactly_what_is_on_the_air_in_it():
    # 8 ms each, at 0, 10, 20, ...: the third has left at 28 ms, the sixth begins at 50 ms.
    config = ChannelConfig(rate_bps=1000, outages=(Outage(28 * MS, 50 * MS), Outage(0, 1)))
    channel = Channel(config)
    for number in range(8):
        channel.send(bytes([number]), 8, number * 10 * MS)
    assert list(b''.join(channel.receive(S))) == [1, 2, 5, 6, 7]
    assert channel.lost == 3


def test_outages_and_traces_count_from_the_start_of_the_channel():
    config = ChannelConfig(
        outages=(Outage(S, 2 * S),), start_ns=100 * S,
        trace=ChannelTrace((0, 3 * S), losses=(0.0, 1.0)))
    channel = Channel(config)
    for second in range(100, 106):
        channel.send(bytes([second]), 8, second * S)
    assert list(b''.join(channel.receive(200 * S))) == [100, 102]


def test_a_traced_rate_is_followed_within_a_datagram():
    trace = ChannelTrace((0, 4 * MS, 6 * MS), rates_bps=(1000, 0, 2000))
    channel = Channel(ChannelConfig(rate_bps=5, trace=trace))
    assert channel.send(b'x', 8, 0)
    # 4 bits in 4 ms, none for 2 ms, 4 bits in 2 ms.
    assert channel.ready_ns(0) == 8 * MS
    channel.set_rate(1, 2 * MS)
    assert channel.next_arrival_ns() == 8 * MS
    assert channel.send(b'y', 8, 8 * MS)
    assert channel.next_arrival_ns() == 8 * MS and channel.ready_ns(8 * MS) == 12 * MS


def test_a_trace_is_held_between_its_rows_and_beyond_them():
    trace = ChannelTrace((S, 2 * S), rates_bps=(10, 20), losses=(0.25, 0.5))
    assert [trace.loss(time) for time in (0, S, 2 * S - 1, 2 * S, 9 * S)] == [
        0.25, 0.25, 0.25, 0.5, 0.5]
    assert trace.finish_ns(0, 10) == S
    assert trace.finish_ns(S, 20) == S + S + S // 2
    assert trace.finish_ns(9 * S, 20) == 10 * S


def test_the_loss_of_a_trace_comes_on_top():
    trace = ChannelTrace((0,), losses=(0.5,))
    arrived = carry(ChannelConfig(loss=0.5, trace=trace), count=4000, gap_ns=MS)
    assert len(arrived) == pytest.approx(1000, abs=5 * (4000 * 3 / 16) ** 0.5)


def test_a_trace_is_read_from_a_file(tmp_path):
    path = tmp_path / 'pass.csv'
    path.write_text('time_s,rate_bps,loss\n0,9600,0.01\n12.5,0,0\n14,2400,0.2\n')
    assert read_channel_trace(path) == ChannelTrace(
        (0, 12_500 * MS, 14 * S), (9600, 0, 2400), (0.01, 0.0, 0.2))
    path.write_text('loss,time_s\n0.5,1\n')
    assert read_channel_trace(path) == ChannelTrace((S,), (), (0.5,))


@pytest.mark.parametrize(('text', 'complaint'), [
    ('', 'first line'), ('0,9600\n', 'first line'), ('time_s\n1\n', 'first line'),
    ('time_s,delay,loss\n0,0,0\n', 'first line'), ('time_s,loss\n', 'at least one row'),
    ('time_s,loss\n0,x\n', ':2: '), ('time_s,loss\n0,0\n1\n', ':3: '),
    ('time_s,rate_bps\n0,inf\n', ':2: '), ('time_s,loss\nnan,0\n', ':2: '),
    ('time_s,loss\n1,0\n1,0\n', 'ascending'), ('time_s,loss\n0,1.5\n', 'within 0..1'),
    ('time_s,rate_bps\n0,-5\n', 'within 0..'), ('time_s,rate_bps\n0,9\n1,0\n', 'last rate')])
def test_a_bad_trace_is_refused_with_its_reason(tmp_path, text, complaint):
    path = tmp_path / 'bad.csv'
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint) as error:
        read_channel_trace(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(('modulation', 'snr_db'), [
    (Modulation.BPSK, 0.0), (Modulation.BPSK, 4.0), (Modulation.QPSK, 3.0), (Modulation.QPSK, 8.0),
    (Modulation.QAM16, 5.0), (Modulation.QAM16, 12.0), (Modulation.QAM16, -10.0)])
def test_damaged_datagrams_are_delivered_with_bit_errors_at_the_theoretical_rate(
        modulation, snr_db):
    channel = Channel(ChannelConfig(snr_db=snr_db, modulation=modulation, seed=7))
    sent = bytes(range(256)) * 5
    count = 200
    for number in range(count):
        channel.send(sent, 8 * len(sent), number)
    received = channel.receive(count)
    assert [len(data) for data in received] == [len(sent)] * count
    errors = sum(
        (int.from_bytes(data, 'big') ^ int.from_bytes(sent, 'big')).bit_count()
        for data in received)
    bits, rate = 8 * len(sent) * count, bit_error_rate(modulation, snr_db)
    # Two bits of a 16-QAM dimension may fail together: at most twice the binomial variance.
    assert abs(errors - bits * rate) <= 4 * (2 * bits * rate * (1 - rate)) ** 0.5
    assert channel.damaged == sum(data != sent for data in received)


def test_bit_error_rates_are_those_of_the_textbook():
    # Proakis, Digital Communications: BPSK and QPSK at Eb/N0 of 9.6 dB, and 16-QAM at 13.4 dB,
    # make 1e-5. Es/N0 of QPSK is 3.01 dB higher, of 16-QAM 6.02 dB.
    assert bit_error_rate(Modulation.BPSK, 9.588) == pytest.approx(1e-5, rel=0.01)
    assert bit_error_rate(Modulation.QPSK, 9.588 + 3.0103) == pytest.approx(1e-5, rel=0.01)
    assert bit_error_rate(Modulation.QAM16, 13.43 + 6.0206) == pytest.approx(1e-5, rel=0.02)
    for modulation in Modulation:
        assert bit_error_rate(modulation, -200.0) == pytest.approx(0.5)
        assert bit_error_rate(modulation, 100.0) == bit_error_rate(modulation, float('inf')) == 0


def test_without_noise_nothing_is_touched():
    channel = Channel(ChannelConfig(snr_db=100.0))
    channel.send(b'as it is', 64, 0)
    assert channel.receive(0) == [b'as it is'] and channel.damaged == 0
