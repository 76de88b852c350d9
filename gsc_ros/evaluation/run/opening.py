# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the descriptions of methods and tasks to the methods and tasks."""

from __future__ import annotations

from collections.abc import Sequence

from gsc_ros.evaluation.run.known import KNOWN_OPTIONS, KnownDepth, Original
from gsc_ros.evaluation.run.method import Method, MethodSpec, RunError, Scalar
from gsc_ros.evaluation.run.model import Models
from gsc_ros.evaluation.run.network_task import DepthTask, DetectionTask, SegmentationTask
from gsc_ros.evaluation.run.option import check_option
from gsc_ros.evaluation.run.ours import KNOWN, OwnMethod
from gsc_ros.evaluation.run.peer import (
    EXTERNAL_OPTIONS,
    ExternalMethod,
    PEER_OPTIONS,
    PeerMethod,
)
from gsc_ros.evaluation.run.picture_task import BoundTask, ImageTask
from gsc_ros.evaluation.run.task import RunTask, TaskSpec

#: The kinds of methods, with their options and defaults.
KINDS: dict[str, dict[str, Scalar]] = {
    **KNOWN,
    'peer': PEER_OPTIONS,
    'external': EXTERNAL_OPTIONS,
    'original': {},
    'known': KNOWN_OPTIONS,
}

#: The kinds of tasks.
TASKS: dict[str, type[
    DepthTask | SegmentationTask | DetectionTask | ImageTask | BoundTask]] = {
    'depth': DepthTask, 'segmentation': SegmentationTask, 'detection': DetectionTask,
    'images': ImageTask, 'bound': BoundTask}


def check_method(spec: MethodSpec) -> None:
    """
    Refuse kinds and options that there are not, and values that an option does not take.

    :raises RunError: naming those that there are.
    """
    if spec.kind not in KINDS:
        raise RunError(f'no method {spec.kind!r}; there are: {", ".join(KINDS)}')
    for name, value in spec.options:
        if name not in KINDS[spec.kind]:
            known = ', '.join(KINDS[spec.kind]) or 'none'
            raise RunError(f'method {spec.kind} has no option {name!r}; there are: {known}')
        check_option(name, value, KINDS[spec.kind][name])


def open_method(spec: MethodSpec, models: Models) -> Method:
    """
    Return the method.

    :raises RunError: it is described wrongly.
    :raises MethodUnavailable: something that it needs is not here.
    """
    check_method(spec)
    if spec.kind == 'peer':
        return PeerMethod(spec)
    if spec.kind == 'external':
        return ExternalMethod(spec)
    if spec.kind == 'original':
        return Original(spec)
    if spec.kind == 'known':
        return KnownDepth(spec)
    return OwnMethod(spec, models)


def check_task(spec: TaskSpec) -> None:
    """
    Refuse tasks and options that there are not, and values that an option does not take.

    :raises RunError: naming those that there are.
    """
    if spec.kind not in TASKS:
        raise RunError(f'no task {spec.kind!r}; there are: {", ".join(TASKS)}')
    known = TASKS[spec.kind].options
    for name, value in spec.options:
        if name not in known:
            raise RunError(f'task {spec.kind} has no option {name!r}; there are: '
                           f'{", ".join(known)}')
        check_option(name, value, known[name])


def open_task(spec: TaskSpec, classes: Sequence[str], device: str = 'auto') -> RunTask:
    """
    Return the task.

    :param classes: of the data set.
    :param device: of a network whose options name none, as in `NetworkSettings`.
    :raises RunError: it is described wrongly.
    """
    check_task(spec)
    return TASKS[spec.kind](spec, classes, device)
