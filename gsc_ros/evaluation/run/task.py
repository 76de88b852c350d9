# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a task of a run is: from a sample and its reconstruction to a row, and from rows to figures.

A row holds what is needed of one picture to join many, as JSON values: the errors of its depth, its
confusion matrix, its boxes, its distances. A task whose data set has no labels takes what the same
network says of the original for the truth: its figures are agreement then.

Networks are opened with the first picture. Joining needs none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gsc_ros.evaluation.dataset.dataset import Sample
from gsc_ros.evaluation.run.method import Reconstructed, Scalar

Row = dict[str, Any]
#: Originals whose description is kept: every method asks for it, picture after picture.
KEPT = 2


@dataclass(frozen=True)
class Column:
    """
    A column of a table.

    :param better: 'lower', 'higher' or None.
    :param digits: after the point.
    """

    name: str
    title: str
    unit: str = ''
    better: str | None = None
    digits: int = 3


@dataclass(frozen=True)
class TaskSpec:
    """
    A task with its options.

    :param kind: one of `opening.TASKS`.
    :param options: sorted pairs of name and value.
    """

    kind: str
    options: tuple[tuple[str, Scalar], ...] = ()

    @classmethod
    def of(cls, kind: str, options: Mapping[str, Scalar]) -> TaskSpec:
        """Return the task of a kind with these options."""
        return cls(kind, tuple(sorted(options.items())))


class RunTask(Protocol):
    """A task of a run; one thread at a time uses one."""

    spec: TaskSpec
    columns: tuple[Column, ...]
    #: Metrics that cannot be computed here, and why; the task does without them.
    missing: dict[str, str]

    def note(self, truth: type | None) -> str:
        """Return how the figures come about, for the table of a data set with this truth."""
        ...

    def identity(self) -> dict[str, Any]:
        """Return JSON values of everything that a row depends on besides the pictures."""
        ...

    def measure(self, sample: Sample, result: Reconstructed) -> Row | None:
        """
        Return the row of one picture; None when it has nothing to count.

        :raises MethodError: the method does not fit the task.
        :raises NetworkError: the network cannot be opened.
        """
        ...

    def join(self, rows: Sequence[Row]) -> dict[str, float | None]:
        """Return the figures over all pictures, one for each column."""
        ...

    def overlay(self, result: Reconstructed) -> dict[str, Any]:
        """Return what to paint over a picture: arrays and lists by kind; may be empty."""
        ...
