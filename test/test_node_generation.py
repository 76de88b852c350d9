# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Generation beside the decoder: newest wins, cameras share a call, and no failure spreads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import os
import sys
import threading
import time

from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator.generator import Condition, GenerationSettings
from gsc_ros.nodes import generation as module
from gsc_ros.nodes.generation import Generated, Generation, GenerationCounters, Work
import numpy as np
import pytest

PATIENCE_S = 20.0
CAMERAS = ('front', 'left', 'rear')


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


def condition(number: int) -> Condition:
    """Return a condition whose picture is all `number`."""
    return Condition(
        text='', latent=np.zeros((320, 1, 1), np.float32), channels=(0,),
        structure=np.full((16, 16, 3), number, np.uint8), level=0.5, seed=0)


class GatedGenerator:
    """Returns the structure pictures when it is let, or does what it is told to instead."""

    name = 'gated'

    def __init__(self, concurrency: int = 1) -> None:
        self.concurrency = concurrency
        self.entered = threading.Semaphore(0)
        self.open = threading.Semaphore(0)
        self.batches: list[list[int]] = []
        self.settings: list[GenerationSettings] = []
        self.instead: list[Callable[[Sequence[Condition]], list[np.ndarray]]] = []
        self.closed = 0
        self.niceness: list[int] = []

    def generate(self, conditions: Sequence[Condition],
                 settings: GenerationSettings) -> list[np.ndarray]:
        self.batches.append([int(condition.structure[0, 0, 0]) for condition in conditions])
        self.settings.append(settings)
        self.niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        self.entered.release()
        assert self.open.acquire(timeout=PATIENCE_S)
        if self.instead:
            return self.instead.pop(0)(conditions)
        return [condition.structure.copy() for condition in conditions]

    def close(self) -> None:
        self.closed += 1


class Bench:
    """A generation whose items are numbers, and what it has made of them."""

    def __init__(self, generator: GatedGenerator | None, **options: int) -> None:
        self.generator = generator
        self.counters = {camera: GenerationCounters() for camera in CAMERAS}
        self.shown: list[tuple[str, int, Generated]] = []
        self.given_up: list[tuple[str, int]] = []
        self.log: list[str] = []
        self.opened = 0
        self.generation: Generation[int] = Generation(
            Work(self._open, lambda camera, item: condition(item),
                 lambda: GenerationSettings(steps=3),
                 lambda camera, item, made: self.shown.append((camera, item, made)),
                 lambda camera, item: self.given_up.append((camera, item)), self.log.append),
            self.counters, **options)
        self.generation.start()

    def _open(self) -> GatedGenerator:
        self.opened += 1
        if self.generator is None:
            raise GeneratorError('there is no such generator')
        return self.generator

    @property
    def made(self) -> list[tuple[str, int]]:
        return [(camera, item) for camera, item, _ in self.shown]

    def ready(self) -> Bench:
        wait_until(lambda: self.generation.name)
        return self

    def wait_until_busy(self) -> None:
        assert self.generator.entered.acquire(timeout=PATIENCE_S)

    def let(self, count: int = 1) -> None:
        """Let so many calls of the generator end."""
        for _ in range(count):
            self.generator.open.release()


@pytest.fixture(name='make')
def fixture_make() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(generator: GatedGenerator | None, **options: int) -> Bench:
        benches.append(Bench(generator, **options))
        return benches[-1]
    yield make
    for bench in benches:
        if bench.generator is not None:
            bench.let(100)
        bench.generation.close()


def test_of_the_frames_that_wait_only_the_newest_is_generated(make):
    bench = make(GatedGenerator()).ready()
    assert bench.generation.submit('front', 1)
    bench.wait_until_busy()
    for number in (2, 3, 4):
        bench.generation.submit('front', number)
    bench.let(2)
    wait_until(lambda: len(bench.shown) == 2)
    assert bench.made == [('front', 1), ('front', 4)]
    assert vars(bench.counters['front']) == {
        'generated': 2, 'not_generated': 2, 'generator_failed': 0}


def test_cameras_that_wait_are_generated_in_one_call(make):
    bench = make(GatedGenerator()).ready()
    bench.generation.submit('front', 1)
    bench.wait_until_busy()
    for camera, number in (('left', 2), ('front', 3), ('rear', 4), ('left', 5)):
        bench.generation.submit(camera, number)
    bench.let(2)
    wait_until(lambda: len(bench.shown) == 4)
    assert bench.generator.batches == [[1], [5, 3, 4]]  # a camera keeps its turn
    assert bench.made == [('front', 1), ('left', 5), ('front', 3), ('rear', 4)]
    assert bench.generation.mean_batch == 2
    for _, number, made in bench.shown:
        assert (made.image == number).all()
        assert made.generator == 'gated' and made.generate_ms > 0


def test_a_call_holds_no_more_than_the_largest_batch_and_none_is_left_over(make):
    bench = make(GatedGenerator(), max_batch=2).ready()
    bench.generation.submit('front', 1)
    bench.wait_until_busy()
    for number, camera in enumerate(CAMERAS, 2):
        bench.generation.submit(camera, number)
    bench.let(3)
    wait_until(lambda: len(bench.shown) == 4)
    assert bench.generator.batches == [[1], [2, 3], [4]]


def test_whoever_submits_never_waits(make):
    bench = make(GatedGenerator()).ready()
    bench.generation.submit('front', 0)
    bench.wait_until_busy()
    start_s = time.monotonic()
    for number in range(200):
        bench.generation.submit('front', number % 250)
    assert time.monotonic() - start_s < 1.0
    assert not bench.shown


