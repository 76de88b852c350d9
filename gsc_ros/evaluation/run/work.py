# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a worker does: some methods on one picture, judged by all tasks of the part.

Only what is not known yet is made. A worker opens data sets, methods and networks when the first
job needs them, and keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from gsc_ros.evaluation.dataset.dataset import Dataset, DatasetError, evenly, Sample, Subset
from gsc_ros.evaluation.dataset.opening import open_dataset
from gsc_ros.evaluation.run.digest import digest_of
from gsc_ros.evaluation.run.gallery import Gallery, shown_methods
from gsc_ros.evaluation.run.method import (
    Method,
    MethodError,
    MethodUnavailable,
    Reconstructed,
    RunError,
)
from gsc_ros.evaluation.run.model import Models
from gsc_ros.evaluation.run.opening import open_method, open_task
from gsc_ros.evaluation.run.spec import DataSpec, FIRST, PartSpec, RunSpec
from gsc_ros.evaluation.run.task import RunTask
from gsc_ros.evaluation.task.depth import DepthError
from gsc_ros.evaluation.task.detection import DetectionError
from gsc_ros.evaluation.task.segmentation import SegmentationError
from gsc_ros.evaluation.task.weight import WeightError
from gsc_ros.perception.network.network import NetworkError

# Part of every key: rows of another form are not taken for ours.
ROW_FORMAT = 1
_TASK_ERRORS = (DepthError, DetectionError, SegmentationError, WeightError)
# Any other error is that of the picture, and must not end the work on all the others: too small
# for a metric, of one colour, too large for the memory of a GPU. Those of OpenCV, ONNX Runtime and
# torch have no base of their own.
_NOT_OF_THE_PICTURE = (MethodUnavailable, RunError, NetworkError, OSError)


@dataclass(frozen=True)
class Job:
    """
    Methods on one picture.

    :param part: number of the part in the run.
    :param index: number of the picture in the part.
    :param methods: their numbers in the part.
    """

    part: int
    index: int
    methods: tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """Where a row belongs: the number of the method, the kind of the task, the key of the row."""

    method: int
    task: str
    key: str


