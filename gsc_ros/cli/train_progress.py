# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Show how a training goes, and how it ended."""

from __future__ import annotations

import math
import sys
from typing import Any

from gsc_ros.cli.error import DataError
import rich.console
import rich.progress


def run_with_progress(trainer: Any) -> None:
    """
    Train to the end, with a progress bar on a terminal and lines elsewhere, on stderr.

    :param trainer: a trainer of :mod:`gsc_ros.training.trainer`.
    :raises DataError: no validation was finite.
    """
    console = rich.console.Console(stderr=True)
    with rich.progress.Progress(
            *rich.progress.Progress.get_default_columns(),
            rich.progress.TextColumn('{task.fields[figures]}'), console=console,
            disable=not console.is_terminal) as progress:
        task = progress.add_task('training', total=1.0, figures='')

        def report(trainer: Any, figures: dict[str, float]) -> None:
            text = ' '.join(f'{name} {value:.4f}' for name, value in figures.items())
            progress.update(task, completed=trainer.progress(), figures=text)
            if not console.is_terminal:
                print(f'{trainer.step} {trainer.seconds:.0f}s {text}', file=sys.stderr, flush=True)

        result = trainer.run(report)
    if not math.isfinite(result.best):
        raise DataError(f'{result.steps} steps, but no validation was finite: '
                        'best.safetensors was not written')
    print(f'{result.steps} steps, {result.seconds:.0f} s, validation {result.loss:.5f}, '
          f'best {result.best:.5f}: {trainer.output / "best.safetensors"}', file=sys.stderr)
