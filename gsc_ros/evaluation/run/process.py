# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Jobs over processes: workers on this machine, or the ranks that `accelerate launch` has started.

Workers are fresh processes, each with one thread per network, one after the other on the devices of
the run. Under `accelerate launch` every rank does its own share of the jobs on its own device and
writes its own file of rows; then the first one puts all of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
import multiprocessing
import os
from pathlib import Path
import signal
import threading
from typing import Any

import cv2
from gsc_ros.evaluation.run.method import RunError
from gsc_ros.evaluation.run.spec import RunSpec
from gsc_ros.evaluation.run.work import Done, Job, Workshop

#: How long a rank waits for the others.
RANK_PATIENCE = timedelta(days=7)
_workshop: Workshop | None = None


@dataclass(frozen=True)
class Rank:
    """
    This process among those that were launched together.

    :param number: 0 for the one that writes the results.
    :param count: of all.
    :param device: its own; None when it was launched alone.
    :param wait: returns when all have called it.
    """

    number: int = 0
    count: int = 1
    device: str | None = None
    wait: Callable[[], None] = lambda: None

    def share(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs of this process: every one of them is somebody's."""
        return list(jobs[self.number::self.count])


ALONE = Rank()


def this_rank() -> Rank:
    """
    Return what accelerate says of this process, if it was launched with others.

    :raises RunError: it was, and accelerate is not installed.
    """
    if int(os.environ.get('WORLD_SIZE', '1')) < 2:
        return ALONE
    try:
        from accelerate import PartialState
        import torch
    except ModuleNotFoundError as error:
        raise RunError(f"several ranks need {error.name}: pip install 'gsc_ros[flux]'") from error
    # Ranks end at different times, by hours in a long run, and wait for each other just once.
    state = PartialState(cpu=not torch.cuda.is_available(), timeout=RANK_PATIENCE)
    return Rank(state.process_index, state.num_processes, str(state.device),
                state.wait_for_everyone)


def work(jobs: Sequence[Job], spec: RunSpec, folder: Path, known: frozenset[str],
         rank: Rank) -> Iterator[Done]:
    """
    Do jobs, and yield what comes out in whatever order it comes.

    :param known: keys of the rows that need not be made.
    :raises RunError: the run is described wrongly, or a worker was killed.
    :raises DatasetError: a data set cannot be opened.
    """
    devices = (rank.device,) if rank.device else spec.devices
    workers = min(spec.processes, len(jobs)) if rank.count == 1 else 1
    if workers < 2:
        workshop = Workshop(spec, folder, known, devices[0], os.cpu_count() or 1)
        yield from (workshop.do(job) for job in jobs)
        return
    context = multiprocessing.get_context('spawn')
    with _one_thread_each(), ProcessPoolExecutor(
            workers, context, _begin, (spec, folder, known, devices, context.Value('i', 0))
            ) as pool:
        try:
            pending = [pool.submit(_do, job) for job in jobs]
            for future in as_completed(pending):
                yield future.result()
        except BrokenProcessPool as error:
            raise RunError('a worker was killed (is there memory for all of them?); the rows so '
                           'far are kept: try fewer processes') from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin(spec: RunSpec, folder: Path, known: frozenset[str], devices: Sequence[str],
           counter: Any) -> None:
    """Set up a worker."""
    global _workshop
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    # Ctrl-C is for the process that hands out the jobs.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _workshop = Workshop(spec, folder, known, devices[number % len(devices)], 1)


def _end_with_parent() -> None:
    """End this worker when its parent was killed, which would leave it its memory for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _do(job: Job) -> Done:
    return _workshop.do(job)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let the numeric libraries of new processes use one thread: there are many processes."""
    names = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, '1'))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