@dataclass
class Done:
    """
    What came out of a job.

    :param entries: of all rows, those that were known too.
    :param rows: the new ones by key.
    :param failures: number of the method and the reason, for this picture.
    :param missing: what cannot be used at all, and why.
    :param titles: title, series and group of methods by their number.
    :param cells: of the gallery, by the number of the method.
    """

    job: Job
    image: str = ''
    size: tuple[int, int] = (0, 0)
    entries: list[Entry] = field(default_factory=list)
    rows: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    failures: list[tuple[int, str]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    titles: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    cells: dict[int, dict[str, Any]] = field(default_factory=dict)


def open_data(spec: DataSpec) -> Dataset:
    """
    Open the pictures of a part.

    :raises DatasetError: they are not there or laid out differently.
    """
    dataset = open_dataset(spec.folder, spec.layout, spec.topic)
    if not dataset.names:
        raise DatasetError(f'{spec.folder}: holds no picture')
    if spec.pick == FIRST and spec.frames is not None:
        return Subset(dataset, range(min(spec.frames, len(dataset.names))))
    return evenly(dataset, spec.frames)


class _Part:
    """A part, opened."""

    def __init__(self, spec: PartSpec, models: Models, device: str) -> None:
        self.spec = spec
        self.dataset = open_data(spec.data)
        self.shown = shown_methods(spec.methods)
        self.models = models.over(self.dataset.read)
        self.tasks = [open_task(task, self.dataset.classes, device) for task in spec.tasks]
        self.digest = lru_cache(4)(lambda index: digest_of(self.models.sample(index)))
        self._methods: dict[int, Method | MethodUnavailable] = {}
        self._identities: dict[str, dict[str, Any] | NetworkError] = {}

    def method(self, number: int) -> Method:
        """Return a method; one that is not available is tried once."""
        def make() -> Method:
            return open_method(self.spec.methods[number], self.models)
        return _kept(self._methods, number, make, MethodUnavailable)

    def identity(self, task: RunTask) -> dict[str, Any]:
        """Return what a row depends on beside picture and method."""
        return _kept(self._identities, task.spec.kind, task.identity, NetworkError)


def _kept(results: dict[Any, Any], key: Any, make: Callable[[], Any],
          error: type[Exception]) -> Any:
    """Return the result of a key, or raise its error again; it is made once."""
    if key not in results:
        try:
            results[key] = make()
        except error as reason:
            results[key] = reason
    if isinstance(results[key], Exception):
        raise results[key]
    return results[key]


class Workshop:
    """
    Does jobs.

    :param spec: of the run.
    :param folder: of the output, for the gallery.
    :param known: keys of the rows that there are.
    :param device: of torch models.
    :param threads: of our graphs.
    """

    def __init__(self, spec: RunSpec, folder: Path, known: frozenset[str], device: str,
                 threads: int) -> None:
        self._spec = spec
        self._gallery = Gallery(folder)
        self._known = set(known)
        self._device = device
        self._models = Models(threads, device)
        self._parts: dict[int, _Part] = {}

    def do(self, job: Job) -> Done:
        """
        Do a job.

        :raises RunError: the run is described wrongly.
        :raises DatasetError: the data set cannot be opened.
        """
        if job.part not in self._parts:
            self._parts[job.part] = _Part(self._spec.parts[job.part], self._models, self._device)
        part = self._parts[job.part]
        done = Done(job, part.dataset.names[job.index])
        try:
            sample = part.models.sample(job.index)
        except DatasetError as error:
            done.failures += [(number, str(error)) for number in job.methods]
            return done
        done.size = (sample.image.shape[1], sample.image.shape[0])
        for number in job.methods:
            try:
                method = part.method(number)
                done.titles[number] = (method.title, method.series, method.group.value)
                with _said_as(MethodError):
                    self._judge(part, number, method, sample, done)
            except MethodUnavailable as error:
                done.missing[self._spec.parts[job.part].methods[number].name] = str(error)
            except MethodError as error:
                done.failures.append((number, str(error)))
        return done

    def _judge(self, part: _Part, number: int, method: Method, sample: Sample,
               done: Done) -> None:
        """Do all tasks of a method that are not done."""
        index = done.job.index
        made = {'format': ROW_FORMAT, 'sample': part.digest(index),
                'method': method.identity(index, sample)}
        result = lru_cache(1)(lambda: method.reconstruct(index, sample))
        usable: list[RunTask] = []
        for task in part.tasks:
            try:
                key = digest_of({**made, 'task': part.identity(task)})
                if key not in self._known:
                    done.rows.append((key, _row(task, sample, result())))
                    self._known.add(key)
            except _Unmeasured as error:
                done.failures.append((number, f'{task.spec.kind}: {error}'))
                continue
            except (NetworkError, *_TASK_ERRORS) as error:
                done.missing[f'{part.spec.name}: {task.spec.kind}'] = str(error)
                continue
            done.entries.append(Entry(number, task.spec.kind, key))
            usable.append(task)
        count = len(part.dataset.names)
        if (usable and number in part.shown
                and index in self._gallery.chosen(count, part.spec.gallery)):
            done.cells[number] = self._gallery.cell(
                part.spec.name, sample, part.spec.methods[number].name, digest_of(
                    {**made, 'tasks': [part.identity(task) for task in usable]}),
                result, usable)


class _Unmeasured(Exception):
    """One task cannot judge what a method made of a picture; the others can."""


@contextmanager
def _said_as(kind: type[Exception], besides: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn what is wrong with one picture alone into an error of a kind."""
    try:
        yield
    except (*_NOT_OF_THE_PICTURE, *besides):
        raise
    except Exception as error:
        raise kind(' '.join(str(error).split()) or type(error).__name__) from error


def _row(task: RunTask, sample: Sample, result: Reconstructed) -> dict[str, Any]:
    height, width = sample.image.shape[:2]
    with _said_as(_Unmeasured, _TASK_ERRORS):
        values = task.measure(sample, result)
    return {'image': sample.name, 'bytes': result.bytes, 'bpp': 8 * result.bytes / (height * width),
            'sections': result.sections, 'values': values}
