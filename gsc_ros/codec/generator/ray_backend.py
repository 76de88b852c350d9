# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A generator on a Ray cluster: several processes, on several machines if need be.

::

    generate(batch) ──> a free actor ──> Generator.generate ──> pictures
                        │ dies                     on another actor, once
                        └─> another one takes its place, while the others go on

An actor has one GPU or, where the cluster has none, some CPU threads. There is no queue: as many
callers as there are actors may call at once, each with what is newest to it. docs/ray.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
import os
import threading
import time
from types import ModuleType
from typing import Any

from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator.generator import (
    Condition,
    DEFAULT_SETTINGS,
    GenerationSettings,
    Generator,
)
from gsc_ros.codec.generator.opening import open_generator
import numpy as np

# Without a GPU each actor loads the weights once more: as many help a ground station's few cameras.
MAX_CPU_ACTORS = 8


@dataclass(frozen=True)
class Patience:
    """
    How long to wait, in seconds.

    :param open_s: for all actors to load their weights.
    :param free_s: for an actor when none is free: others died, and their successors load.
    :param batch_s: for a batch; an actor that takes longer is replaced.
    :param again_s: least time between two starts of an actor: what makes it die may stay.
    """

    open_s: float = 900.0
    free_s: float = 60.0
    batch_s: float = 600.0
    again_s: float = 10.0


@dataclass
class RayCounter:
    """
    What became of actors and batches.

    :param actors_lost: actors that died, or took too long.
    :param batches_retried: batches that another actor was given.
    :param batches_dropped: batches that a GeneratorError was raised for, as actors failed.
    """

    actors_lost: int = 0
    batches_retried: int = 0
    batches_dropped: int = 0


class _Worker:
    """What runs in a process of an actor."""

    def __init__(self, opening: Callable[[], Generator]) -> None:
        self._opening = opening

    def open(self) -> tuple[str, str, int]:
        """Open the generator; return its name, what tells its weights from others, its steps."""
        self._generator = self._opening()
        return self._generator.name, self._generator.identity, self._generator.steps

    def generate(
        self, conditions: Sequence[Condition], settings: GenerationSettings,
    ) -> list[np.ndarray]:
        """See `Generator.generate`."""
        return self._generator.generate(conditions, settings)


class _Membership:
    """
    This process's part in a cluster, on a thread of its own.

    The processes of a local Ray are killed by the system when the thread ends that started them.
    """

    def __init__(self, ray: ModuleType, address: str, cores: int) -> None:
        """Join the cluster at an address, or start one; see `_join`."""
        self._over = threading.Event()
        joined: Future[None] = Future()

        def stay() -> None:
            try:
                _join(ray, address, cores)
            except Exception as error:  # noqa: BLE001  (whatever it is, the caller gets it)
                joined.set_exception(error)
                return
            joined.set_result(None)
            self._over.wait()
            ray.shutdown()

        # A daemon: Ray shuts itself down in a process that ends without closing the generator.
        self._thread = threading.Thread(target=stay, name='ray', daemon=True)
        self._thread.start()
        joined.result()

    def end(self) -> None:
        """Leave the cluster, or end the one started here."""
        self._over.set()
        self._thread.join()


@dataclass
class _Slot:
    """A place for an actor, and who has it now."""

    actor: Any = None
    loading: Any = None  # the reference that resolves when it has loaded its weights
    started_s: float = -1e9


