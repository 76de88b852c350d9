# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `gsc eval` says of a run: results.json, and the tables on a terminal."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
import os
import platform
import shlex
import sys
from typing import Any

from gsc_ros.codec.error import CodecError
from gsc_ros.codec.profile import load_profile
from gsc_ros.evaluation import ffmpeg
from gsc_ros.evaluation.report.content import fewer
from gsc_ros.evaluation.run.run import Outcome
from gsc_ros.evaluation.run.spec import RunSpec
from rich.console import Console
from rich.table import Table

_PACKAGES = ('gsc_ros', 'numpy', 'opencv-python-headless', 'onnxruntime', 'pillow', 'torch',
             'transformers', 'diffusers', 'ai-edge-litert', 'pycocotools', 'piq')


def results_of(spec: RunSpec, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """
    Return what results.json holds; docs/evaluation.md describes it.

    :param seconds: that the run took, without what was known from before.
    """
    profiles = {str(method['profile'] or 'tiny') for part in spec.parts for method in part.methods
                if method.kind in ('gsc', 'generate', 'text')}
    return {
        'about': {
            'title': spec.title, 'command': shlex.join(['gsc', *sys.argv[1:]]),
            'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
            'seconds': round(seconds, 1), 'measured': outcome.measured, 'known': outcome.known,
            'versions': _versions(), 'profiles': [_profile(name) for name in sorted(profiles)],
            'machine': f'{os.cpu_count()} cores, {platform.machine()}, {platform.system()}'},
        'tables': outcome.tables, 'bounds': outcome.bounds, 'pictures': outcome.pictures,
        'missing': [{'what': what, 'reason': reason} for what, reason in outcome.missing.items()],
        'failures': outcome.failures}


def _versions() -> dict[str, str]:
    versions = {'python': platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    try:
        words = ffmpeg.version().removeprefix('ffmpeg version ')
        versions['ffmpeg'] = words.partition(' ')[0]
    except ffmpeg.FFmpegError:
        pass
    return versions


def _profile(name: str) -> dict[str, str]:
    try:
        return {'name': name, 'hash': load_profile(name).content_hash.hex()[:16]}
    except CodecError as error:
        return {'name': name, 'hash': '', 'missing': str(error)}


def show(results: dict[str, Any], out: Console, notes: Console) -> None:
    """
    Print the tables, and what is missing.

    :param out: where the tables go.
    :param notes: where the rest goes.
    """
    for table in results['tables'].values():
        shown = Table(title=f'{table["title"]} ({table["data"]})', title_justify='left', box=None)
        shown.add_column('method')
        for column in table['columns']:
            shown.add_column(column['title'], justify='right')
        for row in table['rows']:
            mark = ' (published)' if row['published'] else ''
            part = fewer(row['images'], table['images'])
            shown.add_row(row['title'] + part + mark, *(
                _cell(row['values'].get(column['name']), column['digits'])
                for column in table['columns']))
        out.print(shown)
        out.print()
    for entry in results['missing']:
        notes.print(f'missing: {entry["what"]}: {entry["reason"]}', markup=False)
    failures = Counter((one['part'], one['method'], one['reason']) for one in results['failures'])
    for (part, method, reason), count in failures.items():
        notes.print(f'failed: {part}, {method}, {count} pictures: {reason}', markup=False)


def _cell(value: float | None, digits: int) -> str:
    return '-' if value is None else f'{value:.{digits}f}'
