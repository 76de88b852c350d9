# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from gsc_ros.link.audit import BudgetStep, Departure, read_trace, verify_budget, write_trace
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

S = 1_000_000_000


@settings(deadline=None)
@given(
    st.integers(1, 100_000), st.integers(1, 5000),
    st.lists(st.tuples(st.integers(0, S), st.integers(1, 3000)), min_size=1, max_size=30))
def test_one_pass_finds_the_tightest_of_all_windows(rate, burst, gaps):
    now, trace = 0, []
    for gap, bits in gaps:
        now += gap
        trace.append(Departure(now, bits, 'x'))
    worst = max(
        sum(d.bits for d in trace[i:j + 1]) * S - rate * (trace[j].time_ns - trace[i].time_ns)
        for i in range(len(trace)) for j in range(i, len(trace))) - burst * S
    audit = verify_budget(trace, rate, burst)
    assert audit.excess_nanobits == worst
    assert audit.holds == (worst <= 0)
    inside = [d for d in trace if audit.window_start_ns <= d.time_ns <= audit.window_end_ns]
    assert sum(d.bits for d in inside) * S >= worst + burst * S


def test_it_names_the_window_that_exceeds_the_budget():
    trace = [Departure(0, 100, 'frame'), Departure(5 * S, 600, 'frame'),
             Departure(6 * S, 600, 'frame'), Departure(20 * S, 10, 'heartbeat')]
    audit = verify_budget(trace, 100, 1000)
    assert not audit.holds
    assert audit.excess_nanobits == 100 * S
    assert (audit.window_start_ns, audit.window_end_ns) == (5 * S, 6 * S)
    assert (audit.departures, audit.bits, audit.span_ns) == (4, 1310, 20 * S)


def test_a_change_of_budget_is_judged_by_the_budget_of_its_time():
    trace = [Departure(0, 100, 'x'), Departure(S, 1000, 'x')]
    change = [BudgetStep(S // 2, 2000, 100)]
    assert not verify_budget(trace, 2000, 1000, change).holds
    assert verify_budget(trace, 2000, 1000).holds


def test_an_empty_trace_holds():
    assert verify_budget([], 1, 1).holds


def test_a_trace_is_the_same_after_writing_and_reading(tmp_path):
    trace = [Departure(1, 2, 'frame'), Departure(3, 4, 'receipt')]
    path = tmp_path / 'trace.csv'
    write_trace(path, trace)
    assert read_trace(path) == trace


def test_a_line_that_was_being_written_when_its_process_died_is_left_out(tmp_path):
    path = tmp_path / 'trace.csv'
    path.write_text('time_ns,bits,kind\n1,2,frame\n3,4')
    assert read_trace(path) == [Departure(1, 2, 'frame')]


@pytest.mark.parametrize('line', ['1,2', 'a,2,frame', '1,2,frame,3'])
def test_a_damaged_line_is_named(tmp_path, line):
    path = tmp_path / 'trace.csv'
    path.write_text(f'time_ns,bits,kind\n{line}\n')
    with pytest.raises(ValueError, match='trace.csv:2'):
        read_trace(path)
