# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from gsc_ros.link.datagram.framing import Kind
from gsc_ros.link.repair.nack import (
    FEW_TRIES,
    LossWatch,
    MAX_MISSING,
    MAX_TRIES,
    NackError,
    pack_nack,
    parse_nack,
)
from gsc_ros.link.repair.redundancy import Protection
from gsc_ros.link.repair.repeat import RepeatError, RepeatJoiner, RepeatQueue
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

S = 1_000_000_000
MS = 1_000_000
STRONG, WEAK = Protection.STRONG, Protection.WEAK


def make_watch(received=(), reorder_ns=30 * MS, give_up_ns=10 * S) -> LossWatch:
    watch = LossWatch(reorder_ns, give_up_ns)
    for counter in received:
        watch.arrived(counter, 0)
    return watch


@given(st.integers(0, 1 << 32), st.sets(st.integers(1, 120)), st.integers(0, 60_000))
def test_a_request_names_exactly_the_counters_it_was_made_for(base, offsets, later) -> None:
    counters = sorted({base, *(base + offset for offset in offsets)})
    body = pack_nack(Kind.NACK, counters)
    assert parse_nack(body, counters[-1] + later) == counters
    assert len(body) <= 18


@given(st.binary(max_size=24), st.integers(-1, 1 << 20))
def test_any_bytes_are_a_request_for_what_was_sent_or_refused(data, newest) -> None:
    try:
        counters = parse_nack(data, newest)
    except NackError:
        return
    assert counters and min(counters) >= 0 and max(counters) <= newest


def test_what_is_merely_late_is_not_asked_for() -> None:
    watch = make_watch((0, 2))
    assert watch.due(29 * MS) == []
    watch.arrived(1, 29 * MS)
    assert watch.due(S) == []
    assert watch.runs == 0


def test_where_datagrams_come_later_still_more_time_is_given_to_them() -> None:
    watch = make_watch((0, 2))
    watch.due(40 * MS)
    watch.arrived(1, 200 * MS)
    watch.arrived(4, S)
    assert watch.due(S + 100 * MS) == []
    watch.arrived(3, S + 100 * MS)
    for counter in range(6, 2000, 2):
        watch.arrived(counter, counter * S)
        watch.due(counter * S + S)
    watch.arrived(2002, 2002 * S)
    assert 2001 in watch.due(2002 * S + 40 * MS)


def test_a_counter_is_never_asked_for_twice_within_a_round_trip_and_only_so_often() -> None:
    watch = make_watch((0, 2))
    watch.measure(800 * MS)
    asked = []
    for now_ns in range(0, 60 * S, 10 * MS):
        if watch.due(now_ns):
            asked.append(now_ns)
            watch.asked([1], now_ns)
    pauses = [b - a for a, b in zip(asked, asked[1:])]
    assert asked[0] == 30 * MS
    assert pauses[0] >= 800 * MS
    assert all(b >= 1.9 * a for a, b in zip(pauses, pauses[1:]))
    assert len(asked) <= MAX_TRIES


def test_what_has_been_missing_for_too_long_is_given_up() -> None:
    watch = make_watch((0, 2), give_up_ns=S)
    assert watch.due(900 * MS) == [1]
    assert watch.due(1100 * MS) == []


def test_what_came_back_is_not_asked_for_again() -> None:
    for repeated in (True, False):
        watch = make_watch((0, 3))
        watch.asked(watch.due(S), S)
        watch.repaired(1, repeated, 2 * S)
        assert watch.due(9 * S) == [2]


def test_a_long_gap_is_asked_for_in_bounded_requests_the_newest_only() -> None:
    watch = make_watch((0, 10_001), give_up_ns=100 * S)
    asked = []
    while watch.due(S):
        request = watch.due(S)
        assert request[-1] - request[0] <= 120
        asked += request
        watch.asked(request, S)
    assert asked == list(range(10_001 - MAX_MISSING, 10_001))


def test_after_an_outage_what_was_sent_long_ago_is_not_asked_for() -> None:
    watch = make_watch((0,), give_up_ns=2 * S)
    watch.arrived(101, 60 * S)
    assert watch.due(60 * S + 40 * MS) == [98, 99, 100]


