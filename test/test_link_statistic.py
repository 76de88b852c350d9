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
    meter.sent(1, 0)
    assert math.isnan(meter.loss(100 * S))
    assert meter.round_trip_ns is None


def test_the_round_trip_leaves_out_the_time_the_receipt_was_held():
    meter = PathMeter()
    meter.sent(7, 0)
    meter.receipt(1, 7, 1, 300 * MS, 500 * MS)
    assert meter.round_trip_ns == 200 * MS


def test_the_round_trip_is_smoothed():
    meter = PathMeter()
    meter.sent(1, 0)
    meter.receipt(1, 1, 1, 0, 100 * MS)
    meter.sent(2, S)
    meter.receipt(1, 2, 2, 0, S + 900 * MS)
    assert meter.round_trip_ns == 200 * MS


def test_loss_compares_what_left_with_what_arrived_between_receipts():
    meter = PathMeter()
    for number in range(100):
        meter.sent(number, number * MS)
        if number in (0, 99):
            meter.receipt(1, number, 1 + number * 3 // 4, 0, number * MS)
    assert meter.loss(S) == pytest.approx(25 / 99)


def test_loss_counts_datagrams_that_receipts_never_name():
    meter = PathMeter()
    meter.sent(0, 0)
    meter.receipt(1, 0, 1, 0, 1)
    for _ in range(3):
        meter.sent(None, 2)
    meter.sent(1, 3)
    meter.receipt(1, 1, 5, 0, 4)
    assert meter.loss(5) == 0.0


def test_counts_may_wrap():
    meter = PathMeter()
    meter.sent(0, 0)
    meter.receipt(1, 0, (1 << 32) - 1, 0, 1)
    meter.sent(1, 2)
    meter.sent(2, 3)
    meter.receipt(1, 2, 0, 0, 4)
    assert meter.loss(5) == 0.5


def test_a_far_end_that_restarts_begins_the_measurement_anew():
    meter = PathMeter()
    meter.sent(0, 0)
    meter.receipt(1, 0, 1000, 0, 1)
    meter.sent(1, 2)
    meter.receipt(2, 1, 1, 0, 3)
    assert math.isnan(meter.loss(4))
    meter.sent(2, 5)
    meter.receipt(2, 2, 2, 0, 6)
    assert meter.loss(7) == 0.0


def test_names_that_were_never_sent_change_nothing():
    meter = PathMeter()
    meter.sent(0, 0)
    meter.receipt(1, 12345, 99, 0, 1)
    assert meter.round_trip_ns is None


def test_silence_while_sending_is_total_loss():
    meter = PathMeter(window_ns=10 * S)
    meter.sent(0, 0)
    meter.receipt(1, 0, 1, 0, 1)
    meter.sent(1, S)
    assert math.isnan(meter.loss(9 * S))
    assert meter.loss(11 * S) == 1.0


def test_loss_is_that_of_the_last_window_only():
    meter = PathMeter(window_ns=10 * S)
    received = 0
    for second in range(40):
        meter.sent(second, second * S)
        received += second >= 20 or second % 2
        meter.receipt(1, second, received, 0, second * S)
    assert meter.loss(40 * S) == 0.0


def test_memory_is_bounded():
    meter = PathMeter(memory=10)
    for name in range(1000):
        meter.sent(name, name)
    meter.receipt(1, 989, 1, 0, 2000)
    assert meter.round_trip_ns is None
    meter.receipt(1, 990, 1, 0, 2000)
    assert meter.round_trip_ns == 2000 - 990
