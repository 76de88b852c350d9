# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A run from its description to its results: jobs, rows, tables.

::

    RunSpec ─> jobs ─> workers ─> rows (cache/rows-0.jsonl) ─> tables ─> results.json
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gsc_ros.evaluation.dataset.dataset import Dataset
from gsc_ros.evaluation.run.cache import RowCache
from gsc_ros.evaluation.run.method import MethodSpec
from gsc_ros.evaluation.run.opening import open_task
from gsc_ros.evaluation.run.process import ALONE, Rank, work
from gsc_ros.evaluation.run.spec import PartSpec, RunSpec
from gsc_ros.evaluation.run.table import bounds, Collected, pictures, tables
from gsc_ros.evaluation.run.work import Done, Job, open_data

CACHE_FOLDER = 'cache'

#: Called with the jobs done, the jobs there are, and what was done last.
Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Outcome:
    """
    What a run gives.

    :param tables: by name; see `table`.
    :param pictures: the gallery.
    :param bounds: bounds on the rate by name of the table, see `bound.study`.
    :param missing: what could not be used, and why.
    :param failures: part, method, image and reason.
    :param measured: rows that were made; the others were known from before.
    :param known: rows that were known.
    """

    tables: dict[str, dict[str, Any]]
    pictures: list[dict[str, Any]]
    bounds: dict[str, dict[str, Any]]
    missing: dict[str, str]
    failures: list[dict[str, str]]
    measured: int
    known: int


def evaluate(spec: RunSpec, folder: Path, report: Report, rank: Rank = ALONE) -> Outcome | None:
    """
    Do what is left of a run.

    :param folder: for rows and pictures; a run in the same folder goes on where it stopped.
    :return: None for a rank that only helps.
    :raises RunError: the run is described wrongly, or another one uses the folder.
    :raises DatasetError: a data set cannot be opened.
    :raises OSError: the folder cannot be written.
    """
    datasets = [open_data(part.data) for part in spec.parts]
    cache = RowCache(folder / CACHE_FOLDER, rank.number)
    try:
        jobs = jobs_of(spec, datasets)
        if rank.count > 1:
            own = _collect(rank.share(jobs), spec, folder, cache, report, rank).measured
            rank.wait()
            if rank.number:
                return None
            cache.read()
        else:
            own = 0
        # What the others have made is known now: this only puts it in order.
        collection = _collect(jobs, spec, folder, cache, report, rank)
        collection.measured += own
        return _outcome(spec, datasets, collection, cache)
    finally:
        cache.close()


def jobs_of(spec: RunSpec, datasets: list[Dataset]) -> list[Job]:
    """Return all jobs, picture by picture; methods that share work are in one job."""
    jobs = []
    for number, (part, dataset) in enumerate(zip(spec.parts, datasets)):
        together: dict[Any, list[int]] = {}
        for position, method in enumerate(part.methods):
            together.setdefault(_sharing(method), []).append(position)
        jobs += [Job(number, index, tuple(methods)) for index in range(len(dataset.names))
                 for methods in together.values()]
    return jobs


def _sharing(method: MethodSpec) -> Any:
    """Return what methods of one job have in common: the streams of a peer, little else."""
    if method.kind in ('generate', 'text'):
        return method  # slow: each is kept as soon as it is made
    return method.kind, method['codec']


@dataclass
class _Collection:
    parts: list[Collected]
    missing: dict[str, str]
    failures: list[dict[str, str]]
    measured: int = 0


def _collect(jobs: list[Job], spec: RunSpec, folder: Path, cache: RowCache, report: Report,
             rank: Rank) -> _Collection:
    collection = _Collection([Collected() for _ in spec.parts], {}, [])
    report(0, len(jobs), '')
    for count, done in enumerate(work(jobs, spec, folder, cache.keys, rank), 1):
        part = spec.parts[done.job.part]
        cache.add(done.rows)
        collection.measured += len(done.rows)
        collection.parts[done.job.part].add(done)
        collection.missing |= done.missing
        collection.failures += _failures(part, done)
        report(count, len(jobs), f'{part.title}: {done.image}')
    return collection


def _failures(part: PartSpec, done: Done) -> list[dict[str, str]]:
    return [{'part': part.name, 'method': part.methods[number].name, 'image': done.image,
             'reason': reason} for number, reason in done.failures]


def _outcome(spec: RunSpec, datasets: list[Dataset], collection: _Collection,
             cache: RowCache) -> Outcome:
    made: dict[str, dict[str, Any]] = {}
    gallery: list[dict[str, Any]] = []
    limits: dict[str, dict[str, Any]] = {}
    for part, dataset, collected in zip(spec.parts, datasets, collection.parts):
        made |= tables(part, dataset, collected, cache)
        for task in part.tasks:
            collection.missing |= open_task(task, dataset.classes).missing
        gallery += pictures(part, collected)
        limits |= bounds(part, dataset, collected, cache)
    total = sum(len(keys) for collected in collection.parts for keys in collected.keys.values())
    return Outcome(made, gallery, limits, collection.missing, collection.failures,
                   collection.measured, total - collection.measured)


