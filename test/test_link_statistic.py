# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

from gsc_ros.link.statistic import PathMeter, UsageMeter
import pytest

S = 1_000_000_000
MS = 1_000_000


def test_usage_is_what_left_in_the_last_window():
    meter = UsageMeter(S)
    meter.add(100, 0)
    meter.add(50, S // 2)
    assert meter.bits(S - 1) == 150
    assert meter.bits(S) == 50
    assert meter.bits(10 * S) == 0


def test_nothing_is_known_before_the_first_receipt():
    meter = PathMeter()
    meter.sent(1, True, 0)
    assert math.isnan(meter.loss(100 * S))
    assert math.isnan(meter.burst())
    assert meter.round_trip_ns is None


def test_the_round_trip_leaves_out_the_time_the_receipt_was_held():
    meter = PathMeter()
    meter.sent(7, True, 0)
    meter.receipt(7, 1, 0, 300 * MS, 500 * MS)
    assert meter.round_trip_ns == 200 * MS


def test_the_round_trip_is_smoothed():
    meter = PathMeter()
    meter.sent(1, True, 0)
    meter.receipt(1, 1, 0, 0, 100 * MS)
    meter.sent(2, True, S)
    meter.receipt(2, 2, 0, 0, S + 900 * MS)
    assert meter.round_trip_ns == 200 * MS


def test_loss_compares_counters_with_what_arrived_between_receipts():
    meter = PathMeter()
    for number in range(100):
        meter.sent(number, True, number * MS)
        if number in (0, 99):
            meter.receipt(number, 1 + number * 3 // 4, number // 8, 0, number * MS)
    assert meter.loss(S) == pytest.approx(25 / 99)
    assert meter.burst() == pytest.approx(25 / 12)


def test_without_loss_there_is_no_burst():
    meter = PathMeter()
    for number in range(2):
        meter.sent(number, True, number)
        meter.receipt(number, number, 0, 0, number)
    assert meter.loss(2) == 0.0
    assert math.isnan(meter.burst())


def test_counts_may_wrap():
    meter = PathMeter()
    for counter in range(5):
        meter.sent(counter, True, counter)
    meter.receipt(0, (1 << 32) - 1, (1 << 16) - 1, 0, 1)
    meter.receipt(4, 1, 0, 0, 4)
    assert meter.loss(5) == 0.5
    assert meter.burst() == 2.0


def test_an_end_that_restarts_begins_the_measurement_anew():
    meter = PathMeter()
    meter.sent(0, True, 0)
    meter.receipt(0, 1000, 0, 0, 1)
    meter.restart()
    meter.sent(1, True, 2)
    meter.receipt(1, 1, 0, 0, 3)
    assert math.isnan(meter.loss(4))
    meter.sent(2, True, 5)
    meter.receipt(2, 2, 0, 0, 6)
    assert meter.loss(7) == 0.0


@pytest.mark.parametrize('highest', [12345, 0])
def test_counters_that_were_never_sent_or_are_old_change_nothing(highest):
    meter = PathMeter()
    meter.sent(7, True, 0)
    meter.receipt(highest, 99, 0, 0, 1)
    assert meter.round_trip_ns is None


def test_receipts_that_overtake_each_other_do_no_harm():
    meter = PathMeter()
    for counter in range(10):
        meter.sent(counter, True, counter)
    for highest, received in ((0, 1), (9, 10), (5, 6)):
        meter.receipt(highest, received, 0, 0, 20)
    assert meter.loss(20) == 0.0


def test_silence_while_sending_is_total_loss():
    meter = PathMeter(window_ns=10 * S)
    meter.sent(0, True, 0)
    meter.receipt(0, 1, 0, 0, 1)
    meter.sent(1, True, S)
    assert math.isnan(meter.loss(9 * S))
    assert meter.loss(11 * S) == 1.0


def test_an_end_that_only_answers_does_not_take_silence_for_loss():
    meter = PathMeter(window_ns=10 * S)
    meter.sent(0, True, 0)
    meter.receipt(0, 1, 0, 0, 1)
    for second in range(60):
        meter.sent(1 + second, False, second * S)
    assert math.isnan(meter.loss(60 * S))


def test_after_an_outage_the_loss_is_that_of_the_path_again():
    meter = PathMeter(window_ns=30 * S, silence_ns=6 * S)
    received = 0
    for second in range(60):
        meter.sent(second, True, second * S)
        if not 20 <= second < 40:
            received += 1
            assert meter.receipt(second, received, 0, 0, second * S) == (second == 40)
    assert meter.loss(60 * S) == 0.0


def test_receipts_that_stay_out_while_everything_arrives_are_no_outage():
    meter = PathMeter(silence_ns=6 * S)
    for second in range(60):
        meter.sent(second, True, second * S)
        if second % 9 == 0:
            assert not meter.receipt(second, second * 8 // 10, 0, 0, second * S)
    assert meter.loss(60 * S) == pytest.approx(0.2, abs=0.02)


def test_loss_is_that_of_the_last_window_only():
    meter = PathMeter(window_ns=10 * S)
    received = 0
    for second in range(40):
        meter.sent(second, True, second * S)
        received += second >= 20 or second % 2
        meter.receipt(second, received, 0, 0, second * S)
    assert meter.loss(40 * S) == 0.0


def test_memory_is_bounded():
    meter = PathMeter(memory=10)
    for counter in range(1000):
        meter.sent(counter, True, counter)
    meter.receipt(989, 1, 0, 0, 2000)
    assert meter.round_trip_ns is None
    meter.receipt(990, 1, 0, 0, 2000)
    assert meter.round_trip_ns == 2000 - 990
