# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work over many files: progress and failures on stderr, where they do not mix with results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
import sys
from typing import TypeVar

from gsc_ros.cli.error import DataError
from gsc_ros.cli.picture import Job

Item = TypeVar('Item')


def work_through(
    jobs: Sequence[Job], description: str, work: Callable[[Job], dict], folder: bool,
) -> tuple[list[dict], list[dict]]:
    """
    Do every job; one bad file of a folder does not keep the others from being done.

    :param work: does one job and returns what `--json` prints for it.
    :param folder: whether the jobs are those of a folder; the only file of a call must be good.
    :return: the results, and the files that failed with the reason.
    :raises DataError: when a job fails that is not one of a folder.
    """
    results, failed = [], []
    for job in track(jobs, description):
        try:
            results.append(work(job))
        except DataError as error:
            if not folder:
                raise
            failed.append({'input': str(job.source), 'error': str(error)})
            print(f'gsc: {error}', file=sys.stderr)
    return results, failed


def track(
    items: Iterable[Item], description: str, total: int | None = None,
) -> Iterator[Item]:
    """
    Yield the items; show a bar when there is more than one and stderr is a terminal.

    :param total: how many there are, where ``len`` does not say it.
    """
    total = len(items) if total is None else total
    if total < 2:
        yield from items
        return
    # Imported here because one file needs no bar, and rich takes a tenth of a second.
    from rich.console import Console
    from rich.progress import track as rich_track
    yield from rich_track(
        items, description, total, console=Console(stderr=True), transient=True)
