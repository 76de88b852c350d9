# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Generation on threads of its own: of every camera the newest frame, several cameras in one call.

    decoder's thread ──frame──> a place for each camera, newest wins ──┐
                                                                       v
    show, for each <──pictures── generate(batch) <──conditions── generator's thread

The generator is opened there, too, as it may take minutes. One that cannot be opened is tried again
now and then; one that fails with a batch is given the next one. No ROS in here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import os
import sys
import threading
import time
from typing import Generic, TypeVar

from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator.generator import Condition, GenerationSettings, Generator
from gsc_ros.nodes.worker import Worker
import numpy as np

Item = TypeVar('Item')

# Seconds until a generator that could not be opened is tried again.
RETRY_S = 30.0
# The decoder wants its share of the patience that a process is given to end.
_STOP_S = 1.0
# Every thread looks for work in the same places: the wake-up calls have one source.
_CALL = ''


@dataclass
class GenerationCounters:
    """What became of the frames of one camera that were to be generated."""

    generated: int = 0
    not_generated: int = 0  # newer ones came before there was time, or there is no generator yet
    generator_failed: int = 0


@dataclass(frozen=True)
class Generated:
    """
    A picture that was generated.

    :param image: uint8 ``[H, W, 3]`` RGB.
    :param generator: name of the generator.
    :param generate_ms: wall time of the call, in milliseconds.
    """

    image: np.ndarray
    generator: str
    generate_ms: float


@dataclass(frozen=True)
class _Place(Generic[Item]):
    """A frame that waits; later ones of a camera have higher tickets."""

    ticket: int
    item: Item


@dataclass(frozen=True)
class Work(Generic[Item]):
    """
    What the owner of a :class:`Generation` does for it, on the generator's threads.

    :param open: opens the generator.
    :param condition: makes the condition of a camera's item when its turn has come.
    :param settings: says how to generate, now.
    :param show: takes a picture of a camera's item; never an older one after a newer.
    :param give_up: takes an item with which the generator has failed, unless a newer one of the
        camera has been taken by now.
    :param log: takes a sentence about each failure.
    """

    open: Callable[[], Generator]
    condition: Callable[[str, Item], Condition]
    settings: Callable[[], GenerationSettings]
    show: Callable[[str, Item, Generated], None]
    give_up: Callable[[str, Item], None]
    log: Callable[[str], None]


