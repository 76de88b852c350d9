# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a run is, as data.

It is read from YAML, goes to worker processes, and is written beside the results.

::

    title: Depth on KITTI
    parts:
      - name: kitti                  # names the tables: kitti-depth, ...
        title: KITTI
        data: {folder: KITTI/val_selection_cropped, layout: kitti-depth, frames: 100, pick: spread}
        tasks:
          - depth: {network: depth-anything}
          - images
        methods:
          - original
          - gsc: {channels: [1, 2, 4, 8, 16]}     # a list makes a method of each value
          - peer: {codec: [webp, av1], bpp: [0.005, 0.01]}
        published: kitti-depth       # figures of the paper beside ours
        gallery: 2                   # pictures to look at
        axis: bpp                    # what goes along x; else an ablation's option
    processes: 2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import copy
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from gsc_ros.evaluation.dataset.opening import LAYOUT_NAMES
from gsc_ros.evaluation.run.method import expand, MethodSpec, RunError
from gsc_ros.evaluation.run.opening import check_method, check_task, KINDS
from gsc_ros.evaluation.run.option import check, one_of, text, whole
from gsc_ros.evaluation.run.published import PUBLISHED
from gsc_ros.evaluation.run.task import TaskSpec
import yaml

#: Stands for the folder that is given on the command line.
DATA_WORD = '$DATA'
RATE_AXIS = 'bpp'
MAX_PROCESSES = 256
SPREAD, FIRST = 'spread', 'first'


@dataclass(frozen=True)
class DataSpec:
    """
    Which pictures.

    :param folder: of the data set; a video or a bag, too.
    :param layout: of `LAYOUT_NAMES`; None recognises it.
    :param frames: how many at most; None for all.
    :param pick: 'spread' over the data set, or the 'first' ones, which follow each other.
    :param topic: image topic of a bag that has several.
    """

    folder: str
    layout: str | None = None
    frames: int | None = None
    pick: str = SPREAD
    topic: str | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check('folder', self.folder, text)
        check('pick', self.pick, one_of((SPREAD, FIRST)))
        for name, value, rule in (('layout', self.layout, one_of(LAYOUT_NAMES)),
                                  ('frames', self.frames, whole(1)), ('topic', self.topic, text)):
            if value is not None:
                check(name, value, rule)


@dataclass(frozen=True)
class PartSpec:
    """
    Methods on a data set: a table for each task, or one of an ablation.

    :param name: unique in the run, fit for a file.
    :param title: of its tables.
    :param published: a word of PUBLISHED, whose rows stand beside ours; None for none.
    :param gallery: how many pictures are kept to look at.
    :param axis: RATE_AXIS, or the option that an ablation goes over.
    """

    name: str
    title: str
    data: DataSpec
    tasks: tuple[TaskSpec, ...]
    methods: tuple[MethodSpec, ...]
    published: str | None = None
    gallery: int = 0
    axis: str = RATE_AXIS

    def __post_init__(self) -> None:
        """Refuse what makes no sense together."""
        if (self.data.frames is not None and self.data.pick != FIRST
                and any(method['loss'] for method in self.methods)):
            raise RunError('loss: leaves the picture before, so that those of the run must follow '
                           f'each other: `pick: {FIRST}`')


@dataclass(frozen=True)
class RunSpec:
    """
    A run.

    :param processes: workers on this machine, at least 1.
    :param devices: of torch models, one after the other for each worker; see `NetworkSettings`.
    :param source: the values that it was made of, to be written beside the results.
    """

    title: str
    parts: tuple[PartSpec, ...]
    processes: int = 1
    devices: tuple[str, ...] = ('auto',)
    source: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