def test_the_settings_are_those_of_the_moment(make):
    bench = make(GatedGenerator()).ready()
    bench.let()
    bench.generation.submit('front', 1)
    wait_until(lambda: bench.shown)
    assert bench.generator.settings == [GenerationSettings(steps=3)]


@pytest.mark.parametrize('instead', (
    lambda conditions: 1 / 0, lambda conditions: [],
    lambda conditions: [np.zeros((8, 8, 3), np.uint8)],
    lambda conditions: [np.zeros((16, 16, 3), np.float32)]))
def test_a_generator_that_fails_is_told_and_given_the_next_frame(make, instead):
    bench = make(GatedGenerator()).ready()
    bench.generator.instead.append(instead)
    bench.let()
    bench.generation.submit('front', 1)
    wait_until(lambda: bench.given_up)
    assert bench.given_up == [('front', 1)]
    assert 'the generator failed' in bench.generation.failure and len(bench.log) == 1
    bench.let()
    bench.generation.submit('front', 2)
    wait_until(lambda: bench.shown)
    assert bench.made == [('front', 2)]
    assert bench.generation.failure is None
    assert vars(bench.counters['front']) == {
        'generated': 1, 'not_generated': 0, 'generator_failed': 1}


def test_a_generator_that_is_missing_is_told_and_tried_again_later(make, monkeypatch):
    bench = make(None)
    wait_until(lambda: bench.log)
    assert 'no such generator' in bench.generation.failure
    assert not bench.generation.submit('front', 1)
    assert bench.counters['front'].not_generated == 1
    assert bench.opened == 1  # not with every frame
    bench.generator = GatedGenerator()
    monkeypatch.setattr(module, 'RETRY_S', 0.0)
    bench.generation.stop()
    bench.generation.start()
    bench.ready()
    bench.let()
    assert bench.generation.submit('front', 2)
    wait_until(lambda: bench.shown)
    assert bench.generation.failure is None


def test_a_generator_that_came_back_is_found_without_a_restart(make, monkeypatch):
    monkeypatch.setattr(module, 'RETRY_S', 0.0)
    bench = make(None)
    wait_until(lambda: bench.log)
    bench.generator = GatedGenerator()

    def taken() -> bool:
        return bench.generation.submit('front', 1)
    wait_until(taken)
    bench.let()
    wait_until(lambda: bench.shown)


def test_nothing_is_shown_after_a_stop_and_the_generator_stays_open(make):
    bench = make(GatedGenerator()).ready()
    bench.generation.submit('front', 1)
    bench.wait_until_busy()
    bench.generation.submit('front', 2)
    stopping = threading.Thread(target=bench.generation.stop)
    stopping.start()
    bench.let(2)
    stopping.join(PATIENCE_S)
    assert not bench.shown and not bench.generator.closed
    bench.generation.start()
    bench.let()
    bench.generation.submit('front', 3)
    wait_until(lambda: bench.shown)
    assert bench.made == [('front', 3)]
    assert bench.opened == 1


def test_a_generator_at_work_is_released_after_the_call(make, monkeypatch):
    monkeypatch.setattr(module, '_STOP_S', 0.01)
    bench = make(GatedGenerator()).ready()
    bench.generation.submit('front', 1)
    bench.wait_until_busy()
    bench.generation.close()
    assert not bench.generator.closed
    bench.let()
    wait_until(lambda: bench.generator.closed)
    assert not bench.shown


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='priorities of threads')
def test_a_generator_can_stand_back_behind_the_other_threads(make):
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    for niceness, expected in ((0, own), (own + 3, own + 3)):
        bench = make(GatedGenerator(), niceness=niceness).ready()
        bench.let()
        bench.generation.submit('front', 1)
        wait_until(lambda bench=bench: bench.shown)
        assert bench.generator.niceness == [expected]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


def test_a_generator_elsewhere_works_on_several_calls_and_no_older_picture_follows(make):
    bench = make(GatedGenerator(concurrency=2)).ready()
    late = threading.Event()

    def after_the_next(conditions: Sequence[Condition]) -> list[np.ndarray]:
        assert late.wait(PATIENCE_S)
        return [condition.structure for condition in conditions]
    bench.generator.instead.append(after_the_next)
    bench.let()
    bench.generation.submit('front', 1)
    bench.wait_until_busy()
    wait_until(lambda: not bench.generator.instead)
    bench.let()
    bench.generation.submit('front', 2)
    wait_until(lambda: bench.shown)
    late.set()
    wait_until(lambda: bench.counters['front'].not_generated == 1)
    assert bench.made == [('front', 2)]
    bench.generator.open.release()
    bench.generation.submit('left', 3)
    wait_until(lambda: len(bench.shown) == 2)


def test_a_call_that_fails_late_brings_no_older_frame_back(make):
    bench = make(GatedGenerator(concurrency=2)).ready()
    late = threading.Event()

    def fail(conditions: Sequence[Condition]) -> list[np.ndarray]:
        assert late.wait(PATIENCE_S)
        raise GeneratorError('two actors were lost')
    bench.generator.instead.append(fail)
    bench.let()
    bench.generation.submit('front', 1)
    bench.wait_until_busy()
    wait_until(lambda: not bench.generator.instead)
    bench.let()
    bench.generation.submit('front', 2)
    wait_until(lambda: bench.shown)
    late.set()
    wait_until(lambda: bench.counters['front'].generator_failed == 1)
    bench.generation.close()
    assert (bench.made, bench.given_up) == ([('front', 2)], [])