class RayGenerator:
    """
    A generator whose pictures actors make; see `Generator`.

    Unlike others it may be used by several threads at once.

    :ivar concurrency: how many calls are served at once while all actors live.
    :ivar counter: what became of actors and batches.
    """

    def __init__(
        self, opening: Callable[[], Generator], *, address: str = '', actors: int = 0,
        threads: int = 1, use_gpu: bool = True, patience: Patience = Patience(),
    ) -> None:
        """
        Join a cluster, or start one on this machine, and let actors load their weights.

        A cluster that this process has joined already is used whatever the address says.

        :param opening: opens a generator; called in every actor's process, where what it is made
            of must be installed.
        :param address: as in :func:`open_ray_generator`.
        :param actors: how many; 0 for one on each GPU of the cluster or, without any, as many as
            its cores have room for, `MAX_CPU_ACTORS` at most.
        :param threads: CPU cores that each actor asks for; 0 to ask for none.
        :param use_gpu: give each actor a GPU where the cluster has some.
        :raises GeneratorError: when Ray is not installed, there is no cluster, or an actor cannot
            open its generator.
        """
        self._ray = _import_ray()
        self._patience = patience
        self.counter = RayCounter()
        self._free: list[_Slot] = []
        self._loading: list[_Slot] = []
        self._changed = threading.Condition()
        self._closed = False
        self._membership = None
        if not self._ray.is_initialized():
            self._membership = _Membership(self._ray, address, actors * threads)
        try:
            resources = self._ray.cluster_resources()
            gpus = int(resources.get('GPU', 0)) if use_gpu else 0
            self.concurrency = actors or gpus or max(
                1, min(MAX_CPU_ACTORS, int(resources.get('CPU', 1)) // max(1, threads)))
            self._make = partial(self._ray.remote(
                num_cpus=threads, num_gpus=1 if gpus else 0)(_Worker).remote, opening)
            self._slots = [_Slot() for _ in range(self.concurrency)]
            for slot in self._slots:
                self._start(slot)
            self.name, self.identity, self.steps = self._await_all()
        except BaseException:
            self.close()
            raise

    def generate(
        self, conditions: Sequence[Condition], settings: GenerationSettings = DEFAULT_SETTINGS,
    ) -> list[np.ndarray]:
        """
        Return pictures; see `Generator.generate`. Any number of threads may call.

        :raises GeneratorError: also when two actors in turn died over the batch, when one took
            too long, or when none is free for `Patience.free_s`.
        """
        conditions = tuple(conditions)
        for attempt in range(2):
            slot = self._take()
            try:
                pictures = self._ray.get(
                    slot.actor.generate.remote(conditions, settings),
                    timeout=self._patience.batch_s)
            except self._ray.exceptions.RayTaskError as error:
                # The actor lives: it is what it was given that it could not do.
                self._put_back(slot)
                raise _as_generator_error(error) from error
            except self._ray.exceptions.GetTimeoutError as error:
                self._replace(slot)
                self._drop()
                raise GeneratorError(
                    f'an actor took more than {self._patience.batch_s:g} s') from error
            except self._ray.exceptions.RayError as error:
                self._replace(slot)
                if attempt:
                    self._drop()
                    raise GeneratorError(
                        f'two actors in turn were lost: {_first_line(error)}') from error
                with self._changed:
                    self.counter.batches_retried += 1
            else:
                self._put_back(slot)
                return pictures
        raise AssertionError('the last attempt returns or raises')

    def close(self) -> None:
        """End the actors, and the cluster if it was started here."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        for slot in getattr(self, '_slots', ()):
            self._kill(slot)
        if self._membership is not None:
            self._membership.end()

    def _await_all(self) -> tuple[str, str, int]:
        """Return what all generators are called; they must be one and the same."""
        references = [slot.loading for slot in self._loading]
        ready, late = self._ray.wait(
            references, num_returns=len(references), timeout=self._patience.open_s)
        try:
            found = set(self._ray.get(ready))
        except self._ray.exceptions.RayTaskError as error:
            raise _as_generator_error(error) from error
        except self._ray.exceptions.RayError as error:
            raise GeneratorError(
                f'an actor died opening its generator: {_first_line(error)}') from error
        if late:
            raise GeneratorError(
                f'{len(late)} of {len(references)} actors were not ready after '
                f'{self._patience.open_s:g} s: has the cluster room for them?')
        if len(found) > 1:
            raise GeneratorError(f'the machines have different generators: {sorted(found)}')
        self._free, self._loading = self._loading, []
        return found.pop()

    def _start(self, slot: _Slot) -> None:
        """Give a slot an actor, which begins to load its weights."""
        slot.started_s = time.monotonic()
        slot.actor = self._make()
        slot.loading = slot.actor.open.remote()
        self._loading.append(slot)

    def _take(self) -> _Slot:
        """Return a slot whose actor is free, waiting for one if need be."""
        deadline_s = time.monotonic() + self._patience.free_s
        with self._changed:
            while not self._closed:
                self._look_after_loading()
                if self._free:
                    return self._free.pop(0)
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    self.counter.batches_dropped += 1
                    raise GeneratorError(f'no actor was free for {self._patience.free_s:g} s')
                # Nobody says when an actor has loaded its weights.
                self._changed.wait(min(left_s, 0.1 if self._loading else left_s))
        raise GeneratorError('the generator has been closed')

    def _look_after_loading(self) -> None:
        """Free the actors that have loaded their weights; start those anew that cannot."""
        for slot in tuple(self._loading):
            if slot.loading is None:
                if time.monotonic() - slot.started_s >= self._patience.again_s:
                    self._loading.remove(slot)
                    self._start(slot)
                continue
            if not self._ray.wait([slot.loading], timeout=0)[0]:
                continue
            try:
                right = self._ray.get(slot.loading) == (self.name, self.identity, self.steps)
            except self._ray.exceptions.RayError:
                right = False
            slot.loading = None
            if right:
                self._loading.remove(slot)
                self._free.append(slot)
            else:
                self._kill(slot)

    def _put_back(self, slot: _Slot) -> None:
        with self._changed:
            self._free.append(slot)
            self._changed.notify()

    def _replace(self, slot: _Slot) -> None:
        """Give up a slot's actor; its successor starts as soon as it may."""
        self._kill(slot)
        with self._changed:
            self.counter.actors_lost += 1
            slot.loading = None
            self._loading.append(slot)
            if not self._closed:
                self._look_after_loading()
            self._changed.notify_all()

    def _kill(self, slot: _Slot) -> None:
        if slot.actor is not None:
            try:
                self._ray.kill(slot.actor)
            except (self._ray.exceptions.RayError, ValueError):
                pass  # it is gone
            slot.actor = None

    def _drop(self) -> None:
        with self._changed:
            self.counter.batches_dropped += 1


def open_ray_generator(
    name_or_path: str = 'tiny', *, address: str = '', actors: int = 0, threads: int = 1,
    device: str = '', structure_hash: str = '',
) -> RayGenerator:
    """
    Open a generator on a Ray cluster; the machines of its actors have the profile.

    :param name_or_path: see :func:`~gsc_ros.codec.generator.opening.open_generator`, as the other
        parameters; a folder is looked for on the machines of the actors.
    :param address: `auto`, `host:6379` or `ray://host:10001` join a cluster; empty starts one on
        this machine, for as long as the generator is open.
    :param actors: see :class:`RayGenerator`.
    :param device: where each runs; `cpu` asks for no GPU.
    :raises GeneratorError: see :class:`RayGenerator`.
    """
    opening = partial(
        open_generator, name_or_path, threads=threads, device=device,
        structure_hash=structure_hash)
    return RayGenerator(
        opening, address=address, actors=actors, threads=threads, use_gpu=device != 'cpu')


def _import_ray() -> ModuleType:
    # Whoever generates locally need not have it.
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise GeneratorError(
            f"generation on a cluster needs {error.name or 'ray'}: pip install 'gsc_ros[ray]'"
        ) from error
    return ray


def _join(ray: ModuleType, address: str, cores: int) -> None:
    """Join the cluster at an address, or start one of this machine alone."""
    options: dict[str, Any] = {'configure_logging': False, 'log_to_driver': False}
    if address:
        options['address'] = address
    else:
        # Nothing is to be told about its use.
        os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
        options |= {'address': 'local', 'include_dashboard': False, 'num_cpus': cores or None}
    try:
        ray.init(**options)
    except (ConnectionError, OSError, RuntimeError, ValueError, TimeoutError) as error:
        what = f'there is no Ray cluster at {address}' if address else 'Ray does not start'
        raise GeneratorError(f'{what}: {_first_line(error)}') from error


def _as_generator_error(error: Exception) -> GeneratorError:
    """Return what an actor raised, without Ray's account of where."""
    cause = getattr(error, 'cause', None) or error
    if isinstance(cause, GeneratorError):
        return GeneratorError(str(cause))
    return GeneratorError(f'{type(cause).__name__}: {_first_line(cause)}')


def _first_line(error: BaseException) -> str:
    """Return an error's words without the traceback that Ray adds."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