def read_run(path: Path, data: str | None = None) -> RunSpec:
    """
    Read a run from a YAML file.

    :param data: takes the place of `$DATA` in it.
    :raises RunError: it cannot be read, or says something unknown; names the file.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f'{path}: {getattr(error, "strerror", None) or error}') from error
    except yaml.YAMLError as error:
        raise RunError(f'{path}: not YAML: {" ".join(str(error).split())}') from error
    try:
        return parse_run(content, data)
    except RunError as error:
        raise RunError(f'{path}: {error}') from error


def parse_run(content: Any, data: str | None = None) -> RunSpec:
    """
    Return the run that YAML values describe.

    :raises RunError: they do not; names the key.
    """
    content = _with_data(content, data)
    entries = _mapping(content, 'a run', RunSpec, without=('source',))
    parts = tuple(_part(part) for part in _list(entries.get('parts') or [], 'parts'))
    if not parts:
        raise RunError('parts: there is none')
    names = [part.name for part in parts]
    if twice := {name for name in names if names.count(name) > 1}:
        raise RunError(f'parts: {twice.pop()!r} is there twice')
    processes = entries.get('processes', 1)
    check('processes', processes, whole(1, MAX_PROCESSES))
    return RunSpec(
        title=_title(entries, 'Evaluation'), parts=parts, processes=processes,
        devices=tuple(str(one) for one in _list(entries.get('devices') or ['auto'], 'devices')),
        source=content)


def with_changes(spec: RunSpec, frames: int | None = None, processes: int | None = None,
                 devices: tuple[str, ...] | None = None) -> RunSpec:
    """
    Return the run with what was said besides; None changes nothing.

    :param frames: pictures in each part, at most.
    """
    def fewer(data: DataSpec) -> DataSpec:
        if frames is None:
            return data
        return replace(data, frames=frames if data.frames is None else min(frames, data.frames))
    parts = tuple(replace(part, data=fewer(part.data)) for part in spec.parts)
    source = copy.deepcopy(spec.source)
    for written, part in zip(source.get('parts', ()), parts):
        if part.data.frames is not None:
            written['data']['frames'] = part.data.frames
    return replace(spec, parts=parts, source=source, processes=processes or spec.processes,
                   devices=devices or spec.devices)


def _part(value: Any) -> PartSpec:
    entries = _mapping(value, 'a part', PartSpec)
    for name in ('name', 'data', 'tasks', 'methods'):
        if not entries.get(name):
            raise RunError(f'part {entries.get("name", "?")}: `{name}` is missing')
    name = str(entries['name'])
    if not all(letter.isalnum() or letter in '-_' for letter in name):
        raise RunError(f'part {name!r}: a name has letters, digits, - and _')
    try:
        if (gallery := entries.get('gallery') or 0) != 0:
            check('gallery', gallery, whole(0))
        if (published := entries.get('published')) is not None:
            check('published', published, one_of(tuple(PUBLISHED)))
        methods = tuple(_methods(entries['methods']))
        axis = entries.get('axis') or RATE_AXIS
        if axis != RATE_AXIS:
            check('axis', axis, one_of(
                (RATE_AXIS, *dict.fromkeys(name for one in methods for name in KINDS[one.kind]))))
        return PartSpec(
            name=name, title=_title(entries, name), data=_data(entries['data'], 'data'),
            tasks=tuple(_tasks(entries['tasks'])), methods=methods, published=published,
            gallery=gallery, axis=axis)
    except RunError as error:
        raise RunError(f'part {name}: {error}') from error


def _data(value: Any, what: str) -> DataSpec:
    entries = _mapping(value, what, DataSpec)
    if not entries.get('folder'):
        raise RunError(f'{what}: `folder` is missing')
    return DataSpec(**entries)


def _title(entries: Mapping[str, Any], default: str) -> str:
    title = entries.get('title') or default
    if isinstance(title, (list, Mapping)):
        check('title', title, text)
    return str(title)


def _tasks(value: Any) -> list[TaskSpec]:
    tasks = [TaskSpec.of(kind, options) for kind, options in _words(value, 'tasks')]
    for task in tasks:
        check_task(task)
    kinds = [task.kind for task in tasks]
    if len(set(kinds)) < len(kinds):
        raise RunError('tasks: one of each kind; another network is another part')
    return tasks


def _methods(value: Any) -> list[MethodSpec]:
    methods: list[MethodSpec] = []
    for kind, options in _words(value, 'methods'):
        if kind not in KINDS:
            check_method(MethodSpec.of(kind, {}))
        made = expand(kind, options)
        if not made:
            raise RunError(f'{kind}: an option has an empty list of values')
        for method in made:
            check_method(method)
            if method not in methods:
                methods.append(method)
    return methods


def _words(value: Any, what: str) -> list[tuple[str, dict[str, Any]]]:
    """Return pairs of a word and its options from a list of words and mappings of one word."""
    pairs = []
    for entry in _list(value, what):
        if isinstance(entry, str):
            entry = {entry: {}}
        if not isinstance(entry, Mapping) or not all(
                isinstance(options or {}, Mapping) for options in entry.values()):
            raise RunError(f'{what}: {entry!r} is neither a word nor `word: {{options}}`')
        pairs += [(str(word), dict(options or {})) for word, options in entry.items()]
    return pairs


def _mapping(value: Any, what: str, kind: type, without: Sequence[str] = ()) -> dict[str, Any]:
    """Return a mapping whose keys are the fields of a dataclass."""
    if not isinstance(value, Mapping):
        raise RunError(f'{what}: expected `key: value`, not {value!r:.60}')
    known = [entry.name for entry in fields(kind) if entry.name not in without]
    for key in value:
        if key not in known:
            raise RunError(f'{what}: no key {key!r}; there are: {", ".join(known)}')
    return dict(value)


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise RunError(f'{what}: expected a list, not {value!r:.60}')
    return value


def _with_data(value: Any, data: str | None) -> Any:
    """Put the folder of the command line where `$DATA` is."""
    if isinstance(value, Mapping):
        return {key: _with_data(entry, data) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_data(entry, data) for entry in value]
    if isinstance(value, str) and DATA_WORD in value:
        if data is None:
            raise RunError(f'{value!r}: no folder was given to stand for {DATA_WORD}')
        return value.replace(DATA_WORD, data)
    return value