class Generation(Generic[Item]):
    """Generates pictures of the newest items of several cameras, off the thread that decodes."""

    def __init__(self, work: Work[Item], counters: Mapping[str, GenerationCounters],
                 max_batch: int = 4, niceness: int = 0) -> None:
        """
        Prepare; nothing runs before :meth:`start`.

        :param counters: of each camera, counted up here.
        :param max_batch: items in one call of the generator, at most.
        :param niceness: by how much the generator's threads stand back behind others, 0..19, where
            the system has priorities of threads.
        """
        self._work = work
        self._counters = counters
        self._max_batch = max_batch
        self._niceness = niceness
        self._generator: Generator | None = None
        self._concurrency = 1
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._showing = threading.Lock()
        self._turns = threading.Semaphore(1)
        self._workers: list[Worker[None]] = []
        self._run = 0  # which start this is; results of an earlier one are dropped
        self._closed = False
        self._calls = 0  # under way
        self._tickets = 0
        self._places: dict[str, _Place[Item]] = {}
        self._shown: dict[str, int] = {}
        self._retry_s = 0.0
        self._failure: str | None = None
        self.batches = self.pictures = 0
        self.generate_ms = 0.0

    @property
    def name(self) -> str:
        """Name of the generator; empty while there is none."""
        generator = self._generator
        return '' if generator is None else generator.name

    @property
    def failure(self) -> str | None:
        """Why there is no generator, or what the last call failed with; None when all is well."""
        return self._failure

    @property
    def backend_counts(self) -> dict[str, int]:
        """What a generator that runs elsewhere has counted."""
        counter = getattr(self._generator, 'counter', None)
        return {} if counter is None else dict(vars(counter))

    @property
    def mean_batch(self) -> float:
        """Pictures of a call, on average; 0 before the first one."""
        return self.pictures / self.batches if self.batches else 0.0

    def start(self) -> None:
        """Open the generator unless it is open, and let it work."""
        with self._lock:
            self._run += 1
            self._shown.clear()
            self._retry_s = 0.0
            self._add_workers(self._concurrency)
        self._wake()

    def stop(self) -> None:
        """Drop what waits, and what is being generated; the generator stays open."""
        with self._lock:
            self._run += 1
            workers, self._workers = self._workers, []
            self._places.clear()
        for worker in workers:
            worker.stop(_STOP_S)

    def close(self) -> None:
        """Stop, and release the generator: at once, or after the call that is under way."""
        self.stop()
        with self._lock:
            self._closed = True
        self._release_if_idle()

    def submit(self, camera: str, item: Item) -> bool:
        """
        Let a camera's item be generated, unless a newer one comes before its turn.

        :return: False when there is no generator, or not yet: nothing will be made of the item.
        """
        counters = self._counters[camera]
        if self._generator is None:
            with self._lock:
                counters.not_generated += 1
            if time.monotonic() >= self._retry_s:
                self._wake()
            return False
        with self._lock:
            self._tickets += 1
            # A place that is taken keeps its turn.
            counters.not_generated += camera in self._places
            self._places[camera] = _Place(self._tickets, item)
        self._wake()
        return True

    def _add_workers(self, count: int) -> None:
        while len(self._workers) < count:
            worker: Worker[None] = Worker('generator', self._serve, self._stumbled)
            self._workers.append(worker)
            worker.start()

    def _wake(self) -> None:
        for worker in list(self._workers):
            worker.submit(_CALL, None)

    def _serve(self, _: str, __: None) -> None:
        """Generate one batch, on a worker's thread."""
        with self._lock:
            if self._closed:
                return
            run = self._run
            self._calls += 1
        try:
            _stand_back(self._niceness)  # what the generator opens inherits it
            generator = self._opened()
            batch = self._take(run)
            if generator is not None and batch:
                self._generate(generator, batch, run)
        finally:
            with self._lock:
                self._calls -= 1
                more = bool(self._places)
            self._release_if_idle()
        if more:
            self._wake()

    def _opened(self) -> Generator | None:
        """Return the generator, opened if it is time to."""
        with self._opening:
            if self._generator is not None or time.monotonic() < self._retry_s:
                return self._generator
            try:
                generator = self._work.open()
            except Exception as error:  # noqa: BLE001 - whatever it is, the structure goes on
                self._retry_s = time.monotonic() + RETRY_S
                self._fail(f'no generator: {error}')
                return None
            self._failure = None
            # One that runs elsewhere may serve several calls at a time.
            self._concurrency = max(1, getattr(generator, 'concurrency', 1))
            self._turns = threading.Semaphore(self._concurrency)
            self._generator = generator
            with self._lock:
                if self._workers:
                    self._add_workers(self._concurrency)
            return generator

    def _take(self, run: int) -> dict[str, _Place[Item]]:
        """Return the items whose turn it is: a fair share of those that wait."""
        with self._lock:
            if run != self._run:
                return {}
            share = -(-len(self._places) // self._concurrency)
            cameras = list(self._places)[:min(share, self._max_batch)]
            return {camera: self._places.pop(camera) for camera in cameras}

    def _generate(self, generator: Generator, batch: dict[str, _Place[Item]], run: int) -> None:
        try:
            conditions = [self._work.condition(camera, place.item)
                          for camera, place in batch.items()]
            with self._turns:
                start_s = time.perf_counter()
                images = generator.generate(conditions, self._work.settings())
                generate_ms = 1e3 * (time.perf_counter() - start_s)
            _check(images, conditions)
        except Exception as error:  # noqa: BLE001 - whatever it is, the structure goes on
            self._give_up(batch, run, f'the generator failed: {error}')
            return
        self._failure = None
        with self._lock:
            self.batches += 1
            self.pictures += len(images)
            self.generate_ms = generate_ms
        for (camera, place), image in zip(batch.items(), images):
            with self._showing:
                if self._is_wanted(camera, place, run):
                    self._work.show(
                        camera, place.item, Generated(image, generator.name, generate_ms))

    def _is_wanted(self, camera: str, place: _Place[Item], run: int) -> bool:
        """Count a picture, and return whether it is wanted."""
        with self._lock:
            if run != self._run:
                return False
            newest = self._is_newest(camera, place)
            self._counters[camera].generated += newest
            self._counters[camera].not_generated += not newest
            return newest

    def _is_newest(self, camera: str, place: _Place[Item]) -> bool:
        """Take note of an item, and return whether none follows it: calls may overtake others."""
        if place.ticket < self._shown.get(camera, 0):
            return False
        self._shown[camera] = place.ticket
        return True

    def _give_up(self, batch: dict[str, _Place[Item]], run: int, reason: str) -> None:
        if run != self._run:  # stopped: a failure may be no more than that
            return
        self._fail(reason)
        for camera, place in batch.items():
            with self._showing:
                with self._lock:
                    self._counters[camera].generator_failed += 1
                    newest = run == self._run and self._is_newest(camera, place)
                if newest:
                    self._work.give_up(camera, place.item)

    def _fail(self, reason: str) -> None:
        self._failure = reason
        self._work.log(reason)

    def _stumbled(self, _: str, error: Exception) -> None:
        self._fail(f'a generated picture could not be shown: {error}')

    def _release_if_idle(self) -> None:
        with self._lock:
            if not self._closed or self._calls or self._generator is None:
                return
            generator, self._generator = self._generator, None
        generator.close()


def _stand_back(niceness: int) -> None:
    """Set the priority of this thread, on Linux; elsewhere it would be that of the process."""
    if niceness and sys.platform.startswith('linux'):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def _check(images: Sequence[np.ndarray], conditions: Sequence[Condition]) -> None:
    """Raise a GeneratorError unless there is a picture of the right kind for every condition."""
    if len(images) != len(conditions):
        raise GeneratorError(f'{len(images)} pictures for {len(conditions)} frames')
    for image, condition in zip(images, conditions):
        if image.dtype != np.uint8 or image.shape != condition.structure.shape:
            raise GeneratorError(
                f'a picture is {image.dtype} {list(image.shape)}, not uint8 '
                f'{list(condition.structure.shape)}')
