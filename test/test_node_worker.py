# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that works on the newest items of several sources in turn."""

from __future__ import annotations

from collections.abc import Iterator
import threading
import time

from gsc_ros.nodes.worker import any_at_work, Worker
import pytest

PATIENCE_S = 20.0


class Gate:
    """A handler that records its items and waits at a gate before each."""

    def __init__(self) -> None:
        self.handled: list[tuple[str, object]] = []
        self.failures: list[tuple[str, Exception]] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Semaphore(0)
        self.done = threading.Semaphore(0)

    def handle(self, source: str, item: object) -> None:
        self.entered.release()
        assert self.open.acquire(timeout=PATIENCE_S)
        self.handled.append((source, item))
        self.done.release()
        if isinstance(item, Exception):
            raise item

    def fail(self, source: str, error: Exception) -> None:
        self.failures.append((source, error))

    def wait_until_busy(self) -> None:
        assert self.entered.acquire(timeout=PATIENCE_S)

    def let(self, count: int) -> None:
        for _ in range(count):
            self.open.release()
        for _ in range(count):
            assert self.done.acquire(timeout=PATIENCE_S)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    for _ in range(100):
        gate.open.release()


def test_newest_item_takes_the_place_of_the_one_that_waits(gate: Gate):
    worker = Worker('test', gate.handle, gate.fail)
    worker.start()
    assert worker.submit('front', 1) == 0
    gate.wait_until_busy()
    assert [worker.submit('front', item) for item in (2, 3, 4)] == [0, 1, 1]
    gate.let(2)
    assert gate.handled == [('front', 1), ('front', 4)]
    worker.stop()


def test_sources_take_turns(gate: Gate):
    worker = Worker('test', gate.handle, gate.fail, depth=3)
    worker.start()
    worker.submit('busy', 0)
    gate.wait_until_busy()
    for item in (1, 2, 3):
        worker.submit('busy', item)
    worker.submit('quiet', 1)
    gate.let(5)
    assert [source for source, _ in gate.handled] == ['busy', 'busy', 'quiet', 'busy', 'busy']
    worker.stop()


def test_handler_that_raises_is_reported_and_the_next_item_is_handled(gate: Gate):
    worker = Worker('test', gate.handle, gate.fail, depth=2)
    worker.start()
    worker.submit('front', ValueError('bad item'))
    worker.submit('front', 'good item')
    gate.let(2)
    assert gate.handled[1] == ('front', 'good item')
    assert [str(error) for _, error in gate.failures] == ['bad item']
    worker.stop()


def test_stopped_worker_drops_what_waits_and_takes_nothing(gate: Gate):
    worker = Worker('test', gate.handle, gate.fail)
    worker.start()
    worker.submit('front', 1)
    gate.wait_until_busy()
    worker.submit('front', 2)
    gate.open.release()
    assert worker.stop(PATIENCE_S)
    assert worker.submit('front', 3) == 1
    assert gate.handled == [('front', 1)]


def test_worker_starts_again_after_a_stop(gate: Gate):
    worker = Worker('test', gate.handle, gate.fail)
    worker.start()
    assert worker.stop(PATIENCE_S)
    worker.start()
    worker.submit('front', 1)
    gate.let(1)
    assert gate.handled == [('front', 1)]
    worker.stop()


def test_worker_that_never_started_stops_at_once(gate: Gate):
    assert Worker('test', gate.handle, gate.fail).stop()


def test_thread_that_outlives_its_stop_is_known_and_reports_nothing(gate: Gate):
    worker = Worker('test', gate.handle, gate.fail)
    worker.start()
    worker.submit('front', ValueError('too late'))
    gate.wait_until_busy()
    assert not worker.stop(0.0)
    assert any_at_work()
    gate.let(1)
    end = time.monotonic() + PATIENCE_S
    while any_at_work() and time.monotonic() < end:
        time.sleep(0.01)
    assert not any_at_work()
    assert gate.failures == []
