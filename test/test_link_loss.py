# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from random import Random

from gsc_ros.link.channel.channel import Channel, ChannelConfig
from gsc_ros.link.channel.loss import (
    BernoulliLoss,
    GilbertElliottLoss,
    LossKind,
    Outage,
    OutageLoss,
    parse_outages,
)
import pytest

S = 1_000_000_000
MS = 1_000_000


def bad_times(model: GilbertElliottLoss, seconds: int) -> list[bool]:
    """Ask a model once per millisecond."""
    return [model.lost(time * MS, time * MS) for time in range(seconds * 1000)]


def test_bursts_take_the_asked_part_of_the_time_and_have_the_asked_mean_length():
    states = bad_times(GilbertElliottLoss(0.05, 200 * MS, Random(1)), 20_000)
    beginnings = sum(now and not before for before, now in zip(states, states[1:]))
    # 5000 bursts of 200 ms in 20 000 s: 1.4 % of standard deviation each.
    assert sum(states) / len(states) == pytest.approx(0.05, rel=0.06)
    assert sum(states) / beginnings == pytest.approx(200, rel=0.06)


def test_a_datagram_is_lost_when_a_burst_touches_any_part_of_it():
    probe = GilbertElliottLoss(0.2, 100 * MS, Random(2))
    states = bad_times(probe, 60)
    model = GilbertElliottLoss(0.2, 100 * MS, Random(2))
    for second in range(0, 60_000, 50):
        lost = model.lost(second * MS, (second + 50) * MS)
        # Between the samples a burst of less than a millisecond may hide.
        assert lost or not any(states[second:second + 50])
    singles = GilbertElliottLoss(0.2, 100 * MS, Random(2))
    longer = GilbertElliottLoss(0.2, 100 * MS, Random(2))
    times = range(0, 60_000, 50)
    assert sum(singles.lost(t * MS, t * MS) for t in times) < sum(
        longer.lost(t * MS, (t + 50) * MS) for t in times)


@pytest.mark.parametrize(('share', 'lost'), [(0.0, False), (1.0, True)])
def test_a_channel_that_is_never_or_always_bad(share, lost):
    model = GilbertElliottLoss(share, 200 * MS, Random(0))
    assert [model.lost(time * S, time * S + MS) for time in range(5)] == [lost] * 5


def test_losses_in_bursts_come_together_and_single_ones_do_not():
    def after_a_loss(**config):
        channel = Channel(ChannelConfig(seed=5, loss=0.1, **config))
        lost = []
        for number in range(20_000):
            before = channel.lost
            channel.send(b'x', 8, number * 10 * MS)
            lost.append(channel.lost > before)
        following = [now for before, now in zip(lost, lost[1:]) if before]
        return sum(following) / len(following)

    assert after_a_loss() < 0.15
    assert after_a_loss(loss_model=LossKind.GILBERT_ELLIOTT, burst_ns=200 * MS) > 0.9


def test_every_model_is_repeated_by_the_same_seed():
    times = [(number * 10 * MS, number * 10 * MS + 5 * MS) for number in range(2000)]
    for make in (lambda seed: BernoulliLoss(0.3, Random(seed)),
                 lambda seed: GilbertElliottLoss(0.3, 50 * MS, Random(seed))):
        first, again, other = ([model.lost(*time) for time in times]
                               for model in (make(1), make(1), make(2)))
        assert first == again != other


def test_an_outage_holds_from_its_first_nanosecond_to_before_its_end():
    outage = Outage(S, 2 * S)
    assert [outage.touches(time, time) for time in (S - 1, S, 2 * S - 1, 2 * S)] == [
        False, True, True, False]
    assert not outage.touches(0, S)
    assert outage.touches(0, S + 1) and outage.touches(0, 9 * S)


def test_a_long_outage_does_not_hide_a_short_one_within_or_after():
    loss = OutageLoss((Outage(10, 100), Outage(20, 30), Outage(110, 120)), start_ns=1000)
    assert [time for time in range(1000, 1130, 5) if loss.lost(time, time)] == [
        *range(1010, 1100, 5), 1110, 1115]


def test_a_schedule_of_outages_is_read():
    assert parse_outages('') == ()
    assert parse_outages('10-70, 100-105.5') == (
        Outage(10 * S, 70 * S), Outage(100 * S, 105_500 * MS))


@pytest.mark.parametrize('text', ['10', '10-', '-5-10', 'a-b', '10-5', '3-3', 'nan-inf', '0-1e300'])
def test_a_bad_schedule_is_refused(text):
    with pytest.raises(ValueError, match='outage'):
        parse_outages(text)


@pytest.mark.parametrize(('share', 'burst_ns'), [(-0.1, 1), (1.1, 1), (float('nan'), 1), (0.5, 0)])
def test_impossible_bursts_are_refused(share, burst_ns):
    with pytest.raises(ValueError):
        GilbertElliottLoss(share, burst_ns, Random(0))
