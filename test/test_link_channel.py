# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from gsc_ros.link.channel import Channel, ChannelConfig
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
        def lost(self, size_bits, now_ns):
            return now_ns < S

    channel = Channel(ChannelConfig(), Outage())
    channel.send(b'a', 8, 0)
    channel.send(b'b', 8, S)
    assert channel.receive(2 * S) == [b'b']
    assert (channel.carried, channel.lost) == (1, 1)


@pytest.mark.parametrize('config', [
    {'rate_bps': -1}, {'delay_ns': -1}, {'jitter_ns': -1}, {'backlog_ns': -1}, {'loss': -0.1},
    {'loss': 1.1}, {'loss': float('nan')}])
def test_impossible_channels_are_refused(config):
    with pytest.raises(ValueError):
        ChannelConfig(**config)


def test_what_one_end_sends_only_the_other_receives():
    rover, ground = connect(ChannelConfig(), ChannelConfig(delay_ns=S), mtu=64, overhead_bits=224)
    assert (rover.mtu, rover.overhead_bits) == (64, 224)
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
