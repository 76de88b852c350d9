# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import threading
import time

from gsc_ros.link.channel.channel import ChannelConfig
from gsc_ros.link.transports.sim import connect
from gsc_ros.link.wait import Waiter
import pytest

MS = 1_000_000
LATE_NS = 10_000 * MS


class Socket:
    """As much of a transport as a waiter looks at."""

    def __init__(self):
        self.near, self.far = socket.socketpair()

    def fileno(self):
        return self.near.fileno() if self.near else None

    def close(self):
        self.far.close()
        if self.near:
            self.near.close()
            self.near = None


@pytest.fixture
def waiter():
    made = Waiter()
    yield made
    made.close()


@pytest.fixture
def transport():
    made = Socket()
    yield made
    made.close()


def later(action):
    thread = threading.Timer(0.05, action)
    thread.start()
    return thread


@pytest.mark.parametrize('duration_ns', [0, 300_000, 3 * MS, 30_400_000])
def test_it_sleeps_until_the_time_and_no_less(waiter, transport, duration_ns):
    until_ns = time.monotonic_ns() + duration_ns
    assert not waiter.wait([transport], until_ns)
    assert time.monotonic_ns() >= until_ns


def test_a_time_in_the_past_only_looks(waiter, transport):
    assert not waiter.wait([transport], 0)
    transport.far.send(b'x')
    assert waiter.wait([transport], 0)


def test_a_transport_that_can_be_read_ends_the_wait(waiter, transport):
    thread = later(lambda: transport.far.send(b'x'))
    start_ns = time.monotonic_ns()
    assert waiter.wait([Socket(), transport], start_ns + LATE_NS)
    assert time.monotonic_ns() - start_ns < LATE_NS // 2
    thread.join()


def test_a_transport_whose_far_end_is_gone_ends_the_wait(waiter, transport):
    transport.far.close()
    assert waiter.wait([transport], time.monotonic_ns() + LATE_NS)


def test_another_thread_ends_the_wait(waiter, transport):
    thread = later(waiter.wake)
    start_ns = time.monotonic_ns()
    assert waiter.wait([transport], start_ns + LATE_NS)
    assert time.monotonic_ns() - start_ns < LATE_NS // 2
    thread.join()


def test_a_call_before_the_wait_is_not_lost_and_many_count_as_one(waiter):
    for _ in range(100_000):
        waiter.wake()
    assert waiter.wait([], time.monotonic_ns() + LATE_NS)
    assert not waiter.wait([], time.monotonic_ns())


def test_transports_without_a_file_are_left_out(waiter, transport):
    simulated, _ = connect(ChannelConfig(), ChannelConfig(), mtu=64)
    transport.close()
    assert not waiter.wait([simulated, transport], time.monotonic_ns() + MS)


def test_nothing_happens_once_it_is_closed():
    waiter = Waiter()
    waiter.close()
    waiter.wake()
    waiter.close()


def test_no_call_is_lost_between_two_threads(waiter):
    count, seen = 0, 0
    finished = threading.Event()

    def produce():
        nonlocal count
        for _ in range(2000):
            count += 1
            waiter.wake()
        finished.set()
        waiter.wake()

    thread = threading.Thread(target=produce)
    thread.start()
    while not (finished.is_set() and seen == count):
        assert waiter.wait([], time.monotonic_ns() + LATE_NS)
        seen = count
    thread.join()
    assert seen == 2000
