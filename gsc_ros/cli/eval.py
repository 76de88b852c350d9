# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Evaluate reconstructions by what they are for: depth, segmentation, detection, and as pictures.

    gsc eval depth KITTI -o out/depth --network depth-anything-v2 --channels 1,2,4,8,16
    gsc eval detection DRIVE -o out/objects --network fastestdet --model fastestdet.onnx
    gsc eval images KODAK -o out/kodak --peers all --rates 0.01,0.02
    gsc eval ablation DRIVE -o out/ablation --over channels,loss
    gsc eval report DATA -o out/report
    gsc eval report --config config/eval/table1.yaml -o out/table1
    gsc eval captions KITTI -o captions.txt --caption-model Qwen2.5-VL-7B-Instruct

`gsc eval TASK --help` describes a task. Writes results.json, tables and report.html into the folder
given by -o, and the run itself as run.yaml. What has been measured is kept there: the same command
goes on where it was stopped, and a changed one measures only what has changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
import json
import logging
import os
from pathlib import Path
import time
from typing import Any

from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.cli.eval_argument import add_task_parsers, CAPTIONS, content_of
from gsc_ros.cli.eval_caption import write_captions
from gsc_ros.cli.eval_output import results_of, show
from gsc_ros.codec.error import CodecError
from gsc_ros.evaluation.bound.information import BoundError
from gsc_ros.evaluation.dataset.dataset import DatasetError
from gsc_ros.evaluation.report.content import ReportError
from gsc_ros.evaluation.report.writing import write
from gsc_ros.evaluation.run.method import RunError
from gsc_ros.evaluation.run.process import this_rank
from gsc_ros.evaluation.run.run import evaluate, Outcome, Report
from gsc_ros.evaluation.run.spec import parse_run, read_run, RunSpec, with_changes
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
import yaml

RESULTS_FILE, RUN_FILE = 'results.json', 'run.yaml'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc eval`."""
    add_task_parsers(parser)


def run(arguments: argparse.Namespace) -> int:
    """
    Evaluate, and write the report.

    :raises DataError: the pictures or the run are bad, nothing could be measured, or the report
        cannot be written.
    :raises UsageError: the options make no sense.
    """
    if arguments.task == CAPTIONS:
        return write_captions(arguments)
    console = Console(stderr=True)
    logging.getLogger('matplotlib').setLevel(logging.WARNING)
    start = time.monotonic()
    try:
        spec = _spec(arguments)
        rank = this_rank()
        with _progress(console) as report:
            outcome = evaluate(spec, arguments.output, report, rank)
        if outcome is None:
            return 0
        results = results_of(spec, outcome, time.monotonic() - start)
        _write(arguments.output, spec, results)
    except (RunError, DatasetError, BoundError, CodecError, ReportError) as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise DataError(f'{error.filename or arguments.output}: {error.strerror or error}'
                        ) from error
    if arguments.json:
        print(json.dumps(results))
    else:
        show(results, Console(), console)
    _complain(outcome)
    console.print(f'{outcome.measured} measured, {outcome.known} known from before; open '
                  f'{arguments.output / "report.html"}', markup=False, highlight=False)
    return 0


def _spec(arguments: argparse.Namespace) -> RunSpec:
    """Return the run that is asked for."""
    if arguments.config is not None:
        spec = read_run(arguments.config, arguments.input)
    elif arguments.input is None:
        raise UsageError('needs a folder, or a run in YAML (--config)')
    else:
        spec = parse_run(content_of(arguments), arguments.input)
    devices = None if arguments.device is None else tuple(arguments.device.split(','))
    return with_changes(spec, arguments.frames, arguments.processes, devices)


@contextmanager
def _progress(console: Console) -> Iterator[Report]:
    """Yield what shows a bar with the time that is left, where somebody sees it."""
    with Progress(TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
                  TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True,
                  disable=not console.is_terminal) as progress:
        task = progress.add_task('', total=None)
        yield lambda done, total, text: progress.update(
            task, completed=done, total=total, description=text)


def _write(folder: Path, spec: RunSpec, results: dict[str, Any]) -> None:
    draft = folder / f'{RESULTS_FILE}.new'
    draft.write_text(json.dumps(results, indent=1), encoding='utf-8')
    os.replace(draft, folder / RESULTS_FILE)
    (folder / RUN_FILE).write_text(
        yaml.safe_dump(spec.source, sort_keys=False, allow_unicode=True), encoding='utf-8')
    write(results, folder)


def _complain(outcome: Outcome) -> None:
    """Fail when there is nothing to show for the work."""
    if any(row['images'] for table in outcome.tables.values() for row in table['rows']):
        return
    reasons = [*(one['reason'] for one in outcome.failures), *outcome.missing.values()]
    raise DataError('nothing could be measured: ' + (
        '; '.join(dict.fromkeys(reasons)) or 'no picture has anything to count'))
