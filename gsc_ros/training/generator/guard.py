# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a training of days must not do: go on with nothing, overwrite a run, or trust a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import json
from pathlib import Path

from gsc_ros.training.data import DataError
from safetensors import SafetensorError

# Updates in a row whose gradient is not finite; float16 loses some until its loss scale fits.
MAX_LOST = 50


class UpdateGuard:
    """Lets a training leave out updates that overflow, but not all of them."""

    def __init__(self) -> None:
        """Begin with no update."""
        self._lost = 0

    def note(self, finite: bool) -> None:
        """
        Take note of an update, whether its gradient was finite.

        :raises DataError: when too many in a row were not.
        """
        self._lost = 0 if finite else self._lost + 1
        if self._lost >= MAX_LOST:
            self.check()

    def check(self) -> None:
        """Raise a DataError when the last update's gradient was not finite."""
        if self._lost:
            raise DataError(
                f'the gradient was not finite in the last {self._lost} updates: the weights that '
                'training began with, its data or its rate are bad, or --precision is too coarse')


def check_fresh(state: Path) -> None:
    """Raise ValueError when a run has left its state: a new one would overwrite it."""
    if state.exists():
        raise ValueError(
            f'{state.parent} holds a run: --resume goes on with it; else give another --output')


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Raise a DataError with a checkpoint's path when it is damaged or of something else."""
    try:
        yield
    except (SafetensorError, json.JSONDecodeError, KeyError, TypeError, RuntimeError) as error:
        raise DataError(f'{path}: damaged, or of another model: {str(error)[:300]}') from error
