# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from gsc_ros.link.audit import BudgetStep, Departure, verify_budget
from gsc_ros.link.shaper import TokenBucket
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

S = 1_000_000_000

rates = st.integers(1, 10_000_000)
bursts = st.integers(1, 20_000)
# Mostly short steps, some long ones, some backwards.
steps = st.one_of(st.integers(-S, S), st.integers(0, 1000), st.integers(0, 100 * S))
sends = st.tuples(st.just('send'), steps, st.integers(0, 25_000))
changes = st.tuples(st.just('change'), steps, st.tuples(rates, bursts))


def assert_every_window_holds(sent, budgets):
    """Check all O(n^2) closed windows against the integral of the rate plus the largest burst."""
    for i, (start, _) in enumerate(sent):
        bits = 0
        for end, size in sent[i:]:
            bits += size
            allowed = 0
            for j, (since, rate, _) in enumerate(budgets):
                until = budgets[j + 1][0] if j + 1 < len(budgets) else end
                allowed += rate * max(0, min(until, end) - max(since, start))
            # The budget in force when the window begins, and those begun within it.
            first = max((j for j, budget in enumerate(budgets) if budget[0] < start), default=0)
            burst = max(b for since, _, b in budgets[first:] if since <= end)
            assert bits * S <= allowed + burst * S


@settings(max_examples=300, deadline=None)
@given(rates, bursts, st.lists(sends, max_size=40))
def test_no_window_of_any_length_exceeds_rate_times_window_plus_burst(rate, burst, traffic):
    bucket = TokenBucket(rate, burst, 0, credit_bits=burst)
    now = latest = 0
    sent = []
    for _, step, bits in traffic:
        now += step
        latest = max(latest, now)
        wait = bucket.wait_ns(bits, now)
        if wait is not None and wait < 10 * S:
            now += wait
            latest = max(latest, now)
            assert bucket.admit(bits, now)
            sent.append((latest, bits))
        else:
            assert not bucket.admit(bits, now)
    assert_every_window_holds(sent, [(0, rate, burst)])
    audit = verify_budget([Departure(t, b, 'x') for t, b in sent], rate, burst)
    assert audit.holds


@settings(max_examples=300, deadline=None)
@given(rates, bursts, st.lists(st.one_of(sends, changes), max_size=40))
def test_the_bound_holds_over_live_changes_of_the_budget(rate, burst, traffic):
    bucket = TokenBucket(rate, burst, 0, credit_bits=burst)
    budgets = [(0, rate, burst)]
    now = latest = 0
    sent = []
    for action, step, value in traffic:
        now += step
        latest = max(latest, now)
        if action == 'change':
            bucket.set_rate(*value, now)
            budgets.append((latest, *value))
        elif bucket.admit(value, now):
            sent.append((latest, value))
    assert_every_window_holds(sent, budgets)
    # The audit's own recursion agrees, unless a change and a departure share an instant: a trace
    # of times alone cannot tell which came first.
    if not {t for t, _ in sent} & {t for t, _, _ in budgets[1:]}:
        trace = [Departure(t, b, 'x') for t, b in sent]
        assert verify_budget(trace, rate, burst, [BudgetStep(*b) for b in budgets[1:]]).holds


@given(rates, bursts, st.integers(0, 20_000), st.integers(0, S))
def test_the_wait_it_names_is_exactly_long_enough(rate, burst, bits, elapsed):
    bucket = TokenBucket(rate, burst, 0)
    wait = bucket.wait_ns(bits, elapsed)
    if bits > burst:
        assert wait is None
        return
    if wait:
        assert not bucket.admit(bits, elapsed + wait - 1)
    assert bucket.admit(bits, elapsed + wait)


def test_a_message_larger_than_the_burst_is_never_admitted():
    bucket = TokenBucket(1000, 100, 0)
    assert bucket.wait_ns(101, 1000 * S) is None
    assert not bucket.admit(101, 1000 * S)
    assert bucket.admit(100, 1000 * S)


def test_a_message_larger_than_the_credit_waits_and_costs_nothing_meanwhile():
    bucket = TokenBucket(1000, 1000, 0)
    assert not bucket.admit(600, S // 2)
    assert bucket.credit_bits(S // 2) == 500
    assert bucket.admit(600, S * 6 // 10)


def test_it_starts_empty_so_that_a_restart_does_not_double_the_burst():
    assert TokenBucket(1000, 1000, 5 * S).credit_bits(5 * S) == 0


def test_no_fraction_of_a_bit_is_gained_or_lost_over_a_day_of_odd_steps():
    bucket = TokenBucket(7, 10_000_000, 0)
    step = 333_333_337
    for index in range(1, 10_001):
        bucket.credit_bits(index * step)
    assert bucket.credit_bits(10_000 * step) == 7 * 10_000 * step // S


def test_a_clock_that_steps_back_gives_no_credit_twice():
    bucket = TokenBucket(1000, 1000, 0)
    assert bucket.admit(1000, S)
    assert not bucket.admit(1, 0)
    assert not bucket.admit(1, S)
    assert bucket.wait_ns(1, 0) == S + S // 1000
    assert bucket.admit(1, S + S // 1000)


def test_a_smaller_burst_takes_credit_away_and_a_larger_one_creates_none():
    bucket = TokenBucket(1000, 1000, 0, credit_bits=1000)
    bucket.set_rate(1000, 300, 0)
    assert bucket.credit_bits(0) == 300
    bucket.set_rate(1000, 5000, 0)
    assert bucket.credit_bits(0) == 300


@pytest.mark.parametrize(('rate', 'burst', 'credit'), [(0, 1, 0), (1, 0, 0), (1, 1, 2), (1, 1, -1)])
def test_impossible_budgets_are_refused(rate, burst, credit):
    with pytest.raises(ValueError):
        TokenBucket(rate, burst, 0, credit_bits=credit)


def test_negative_sizes_are_refused():
    with pytest.raises(ValueError):
        TokenBucket(1, 1, 0).admit(-1, 0)