def count_requests(watch: LossWatch, begin_ns: int, end_ns: int) -> dict[int, int]:
    """Let time pass, ask for what is due, and return how often for each counter."""
    asked = {}
    for now_ns in range(begin_ns, end_ns, 100 * MS):
        if now_ns % (2 * S) == 0 and now_ns <= 400 * S:
            watch.arrived(now_ns // S, now_ns)
        if counters := watch.due(now_ns):
            watch.asked(counters, now_ns)
            for counter in counters:
                asked[counter] = asked.get(counter, 0) + 1
    return asked


def test_where_requests_bring_nothing_each_counter_is_asked_for_less_often() -> None:
    watch = make_watch((0,))
    asked = count_requests(watch, S, 400 * S)
    assert asked[1] > FEW_TRIES
    assert {asked[counter] for counter in range(51, 350, 2)} == {FEW_TRIES}
    watch.repaired(397, True, 400 * S)
    assert count_requests(watch, 400 * S, 415 * S)[399] == MAX_TRIES


def test_runs_of_losses_are_counted_as_runs() -> None:
    watch = make_watch((0, 1, 4, 5, 7, 12))
    watch.due(S)
    watch.arrived(13, S)
    assert (watch.highest, watch.received, watch.runs) == (13, 7, 3)


def test_a_run_longer_than_can_be_watched_is_one_run() -> None:
    watch = make_watch((0, 5000))
    watch.due(S)
    assert watch.runs == 1


def make_queue(*bodies: tuple[int, Protection], useful_ns: int = 5 * S) -> RepeatQueue:
    queue = RepeatQueue()
    for counter, protection in bodies:
        queue.sent(counter, b'body%d' % counter, protection, useful_ns, 0)
    return queue


def test_what_is_worth_more_is_repeated_first() -> None:
    queue = make_queue((1, WEAK), (2, STRONG), (3, WEAK))
    queue.ask([1, 2, 3], S, None, S)
    order = []
    while repeat := queue.select(100, S):
        order.append(repeat.counter)
        queue.departed(repeat, 10 + len(order), S)
    assert order == [2, 1, 3]


def test_what_is_not_of_use_any_more_is_not_repeated() -> None:
    queue = make_queue((1, STRONG), useful_ns=2 * S)
    queue.ask([1], 2 * S + 1, None, S)
    assert queue.select(100, 2 * S + 1) is None
    queue.ask([1], 2 * S, None, S)
    assert queue.select(100, 2 * S).counter == 1
    assert queue.select(100, 2 * S + 1) is None
    assert queue.counter.late == 2


def test_requests_within_a_round_trip_bring_one_repeat() -> None:
    queue = make_queue((1, STRONG))
    queue.ask([1], S, S, S)
    queue.ask([1], S, S, S)
    queue.departed(queue.select(100, S), 5, S)
    queue.ask([1], 2 * S - 1, S, 2 * S - 1)
    assert queue.select(100, 2 * S) is None
    queue.ask([1], 2 * S, S, 2 * S)
    assert queue.select(100, 2 * S).counter == 1
    assert queue.counter.debounced == 2


def test_the_loss_of_a_repeat_is_answered_at_once_and_once() -> None:
    queue = make_queue((1, STRONG))
    queue.ask([1], S, S, S)
    queue.departed(queue.select(100, S), 5, S)
    queue.ask([5], S + 1, S, S + 1)
    assert queue.select(100, S).counter == 1
    queue.departed(queue.select(100, S), 6, S + 1)
    queue.ask([5], 3 * S, S, 3 * S)
    assert queue.select(100, 3 * S) is None


def test_a_body_is_repeated_only_so_often() -> None:
    queue = make_queue((1, STRONG), useful_ns=1000 * S)
    repeats = 0
    for second in range(1, 100):
        queue.ask([1], second * S, S // 2, second * S)
        if repeat := queue.select(100, second * S):
            queue.departed(repeat, second + 1, second * S)
            repeats += 1
    assert repeats == 4


def test_what_is_kept_for_repeats_is_bounded() -> None:
    queue = RepeatQueue(memory_bytes=10_000)
    for counter in range(5000):
        queue.sent(counter, bytes(100), STRONG, 100 * S, 0)
    assert queue.held_bytes <= 10_000
    queue.sent(5000, b'new', STRONG, 200 * S, 150 * S)
    assert queue.held_bytes == 3


@settings(max_examples=200)
@given(st.binary(min_size=1, max_size=200), st.integers(0, 1 << 32), st.integers(1, 2000))
def test_a_body_is_repeated_exactly_whole_or_in_halves(body, counter, later) -> None:
    queue, joiner = RepeatQueue(), RepeatJoiner()
    queue.sent(counter, body, STRONG, 5 * S, 0)
    queue.ask([counter], S, None, S)
    room = max(4, len(body) // 2 + 4)
    own, joined = counter + later, None
    while repeat := queue.select(room, S):
        assert repeat.size <= room
        joined = joiner.take(own, repeat.build(Kind.REPEAT))
        queue.departed(repeat, own, S)
        own += 1
    assert joined == (counter, body)


def test_a_body_that_does_not_fit_in_halves_is_not_repeated() -> None:
    queue = make_queue((1, STRONG))
    queue.ask([1], S, None, S)
    assert queue.select(5, S) is None
    assert queue.counter.too_large == 1


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=20), st.integers(0, 1 << 20))
def test_any_bytes_are_a_repeat_or_refused(data, counter) -> None:
    joiner = RepeatJoiner()
    try:
        joined = joiner.take(counter, data)
    except RepeatError:
        return
    assert joined is None or 0 <= joined[0] < counter


def test_halves_that_never_meet_do_not_pile_up() -> None:
    joiner = RepeatJoiner()
    for counter in range(1000):
        head = bytes([Kind.REPEAT << 4 | 1]) + counter.to_bytes(2, 'big')
        assert joiner.take(1000, head + bytes(100)) is None
    assert joiner.held_bytes <= 3200


def test_nothing_is_asked_for_before_something_is_missing() -> None:
    watch = make_watch((5,))
    assert watch.next_ns() is None
    assert watch.due(S) == []
    with pytest.raises(NackError):
        parse_nack(b'', 5)
